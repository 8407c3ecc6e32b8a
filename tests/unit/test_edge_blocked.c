// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Our heartbeats alone do not get to the peer: no verdict, but a word of its own, and it must not
 * hide a cut. Times are simulated, each row is run over many seeds.
 */
#include "edge_simulation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS	SIMULATION_SEEDS
#define BLOCKED .heartbeats_blocked = true

/* In simulated time. */
#define RECOVERED_MS 3000

static void print_times(const char *name, const char *what, uint64_t times_ns[static SEEDS],
			unsigned int max_ms)
{
	unsigned int worst_ms = simulation_quantile_ms(times_ns, SEEDS, 1);

	print_message("# %s, %s: p50 %u ms, max %u ms\n", name, what,
		      simulation_quantile_ms(times_ns, SEEDS, 0.5), worst_ms);
	if (worst_ms > max_ms)
		fail_msg("%s, %s: %u ms, not %u", name, what, worst_ms, max_ms);
}

/* Blocked for a minute, then let through again. */
static void test_blocked(void **state)
{
	static const struct {
		const char *name;
		struct simulation_conditions before, blocked;
		enum edge_state final;
		unsigned int noticed_ms, cleared_ms;
		const char *sentence;
	} rows[] = {
		{.name = "idle",
		 .blocked = {BLOCKED},
		 .noticed_ms = 1500,
		 .cleared_ms = 300,
		 .sentence = "our heartbeats do not arrive there (UDP blocked?), but its kernel "
			     "answers, 0.0 % lost outwards, 0.0 % inwards"},
		{.name = "1 request a second",
		 .before = {REQUESTS(1)},
		 .blocked = {REQUESTS(1), BLOCKED},
		 .noticed_ms = 1500,
		 .cleared_ms = 300},
		{.name = "5 requests a second",
		 .before = {REQUESTS(5)},
		 .blocked = {REQUESTS(5), BLOCKED},
		 .noticed_ms = 1500,
		 .cleared_ms = 300},
		{.name = "bulk",
		 .before = {BULK},
		 .blocked = {BULK, BLOCKED},
		 .noticed_ms = 1500,
		 .cleared_ms = 300},
		{.name = "bulk, connects impossible",
		 .before = {BULK, .connects_impossible = true},
		 .blocked = {BULK, BLOCKED, .connects_impossible = true},
		 .noticed_ms = 1500,
		 .cleared_ms = 300},
		{.name = "refused by this node's stack",
		 .blocked = {.heartbeats_refused = true},
		 .noticed_ms = 1500,
		 .cleared_ms = 300,
		 .sentence = "answers, this node's own stack refuses to send heartbeats"},
		{.name = "this agent late",
		 .before = {.self_late = true},
		 .blocked = {.self_late = true, BLOCKED},
		 .noticed_ms = 3000,
		 .cleared_ms = 1000},
		{.name = "10 % loss",
		 .before = {LOSS(0.1)},
		 .blocked = {LOSS(0.1), BLOCKED},
		 .final = EDGE_LOSSY,
		 .noticed_ms = 2000,
		 .cleared_ms = 1000},
		{.name = "bulk, 10 % loss",
		 .before = {LOSS(0.1), BULK},
		 .blocked = {LOSS(0.1), BULK, BLOCKED},
		 .final = EDGE_LOSSY,
		 .noticed_ms = 2000,
		 .cleared_ms = 1000},
		{.name = "30 % loss",
		 .before = {LOSS(0.3)},
		 .blocked = {LOSS(0.3), BLOCKED},
		 .final = EDGE_LOSSY,
		 .noticed_ms = 4000,
		 .cleared_ms = 2000},
	};
	static struct simulation simulation;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t noticed_ns[SEEDS], cleared_ns[SEEDS];

		for (unsigned int seed = 0; seed < SEEDS; seed++) {
			char sentence[512];

			simulation_prepare(&simulation, seed, &rows[i].before, 30 * NS_PER_S);
			simulation_run(&simulation, 60 * NS_PER_S, &rows[i].blocked);
			simulation_sentence(&simulation, sentence, sizeof(sentence));
			noticed_ns[seed] = simulation.blocked_ns;
			if (!simulation.edge.heartbeats_blocked || simulation.verdicts ||
			    simulation.edge.state != rows[i].final)
				fail_msg("%s, seed %u: %s after %u verdicts: %s", rows[i].name,
					 seed, edge_state_name(simulation.edge.state),
					 simulation.verdicts, sentence);
			if (rows[i].sentence && !strstr(sentence, rows[i].sentence))
				fail_msg("%s, seed %u: '%s' is not in '%s'", rows[i].name, seed,
					 rows[i].sentence, sentence);
			simulation_observe(&simulation);
			simulation_run(&simulation, 10 * NS_PER_S, &rows[i].before);
			cleared_ns[seed] = simulation.unblocked_ns;
			if (simulation.edge.heartbeats_blocked || simulation.verdicts ||
			    simulation.edge.state != rows[i].final ||
			    (rows[i].final == EDGE_HEALTHY && simulation.visited != HEALTHY))
				fail_msg("%s, seed %u: visited %#x after healing", rows[i].name,
					 seed, simulation.visited);
		}
		print_times(rows[i].name, "noticed", noticed_ns, rows[i].noticed_ms);
		print_times(rows[i].name, "cleared", cleared_ns, rows[i].cleared_ms);
	}
}

