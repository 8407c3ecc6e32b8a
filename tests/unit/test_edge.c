// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The edge's state machine against simulated faults. Loss that lasts is in
 * test_edge_loss.c. Every number here is simulated time; each row of a table is run over many
 * seeds, and what was measured is printed as a comment.
 */
#include "edge_simulation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS	SIMULATION_SEEDS
#define SECONDS 1000

struct scenario {
	const char *name;
	struct simulation_conditions before, fault;
	unsigned int before_ms, fault_ms;
	unsigned int allowed; /* states during the fault */
	unsigned int final;   /* states at its end */
	/* The verdict that must come, and how soon after the fault; 0: none. */
	enum edge_state verdict;
	unsigned int p50_ms, max_ms;
	bool agent_silent;    /* must be noticed, within max_ms */
	const char *sentence; /* part of it, at the end */
};

static void run_scenario(const struct scenario *scenario)
{
	static struct simulation simulation;
	uint64_t times_ns[SEEDS];
	char sentence[512];
	unsigned int p50_ms, max_ms;

	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		simulation_prepare(&simulation, seed, &scenario->before,
				   scenario->before_ms * NS_PER_MS);
		simulation_run(&simulation, scenario->fault_ms * NS_PER_MS, &scenario->fault);
		simulation_sentence(&simulation, sentence, sizeof(sentence));
		times_ns[seed] = scenario->agent_silent ? simulation.agent_silent_ns
							: simulation.first_ns[scenario->verdict];
		if (simulation.visited & ~scenario->allowed)
			fail_msg("%s, seed %u: visited states %#x, allowed are %#x; %s: %s",
				 scenario->name, seed, simulation.visited, scenario->allowed,
				 edge_state_name(simulation.edge.state), sentence);
		if (!(1U << simulation.edge.state & scenario->final))
			fail_msg("%s, seed %u: ends %s: %s", scenario->name, seed,
				 edge_state_name(simulation.edge.state), sentence);
		if (scenario->sentence && !strstr(sentence, scenario->sentence))
			fail_msg("%s, seed %u: '%s' is not in '%s'", scenario->name, seed,
				 scenario->sentence, sentence);
	}
	if (!scenario->max_ms)
		return;
	p50_ms = simulation_quantile_ms(times_ns, SEEDS, 0.5);
	max_ms = simulation_quantile_ms(times_ns, SEEDS, 1);
	print_message("# %s: p50 %u ms, max %u ms\n", scenario->name, p50_ms, max_ms);
	if (p50_ms > scenario->p50_ms || max_ms > scenario->max_ms)
		fail_msg("%s: p50 %u ms (limit %u), max %u ms (limit %u)", scenario->name, p50_ms,
			 scenario->p50_ms, max_ms, scenario->max_ms);
}

#define run_all(scenarios)                                                               \
	do {                                                                             \
		for (size_t i_ = 0; i_ < sizeof(scenarios) / sizeof(*(scenarios)); i_++) \
			run_scenario(&(scenarios)[i_]);                                  \
	} while (0)

static void test_cut(void **state)
{
	static const struct scenario scenarios[] = {
		{.name = "cut, idle",
		 .before_ms = 30 * SECONDS,
		 .fault = {CUT},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE,
		 .p50_ms = 350,
		 .max_ms = 500,
		 .sentence = "nothing heard for "},
		{.name = "cut, 1 request a second",
		 .before = {REQUESTS(1)},
		 .before_ms = 30 * SECONDS,
		 .fault = {CUT, REQUESTS(1)},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE,
		 .p50_ms = 350,
		 .max_ms = 500},
		{.name = "cut, 50 requests a second",
		 .before = {REQUESTS(50)},
		 .before_ms = 30 * SECONDS,
		 .fault = {CUT, REQUESTS(50)},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE,
		 .p50_ms = 350,
		 .max_ms = 500},
		{.name = "cut, bulk",
		 .before = {BULK},
		 .before_ms = 30 * SECONDS,
		 .fault = {CUT, BULK},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE,
		 .p50_ms = 350,
		 .max_ms = 500,
		 .sentence = "on 1 socket"},
		{.name = "cut, bulk, no agent",
		 .before = {BULK, .no_agent = true},
		 .before_ms = 30 * SECONDS,
		 .fault = {CUT, BULK, .no_agent = true},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE,
		 .p50_ms = 700,
		 .max_ms = 700},
		{.name = "cut, 10 requests a second, no agent",
		 .before = {REQUESTS(10), .no_agent = true},
		 .before_ms = 30 * SECONDS,
		 .fault = {CUT, REQUESTS(10), .no_agent = true},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE,
		 .p50_ms = 900,
		 .max_ms = 900},
	};

	(void)state;
	run_all(scenarios);
}

