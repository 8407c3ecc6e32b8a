// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The edge's state machine on links that lose much: false verdicts, and real ones all the same. */
#include "edge_simulation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEEDS SIMULATION_SEEDS

/* Ten minutes on a link that loses some all the time: no verdict; then a cut: one. */
static void test_steady_loss(void **state)
{
	static const struct {
		struct simulation_conditions conditions;
		const char *name;
		unsigned int states;		   /* after 30 s */
		unsigned int start_max, false_max; /* verdicts in those 30 s, and later */
		unsigned int p50_ms, max_ms;
	} rows[] = {
		{{LOSS(0)}, "0 %", HEALTHY, 0, 0, 350, 500},
		{{LOSS(0.01)}, "1 %", HEALTHY | LOSSY, 0, 0, 600, 1000},
		{{LOSS(0.05)}, "5 %", LOSSY, 0, 0, 1000, 1500},
		{{LOSS(0.1)}, "10 %", LOSSY, 0, 0, 1500, 2500},
		{{LOSS(0.3)}, "30 %", LOSSY, 0, 0, 3000, 5000},
		/* Looks cut before anything has been measured; once measured it never does. */
		{{LOSS(0.8)}, "80 %", ~0U, SEEDS, 0, 20000, 30000},
		/* One that is late and loses a few heartbeats on top is silent for once: no cut. */
		{{LOSS(0.1), .agent = AGENT_STARVED},
		 "its agent starved, 10 %",
		 HARMLESS,
		 2,
		 1,
		 1500,
		 2500},
		{{LOSS(0.1), .connects_impossible = true},
		 "connects impossible, 10 %",
		 LOSSY,
		 0,
		 0,
		 2500,
		 4000},
		{{LOSS(0.1), REQUESTS(10)}, "10 requests a second, 10 %", LOSSY, 0, 0, 1500, 2500},
		{{LOSS(0.1), BULK}, "bulk, 10 %", LOSSY, 0, 0, 1500, 2500},
		{{LOSS(0.01), BULK, .no_agent = true},
		 "bulk, no agent, 1 %",
		 LOSSY,
		 0,
		 0,
		 1500,
		 2500},
		{{LOSS(0.1), BULK, .no_agent = true},
		 "bulk, no agent, 10 %",
		 LOSSY,
		 0,
		 0,
		 2500,
		 4000},
		{{LOSS(0.1), REQUESTS(10), .no_agent = true},
		 "10 requests a second, no agent, 10 %",
		 LOSSY,
		 0,
		 0,
		 2500,
		 4000},
	};
	static struct simulation simulation;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct simulation_conditions *conditions = &rows[i].conditions;
		unsigned int at_start = 0, later = 0, p50_ms, max_ms;
		uint64_t times_ns[SEEDS];

		for (unsigned int seed = 0; seed < SEEDS; seed++) {
			struct simulation_conditions cut = *conditions;

			cut.loss_out = cut.loss_in = 1;
			simulation_start(&simulation, seed + 1, SIMULATION_START_NS, conditions);
			simulation_run(&simulation, 30 * NS_PER_S, conditions);
			if (!(1U << simulation.edge.state & rows[i].states))
				fail_msg("%s loss, seed %u: %s after 30 s", rows[i].name, seed,
					 edge_state_name(simulation.edge.state));
			at_start += simulation.verdicts;
			simulation_observe(&simulation);
			simulation_run(&simulation, 600 * NS_PER_S, conditions);
			later += simulation.verdicts;
			simulation_observe(&simulation);
			simulation_run(&simulation, 60 * NS_PER_S, &cut);
			times_ns[seed] = simulation.first_ns[EDGE_UNREACHABLE];
		}
		p50_ms = simulation_quantile_ms(times_ns, SEEDS, 0.5);
		max_ms = simulation_quantile_ms(times_ns, SEEDS, 1);
		print_message("# %s loss: %u false verdicts in the first 30 s of %u runs, %u in "
			      "%u h after, cut found after p50 %u ms, max %u ms\n",
			      rows[i].name, at_start, SEEDS, later, SEEDS / 6, p50_ms, max_ms);
		if (at_start > rows[i].start_max || later > rows[i].false_max ||
		    p50_ms > rows[i].p50_ms || max_ms > rows[i].max_ms)
			fail_msg("%s loss: more than %u, %u, %u ms or %u ms", rows[i].name,
				 rows[i].start_max, rows[i].false_max, rows[i].p50_ms,
				 rows[i].max_ms);
	}
}

/* From none to much loss at once: nothing has been learned yet. */
static void test_sudden_loss(void **state)
{
	static const struct {
		double loss;
		unsigned int false_max;
	} rows[] = {{0.1, 0}, {0.3, 12}};
	static const struct simulation_conditions clean;
	static struct simulation simulation;
	const unsigned int runs = 400;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct simulation_conditions lossy = {LOSS(rows[i].loss)};
		unsigned int verdicts = 0, still = 0;

		for (unsigned int seed = 0; seed < runs; seed++) {
			simulation_prepare(&simulation, seed, &clean, 30 * NS_PER_S);
			simulation_run(&simulation, 30 * NS_PER_S, &lossy);
			verdicts += simulation.verdicts;
			still += simulation.edge.state != EDGE_LOSSY;
		}
		print_message("# 0 to %g %% loss: %u false verdicts in %u runs\n",
			      rows[i].loss * 100, verdicts, runs);
		assert_true(verdicts <= rows[i].false_max);
		assert_int_equal(still, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steady_loss),
		cmocka_unit_test(test_sudden_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
