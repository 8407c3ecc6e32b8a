// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The rules of a disk that is slower than its past, and than its siblings. */
#include "detect/disk_slow.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define WINDOW_NS (5 * NS_PER_S)
#define MIB	  (1U << 20)
#define READ_RATE (100 * MIB)

static const struct finding_limits limits = {
	.disk_slow = {.ratio = 5,
		      .min_ms = 20,
		      .windows = 3,
		      .window_ms = 5000,
		      .sibling_ratio = 2,
		      .sibling_for_s = 300},
};

struct fixture {
	struct disk_slow slow;
	uint64_t now_ns, since_ns;
	char sentence[FINDING_SENTENCE_MAX];
};

static struct disk_slow_window window_of(uint32_t p99_us, uint64_t rate, uint64_t request_bytes)
{
	return (struct disk_slow_window){
		.operation = "reads",
		.completions = request_bytes ? rate * 5 / request_bytes : 100,
		.bytes = rate * 5,
		.length_ns = WINDOW_NS,
		.p99_us = p99_us,
	};
}

static enum finding_level judge(struct fixture *fixture, uint32_t p99_us, uint64_t rate,
				uint64_t request_bytes)
{
	const struct disk_slow_window window = window_of(p99_us, rate, request_bytes);
	struct text text = TEXT(fixture->sentence);

	fixture->now_ns += WINDOW_NS;
	*fixture->sentence = '\0';
	return disk_slow_by_past(&fixture->slow, &window, &limits, fixture->now_ns,
				 &fixture->since_ns, &text);
}

static void judge_many(struct fixture *fixture, unsigned int count, uint32_t p99_us, uint64_t rate,
		       uint64_t request_bytes)
{
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(judge(fixture, p99_us, rate, request_bytes), FINDING_QUIET);
}

static void test_bands(void **state)
{
	static const struct {
		uint64_t rate;
		unsigned int band;
	} cases[] = {
		{0, 0},
		{(64 << 10) - 1, 0},
		{64 << 10, 1},
		{(256 << 10) - 1, 1},
		{256 << 10, 2},
		{4ULL << 30, 9},
		{(4ULL << 30) - 1, 8},
		{1 << 20, 3},
		{UINT64_C(500) << 30, 9},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct disk_slow_window window = window_of(1, cases[i].rate, 4096);

		assert_int_equal(disk_slow_band(&window), cases[i].band);
	}
}

/* After the warm-up with p99s of 'usual': three windows of the last, and what the third says. */
static void test_fires(void **state)
{
	static const struct {
		uint32_t usual_us, p99_us;
		enum finding_level third;
	} cases[] = {
		/* The ratio decides. */
		{10000, 50500, FINDING_ACTIVE},
		{10000, 49500, FINDING_NEAR},
		{10000, 24500, FINDING_QUIET},
		/* The least p99 decides. */
		{1000, 20000, FINDING_ACTIVE},
		{1000, 19999, FINDING_NEAR},
		{1000, 9999, FINDING_QUIET},
		{1000, 1000, FINDING_QUIET},
		/* Below what a histogram tells. */
		{0, 20000, FINDING_ACTIVE},
		{0, 0, FINDING_QUIET},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fixture fixture = {0};
		enum finding_level level = FINDING_QUIET;

		judge_many(&fixture, DISK_SLOW_WARM_UP_WINDOWS, cases[i].usual_us, READ_RATE,
			   65536);
		for (int window = 0; window < 3; window++) {
			assert_int_not_equal(level, FINDING_ACTIVE);
			level = judge(&fixture, cases[i].p99_us, READ_RATE, 65536);
		}
		if (level != cases[i].third)
			fail_msg("case %zu: %d", i, level);
		if (level == FINDING_ACTIVE)
			assert_int_equal(fixture.since_ns, fixture.now_ns - 3 * WINDOW_NS);
		assert_int_equal(*fixture.sentence != 0, level == FINDING_ACTIVE);
	}
}

static void test_sentence(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	judge_many(&fixture, DISK_SLOW_WARM_UP_WINDOWS, 8000, READ_RATE, 65536);
	for (int i = 0; i < 4; i++)
		(void)judge(&fixture, 153000, READ_RATE, 65536);
	assert_string_equal(fixture.sentence,
			    "p99 of reads is 153.0 ms, in the last of 4 slow windows, expected "
			    "below 40.0 ms; usual at 64 MiB/s to 256 MiB/s: 8.0 ms");
}