/* While they are blocked, a cut is found, told apart, and left again, with them still blocked. */
static void test_cut_while_blocked(void **state)
{
	static const struct {
		const char *name;
		struct simulation_conditions conditions; /* and heartbeats blocked */
		double loss_out, loss_in;		 /* the cut */
		enum edge_state verdict;
		unsigned int max_ms;
	} rows[] = {
		{"cut, idle", {.traffic = TRAFFIC_NONE}, 1, 1, EDGE_UNREACHABLE, 700},
		{"cut, 5 requests a second", {REQUESTS(5)}, 1, 1, EDGE_UNREACHABLE, 700},
		{"cut, bulk", {BULK}, 1, 1, EDGE_UNREACHABLE, 700},
		{"outwards, idle", {.traffic = TRAFFIC_NONE}, 1, 0, EDGE_EGRESS_CUT, 1200},
		{"outwards, 5 requests a second", {REQUESTS(5)}, 1, 0, EDGE_EGRESS_CUT, 1200},
		{"outwards, bulk", {BULK}, 1, 0, EDGE_EGRESS_CUT, 1200},
		{"inwards, idle", {.traffic = TRAFFIC_NONE}, 0, 1, EDGE_UNREACHABLE, 700},
		{"inwards, 5 requests a second", {REQUESTS(5)}, 0, 1, EDGE_UNREACHABLE, 700},
		{"inwards, bulk", {BULK}, 0, 1, EDGE_UNREACHABLE, 700},
	};
	static struct simulation simulation;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct simulation_conditions blocked = rows[i].conditions, cut;
		unsigned int allowed = HEALTHY | SUSPECT | 1U << rows[i].verdict;
		uint64_t found_ns[SEEDS], back_ns[SEEDS];

		blocked.heartbeats_blocked = true;
		cut = blocked;
		cut.loss_out = rows[i].loss_out;
		cut.loss_in = rows[i].loss_in;
		for (unsigned int seed = 0; seed < SEEDS; seed++) {
			simulation_prepare(&simulation, seed, &blocked, 30 * NS_PER_S);
			assert_true(simulation.edge.heartbeats_blocked);
			assert_int_equal(simulation.edge.state, EDGE_HEALTHY);
			simulation_run(&simulation, 20 * NS_PER_S, &cut);
			found_ns[seed] = simulation.first_ns[rows[i].verdict];
			if (simulation.visited & ~allowed ||
			    simulation.edge.state != rows[i].verdict ||
			    simulation.edge.heartbeats_blocked)
				fail_msg("%s, seed %u: visited %#x, ends %s%s", rows[i].name, seed,
					 simulation.visited, edge_state_name(simulation.edge.state),
					 simulation.edge.heartbeats_blocked ? ", blocked" : "");
			simulation_observe(&simulation);
			simulation_run(&simulation, 20 * NS_PER_S, &blocked);
			back_ns[seed] = simulation.first_ns[EDGE_HEALTHY];
			if (simulation.edge.state != EDGE_HEALTHY || simulation.verdicts ||
			    !simulation.edge.heartbeats_blocked)
				fail_msg("%s, seed %u: %s after the cut", rows[i].name, seed,
					 edge_state_name(simulation.edge.state));
		}
		print_times(rows[i].name, "found", found_ns, rows[i].max_ms);
		print_times(rows[i].name, "back", back_ns, RECOVERED_MS);
	}
}

/* What looks like it for a while and is not. */
static void test_not_blocked(void **state)
{
	static const struct {
		const char *name;
		struct simulation_conditions conditions;
	} rows[] = {
		{"outwards, idle", {.loss_out = 1}},
		{"outwards, bulk", {.loss_out = 1, BULK}},
		{"outwards, connects impossible", {.loss_out = 1, .connects_impossible = true}},
		{"cut, bulk", {CUT, BULK}},
		{"agent stopped", {.agent = AGENT_STOPPED, BLOCKED}},
		{"10 % loss", {LOSS(0.1)}},
		{"50 % loss outwards", {.loss_out = 0.5, BULK}},
		{"its agent starved", {.agent = AGENT_STARVED, REQUESTS(5)}},
		{"this agent late", {.self_late = true}},
	};
	static const struct simulation_conditions healthy;
	static struct simulation simulation;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (unsigned int seed = 0; seed < SEEDS; seed++) {
			simulation_prepare(&simulation, seed, &healthy, 30 * NS_PER_S);
			simulation_run(&simulation, 120 * NS_PER_S, &rows[i].conditions);
			if (simulation.blocked_ns != UINT64_MAX)
				fail_msg("%s, seed %u: blocked after %u ms", rows[i].name, seed,
					 (unsigned int)(simulation.blocked_ns / NS_PER_MS));
		}
	}
}

/* Its agent is stopped meanwhile: then that is what is said, and the other thing again after it. */
static void test_agent_stopped_while_blocked(void **state)
{
	static const struct simulation_conditions blocked = {BLOCKED},
						  stopped = {BLOCKED, .agent = AGENT_STOPPED};
	static struct simulation simulation;

	(void)state;
	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		simulation_prepare(&simulation, seed, &blocked, 30 * NS_PER_S);
		simulation_run(&simulation, 20 * NS_PER_S, &stopped);
		assert_true(simulation.edge.agent_silent);
		assert_false(simulation.edge.heartbeats_blocked);
		simulation_run(&simulation, 20 * NS_PER_S, &blocked);
		assert_false(simulation.edge.agent_silent);
		assert_true(simulation.edge.heartbeats_blocked);
		assert_int_equal(simulation.edge.state, EDGE_HEALTHY);
		assert_int_equal(simulation.verdicts, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_cut_while_blocked),
		cmocka_unit_test(test_not_blocked),
		cmocka_unit_test(test_agent_stopped_while_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
