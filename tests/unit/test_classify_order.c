// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Whose word is the last one, when rows come later than they were written. */
#include "unit/classify_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/*
 * n5 hears nobody, and the store has not answered while it happened, so that all that was written
 * comes at once, long after n1 has known it: what n5 wrote before all of it contradicts nobody.
 */
static void test_last_word_comes_late(void **state)
{
	static const char *const accusing[] = {"-hhhe", "h-hhe", "hh-he", "hhh-e"};
	static const struct {
		const char *last_word;
		bool pending; /* whom it accuses the others confirm first */
	} cases[] = {{"ssss-", false}, {"hhsu-", true}, {"hhhh-", false}, {"uuuu-", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bench bench;

		bench_make(&bench, bench_well, 5);
		cluster_say_late(&bench.cluster, 0, accusing[0], VIEW_REVISION_NONE,
				 700 * CLUSTER_MS);
		bench.cluster.view.stalled_ns = 1005 * CLUSTER_MS;
		cluster_say_late(&bench.cluster, 4, cases[i].last_word, 600 * CLUSTER_MS,
				 1010 * CLUSTER_MS);
		for (unsigned int j = 1; j < 4; j++)
			cluster_say_late(&bench.cluster, j, accusing[j], (800 + j) * CLUSTER_MS,
					 1010 * CLUSTER_MS);
		bench_expect(&bench, 1020, "one-way:5!");
		assert_int_equal(bench.judgement.pending, cases[i].pending);
		for (unsigned int j = 0; j < 4; j++)
			cluster_say(&bench.cluster, j, accusing[j], 0, 0, 1262 * CLUSTER_MS);
		bench_expect(&bench, 1263, "one-way:5!");
		assert_false(bench.judgement.pending);
		bench_free(&bench);
	}
}

/* But what it wrote when it had been accused does, also when it comes late; and what is written
 * once more, unchanged, is no new word. */
static void test_rebuttal_comes_late(void **state)
{
	static const char *const accusing[] = {"-hhhu", "h-hhu", "hh-hu", "hhh-u"};
	struct bench bench;

	(void)state;
	bench_make(&bench, bench_well, 5);
	for (unsigned int j = 0; j < 4; j++)
		cluster_say_late(&bench.cluster, j, accusing[j], 600 * CLUSTER_MS,
				 1010 * CLUSTER_MS);
	bench_expect(&bench, 1020, "node-unreachable:5!");
	/* The same sequence: its store wrote it again by itself. */
	bench.cluster.view.rows[4].present = false;
	bench.cluster.sequence = bench.cluster.view.rows[4].sequence - 1;
	cluster_say_late(&bench.cluster, 4, bench_well[4], 700 * CLUSTER_MS, 1030 * CLUSTER_MS);
	bench_expect(&bench, 1040, "node-unreachable:5!");
	bench.cluster.sequence += 10;
	cluster_say_late(&bench.cluster, 4, bench_well[4], 650 * CLUSTER_MS, 1050 * CLUSTER_MS);
	bench_expect(&bench, 1060, "");
	bench_free(&bench);
}

/* This node's own word is newest until the store has it; then it counts by its revision. */
static void test_own_word(void **state)
{
	uint8_t words[] = {ROW_WORD_HEALTHY, ROW_WORD_HEALTHY, ROW_WORD_HEALTHY,
			   ROW_WORD_UNREACHABLE};
	struct row row = {.member = 0, .words = words};
	struct bench bench;
	struct view *view = &bench.cluster.view;

	(void)state;
	bench_make(&bench, bench_well, 5);
	cluster_say_late(&bench.cluster, 0, "-hhhu", VIEW_REVISION_NONE, 700 * CLUSTER_MS);
	assert_true(view_accusation_of(view, 4, 710 * CLUSTER_MS).first_revision ==
		    VIEW_REVISION_NONE);
	memcpy(row.boot_id, view->rows[0].boot_id, sizeof(row.boot_id));
	row.epoch = view->rows[0].epoch;
	row.sequence = view->rows[0].sequence - 1;
	/* An older one, which says the same already. */
	view_written(view, &row, 690 * CLUSTER_MS);
	assert_true(view_accusation_of(view, 4, 710 * CLUSTER_MS).first_revision ==
		    690 * CLUSTER_MS);
	assert_true(view->rows[0].revision == VIEW_REVISION_NONE);
	row.sequence++;
	view_written(view, &row, 720 * CLUSTER_MS);
	assert_true(view_accusation_of(view, 4, 730 * CLUSTER_MS).first_revision ==
		    690 * CLUSTER_MS);
	assert_true(view->rows[0].revision == 720 * CLUSTER_MS);
	/* The store is read anew, and may be another one. */
	view_reset(view);
	view_unwritten(view, 0);
	cluster_say_late(&bench.cluster, 1, bench_well[1], 5, 800 * CLUSTER_MS);
	cluster_say_late(&bench.cluster, 4, bench_well[4], 7, 800 * CLUSTER_MS);
	view_written(view, &row, 8);
	assert_true(view_accusation_of(view, 4, 810 * CLUSTER_MS).first_revision == 8);
	bench_free(&bench);
}

/* Two sides and one between them, of whom all was told at once: whether the one between them has
 * had the time to see the cut, too, goes by what its row has considered. */
static void test_considered(void **state)
{
	static const char *const lines[] = {"-hhuu", "h-huu", "hh-hh", "uuh-h", "uuhh-"};
	static const struct {
		uint64_t considered_ms;
		bool pending;
	} cases[] = {{0, true}, {699, true}, {700, false}, {800, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bench bench;

		bench_make(&bench, bench_well, 5);
		bench.cluster.view.stalled_ns = 999 * CLUSTER_MS;
		for (unsigned int j = 0; j < 5; j++)
			cluster_say_late(&bench.cluster, j, lines[j],
					 (j == 2 ? 960 : 700) * CLUSTER_MS, 1000 * CLUSTER_MS);
		bench.cluster.view.rows[2].considered_revision =
			cases[i].considered_ms * CLUSTER_MS;
		bench_expect(&bench, 1001, "partial-partition:1,2,4,5");
		assert_int_equal(bench.judgement.verdicts[0].pending, cases[i].pending);
		/* It says so itself, as soon as it has known it for long enough. */
		assert_false(view_must_confirm(&bench.cluster.view, 2, 1249 * CLUSTER_MS));
		assert_int_equal(view_must_confirm(&bench.cluster.view, 2, 1250 * CLUSTER_MS),
				 cases[i].pending);
		assert_int_equal(view_considered(&bench.cluster.view, 2, 1249 * CLUSTER_MS), 0);
		assert_int_equal(view_considered(&bench.cluster.view, 2, 1250 * CLUSTER_MS),
				 700 * CLUSTER_MS);
		/* At last nobody waits any more. */
		bench_expect(&bench, 4000, "partial-partition:1,2,4,5");
		assert_false(bench.judgement.verdicts[0].pending);
		bench_free(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_word_comes_late),
		cmocka_unit_test(test_rebuttal_comes_late),
		cmocka_unit_test(test_own_word),
		cmocka_unit_test(test_considered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