static void test_one_way_cut(void **state)
{
	static const struct scenario scenarios[] = {
		{.name = "outwards, idle",
		 .before_ms = 30 * SECONDS,
		 .fault = {.loss_out = 1},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | EGRESS_CUT,
		 .final = EGRESS_CUT,
		 .verdict = EDGE_EGRESS_CUT,
		 .p50_ms = 700,
		 .max_ms = 700,
		 .sentence = "of our heartbeats missing"},
		{.name = "outwards, 5 requests a second",
		 .before = {REQUESTS(5)},
		 .before_ms = 30 * SECONDS,
		 .fault = {.loss_out = 1, REQUESTS(5)},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | EGRESS_CUT,
		 .final = EGRESS_CUT,
		 .verdict = EDGE_EGRESS_CUT,
		 .p50_ms = 700,
		 .max_ms = 700},
		{.name = "outwards, bulk",
		 .before = {BULK},
		 .before_ms = 30 * SECONDS,
		 .fault = {.loss_out = 1, BULK},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | EGRESS_CUT,
		 .final = EGRESS_CUT,
		 .verdict = EDGE_EGRESS_CUT,
		 .p50_ms = 700,
		 .max_ms = 700},
		{.name = "inwards, no testimony",
		 .before_ms = 30 * SECONDS,
		 .fault = {.loss_in = 1},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE,
		 .p50_ms = 350,
		 .max_ms = 500},
		{.name = "inwards, with testimony",
		 .before_ms = 30 * SECONDS,
		 .fault = {.loss_in = 1, .relayed = true},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE | INGRESS_CUT,
		 .final = INGRESS_CUT,
		 .verdict = EDGE_INGRESS_CUT,
		 .p50_ms = 500,
		 .max_ms = 700,
		 .sentence = "; a third node passes on its word that it hears us"},
	};

	(void)state;
	run_all(scenarios);
}

/* 20 s off, 20 s on: each is one change to unreachable and one back, and nothing else. */
static void test_flapping(void **state)
{
	static const struct simulation_conditions on, off = {CUT};
	static struct simulation simulation;

	(void)state;
	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		simulation_prepare(&simulation, seed, &on, 30 * NS_PER_S);
		for (unsigned int i = 0; i < 15; i++) {
			simulation_observe(&simulation);
			simulation_run(&simulation, 20 * NS_PER_S, &off);
			assert_int_equal(simulation.edge.state, EDGE_UNREACHABLE);
			assert_int_equal(simulation.entered[EDGE_UNREACHABLE], 1);
			assert_true(simulation.first_ns[EDGE_UNREACHABLE] <= 500 * NS_PER_MS);
			simulation_observe(&simulation);
			simulation_run(&simulation, 20 * NS_PER_S, &on);
			assert_int_equal(simulation.edge.state, EDGE_HEALTHY);
			assert_int_equal(simulation.entered[EDGE_HEALTHY], 1);
			assert_int_equal(simulation.verdicts, 0);
			assert_int_equal(simulation.entered[EDGE_LOSSY], 0);
		}
	}
}

