// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Every class, and what must not be one, as tables of what each node says. */
#include "unit/classify_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_NS (3000 * CLUSTER_MS)

struct table {
	const char *name;
	const char *lines[8];
	const char *zones;
	/* The verdicts in order, as "class:subjects[!]": "!" for one that isolates. */
	const char *expected;
};

static void expect(const struct table *table)
{
	struct classifier classifier;
	struct judgement judgement;
	struct cluster cluster;
	unsigned int count = 0;
	char found[512] = "";
	struct text text = TEXT(found);

	while (count < 8 && table->lines[count])
		count++;
	cluster_make(&cluster, count, table->zones);
	cluster_say_all(&cluster, table->lines);
	assert_int_equal(classifier_init(&classifier, &cluster.membership), 0);
	classify(&classifier, &cluster.view, NOW_NS, &judgement);
	bench_describe(&judgement, &text);
	if (strcmp(found, table->expected))
		fail_msg("%s: found \"%s\", expected \"%s\"", table->name, found, table->expected);
	classifier_free(&classifier);
	cluster_free(&cluster);
}

static void test_one_node(void **state)
{
	static const struct table tables[] = {
		{"all is well", {"-hhhh", "h-hhh", "hh-hh", "hhh-h", "hhhh-"}, NULL, ""},
		{"suspicion alone is nothing",
		 {"-hhhs", "h-hhs", "hh-hs", "hhh-s", "hhhh-"},
		 NULL,
		 ""},
		{"cut off, and its row is from before",
		 {"-hhhu", "h-hhu", "hh-hu", "hhh-u", "hhhh-"},
		 NULL,
		 "node-unreachable:5!"},
		{"one is in doubt still, and its old row does not help it",
		 {"-hhhs", "h-hhu", "hh-hu", "hhh-u", "hhhh-"},
		 NULL,
		 "node-unreachable:5!"},
		{"its row is gone",
		 {"-hhhu", "h-hhu", "hh-hu", "hhh-u", "."},
		 NULL,
		 "node-unreachable:5!"},
		{"it reaches the store, and sees the cut, too",
		 {"-hhhu", "h-hhu", "hh-hu", "hhh-u", "uuuu-"},
		 NULL,
		 "node-isolated:5!"},
		{"one reaches it still",
		 {"-hhhh", "h-hhu", "hh-hu", "hhh-u", "."},
		 NULL,
		 "partial-partition:2,3,4,5"},
		{"the last is in doubt only",
		 {"-hhhs", "h-hhu", "hh-hu", "hhh-u", "."},
		 NULL,
		 "node-unreachable:5!"},
		{"they do not hear it, it hears them",
		 {"-hhhi", "h-hhi", "hh-hi", "hhh-i", "eeee-"},
		 NULL,
		 "one-way:5!"},
		{"it does not hear them, they hear it",
		 {"-hhhe", "h-hhe", "hh-he", "hhh-e", "iiii-"},
		 NULL,
		 "one-way:5!"},
		{"the same, and it has no way to the store",
		 {"-hhhe", "h-hhe", "hh-he", "hhh-e", "."},
		 NULL,
		 "one-way:5!"},
		{"its agent is dead, its kernel answers",
		 {"-hhha", "h-hha", "hh-ha", "hhh-a", "."},
		 NULL,
		 "agent-down:5"},
		{"the agents of two are dead",
		 {"-hhaa", "h-haa", "hh-aa", ".", "."},
		 NULL,
		 "agent-down:4,5"},
		{"three nodes, one cut", {"-hu", "h-u", "."}, NULL, "node-unreachable:3!"},
		{"two nodes: who of them is cut cannot be known",
		 {"-u", "."},
		 NULL,
		 "view-incomplete:2"},
		{"two nodes, both rows there: no majority", {"-u", "u-"}, NULL, "node-isolated:2"},
		{"one node alone", {"-"}, NULL, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		expect(&tables[i]);
}

static void test_partitions(void **state)
{
	static const struct table tables[] = {
		{"two and three, the two without the store",
		 {"-hhuu", "h-huu", "hh-uu", "hhh-h", "hhhh-"},
		 NULL,
		 "complete-partition:4,5!"},
		{"the same, after their leases",
		 {"-hhuu", "h-huu", "hh-uu", ".", "."},
		 NULL,
		 "complete-partition:4,5!"},
		{"the same, all with the store",
		 {"-hhuu", "h-huu", "hh-uu", "uuu-h", "uuuh-"},
		 NULL,
		 "complete-partition:4,5!"},
		{"these two are a zone",
		 {"-hhuu", "h-huu", "hh-uu", ".", "."},
		 "aabcc",
		 "zone-cut:4,5!"},
		{"these two are two zones",
		 {"-hhuu", "h-huu", "hh-uu", ".", "."},
		 "aaabc",
		 "zone-cut:4,5!"},
		{"a part of a zone is none",
		 {"-hhuu", "h-huu", "hh-uu", ".", "."},
		 "aaccc",
		 "complete-partition:4,5!"},
		{"nodes without a zone are none",
		 {"-hhuu", "h-huu", "hh-uu", ".", "."},
		 "aaa  ",
		 "complete-partition:4,5!"},
		{"halves: nobody has a majority",
		 {"-huu", "h-uu", "uu-h", "uuh-"},
		 NULL,
		 "complete-partition:3,4"},
		{"two, two and one: nobody has a majority",
		 {"-huuu", "h-uuu", "uu-hu", "uuh-u", "uuuu-"},
		 NULL,
		 "complete-partition:3,4,5"},
		{"everyone is cut off from everyone",
		 {"-uu", "u-u", "uu-"},
		 NULL,
		 "complete-partition:2,3"},
		{"a bridge: 3 reaches both sides",
		 {"-hhuu", "h-huu", "hh-hh", "uuh-h", "uuhh-"},
		 NULL,
		 "partial-partition:1,2,4,5"},
		{"a ring of majorities: each misses two others",
		 {"-huuh", "h-huu", "uh-hu", "uuh-h", "huuh-"},
		 NULL,
		 "partial-partition:1,2,3,4,5"},
		{"one link down", {"-uhh", "u-hh", "hh-h", "hhh-"}, NULL, "partial-partition:1,2"},
		{"a node with one link left: the one that has it is the bridge",
		 {"-hhhh", "h-hhu", "hh-hu", "hhh-u", "huuu-"},
		 NULL,
		 "partial-partition:2,3,4,5"},
		{"one link, one way", {"-ehh", "i-hh", "hh-h", "hhh-"}, NULL, "one-way:1,2"},
		{"lossy: one link", {"-lhh", "l-hh", "hh-h", "hhh-"}, NULL, "lossy-link:1,2"},
		{"lossy: all links of a node",
		 {"-hhl", "h-hl", "hh-l", "lll-"},
		 NULL,
		 "lossy-link:4"},
		{"one node cut off, and a lossy link elsewhere",
		 {"-lhhu", "l-hhu", "hh-hu", "hhh-u", "."},
		 NULL,
		 "node-unreachable:5! lossy-link:1,2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		expect(&tables[i]);
}

/* What looks like a cut and must not be called one. */
static void test_no_verdict(void **state)
{
	static const struct table tables[] = {
		{"one of four accuses, and nobody agrees",
		 {"-hhhu", "h-hhh", "hh-hh", "hhh-h", "."},
		 NULL,
		 "partial-partition:1,5"},
		{"two of four accuse, the others are in doubt: not more than half",
		 {"-hhhs", "h-hhs", "hh-hu", "hhh-u", "."},
		 NULL,
		 ""},
		{"two of four do not hear its agent, two do",
		 {"-hhhh", "h-hhh", "hh-ha", "hhh-a", "hhhh-"},
		 NULL,
		 ""},
		{"half the rows are missing",
		 {"-hhhuu", "h-hhuu", ".", ".", ".", "."},
		 NULL,
		 "view-incomplete:3,4,5,6"},
		{"rows of the majority are missing, those that are there know nothing bad",
		 {"-hhhh", "h-hhh", ".", ".", "."},
		 NULL,
		 "view-incomplete:3,4,5"},
		{"nobody has said anything yet",
		 {"-,,,,", ",-,,,", ",,-,,", ",,,-,", ",,,,-"},
		 NULL,
		 ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		expect(&tables[i]);
}

/* ---- what tables cannot say: time, trust and contradiction ---- */

static void test_rebuttal(void **state)
{
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	bench_expect(&bench, 900, "");
	cluster_say(&bench.cluster, 0, "-hhhu", 0, 0, 1000 * CLUSTER_MS);
	cluster_say(&bench.cluster, 1, "h-hhu", 0, 0, 1000 * CLUSTER_MS);
	cluster_say(&bench.cluster, 2, "hh-hs", 0, 0, 1000 * CLUSTER_MS);
	/* n5 has VIEW_REBUTTAL_NS to contradict. */
	bench_expect(&bench, 1199, "");
	assert_true(bench.judgement.pending);
	assert_true(view_must_confirm(&bench.cluster.view, 4, 1100 * CLUSTER_MS));
	assert_false(view_must_confirm(&bench.cluster.view, 0, 1100 * CLUSTER_MS));
	assert_false(view_must_confirm(&bench.cluster.view, 3, 1100 * CLUSTER_MS));
	bench_expect(&bench, 1200, "partial-partition:1,2,5");
	/* Most of those who observe it agree: nothing is waited for. */
	cluster_say(&bench.cluster, 2, "hh-hu", 0, 0, 1200 * CLUSTER_MS);
	cluster_say(&bench.cluster, 3, "hhh-u", 0, 0, 1200 * CLUSTER_MS);
	bench_expect(&bench, 1201, "node-unreachable:5!");
	assert_false(bench.judgement.pending);
	assert_int_equal(bench.judgement.verdicts[0].since_ns, 1000 * CLUSTER_MS);
	assert_int_equal(bench.judgement.verdicts[0].witness_count, 4);
	/* It does, late: four against one, but nobody knows who is right. */
	cluster_say(&bench.cluster, 4, "hhhh-", 0, 0, 1300 * CLUSTER_MS);
	assert_false(view_must_confirm(&bench.cluster.view, 4, 1300 * CLUSTER_MS));
	bench_expect(&bench, 1300, "");
	/* Then it sees it, too. */
	cluster_say(&bench.cluster, 4, "uuuu-", 0, 0, 1400 * CLUSTER_MS);
	bench_expect(&bench, 1400, "node-isolated:5!");
	bench_free(&bench);
}

/* The store did not answer meanwhile: nobody could speak. */
static void test_stalled_store(void **state)
{
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	cluster_say(&bench.cluster, 0, "-hhhu", 0, 0, 1000 * CLUSTER_MS);
	bench.cluster.view.stalled_ns = 3000 * CLUSTER_MS;
	bench_expect(&bench, 5999, "");
	assert_true(bench.judgement.pending);
	bench_expect(&bench, 6000, "partial-partition:1,5");
	assert_false(bench.judgement.pending);
	bench_free(&bench);
}

/* One accuses: until the others have said that they see nothing, more may come of it. */
static void test_confirmation(void **state)
{
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	cluster_say(&bench.cluster, 0, "-hhhu", 0, 0, 1000 * CLUSTER_MS);
	bench_expect(&bench, 1240, "partial-partition:1,5");
	for (unsigned int i = 1; i < 4; i++) {
		/* What is said at once says nothing. */
		cluster_say(&bench.cluster, i, bench_well[i], 0, 0, 1100 * CLUSTER_MS);
		assert_false(view_must_confirm(&bench.cluster.view, i, 1249 * CLUSTER_MS));
	}
	bench_expect(&bench, 1249, "partial-partition:1,5");
	assert_true(bench.judgement.pending);
	for (unsigned int i = 1; i < 4; i++) {
		assert_true(view_must_confirm(&bench.cluster.view, i, 1250 * CLUSTER_MS));
		cluster_say(&bench.cluster, i, bench_well[i], 0, 0, 1250 * CLUSTER_MS);
		assert_false(view_must_confirm(&bench.cluster.view, i, 1250 * CLUSTER_MS));
		bench_expect(&bench, 1250, "partial-partition:1,5");
		assert_int_equal(bench.judgement.pending, i < 3);
	}
	bench_free(&bench);
}

/* Who does not say anything any more is waited for for a while. */
static void test_confirmation_ends(void **state)
{
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	cluster_say(&bench.cluster, 0, "-hhhu", 0, 0, 1000 * CLUSTER_MS);
	bench_expect(&bench, 3999, "partial-partition:1,5");
	assert_true(bench.judgement.pending);
	assert_true(bench.judgement.verdicts[0].pending);
	bench_expect(&bench, 4000, "partial-partition:1,5");
	assert_false(bench.judgement.pending);
	bench_free(&bench);
}

static void test_slow_reporters(void **state)
{
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	/* Two that are starved accuse everyone. */
	cluster_say(&bench.cluster, 0, "-uuuu", 0, 0.9, 1000 * CLUSTER_MS);
	cluster_say(&bench.cluster, 1, "u-uuu", 0, 0.8, 1000 * CLUSTER_MS);
	bench_expect(&bench, 3000, "");
	/* The same words of two that are not starved are heard (their link to each other is down).
	 */
	cluster_say(&bench.cluster, 0, "-uuuu", 0, 0.1, 3000 * CLUSTER_MS);
	cluster_say(&bench.cluster, 1, "u-uuu", 0, 0.1, 3000 * CLUSTER_MS);
	bench_expect(&bench, 4000, "complete-partition:1,2!");
	bench_free(&bench);
}

static void test_blind_accusers(void **state)
{
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	for (unsigned int i = 0; i < 4; i++) {
		const char *const lines[] = {"-hhhu", "h-hhu", "hh-hu", "hhh-u"};

		cluster_say(&bench.cluster, i, lines[i], ROW_FLAG_BLIND, 0, 1000 * CLUSTER_MS);
	}
	bench_expect(&bench, 3000, "");
	bench_free(&bench);
}

/* The node itself starves: it is not heard, and says so; its kernel answers, so nobody accuses it;
 * and what it says of the others does not count. */
static void test_starved_node(void **state)
{
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	cluster_say(&bench.cluster, 4, "uuuu-", ROW_FLAG_ALONE, 0.95, 1000 * CLUSTER_MS);
	bench_expect(&bench, 3000, "");
	bench_free(&bench);
}

/* The lease is fresh, but the row behind it is not: its writer hangs. */
static void test_stale_row(void **state)
{
	struct bench bench;
	uint64_t stale_ms = row_period_ns(5) * 12 / 5 / CLUSTER_MS;

	(void)state;
	bench_make(&bench, bench_well, 5);
	cluster_say(&bench.cluster, 0, "-uuuu", 0, 0, 1000 * CLUSTER_MS);
	bench_expect(&bench, 3000, "node-isolated:1!");
	for (unsigned int i = 1; i < 5; i++)
		cluster_say(&bench.cluster, i, bench_well[i], 0, 0, (stale_ms + 900) * CLUSTER_MS);
	/* Now that they contradict, nothing is known, */
	bench_expect(&bench, stale_ms + 950, "");
	/* and now that its row is stale, all is well. */
	bench_expect(&bench, stale_ms + 1000, "");
	assert_int_equal(bench.judgement.current_rows, 4);
	assert_int_equal(bench.judgement.majority, 5);
	bench_free(&bench);
}

/* It hears nobody, its last word was suspicion, and no answer of the store reaches it: nothing is
 * to be waited for. */
static void test_last_word_suspicion(void **state)
{
	static const char *const accusing[] = {"-hhhe", "h-hhe", "hh-he", "hhh-e"};
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	cluster_say(&bench.cluster, 4, "ssss-", 0, 0, 1000 * CLUSTER_MS);
	for (unsigned int i = 0; i < 4; i++)
		cluster_say(&bench.cluster, i, accusing[i], 0, 0, (1050 + i) * CLUSTER_MS);
	bench_expect(&bench, 1060, "one-way:5!");
	assert_false(bench.judgement.pending);
	bench_free(&bench);
}

/* The leases of two that were lost together end one after the other. */
static void test_rows_end_apart(void **state)
{
	static const char *const accusing[] = {"-hhuu", "h-huu", "hh-uu"};
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	for (unsigned int i = 0; i < 3; i++)
		cluster_say(&bench.cluster, i, accusing[i], 0, 0, 1000 * CLUSTER_MS);
	bench_expect(&bench, 1300, "complete-partition:4,5!");
	view_drop(&bench.cluster.view, 4, 2500 * CLUSTER_MS);
	bench_expect(&bench, 2510, "complete-partition:4,5!");
	view_drop(&bench.cluster.view, 3, 3000 * CLUSTER_MS);
	bench_expect(&bench, 3010, "complete-partition:4,5!");
	bench_free(&bench);
}

/* One of two is known to be lost, of the other not all has been said: they may be lost together. */
static void test_second_is_accused(void **state)
{
	static const char *const accusing[] = {"-hhuu", "h-hsu", "hh-su"};
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	cluster_say(&bench.cluster, 3, "hhh-u", 0, 0, 1000 * CLUSTER_MS);
	for (unsigned int i = 0; i < 3; i++)
		cluster_say(&bench.cluster, i, accusing[i], 0, 0, 1010 * CLUSTER_MS);
	bench_expect(&bench, 1100, "node-unreachable:5!");
	assert_true(bench.judgement.verdicts[0].pending);
	/* Then it is another matter. */
	bench_expect(&bench, 2100, "node-unreachable:5!");
	assert_false(bench.judgement.verdicts[0].pending);
	bench_free(&bench);
}

/* Two nodes that are lost one after the other are two verdicts, not a partition. */
static void test_one_after_the_other(void **state)
{
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	for (unsigned int i = 0; i < 3; i++) {
		const char *const first[] = {"-hhhu", "h-hhu", "hh-hu"};
		const char *const both[] = {"-hhuu", "h-huu", "hh-uu"};

		cluster_say(&bench.cluster, i, first[i], 0, 0, 1000 * CLUSTER_MS);
		cluster_say(&bench.cluster, i, both[i], 0, 0, 4000 * CLUSTER_MS);
	}
	view_drop(&bench.cluster.view, 4, 3000 * CLUSTER_MS);
	view_drop(&bench.cluster.view, 3, 6000 * CLUSTER_MS);
	bench_expect(&bench, 7000, "node-unreachable:5! node-unreachable:4!");
	bench_free(&bench);
}

static void test_node_down(void **state)
{
	static const char *const accusing[] = {"-hhhu", "h-hhu", "hh-hu", "hhh-u"};
	char sentence[512] = "";
	struct text text = TEXT(sentence);
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	cluster_say(&bench.cluster, 4, "hhhh-", ROW_FLAG_HALTING, 0, 900 * CLUSTER_MS);
	for (unsigned int i = 0; i < 4; i++)
		cluster_say(&bench.cluster, i, accusing[i], 0, 0, 1000 * CLUSTER_MS);
	bench_expect(&bench, 2000, "node-down:5!");
	verdict_explain(&bench.judgement.verdicts[0], &bench.judgement, &bench.cluster.view,
			2000 * CLUSTER_MS, &text);
	assert_non_null(strstr(sentence, "its last row said that the machine is shutting down"));
	bench_free(&bench);
}

static void test_other_members(void **state)
{
	struct bench bench;
	uint8_t words[MEMBERSHIP_SLOTS_MAX];
	struct row row = {.node = "n1", .boot_id = "b", .epoch = 2, .sequence = 1, .words = words};

	(void)state;
	bench_make(&bench, bench_well, 5);
	memset(words, ROW_WORD_UNREACHABLE, sizeof(words));
	row.members = bench.cluster.membership.hash + 1;
	assert_true(view_put(&bench.cluster.view, &row, 1000 * CLUSTER_MS, 1000 * CLUSTER_MS));
	bench_expect(&bench, 3000, "");
	assert_int_equal(bench.judgement.current_rows, 4);
	bench_free(&bench);
}

static void test_sentences(void **state)
{
	static const struct {
		const char *lines[6];
		const char *expected;
	} tables[] = {
		{{"-hhhu", "h-hhu", "hh-hu", "hhh-u", "hhhh-"},
		 "n5 is unreachable, cause unknown: 4 nodes say so (n1, n2, n3, n4); it has not "
		 "contradicted, its last row is 2500 ms old; the majority is 4 of 5 nodes"},
		{{"-hhhu", "h-hhu", "hh-hu", "hhh-u", "uuuu-"},
		 "n5 is cut off: 4 nodes say so (n1, n2, n3, n4); it is alive and sees the cut, "
		 "too; the majority is 4 of 5 nodes"},
		{{"-hhhi", "h-hhi", "hh-hi", "hhh-i", "eeee-"},
		 "n5 is not heard, but hears the others: 4 nodes say so (n1, n2, n3, n4); it has "
		 "not contradicted, its last row is 2000 ms old; the majority is 4 of 5 nodes"},
		{{"-hhuu", "h-huu", "hh-uu", ".", "."},
		 "n4, n5 are cut off: 3 nodes say so (n1, n2, n3); the majority is 3 of 5 nodes"},
		{{"-huu", "h-uu", "uu-h", "uuh-"},
		 "n3, n4 are cut off: 2 nodes say so (n1, n2); no majority: the largest side has "
		 "2 of 4 nodes, 3 are needed"},
		{{"-hhuu", "h-huu", "hh-hh", "uuh-h", "uuhh-"},
		 "4 links are cut between n1, n2, n4, n5; n3 reaches both ends; no single node "
		 "explains it, so nobody is isolated"},
		{{"-hhl", "h-hl", "hh-l", "lll-"}, "3 links are lossy at n4"},
		{{"-hhha", "h-hha", "hh-ha", "hhh-a", "."},
		 "no agent is heard on n5, but its kernel answers: 4 nodes say so (n1, n2, n3, "
		 "n4)"},
		{{"-u", "."},
		 "only 1 of 2 nodes have a row here, 2 are needed to judge; missing: n2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		struct classifier classifier;
		struct judgement judgement;
		struct cluster cluster;
		unsigned int count = 0;
		char found[512] = "";
		struct text text = TEXT(found);

		while (tables[i].lines[count])
			count++;
		cluster_make(&cluster, count, NULL);
		cluster_say_all(&cluster, tables[i].lines);
		assert_int_equal(classifier_init(&classifier, &cluster.membership), 0);
		classify(&classifier, &cluster.view, NOW_NS, &judgement);
		assert_int_equal(judgement.verdict_count, 1);
		verdict_explain(&judgement.verdicts[0], &judgement, &cluster.view, NOW_NS, &text);
		assert_string_equal(found, tables[i].expected);
		classifier_free(&classifier);
		cluster_free(&cluster);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_node),
		cmocka_unit_test(test_partitions),
		cmocka_unit_test(test_no_verdict),
		cmocka_unit_test(test_rebuttal),
		cmocka_unit_test(test_stalled_store),
		cmocka_unit_test(test_confirmation),
		cmocka_unit_test(test_confirmation_ends),
		cmocka_unit_test(test_slow_reporters),
		cmocka_unit_test(test_blind_accusers),
		cmocka_unit_test(test_starved_node),
		cmocka_unit_test(test_stale_row),
		cmocka_unit_test(test_rows_end_apart),
		cmocka_unit_test(test_second_is_accused),
		cmocka_unit_test(test_last_word_suspicion),
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_node_down),
		cmocka_unit_test(test_other_members),
		cmocka_unit_test(test_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
