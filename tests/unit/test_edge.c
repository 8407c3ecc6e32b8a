// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The edge's state machine against simulated faults. Every number here is simulated time; each row
 * of a table is run over many seeds, and what was measured is printed as a comment.
 */
#include "edge_simulation.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS	 24
#define SECONDS	 1000
#define START_NS (1000 * NS_PER_S)

#define HEALTHY	    (1U << EDGE_HEALTHY)
#define LOSSY	    (1U << EDGE_LOSSY)
#define SUSPECT	    (1U << EDGE_SUSPECT)
#define UNREACHABLE (1U << EDGE_UNREACHABLE)
#define EGRESS_CUT  (1U << EDGE_EGRESS_CUT)
#define INGRESS_CUT (1U << EDGE_INGRESS_CUT)
/* Whatever is not a verdict. */
#define HARMLESS (HEALTHY | LOSSY | SUSPECT)

#define LOSS(ratio) .loss_out = (ratio), .loss_in = (ratio)
#define CUT	    LOSS(1)
#define REQUESTS(n) .traffic = TRAFFIC_REQUESTS, .requests_per_s = (n)
#define BULK	    .traffic = TRAFFIC_BULK

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

static int compare_times(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static unsigned int quantile_ms(uint64_t *times_ns, unsigned int count, double quantile)
{
	qsort(times_ns, count, sizeof(*times_ns), compare_times);
	return (unsigned int)(times_ns[(unsigned int)(quantile * (count - 1))] / NS_PER_MS);
}

/* The fault comes at any phase of heartbeats, turns and requests. */
static void run_before(struct simulation *simulation, unsigned int seed,
		       const struct simulation_conditions *before, unsigned int before_ms)
{
	simulation_start(simulation, seed + 1, START_NS, before);
	simulation_run(simulation, before_ms * NS_PER_MS, before);
	simulation_run(simulation, seed * UINT64_C(1370003) % 997 * NS_PER_MS, before);
	simulation_observe(simulation);
}

static void run_scenario(const struct scenario *scenario)
{
	static struct simulation simulation;
	uint64_t times_ns[SEEDS];
	char sentence[512];
	unsigned int p50_ms, max_ms;

	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		run_before(&simulation, seed, &scenario->before, scenario->before_ms);
		simulation_run(&simulation, scenario->fault_ms * NS_PER_MS, &scenario->fault);
		simulation_sentence(&simulation, sentence, sizeof(sentence));
		times_ns[seed] = scenario->agent_silent
					 ? simulation.agent_silent_ns
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
	p50_ms = quantile_ms(times_ns, SEEDS, 0.5);
	max_ms = quantile_ms(times_ns, SEEDS, 1);
	print_message("# %s: p50 %u ms, max %u ms\n", scenario->name, p50_ms, max_ms);
	if (p50_ms > scenario->p50_ms || max_ms > scenario->max_ms)
		fail_msg("%s: p50 %u ms (limit %u), max %u ms (limit %u)", scenario->name, p50_ms,
			 scenario->p50_ms, max_ms, scenario->max_ms);
}

#define run_all(scenarios)                                                            \
	do {                                                                          \
		for (size_t i_ = 0; i_ < sizeof(scenarios) / sizeof(*(scenarios)); i_++) \
			run_scenario(&(scenarios)[i_]);                               \
	} while (0)

static void test_cut(void **state)
{
	static const struct scenario scenarios[] = {
		{.name = "cut, idle", .before_ms = 30 * SECONDS, .fault = {CUT},
		 .fault_ms = 20 * SECONDS, .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE, .verdict = EDGE_UNREACHABLE, .p50_ms = 350, .max_ms = 500,
		 .sentence = "nothing heard for "},
		{.name = "cut, 1 request a second", .before = {REQUESTS(1)}, .before_ms = 30 * SECONDS,
		 .fault = {CUT, REQUESTS(1)}, .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE, .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE, .p50_ms = 350, .max_ms = 500},
		{.name = "cut, 50 requests a second", .before = {REQUESTS(50)},
		 .before_ms = 30 * SECONDS, .fault = {CUT, REQUESTS(50)}, .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE, .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE, .p50_ms = 350, .max_ms = 500},
		{.name = "cut, bulk", .before = {BULK}, .before_ms = 30 * SECONDS,
		 .fault = {CUT, BULK}, .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE, .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE, .p50_ms = 350, .max_ms = 500,
		 .sentence = "on 1 socket"},
		{.name = "cut, bulk, no agent", .before = {BULK, .no_agent = true},
		 .before_ms = 30 * SECONDS, .fault = {CUT, BULK, .no_agent = true},
		 .fault_ms = 20 * SECONDS, .allowed = HEALTHY | SUSPECT | UNREACHABLE,
		 .final = UNREACHABLE, .verdict = EDGE_UNREACHABLE, .p50_ms = 700, .max_ms = 700},
		{.name = "cut, 10 requests a second, no agent",
		 .before = {REQUESTS(10), .no_agent = true}, .before_ms = 30 * SECONDS,
		 .fault = {CUT, REQUESTS(10), .no_agent = true}, .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE, .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE, .p50_ms = 900, .max_ms = 900},
	};

	(void)state;
	run_all(scenarios);
}

static void test_one_way_cut(void **state)
{
	static const struct scenario scenarios[] = {
		{.name = "outwards, idle", .before_ms = 30 * SECONDS, .fault = {.loss_out = 1},
		 .fault_ms = 20 * SECONDS, .allowed = HEALTHY | SUSPECT | EGRESS_CUT,
		 .final = EGRESS_CUT, .verdict = EDGE_EGRESS_CUT, .p50_ms = 700, .max_ms = 700,
		 .sentence = "of our heartbeats missing"},
		{.name = "outwards, 5 requests a second", .before = {REQUESTS(5)},
		 .before_ms = 30 * SECONDS, .fault = {.loss_out = 1, REQUESTS(5)},
		 .fault_ms = 20 * SECONDS, .allowed = HEALTHY | SUSPECT | EGRESS_CUT,
		 .final = EGRESS_CUT, .verdict = EDGE_EGRESS_CUT, .p50_ms = 700, .max_ms = 700},
		{.name = "outwards, bulk", .before = {BULK}, .before_ms = 30 * SECONDS,
		 .fault = {.loss_out = 1, BULK}, .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | EGRESS_CUT, .final = EGRESS_CUT,
		 .verdict = EDGE_EGRESS_CUT, .p50_ms = 700, .max_ms = 700},
		{.name = "inwards, no testimony", .before_ms = 30 * SECONDS,
		 .fault = {.loss_in = 1}, .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE, .final = UNREACHABLE,
		 .verdict = EDGE_UNREACHABLE, .p50_ms = 350, .max_ms = 500},
		{.name = "inwards, with testimony", .before_ms = 30 * SECONDS,
		 .fault = {.loss_in = 1, .relayed = true}, .fault_ms = 20 * SECONDS,
		 .allowed = HEALTHY | SUSPECT | UNREACHABLE | INGRESS_CUT, .final = INGRESS_CUT,
		 .verdict = EDGE_INGRESS_CUT, .p50_ms = 500, .max_ms = 700,
		 .sentence = "; a third node passes on its word that it hears us"},
	};

	(void)state;
	run_all(scenarios);
}

/* The same fault on a link that has lost some all the time: no verdict before, one after. */
static void test_steady_loss(void **state)
{
	static const struct {
		double loss;
		bool lossy;
		unsigned int false_max; /* episodes in SEEDS runs of ten minutes */
		unsigned int p50_ms, max_ms;
	} rows[] = {
		{0, false, 0, 350, 500},     {0.01, false, 0, 600, 1000},
		{0.05, true, 0, 1000, 1500}, {0.1, true, 0, 1500, 2500},
		{0.3, true, 0, 4000, 6000},  {0.8, true, 4, 30000, 60000},
	};
	static struct simulation simulation;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct simulation_conditions lossy = {LOSS(rows[i].loss)};
		const struct simulation_conditions cut = {CUT};
		unsigned int false_verdicts = 0, suspicions = 0, p50_ms, max_ms;
		uint64_t times_ns[SEEDS];

		for (unsigned int seed = 0; seed < SEEDS; seed++) {
			run_before(&simulation, seed, &lossy, 30 * SECONDS);
			if (rows[i].lossy)
				assert_int_equal(simulation.edge.state == EDGE_HEALTHY, 0);
			simulation_run(&simulation, 600 * NS_PER_S, &lossy);
			false_verdicts += simulation.entered[EDGE_UNREACHABLE] +
					  simulation.entered[EDGE_EGRESS_CUT] +
					  simulation.entered[EDGE_INGRESS_CUT];
			suspicions += simulation.entered[EDGE_SUSPECT];
			simulation_observe(&simulation);
			simulation_run(&simulation, 60 * NS_PER_S, &cut);
			times_ns[seed] = simulation.first_ns[EDGE_UNREACHABLE];
		}
		p50_ms = quantile_ms(times_ns, SEEDS, 0.5);
		max_ms = quantile_ms(times_ns, SEEDS, 1);
		print_message("# %g %% loss: %u false verdicts and %u suspicions in %u h, "
			      "cut found after p50 %u ms, max %u ms\n",
			      rows[i].loss * 100, false_verdicts, suspicions, SEEDS / 6, p50_ms,
			      max_ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_one_way_cut),
		cmocka_unit_test(test_steady_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