/* Nothing is known before the warm-up has ended, however slow it is. */
static void test_warm_up(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	judge_many(&fixture, DISK_SLOW_WARM_UP_WINDOWS - 1, 1000, READ_RATE, 65536);
	assert_int_equal(judge(&fixture, 1000000, READ_RATE, 65536), FINDING_QUIET);
	assert_int_equal(judge(&fixture, 1000000, READ_RATE, 65536), FINDING_NEAR);
}

static void test_flaps(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	judge_many(&fixture, 20, 1000, READ_RATE, 65536);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(judge(&fixture, 90000, READ_RATE, 65536), FINDING_NEAR);
		assert_int_equal(judge(&fixture, 90000, READ_RATE, 65536), FINDING_NEAR);
		assert_int_equal(judge(&fixture, i % 2 ? 1000 : 12000, READ_RATE, 65536),
				 i % 2 ? FINDING_QUIET : FINDING_NEAR);
	}
	for (int i = 0; i < 3; i++)
		(void)judge(&fixture, 90000, READ_RATE, 65536);
	assert_int_equal(judge(&fixture, 90000, READ_RATE, 65536), FINDING_ACTIVE);
	assert_int_equal(judge(&fixture, 1000, READ_RATE, 65536), FINDING_QUIET);
}

/* An hour of slow windows is not learnt. */
static void test_never_learns_slowness(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	judge_many(&fixture, 100, 1000, READ_RATE, 65536);
	for (int i = 0; i < 2; i++)
		(void)judge(&fixture, 30000, READ_RATE, 65536);
	for (int i = 0; i < 720; i++)
		assert_int_equal(judge(&fixture, 30000, READ_RATE, 65536), FINDING_ACTIVE);
	/* Nor what is near it. */
	for (int i = 0; i < 720; i++)
		assert_int_equal(judge(&fixture, 15000, READ_RATE, 65536), FINDING_NEAR);
	assert_int_equal(judge(&fixture, 1000, READ_RATE, 65536), FINDING_QUIET);
}

/* What changes by little and for long becomes what is usual; a single odd window does not. */
static void test_adapts_slowly(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	judge_many(&fixture, 300, 10000, READ_RATE, 65536);
	judge_many(&fixture, 1, 10, READ_RATE, 65536);
	/* 10 ms as before: an octave less in one of 256 windows is 0.3 %. */
	assert_int_equal(judge(&fixture, 24800, READ_RATE, 65536), FINDING_QUIET);
	judge_many(&fixture, 30, 20000, READ_RATE, 65536);
	assert_int_equal(judge(&fixture, 75000, READ_RATE, 65536), FINDING_NEAR);
	judge_many(&fixture, 1000, 20000, READ_RATE, 65536);
	for (int i = 0; i < 4; i++)
		assert_int_equal(judge(&fixture, 95000, READ_RATE, 65536), FINDING_NEAR);
}

/* A slow disk brings less through: then the busier band tells what is usual, for requests as large.
 */
static void test_falls_into_another_band(void **state)
{
	static const struct {
		uint64_t rate, request_bytes;
		enum finding_level third;
	} cases[] = {
		{READ_RATE / 64, 65536, FINDING_ACTIVE},
		{READ_RATE / 64, 32768, FINDING_ACTIVE},
		/* Small ones at random take longer than large ones in a row. */
		{READ_RATE / 64, 4096, FINDING_QUIET},
		/* More than ever goes through: nothing is known of that. */
		{READ_RATE * 8ULL, 65536, FINDING_QUIET},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fixture fixture = {0};
		enum finding_level level = FINDING_QUIET;

		judge_many(&fixture, 50, 1000, READ_RATE, 65536);
		for (int window = 0; window < 3; window++)
			level = judge(&fixture, 50000, cases[i].rate, cases[i].request_bytes);
		if (level != cases[i].third)
			fail_msg("case %zu: %d", i, level);
	}
}