/* What looks like trouble and is none of the network's. */
static void test_harmless(void **state)
{
	static const struct scenario scenarios[] = {
		{.name = "tail loss probes",
		 .before = {REQUESTS(2)},
		 .before_ms = 30 * SECONDS,
		 .fault = {REQUESTS(2), .slow_answers = true},
		 .fault_ms = 300 * SECONDS,
		 .allowed = HEALTHY,
		 .final = HEALTHY},
		{.name = "tail loss probes, no agent",
		 .before = {REQUESTS(2), .no_agent = true},
		 .before_ms = 30 * SECONDS,
		 .fault = {REQUESTS(2), .slow_answers = true, .no_agent = true},
		 .fault_ms = 300 * SECONDS,
		 .allowed = HEALTHY,
		 .final = HEALTHY},
		{.name = "fast retransmits",
		 .before = {BULK},
		 .before_ms = 30 * SECONDS,
		 .fault = {BULK, .reordered = 0.05},
		 .fault_ms = 120 * SECONDS,
		 .allowed = HEALTHY,
		 .final = HEALTHY},
		{.name = "fast retransmits, no agent",
		 .before = {BULK, .no_agent = true},
		 .before_ms = 30 * SECONDS,
		 .fault = {BULK, .no_agent = true, .reordered = 0.002},
		 .fault_ms = 120 * SECONDS,
		 .allowed = HEALTHY,
		 .final = HEALTHY},
		{.name = "zero window",
		 .before = {BULK},
		 .before_ms = 30 * SECONDS,
		 .fault = {BULK, .zero_window = true},
		 .fault_ms = 60 * SECONDS,
		 .allowed = HEALTHY,
		 .final = HEALTHY,
		 .sentence = "; its application does not read on 1 socket"},
		{.name = "zero window, no agent",
		 .before = {BULK, .no_agent = true},
		 .before_ms = 30 * SECONDS,
		 .fault = {BULK, .zero_window = true, .no_agent = true},
		 .fault_ms = 60 * SECONDS,
		 .allowed = HEALTHY,
		 .final = HEALTHY,
		 .sentence = "; its application does not read on 1 socket"},
		{.name = "agent stopped",
		 .before_ms = 30 * SECONDS,
		 .fault = {.agent = AGENT_STOPPED},
		 .fault_ms = 60 * SECONDS,
		 .allowed = HEALTHY | SUSPECT,
		 .final = HEALTHY,
		 .agent_silent = true,
		 .p50_ms = 450,
		 .max_ms = 700,
		 .sentence = "its agent has been silent for "},
		{.name = "agent never there, kernel answers",
		 .fault = {.agent = AGENT_STOPPED},
		 .fault_ms = 60 * SECONDS,
		 .allowed = HEALTHY | SUSPECT,
		 .final = HEALTHY,
		 .agent_silent = true,
		 .p50_ms = 1500,
		 .max_ms = 2000,
		 .sentence = ", but its kernel answers"},
		{.name = "idle for an hour, no agent",
		 .before = {REQUESTS(10), .no_agent = true},
		 .before_ms = 30 * SECONDS,
		 .fault = {.no_agent = true},
		 .fault_ms = 3600 * SECONDS,
		 .allowed = HEALTHY,
		 .final = HEALTHY},
		{.name = "this agent late, 10 % loss",
		 .before = {LOSS(0.1)},
		 .before_ms = 60 * SECONDS,
		 .fault = {LOSS(0.1), .self_late = true},
		 .fault_ms = 60 * SECONDS,
		 .allowed = HARMLESS,
		 .final = HARMLESS},
		{.name = "this agent late",
		 .before_ms = 60 * SECONDS,
		 .fault = {.self_late = true},
		 .fault_ms = 60 * SECONDS,
		 .allowed = HARMLESS,
		 .final = HARMLESS},
	};

	(void)state;
	run_all(scenarios);
}

