// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/verdicts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

struct bench {
	struct verdicts verdicts;
	char told[1024];
	struct text text;
	uint64_t now_ms;
};

static void note(struct bench *bench, const char *what, const struct standing *standing)
{
	text_printf(&bench->text, "%s%u:%s:%s:%u", bench->text.length ? " " : "",
		    (unsigned int)bench->now_ms, what, verdict_class_name(standing->class),
		    standing->subject_count ? standing->subjects[0] : 0);
}

static void on_raised(void *context, const struct standing *standing, const struct verdict *verdict)
{
	assert_non_null(verdict);
	assert_int_equal(verdict->class, standing->class);
	note(context, "raised", standing);
}

static void on_cleared(void *context, const struct standing *standing,
		       const struct verdict *verdict)
{
	assert_null(verdict);
	note(context, "cleared", standing);
}

/* Turns of 50 ms up to a time, all with the same judgement: class and subject of one verdict. */
static void run(struct bench *bench, uint64_t until_ms, int class, uint32_t subject, bool pending)
{
	struct judgement judgement = {0};

	if (class >= 0) {
		judgement.verdict_count = 1;
		judgement.verdicts[0] = (struct verdict){.class = (enum verdict_class) class,
							 .subjects = &subject,
							 .subject_count = 1,
							 .pending = pending,
							 .since_ns = 1};
	}
	for (; bench->now_ms < until_ms; bench->now_ms += 50)
		verdicts_update(&bench->verdicts, &judgement, bench->now_ms * MS, on_raised,
				on_cleared, bench);
}

static void expect(struct bench *bench, const char *expected)
{
	assert_string_equal(bench->told, expected);
	verdicts_free(&bench->verdicts);
	assert_int_equal(bench->verdicts.count, 0);
}

#define BENCH(name)              \
	struct bench name = {0}; \
	name.text = TEXT(name.told)

static void test_raised_and_cleared(void **state)
{
	BENCH(bench);

	(void)state;
	run(&bench, 1000, -1, 0, false);
	run(&bench, 2000, VERDICT_NODE_UNREACHABLE, 4, false);
	run(&bench, 3000, -1, 0, false);
	expect(&bench, "1150:raised:node-unreachable:4 2100:cleared:node-unreachable:4");
}

/* A moment of it is nothing, and a moment without it changes nothing. */
static void test_moments(void **state)
{
	BENCH(bench);

	(void)state;
	run(&bench, 1000, -1, 0, false);
	run(&bench, 1100, VERDICT_PARTIAL_PARTITION, 1, false);
	run(&bench, 1200, -1, 0, false);
	run(&bench, 1300, VERDICT_PARTIAL_PARTITION, 1, false);
	run(&bench, 2000, VERDICT_NODE_UNREACHABLE, 4, false);
	run(&bench, 2100, -1, 0, false);
	run(&bench, 3000, VERDICT_NODE_UNREACHABLE, 4, false);
	expect(&bench, "1450:raised:node-unreachable:4");
}

/* While suspicions are open it takes longer. */
static void test_pending(void **state)
{
	BENCH(bench);

	(void)state;
	run(&bench, 3800, VERDICT_NODE_UNREACHABLE, 4, true);
	expect(&bench, "3000:raised:node-unreachable:4");
}

static void test_pending_ends(void **state)
{
	BENCH(bench);

	(void)state;
	run(&bench, 400, VERDICT_NODE_UNREACHABLE, 4, true);
	run(&bench, 500, VERDICT_NODE_UNREACHABLE, 4, false);
	expect(&bench, "400:raised:node-unreachable:4");
}

/* More becomes known of the same node: there is no gap between the two. */
static void test_succession(void **state)
{
	BENCH(bench);

	(void)state;
	run(&bench, 1000, VERDICT_NODE_UNREACHABLE, 4, false);
	run(&bench, 1100, VERDICT_NODE_ISOLATED, 4, true);
	run(&bench, 1600, VERDICT_NODE_ISOLATED, 4, true);
	run(&bench, 3000, VERDICT_NODE_ISOLATED, 4, false);
	expect(&bench, "150:raised:node-unreachable:4 2500:raised:node-isolated:4 "
		       "2500:cleared:node-unreachable:4");
}

/* A node comes back: the store has its row before its peers hear it again. */
static void test_return(void **state)
{
	BENCH(bench);

	(void)state;
	run(&bench, 1000, VERDICT_NODE_UNREACHABLE, 4, false);
	run(&bench, 2400, VERDICT_NODE_ISOLATED, 4, false);
	run(&bench, 3000, -1, 0, false);
	expect(&bench, "150:raised:node-unreachable:4 2400:cleared:node-unreachable:4");
}

