// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/loss.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double value, double expected, double tolerance)
{
	if (fabs(value - expected) > tolerance)
		fail_msg("%.9f is not within %.9f of %.9f", value, tolerance, expected);
}

static void test_before_the_first_try(void **state)
{
	struct loss loss = {0};

	(void)state;
	assert_near(loss_ratio(&loss), 0, 0);
	assert_near(loss_weight(&loss), 0, 0);
	assert_near(loss_lost(&loss), 0, 0);
	assert_near(loss_pessimistic(&loss), LOSS_FLOOR, 0);
}

/* A steady pattern of 'lost' losses before each arrival converges to lost / (lost + 1). */
static void test_steady_loss(void **state)
{
	static const struct {
		uint64_t lost;
		unsigned int arrivals_between; /* without loss, before each gap */
		double ratio;
	} cases[] = {
		{0, 0, 0.0}, {1, 99, 0.01}, {1, 9, 1.0 / 11}, {1, 0, 0.5}, {3, 0, 0.75},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct loss loss = {0};

		for (unsigned int round = 0; round < 3000; round++) {
			for (unsigned int good = 0; good < cases[i].arrivals_between; good++)
				loss_record(&loss, 0);
			loss_record(&loss, cases[i].lost);
		}
		assert_near(loss_ratio(&loss), cases[i].ratio, 0.0025);
		/* 1 / (1 - 2^(-1/300)) tries. */
		assert_near(loss_weight(&loss), 433.3, 1.0);
		assert_near(loss_lost(&loss), loss_ratio(&loss) * loss_weight(&loss), 1e-9);
	}
}

/* Recording a gap at once is the same as deciding try by try. */
static void test_gap_equals_single_tries(void **state)
{
	struct loss loss = {0};
	double tries = 0, lost = 0;
	const double keep = exp2(-1.0 / 300);
	static const uint64_t gaps[] = {0, 0, 5, 0, 1, 17, 0, 0, 2, 400};

	(void)state;
	for (size_t i = 0; i < sizeof(gaps) / sizeof(*gaps); i++) {
		loss_record(&loss, gaps[i]);
		for (uint64_t n = 0; n <= gaps[i]; n++) {
			tries = tries * keep + 1;
			lost = lost * keep + (n < gaps[i]);
		}
		assert_near(loss_weight(&loss), tries, 1e-6);
		assert_near(loss_lost(&loss), lost, 1e-6);
	}
}

static void test_half_lives(void **state)
{
	struct loss loss = {0};
	double before;

	(void)state;
	loss_record(&loss, 100);
	before = loss_lost(&loss);
	for (unsigned int i = 0; i < 300; i++)
		loss_record(&loss, 0);
	assert_near(loss_lost(&loss), before / 2, 1e-6);
	before = loss.fast_lost;
	for (unsigned int i = 0; i < 10; i++)
		loss_record(&loss, 0);
	assert_near(loss.fast_lost, before / 2, 1e-9);
}

/* A link that turns bad is reckoned as bad long before the measure says so, and the reverse. */
static void test_pessimism_reacts_fast(void **state)
{
	struct loss loss = {0};

	(void)state;
	for (unsigned int i = 0; i < 3000; i++)
		loss_record(&loss, 0);
	assert_near(loss_pessimistic(&loss), LOSS_FLOOR, 0);
	for (unsigned int i = 0; i < 5; i++)
		loss_record(&loss, 1);
	assert_true(loss_ratio(&loss) < 0.02);
	assert_true(loss_pessimistic(&loss) > 0.2);
	/* Then the slow one is the worse, and is what counts. */
	for (unsigned int i = 0; i < 100; i++)
		loss_record(&loss, 0);
	assert_near(loss_pessimistic(&loss), loss_ratio(&loss), 1e-12);
	assert_true(loss_ratio(&loss) > 2 * LOSS_FLOOR);
}

static void test_bounds(void **state)
{
	struct loss loss = {0};

	(void)state;
	loss_record(&loss, UINT64_MAX);
	assert_true(isfinite(loss_ratio(&loss)));
	assert_true(loss_ratio(&loss) > 0.99 && loss_ratio(&loss) <= 1.0);
	assert_near(loss_pessimistic(&loss), LOSS_CEILING, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_the_first_try),	cmocka_unit_test(test_steady_loss),
		cmocka_unit_test(test_gap_equals_single_tries), cmocka_unit_test(test_half_lives),
		cmocka_unit_test(test_pessimism_reacts_fast),	cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