static void test_flushes(void **state)
{
	struct fixture fixture = {0};

	(void)state;
	judge_many(&fixture, 20, 3000, 0, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(judge(&fixture, 40000, 0, 0), FINDING_NEAR);
	assert_int_equal(judge(&fixture, 40000, 0, 0), FINDING_ACTIVE);
	assert_non_null(strstr(fixture.sentence, "usual at less than 64 KiB/s: 3.0 ms"));
}

/* ---- siblings ---- */

static enum finding_level compare(struct fixture *fixture, uint32_t p99_us,
				  const uint32_t *siblings_us, size_t count)
{
	const struct disk_slow_window window = window_of(p99_us, READ_RATE, 65536);
	struct text text = TEXT(fixture->sentence);
	uint32_t copy[8];

	memcpy(copy, siblings_us, count * sizeof(*copy));
	fixture->now_ns += WINDOW_NS;
	*fixture->sentence = '\0';
	return disk_slow_by_siblings(&fixture->slow, &window, copy, count, &limits, fixture->now_ns,
				     &fixture->since_ns, &text);
}

static void test_siblings(void **state)
{
	static const struct {
		uint32_t p99_us, siblings_us[4];
		size_t count;
		enum finding_level before, after; /* 300 s */
	} cases[] = {
		{8000, {4000, 100, 90000}, 3, FINDING_NEAR, FINDING_ACTIVE},
		{7999, {4000, 100, 90000}, 3, FINDING_NEAR, FINDING_NEAR},
		{5999, {4000, 100, 90000}, 3, FINDING_QUIET, FINDING_QUIET},
		/* An even number of them. */
		{8000, {3000, 100, 5000, 90000}, 4, FINDING_NEAR, FINDING_ACTIVE},
		/* Too few, and microseconds. */
		{80000, {4000, 4000}, 2, FINDING_QUIET, FINDING_QUIET},
		{999, {10, 10, 10}, 3, FINDING_QUIET, FINDING_QUIET},
		{1000, {10, 10, 10}, 3, FINDING_NEAR, FINDING_ACTIVE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fixture fixture = {.now_ns = 1000 * NS_PER_S};
		enum finding_level level = FINDING_QUIET;

		for (int window = 0; window < 59; window++) {
			level = compare(&fixture, cases[i].p99_us, cases[i].siblings_us,
					cases[i].count);
			if (level != cases[i].before)
				fail_msg("case %zu, window %d: %d", i, window, level);
		}
		level = compare(&fixture, cases[i].p99_us, cases[i].siblings_us, cases[i].count);
		if (level != cases[i].after)
			fail_msg("case %zu: %d", i, level);
		if (level == FINDING_ACTIVE)
			assert_int_equal(fixture.since_ns, 1000 * NS_PER_S);
	}
}

static void test_siblings_come_and_go(void **state)
{
	static const uint32_t siblings_us[] = {4000, 4000, 4000};
	struct fixture fixture = {.now_ns = 1000 * NS_PER_S};

	(void)state;
	for (int i = 0; i < 40; i++)
		assert_int_equal(compare(&fixture, 9000, siblings_us, 3), FINDING_NEAR);
	/* One good window begins anew. */
	assert_int_equal(compare(&fixture, 4000, siblings_us, 3), FINDING_QUIET);
	for (int i = 0; i < 59; i++)
		assert_int_equal(compare(&fixture, 9000, siblings_us, 3), FINDING_NEAR);
	assert_int_equal(compare(&fixture, 9000, siblings_us, 3), FINDING_ACTIVE);
	assert_string_equal(fixture.sentence,
			    "p99 of reads is 9.0 ms, for 300 s over 2 times the median of 3 disks "
			    "of the same model, which is 4.0 ms");
	for (int i = 0; i < 11; i++)
		assert_int_equal(compare(&fixture, 9000, siblings_us, 1), FINDING_NEAR);
	assert_int_equal(compare(&fixture, 9000, siblings_us, 1), FINDING_QUIET);
	assert_int_equal(compare(&fixture, 9000, siblings_us, 3), FINDING_NEAR);
	disk_slow_rest(&fixture.slow);
	assert_int_equal(compare(&fixture, 9000, siblings_us, 0), FINDING_QUIET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bands),
		cmocka_unit_test(test_fires),
		cmocka_unit_test(test_sentence),
		cmocka_unit_test(test_warm_up),
		cmocka_unit_test(test_flaps),
		cmocka_unit_test(test_never_learns_slowness),
		cmocka_unit_test(test_adapts_slowly),
		cmocka_unit_test(test_falls_into_another_band),
		cmocka_unit_test(test_flushes),
		cmocka_unit_test(test_siblings),
		cmocka_unit_test(test_siblings_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
