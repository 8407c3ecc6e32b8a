// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the nodes say of their own health, and what the cluster makes of it. */
#include "unit/classify_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_NS (3000 * CLUSTER_MS)

/* Of n5: what the others say, what its row says, and what follows. */
static void test_overload_and_services(void **state)
{
	static const struct {
		const char *name;
		const char *lines[4]; /* of n1 to n4, at 1,000 ms */
		const char *finding;  /* of n5, at 900 ms; NULL: none */
		double distrust_ratio;
		uint32_t ended_ms; /* when its row ended; 0: it is there */
		const char *expected;
	} cases[] = {
		{"silent, and it has not said why",
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 NULL,
		 0,
		 0,
		 "agent-down:5"},
		{"silent, and overloaded",
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 "cpu-overload node",
		 0,
		 0,
		 "node-overloaded:5"},
		{"the same by memory",
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 "memory-pressure node",
		 0,
		 0,
		 "node-overloaded:5"},
		{"silent, and a container had no room left within its limit",
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 "memory-pressure pod shop/web-1",
		 0,
		 0,
		 "agent-down:5"},
		{"silent, and starved",
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 NULL,
		 0.6,
		 0,
		 "node-overloaded:5"},
		{"silent, and hardly starved",
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 NULL,
		 0.5,
		 0,
		 "agent-down:5"},
		{"silent, and a finding that is no load",
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 "disk-slow",
		 0,
		 0,
		 "agent-down:5"},
		{"in doubt, and overloaded",
		 {"-hhhs", "h-hhs", "hh-hs", "hhh-h"},
		 "cpu-overload node",
		 0,
		 0,
		 "node-overloaded:5"},
		{"half in doubt: not more",
		 {"-hhhs", "h-hhs", "hh-hh", "hhh-h"},
		 "cpu-overload node",
		 0,
		 0,
		 ""},
		{"some silent, some in doubt",
		 {"-hhhs", "h-hha", "hh-ha", "hhh-h"},
		 "cpu-overload node",
		 0,
		 0,
		 "node-overloaded:5"},
		{"overloaded, and well heard",
		 {"-hhhh", "h-hhh", "hh-hh", "hhh-h"},
		 "cpu-overload node",
		 0,
		 0,
		 ""},
		{"overloaded, and its kernel does not answer: it is cut off",
		 {"-hhhu", "h-hhu", "hh-hu", "hhh-u"},
		 "cpu-overload node",
		 0,
		 0,
		 "node-unreachable:5!"},
		{"its lease has ended since",
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 "cpu-overload node",
		 0,
		 2000,
		 "node-overloaded:5"},
		{"a process has died, and the node is up",
		 {"-hhhh", "h-hhh", "hh-hh", "hhh-h"},
		 "watched-process-died",
		 0,
		 0,
		 "service-down:5"},
		{"that its agent is not heard is another matter",
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 "watched-process-died",
		 0,
		 0,
		 "agent-down:5 service-down:5"},
		{"a process has died, and the node is cut off",
		 {"-hhhu", "h-hhu", "hh-hu", "hhh-u"},
		 "watched-process-died",
		 0,
		 0,
		 "node-unreachable:5!"},
		{"a process has died, and its lease has ended: is it up?",
		 {"-hhhh", "h-hhh", "hh-hh", "hhh-h"},
		 "watched-process-died",
		 0,
		 2000,
		 ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char found[512] = "";
		struct text text = TEXT(found);
		struct bench bench;

		bench_make(&bench, bench_well, 5);
		if (cases[i].finding)
			cluster_find(&bench.cluster, 4, bench_well[4], cases[i].finding,
				     900 * CLUSTER_MS);
		else
			cluster_say(&bench.cluster, 4, bench_well[4], 0, cases[i].distrust_ratio,
				    900 * CLUSTER_MS);
		for (unsigned int j = 0; j < 4; j++)
			cluster_say(&bench.cluster, j, cases[i].lines[j], 0, 0, 1000 * CLUSTER_MS);
		if (cases[i].ended_ms)
			view_drop(&bench.cluster.view, 4, cases[i].ended_ms * CLUSTER_MS);
		classify(&bench.classifier, &bench.cluster.view, NOW_NS, &bench.judgement);
		bench_describe(&bench.judgement, &text);
		if (strcmp(found, cases[i].expected) != 0)
			fail_msg("%s: found \"%s\", expected \"%s\"", cases[i].name, found,
				 cases[i].expected);
		bench_free(&bench);
	}
}

/* What a row said of overload is forgotten some time after its end. */
static void test_overload_is_forgotten(void **state)
{
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	cluster_find(&bench.cluster, 4, bench_well[4], "cpu-overload node", 900 * CLUSTER_MS);
	view_drop(&bench.cluster.view, 4, 1000 * CLUSTER_MS);
	for (unsigned int i = 0; i < 4; i++) {
		const char *const lines[] = {"-hhha", "h-hha", "hh-ha", "hhh-a"};

		cluster_say(&bench.cluster, i, lines[i], 0, 0, 20000 * CLUSTER_MS);
	}
	bench_expect(&bench, 30999, "node-overloaded:5");
	bench_expect(&bench, 31000, "agent-down:5");
	bench_free(&bench);
}

/* An agent that has said that it stops is not missed; a node that is lost is lost. */
static void test_stopping(void **state)
{
	static const struct {
		const char *name;
		uint32_t flags; /* of n5, at 900 ms */
		uint32_t ended_ms;
		bool reset;		/* at 1,100 ms all rows are read anew; n5 has none */
		const char *after;	/* what n5 says at 1,500 ms; NULL: nothing */
		const char *lines[4];	/* of n1 to n4, from 1,200 ms on */
		const char *expected;	/* at 3,000 ms */
		const char *much_later; /* VIEW_STOPPING_NS after its end */
	} cases[] = {
		{"it stops",
		 ROW_FLAG_STOPPING,
		 1000,
		 false,
		 NULL,
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 "",
		 "agent-down:5"},
		{"it ends without a word",
		 0,
		 1000,
		 false,
		 NULL,
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 "agent-down:5",
		 "agent-down:5"},
		{"it stops, and its end was not seen",
		 ROW_FLAG_STOPPING,
		 0,
		 true,
		 NULL,
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 "",
		 "agent-down:5"},
		{"it is back, and dies",
		 ROW_FLAG_STOPPING,
		 1000,
		 false,
		 "hhhh-",
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 "agent-down:5",
		 "agent-down:5"},
		{"it was too busy, and stops",
		 ROW_FLAG_STOPPING,
		 1000,
		 false,
		 NULL,
		 {"-hhhs", "h-hha", "hh-ha", "hhh-s"},
		 "",
		 ""},
		{"it stops with its machine, whose kernel still answers",
		 ROW_FLAG_STOPPING | ROW_FLAG_HALTING,
		 1000,
		 false,
		 NULL,
		 {"-hhha", "h-hha", "hh-ha", "hhh-a"},
		 "",
		 "agent-down:5"},
		{"its machine is down",
		 ROW_FLAG_STOPPING | ROW_FLAG_HALTING,
		 1000,
		 false,
		 NULL,
		 {"-hhhu", "h-hhu", "hh-hu", "hhh-u"},
		 "node-down:5!",
		 "node-down:5!"},
		{"it stops, and then its node is cut off",
		 ROW_FLAG_STOPPING,
		 1000,
		 false,
		 NULL,
		 {"-hhhu", "h-hhu", "hh-hu", "hhh-u"},
		 "node-unreachable:5!",
		 "node-unreachable:5!"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t end_ms = cases[i].ended_ms ?: 900;
		uint64_t later_ms = end_ms + VIEW_STOPPING_NS / CLUSTER_MS;
		struct bench bench;

		print_message("%s\n", cases[i].name);
		bench_make(&bench, bench_well, 5);
		cluster_say(&bench.cluster, 4, bench_well[4], cases[i].flags,
			    strchr(cases[i].lines[0], 's') ? 0.9 : 0, 900 * CLUSTER_MS);
		if (cases[i].ended_ms)
			view_drop(&bench.cluster.view, 4, end_ms * CLUSTER_MS);
		if (cases[i].reset)
			view_reset(&bench.cluster.view);
		for (unsigned int j = 0; j < 4; j++)
			cluster_say(&bench.cluster, j, cases[i].lines[j], 0, 0, 1200 * CLUSTER_MS);
		if (cases[i].after) {
			cluster_say(&bench.cluster, 4, cases[i].after, 0, 0, 1500 * CLUSTER_MS);
			view_drop(&bench.cluster.view, 4, 1600 * CLUSTER_MS);
		}
		bench_expect(&bench, 3000, cases[i].expected);
		for (unsigned int j = 0; j < 4; j++)
			cluster_say(&bench.cluster, j, cases[i].lines[j], 0, 0,
				    (later_ms - 1000) * CLUSTER_MS);
		if (!cases[i].after)
			bench_expect(&bench, later_ms - 1, cases[i].expected);
		bench_expect(&bench, later_ms, cases[i].much_later);
		bench_free(&bench);
	}
}

static void test_their_sentences(void **state)
{
	static const struct {
		const char *finding, *sentence;
		double distrust_ratio;
	} cases[] = {
		{"watched-process-died", "n5 is up, but SUBJECT there is down: SENTENCE", 0},
		{"cpu-overload node",
		 "n5 is too busy to be heard in time, and not cut off: 4 nodes say so (n1, n2, n3, "
		 "n4); n5 says: cpu-overload, SENTENCE",
		 0},
		{NULL,
		 "n5 is too busy to be heard in time, and not cut off: 4 nodes say so (n1, n2, n3, "
		 "n4); n5 says that its agent was not scheduled in time for 70 % of late (its "
		 "lease "
		 "ended 1000 ms ago)",
		 0.7},
	};
	static const char *const lines[] = {"-hhha", "h-hha", "hh-ha", "hhh-a"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char found[512] = "";
		struct text text = TEXT(found);
		struct bench bench;

		bench_make(&bench, bench_well, 5);
		for (unsigned int j = 0; j < 4 && i; j++)
			cluster_say(&bench.cluster, j, lines[j], 0, 0, 1000 * CLUSTER_MS);
		if (cases[i].finding)
			cluster_find(&bench.cluster, 4, bench_well[4], cases[i].finding,
				     1000 * CLUSTER_MS);
		else
			cluster_say(&bench.cluster, 4, bench_well[4], 0, cases[i].distrust_ratio,
				    1000 * CLUSTER_MS);
		if (!cases[i].finding)
			view_drop(&bench.cluster.view, 4, 2000 * CLUSTER_MS);
		classify(&bench.classifier, &bench.cluster.view, NOW_NS, &bench.judgement);
		assert_int_equal(bench.judgement.verdict_count, 1);
		assert_false(bench.judgement.verdicts[0].isolates);
		assert_false(bench.judgement.verdicts[0].pending);
		verdict_explain(&bench.judgement.verdicts[0], &bench.judgement, &bench.cluster.view,
				NOW_NS, &text);
		assert_string_equal(found, cases[i].sentence);
		bench_free(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overload_and_services),
		cmocka_unit_test(test_overload_is_forgotten),
		cmocka_unit_test(test_stopping),
		cmocka_unit_test(test_their_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
