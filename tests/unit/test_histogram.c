// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/histogram.h"

#include <stdbool.h>
#include <string.h>

/* 2^-20 s is 15625/16384 us: both sides of a comparison in whole numbers. */
#define US_SCALE    16384ULL
#define UNITS_SCALE 15625ULL

static void test_upper_bounds(void **state)
{
	static const struct {
		uint32_t bucket;
		uint64_t units;
	} cases[] = {
		{0, 1},		  {1, 2},	    {2, 3},
		{3, 4},		  {4, 5},	    {7, 8},
		{8, 10},	  {9, 12},	    {11, 16},
		{12, 20},	  {75, 1048576},    {79, 2097152},
		{91, 16777216},	  {93, 25165824},   {94, 29360128},
		{95, UINT64_MAX}, {96, UINT64_MAX}, {UINT32_MAX, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(histogram_upper_units(cases[i].bucket), cases[i].units);
	/* Every octave ends at a power of two, and no bucket is wider than a quarter of its lower
	 * bound. */
	for (uint32_t i = 4; i < HISTOGRAM_BUCKETS - 1; i++) {
		uint64_t lower = histogram_upper_units(i - 1), upper = histogram_upper_units(i);

		assert_true(upper > lower && (upper - lower) * 4 <= lower);
		if (i % 4 == 3)
			assert_int_equal(upper & (upper - 1), 0);
	}
}

/* A time exactly on an upper bound belongs to that bucket, the next microsecond to the next. */
static void test_edges(void **state)
{
	unsigned int edges = 0;

	(void)state;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		uint64_t units = histogram_upper_units(i);
		uint32_t time_us = (uint32_t)(units / US_SCALE * UNITS_SCALE);

		if (units % US_SCALE)
			continue; /* not a whole number of microseconds */
		edges++;
		assert_int_equal(histogram_bucket(time_us), i);
		assert_int_equal(histogram_bucket(time_us - 1), i);
		assert_int_equal(histogram_bucket(time_us + 1), i + 1);
	}
	/*
	 * Multiples of 2^14 units: 2^14 itself, one up to 2^15, two up to 2^16, then all four of
	 * each octave up to 2^24, and three of the last, whose last bucket is open.
	 */
	assert_int_equal(edges, 1 + 1 + 2 + 8 * 4 + 3);
}

/* Every single microsecond: never a lower bucket than before, and inside its bounds. */
static void test_every_time(void **state)
{
	uint32_t before = 0;

	(void)state;
	for (uint32_t time_us = 0; time_us <= HISTOGRAM_MAX_US + 1000; time_us++) {
		uint32_t bucket = histogram_bucket(time_us);
		uint64_t scaled = time_us * US_SCALE;
		bool inside = true;

		if (bucket)
			inside = scaled > histogram_upper_units(bucket - 1) * UNITS_SCALE;
		if (bucket < HISTOGRAM_BUCKETS - 1)
			inside = inside && scaled <= histogram_upper_units(bucket) * UNITS_SCALE;
		if (bucket < before || bucket >= HISTOGRAM_BUCKETS || !inside)
			fail_msg("%u us is in bucket %u, %u us in %u", time_us, bucket, time_us - 1,
				 before);
		before = bucket;
	}
	assert_int_equal(before, HISTOGRAM_BUCKETS - 1);
}

static void test_extremes(void **state)
{
	(void)state;
	assert_int_equal(histogram_bucket(0), 0);
	assert_int_equal(histogram_bucket(HISTOGRAM_MAX_US), HISTOGRAM_BUCKETS - 1);
	assert_int_equal(histogram_bucket(HISTOGRAM_MAX_US + 1), HISTOGRAM_BUCKETS - 1);
	assert_int_equal(histogram_bucket(UINT32_MAX), HISTOGRAM_BUCKETS - 1);
}

static void test_total(void **state)
{
	uint32_t counts[HISTOGRAM_BUCKETS] = {0};

	(void)state;
	assert_int_equal(histogram_total(counts), 0);
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		counts[i] = UINT32_MAX;
	assert_int_equal(histogram_total(counts), 96ULL * UINT32_MAX);
}

/* The quantile of times that are all the same is that time, to a bucket's width. */
static void test_quantile_of_one_time(void **state)
{
	static const uint32_t times_us[] = {1,	    2,	    5,	     10,      99,
					    250,    1000,   15625,   31250,   100000,
					    500000, 999999, 4000000, 20000000};
	static const double quantiles[] = {0, 0.01, 0.5, 0.99, 1};

	(void)state;
	for (size_t i = 0; i < sizeof(times_us) / sizeof(*times_us); i++) {
		uint32_t counts[HISTOGRAM_BUCKETS] = {0};

		counts[histogram_bucket(times_us[i])] = 1000;
		for (size_t j = 0; j < sizeof(quantiles) / sizeof(*quantiles); j++) {
			double found = histogram_quantile_us(counts, quantiles[j]);

			/* Half a microsecond for rounding to whole ones, one for the first bucket's
			 * width. */
			if (found < times_us[i] / 1.25 - 1.5 || found > times_us[i] * 1.25 + 1.5)
				fail_msg("quantile %g of %u us is %g us", quantiles[j], times_us[i],
					 found);
		}
	}
}

static void test_quantile(void **state)
{
	uint32_t counts[HISTOGRAM_BUCKETS] = {0};
	static const double quantiles[] = {0.1, 0.5, 0.9, 0.99, 0.999};
	uint32_t before = 0;

	(void)state;
	assert_int_equal(histogram_quantile_us(counts, 0.5), 0);

	/* Even from 1 us to 1 s: the quantile is the share itself. */
	for (uint32_t time_us = 1; time_us <= 1000000; time_us++)
		counts[histogram_bucket(time_us)]++;
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++) {
		double expected = quantiles[i] * 1e6;
		double found = histogram_quantile_us(counts, quantiles[i]);

		/* Interpolation inside an evenly filled bucket: far better than its width. */
		if (found < expected * 0.98 || found > expected * 1.02)
			fail_msg("quantile %g is %g us", quantiles[i], found);
	}
	for (unsigned int i = 0; i <= 1000; i++) {
		uint32_t found = histogram_quantile_us(counts, i / 1000.0);

		assert_true(found >= before);
		before = found;
	}

	/* One slow sample in a thousand: the 99th percentile does not see it, the 99.95th does. */
	memset(counts, 0, sizeof(counts));
	counts[histogram_bucket(100)] = 999;
	counts[histogram_bucket(5000000)] = 1;
	assert_in_range(histogram_quantile_us(counts, 0.99), 75, 130);
	assert_in_range(histogram_quantile_us(counts, 0.9995), 3900000, 6300000);

	/* The last bucket has no upper bound: what is known is its lower one, 28 s. */
	memset(counts, 0, sizeof(counts));
	counts[HISTOGRAM_BUCKETS - 1] = 5;
	assert_int_equal(histogram_quantile_us(counts, 0.5), 28000000);
	assert_int_equal(histogram_quantile_us(counts, 1), 28000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upper_bounds), cmocka_unit_test(test_edges),
		cmocka_unit_test(test_every_time),   cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_total),	     cmocka_unit_test(test_quantile_of_one_time),
		cmocka_unit_test(test_quantile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