static void test_own_fault(void **state)
{
	static const struct scenario scenarios[] = {
		{.name = "output refused",
		 .before_ms = 30 * SECONDS,
		 .fault = {.heartbeats_refused = true, .connects_refused = true},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | EGRESS_CUT,
		 .final = EGRESS_CUT,
		 .verdict = EDGE_EGRESS_CUT,
		 .p50_ms = 700,
		 .max_ms = 700,
		 .sentence = "this node's own stack refuses to send heartbeats"},
		{.name = "output dropped",
		 .before = {REQUESTS(5)},
		 .before_ms = 30 * SECONDS,
		 .fault = {.loss_out = 1, .heartbeats_refused = true},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | EGRESS_CUT,
		 .final = EGRESS_CUT,
		 .verdict = EDGE_EGRESS_CUT,
		 .p50_ms = 700,
		 .max_ms = 700,
		 .sentence = "this node's own stack refuses to send heartbeats"},
		{.name = "carrier down",
		 .before_ms = 30 * SECONDS,
		 .fault = {CUT, .heartbeats_refused = true, .connects_refused = true, .alone = true,
			   .carrier_down = true},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE,
		 .p50_ms = 350,
		 .max_ms = 500,
		 .sentence = "; this node's own link is down"},
		{.name = "carrier down, connects lost",
		 .before_ms = 30 * SECONDS,
		 .fault = {CUT, .heartbeats_refused = true, .alone = true, .carrier_down = true},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE,
		 .p50_ms = 350,
		 .max_ms = 500,
		 .sentence = "; this node's own link is down"},
	};

	(void)state;
	run_all(scenarios);
}

static void test_without_help(void **state)
{
	static const struct scenario scenarios[] = {
		{.name = "never heard, kernel dead",
		 .before = {CUT},
		 .fault = {CUT},
		 .fault_ms = 500,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE},
		{.name = "cut, connects impossible",
		 .before = {.connects_impossible = true},
		 .before_ms = 30 * SECONDS,
		 .fault = {CUT, .connects_impossible = true},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE,
		 .p50_ms = 600,
		 .max_ms = 700},
		{.name = "outwards, connects impossible",
		 .before = {.connects_impossible = true},
		 .before_ms = 30 * SECONDS,
		 .fault = {.loss_out = 1, .connects_impossible = true},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | EGRESS_CUT,
		 .final = EGRESS_CUT,
		 .verdict = EDGE_EGRESS_CUT,
		 .p50_ms = 700,
		 .max_ms = 700},
		{.name = "cut, connects impossible, bulk, no agent",
		 .before = {BULK, .no_agent = true, .connects_impossible = true},
		 .before_ms = 30 * SECONDS,
		 .fault = {CUT, BULK, .no_agent = true, .connects_impossible = true},
		 .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE,
		 .p50_ms = 7000,
		 .max_ms = 7000},
	};

	(void)state;
	run_all(scenarios);
}

/* Its kernel had answered for a minute without it: that must not hide a cut. */
static void test_cut_after_agent_stopped(void **state)
{
	static const struct simulation_conditions running, stopped = {.agent = AGENT_STOPPED},
							   cut = {CUT, .agent = AGENT_STOPPED};
	static struct simulation simulation;
	uint64_t times_ns[SEEDS];

	(void)state;
	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		simulation_prepare(&simulation, seed, &running, 30 * NS_PER_S);
		simulation_run(&simulation, 60 * NS_PER_S + seed * 13 * NS_PER_MS, &stopped);
		assert_int_equal(simulation.verdicts, 0);
		assert_true(simulation.edge.agent_silent);
		simulation_observe(&simulation);
		simulation_run(&simulation, 10 * NS_PER_S, &cut);
		times_ns[seed] = simulation.first_ns[EDGE_UNREACHABLE];
		assert_int_equal(simulation.edge.state, EDGE_UNREACHABLE);
		/* And back to life. */
		simulation_run(&simulation, 120 * NS_PER_S, &running);
		assert_int_equal(simulation.edge.state, EDGE_HEALTHY);
		assert_false(simulation.edge.agent_silent);
	}
	print_message("# cut after its agent stopped: p50 %u ms, max %u ms\n",
		      simulation_quantile_ms(times_ns, SEEDS, 0.5),
		      simulation_quantile_ms(times_ns, SEEDS, 1));
	assert_true(simulation_quantile_ms(times_ns, SEEDS, 1) <= 1500);
}

