// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How long calls to etcd may take, by what it took lately. */
#include "cluster/etcd_limits.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void note(struct etcd_limits *limits, enum etcd_patience patience, unsigned int count,
		 unsigned int latency_ms)
{
	for (unsigned int i = 0; i < count; i++)
		etcd_limits_note(limits, patience, latency_ms * NS_PER_MS);
}

/* Nothing is known, or the store is fast: as configured; a write gets twice as long. */
static void test_fast(void **state)
{
	struct etcd_limits limits = {.request_limit_ms = 250};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(etcd_limits_call_ms(&limits, ETCD_PATIENCE_PROBE), 250);
		assert_int_equal(etcd_limits_call_ms(&limits, ETCD_PATIENCE_WORK), 500);
		assert_int_equal(etcd_limits_connect_ms(&limits), 250);
		assert_int_equal(etcd_limits_most_ms(&limits), 2000);
		note(&limits, ETCD_PATIENCE_PROBE, 10, 2);
		note(&limits, ETCD_PATIENCE_WORK, 10, 10);
	}
}

/* Four times the median of five: two slow answers make no difference, three do. Each kind of call
 * has its own. */
static void test_slow(void **state)
{
	struct etcd_limits limits = {.request_limit_ms = 250};

	(void)state;
	note(&limits, ETCD_PATIENCE_PROBE, 5, 2);
	note(&limits, ETCD_PATIENCE_PROBE, 2, 400);
	assert_int_equal(etcd_limits_call_ms(&limits, ETCD_PATIENCE_PROBE), 250);
	note(&limits, ETCD_PATIENCE_PROBE, 1, 300);
	assert_int_equal(etcd_limits_call_ms(&limits, ETCD_PATIENCE_PROBE), 1200);
	assert_int_equal(etcd_limits_connect_ms(&limits), 1200);
	assert_int_equal(etcd_limits_call_ms(&limits, ETCD_PATIENCE_WORK), 500);
	note(&limits, ETCD_PATIENCE_WORK, 5, 5000);
	assert_int_equal(etcd_limits_call_ms(&limits, ETCD_PATIENCE_WORK), 2000);
	note(&limits, ETCD_PATIENCE_PROBE, 5, 2);
	assert_int_equal(etcd_limits_call_ms(&limits, ETCD_PATIENCE_PROBE), 250);
}

/* Mostly as before, at times more patient. */
static void test_lost(void **state)
{
	static const unsigned int expected_ms[] = {250, 250,  500, 250, 1000, 250, 500,
						   250, 2000, 250, 500, 250,  1000};

	(void)state;
	for (unsigned int lost = 0; lost < sizeof(expected_ms) / sizeof(*expected_ms); lost++) {
		struct etcd_limits limits = {.request_limit_ms = 250, .lost = lost};

		assert_int_equal(etcd_limits_call_ms(&limits, ETCD_PATIENCE_PROBE),
				 expected_ms[lost]);
		assert_int_equal(etcd_limits_connect_ms(&limits), lost && !(lost & 1) ? 500 : 250);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