static void test_full(void **state)
{
	static struct judgement judgement;
	static uint32_t subjects[VERDICTS_MAX + 1];
	BENCH(bench);

	(void)state;
	judgement = (struct judgement){.verdict_count = VERDICTS_MAX};
	for (unsigned int i = 0; i < VERDICTS_MAX; i++) {
		subjects[i] = i;
		judgement.verdicts[i] = (struct verdict){.class = VERDICT_NODE_UNREACHABLE,
							 .subjects = &subjects[i],
							 .subject_count = 1};
	}
	verdicts_update(&bench.verdicts, &judgement, 0, on_raised, on_cleared, &bench);
	assert_int_equal(bench.verdicts.count, VERDICTS_MAX);
	/* One that comes beside them has to wait for room. */
	judgement.verdicts[0].class = VERDICT_NODE_DOWN;
	verdicts_update(&bench.verdicts, &judgement, 1, on_raised, on_cleared, &bench);
	assert_null(verdicts_find(&bench.verdicts, &judgement.verdicts[0]));
	verdicts_update(&bench.verdicts, &judgement, 2, on_raised, on_cleared, &bench);
	assert_non_null(verdicts_find(&bench.verdicts, &judgement.verdicts[0]));
	expect(&bench, "");
}

/* That a service is down there neither delays the word that the node is gone, nor is it ended or
 * kept by that. */
static void test_services_are_apart(void **state)
{
	uint32_t subject = 4;
	struct verdict service = {
		.class = VERDICT_SERVICE_DOWN, .subjects = &subject, .subject_count = 1};
	struct verdict gone = {
		.class = VERDICT_NODE_UNREACHABLE, .subjects = &subject, .subject_count = 1};
	BENCH(bench);

	(void)state;
	for (; bench.now_ms < 5000; bench.now_ms += 50) {
		struct judgement judgement = {0};

		if (bench.now_ms < 3000)
			judgement.verdicts[judgement.verdict_count++] = service;
		if (bench.now_ms >= 1000 && bench.now_ms < 2000)
			judgement.verdicts[judgement.verdict_count++] = gone;
		if (bench.now_ms >= 2950 && bench.now_ms < 4000)
			judgement.verdicts[judgement.verdict_count++] = gone;
		/* More is about to be known: it is raised later than what it would succeed. */
		if (judgement.verdict_count)
			judgement.verdicts[judgement.verdict_count - 1].pending =
				bench.now_ms >= 2950;
		verdicts_update(&bench.verdicts, &judgement, bench.now_ms * MS, on_raised,
				on_cleared, &bench);
	}
	expect(&bench, "0:raised:service-down:4 1150:raised:node-unreachable:4 "
		       "2100:cleared:node-unreachable:4 3100:cleared:service-down:4");
}

/* Members 1 and 3 have left: what stands on them ends, the rest goes on with the same times. */
static void test_renumber(void **state)
{
	static const uint32_t places[] = {0, MEMBERSHIP_NONE, 1, MEMBERSHIP_NONE, 2};
	uint32_t one[] = {1}, both[] = {2, 4}, partly[] = {2, 3};
	struct judgement judgement = {
		.verdict_count = 3,
		.verdicts = {
			{.class = VERDICT_NODE_UNREACHABLE, .subjects = one, .subject_count = 1},
			{.class = VERDICT_COMPLETE_PARTITION, .subjects = both, .subject_count = 2},
			{.class = VERDICT_PARTIAL_PARTITION,
			 .subjects = partly,
			 .subject_count = 2,
			 .pending = true}}};
	const struct standing *standing;
	static const char told[] = "150:raised:node-unreachable:1 150:raised:complete-partition:2 "
				   "300:cleared:node-unreachable:1";
	uint32_t now[] = {1, 2};
	BENCH(bench);

	(void)state;
	for (; bench.now_ms < 300; bench.now_ms += 50)
		verdicts_update(&bench.verdicts, &judgement, bench.now_ms * MS, on_raised,
				on_cleared, &bench);
	verdicts_renumber(&bench.verdicts, places, on_cleared, &bench);
	/* The third was not raised: nothing is told of it. */
	assert_string_equal(bench.told, told);
	assert_int_equal(bench.verdicts.count, 1);
	judgement.verdict_count = 1;
	judgement.verdicts[0] = (struct verdict){
		.class = VERDICT_COMPLETE_PARTITION, .subjects = now, .subject_count = 2};
	standing = verdicts_find(&bench.verdicts, &judgement.verdicts[0]);
	assert_non_null(standing);
	assert_true(standing->raised);
	assert_int_equal(standing->first_ns, 0);
	verdicts_update(&bench.verdicts, &judgement, bench.now_ms * MS, on_raised, on_cleared,
			&bench);
	expect(&bench, told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_services_are_apart),
		cmocka_unit_test(test_raised_and_cleared),
		cmocka_unit_test(test_moments),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_pending_ends),
		cmocka_unit_test(test_succession),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_return),
		cmocka_unit_test(test_renumber),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
