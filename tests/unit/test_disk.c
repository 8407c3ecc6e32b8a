// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The rules of a disk that stalls, holds on to a request, or fails. */
#include "detect/disk.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS	 100000
#define AFTER_MS 2000

static uint64_t ago_ns(int64_t ms)
{
	return ms < 0 ? 0 : (uint64_t)(NOW_MS - ms) * NS_PER_MS;
}

/* Of the oldest request and of the last completion: how long ago, in ms; -1: there is none. */
static void test_in_flight(void **state)
{
	static const struct {
		int64_t oldest_ms, completed_ms;
		enum finding_level stalled, hung;
		int64_t since_ms; /* of the one that is active */
	} cases[] = {
		{-1, -1, FINDING_QUIET, FINDING_QUIET, 0},
		{-1, 50000, FINDING_QUIET, FINDING_QUIET, 0},
		{-1, 0, FINDING_QUIET, FINDING_QUIET, 0},
		{999, -1, FINDING_QUIET, FINDING_QUIET, 0},
		{1000, -1, FINDING_NEAR, FINDING_NEAR, 0},
		{1999, -1, FINDING_NEAR, FINDING_NEAR, 0},
		{2000, -1, FINDING_ACTIVE, FINDING_NEAR, 2000},
		{2000, 90000, FINDING_ACTIVE, FINDING_NEAR, 2000},
		/* Completed after the request was made. */
		{9000, 2000, FINDING_ACTIVE, FINDING_NEAR, 2000},
		{9000, 1999, FINDING_NEAR, FINDING_ACTIVE, 9000},
		{9000, 0, FINDING_QUIET, FINDING_ACTIVE, 9000},
		{2000, 1, FINDING_QUIET, FINDING_ACTIVE, 2000},
		{1999, 1, FINDING_QUIET, FINDING_NEAR, 0},
		/* The records are newer than the clock's reading. */
		{-5, -1, FINDING_QUIET, FINDING_QUIET, 0},
		{100, -7, FINDING_QUIET, FINDING_QUIET, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const uint64_t now_ns = ago_ns(0);
		struct disk_evidence evidence = {.oldest_ns = ago_ns(cases[i].oldest_ms),
						 .completed_ns = ago_ns(cases[i].completed_ms)};
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);
		enum finding_level stalled, hung;
		uint64_t since_ns = 0;

		if (cases[i].oldest_ms < -1)
			evidence.oldest_ns = now_ns + 5;
		if (cases[i].completed_ms < -1)
			evidence.completed_ns = now_ns + 7;
		stalled = disk_stalled(&evidence, AFTER_MS * NS_PER_MS, now_ns, &since_ns, &text);
		hung = disk_hung_request(&evidence, AFTER_MS * NS_PER_MS, now_ns, &since_ns, &text);
		if (stalled != cases[i].stalled || hung != cases[i].hung)
			fail_msg("case %zu: stalled %d, hung %d", i, stalled, hung);
		assert_int_equal(since_ns, cases[i].since_ms ? ago_ns(cases[i].since_ms) : 0);
		assert_int_equal(*sentence != 0, cases[i].since_ms != 0);
	}
}

static void test_sentences(void **state)
{
	struct disk_evidence evidence = {.oldest_ns = ago_ns(9000), .completed_ns = ago_ns(2500)};
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	uint64_t since_ns;

	(void)state;
	assert_int_equal(disk_stalled(&evidence, AFTER_MS * NS_PER_MS, ago_ns(0), &since_ns, &text),
			 FINDING_ACTIVE);
	assert_string_equal(sentence,
			    "I/O is in flight and none was completed for 2500 ms, expected one "
			    "within 2000 ms; the oldest request is 9000 ms old");
	evidence.completed_ns = ago_ns(20);
	text = (struct text)TEXT(sentence);
	assert_int_equal(
		disk_hung_request(&evidence, AFTER_MS * NS_PER_MS, ago_ns(0), &since_ns, &text),
		FINDING_ACTIVE);
	assert_string_equal(sentence,
			    "a request has been in flight for 9000 ms, expected at most 2000 ms; "
			    "others are completed, the last one 20 ms ago");
}

static void test_errors(void **state)
{
	static const struct {
		uint64_t before, now;
		enum finding_level level;
	} cases[] = {
		{0, 0, FINDING_QUIET},	{0, 1, FINDING_ACTIVE}, {7, 7, FINDING_QUIET},
		{7, 9, FINDING_ACTIVE}, {9, 0, FINDING_QUIET},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct disk_evidence evidence = {.completed_ns = ago_ns(30),
						       .errors = cases[i].now};
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);
		uint64_t since_ns = 0;

		assert_int_equal(
			disk_errors(&evidence, cases[i].before, ago_ns(0), &since_ns, &text),
			cases[i].level);
		if (cases[i].level == FINDING_ACTIVE)
			assert_int_equal(since_ns, ago_ns(30));
		if (cases[i].now == 9)
			assert_string_equal(sentence, "2 I/O failed, expected none; 9 since the "
						      "agent started");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