/* This process does not run for 5 s, as after SIGSTOP or a migration. */
static void test_own_pause(void **state)
{
	static const struct simulation_conditions conditions[] = {
		{.traffic = TRAFFIC_NONE},     {BULK}, {LOSS(0.1)}, {REQUESTS(5), .no_agent = true},
		{.connects_impossible = true},
	};
	static struct simulation simulation;

	(void)state;
	for (size_t i = 0; i < sizeof(conditions) / sizeof(*conditions); i++) {
		for (unsigned int seed = 0; seed < SEEDS; seed++) {
			simulation_prepare(&simulation, seed, &conditions[i], 30 * NS_PER_S);
			simulation_hold_up(&simulation, 5 * NS_PER_S);
			simulation_run(&simulation, 30 * NS_PER_S, &conditions[i]);
			assert_int_equal(simulation.verdicts, 0);
			assert_int_equal(simulation.visited & SUSPECT, 0);
		}
	}
}

/* Leaving a verdict takes sustained success. */
static void test_recovery(void **state)
{
	static const struct simulation_conditions on, off = {CUT};
	static struct simulation simulation;
	uint64_t times_ns[SEEDS];

	(void)state;
	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		simulation_prepare(&simulation, seed, &on, 30 * NS_PER_S);
		simulation_run(&simulation, 20 * NS_PER_S, &off);
		for (unsigned int i = 0; i < 9; i++) {
			simulation_observe(&simulation);
			simulation_slip_through(&simulation);
			simulation_run(&simulation, (i + 1) * 250 * NS_PER_MS, &off);
			assert_int_equal(simulation.visited & HARMLESS, 0);
		}
		simulation_run(&simulation, 5 * NS_PER_S, &off);
		assert_int_equal(simulation.edge.state, EDGE_UNREACHABLE);
		simulation_observe(&simulation);
		simulation_run(&simulation, 5 * NS_PER_S, &on);
		/* What slipped through single made it a lossy link; its measure takes time to fade.
		 */
		assert_true(simulation.edge.state <= EDGE_LOSSY);
		times_ns[seed] = simulation.first_ns[simulation.edge.state];
		/* Of which the turn that sees the first answer counts as one. */
		assert_true(times_ns[seed] >= 950 * NS_PER_MS);
	}
	print_message("# recovery: p50 %u ms, max %u ms\n",
		      simulation_quantile_ms(times_ns, SEEDS, 0.5),
		      simulation_quantile_ms(times_ns, SEEDS, 1));
	assert_true(simulation_quantile_ms(times_ns, SEEDS, 1) <= 2000);
}

static uint64_t trace_of(unsigned int seed, uint64_t start_ns)
{
	static const struct simulation_conditions phases[] = {
		{REQUESTS(5)},
		{LOSS(0.3), REQUESTS(5)},
		{CUT, REQUESTS(5)},
		{LOSS(0.05)},
		{.loss_out = 1},
		{.agent = AGENT_STOPPED},
		{.self_late = true},
		{.loss_in = 1, .relayed = true},
		{.agent = AGENT_RUNNING},
	};
	static struct simulation simulation;

	simulation_start(&simulation, seed, start_ns, &phases[0]);
	for (size_t i = 0; i < sizeof(phases) / sizeof(*phases); i++)
		simulation_run(&simulation, 20 * NS_PER_S, &phases[i]);
	return simulation.trace;
}

/* No time is taken but what is handed in: shifted by anything, the same happens. */
static void test_no_other_time(void **state)
{
	static const uint64_t starts_ns[] = {NS_PER_MS, 77 * NS_PER_S + 123456789,
					     40000000 * NS_PER_S, UINT64_C(1) << 62};

	(void)state;
	for (unsigned int seed = 1; seed <= SEEDS; seed++) {
		uint64_t trace = trace_of(seed, SIMULATION_START_NS);

		for (size_t i = 0; i < sizeof(starts_ns) / sizeof(*starts_ns); i++)
			assert_int_equal(trace_of(seed, starts_ns[i]), trace);
		assert_int_not_equal(trace_of(seed + SEEDS, SIMULATION_START_NS), trace);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_one_way_cut),
		cmocka_unit_test(test_flapping),
		cmocka_unit_test(test_harmless),
		cmocka_unit_test(test_own_fault),
		cmocka_unit_test(test_without_help),
		cmocka_unit_test(test_cut_after_agent_stopped),
		cmocka_unit_test(test_own_pause),
		cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_no_other_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
