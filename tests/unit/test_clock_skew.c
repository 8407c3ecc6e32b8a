// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How far clocks are apart, as heartbeats measure it, and whose is wrong. */
#include "base/clock.h"
#include "cluster/heartbeat_clock.h"
#include "detect/clock_skew.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT_MS  500
#define OFFSETS	  6
#define SENT_NS	  (1000 * NS_PER_MS)
#define OUR_EPOCH (1700000000 * NS_PER_S) /* our wall clock at 0 of the monotonic one */

/* Offsets in ms, and by how much each may be wrong. */
static void test_whose_clock(void **state)
{
	static const struct {
		unsigned int count;
		int64_t offsets_ms[OFFSETS];
		uint64_t uncertainty_ms;
		enum finding_level level;
	} cases[] = {
		{2, {0, 0}, 0, FINDING_QUIET},
		{2, {250, 250}, 0, FINDING_QUIET},
		{2, {251, 251}, 0, FINDING_NEAR},
		{2, {500, 500}, 0, FINDING_NEAR},
		{2, {501, 501}, 0, FINDING_ACTIVE},
		{2, {-501, -501}, 0, FINDING_ACTIVE},
		/* What is not certain does not count. */
		{2, {600, 600}, 100, FINDING_NEAR},
		{2, {601, 601}, 100, FINDING_ACTIVE},
		{2, {600, 600}, 1000, FINDING_QUIET},
		/* One that is off by itself is wrong itself. */
		{2, {0, 9000}, 0, FINDING_QUIET},
		{3, {0, 1, 9000}, 0, FINDING_QUIET},
		{3, {0, -9000, 9000}, 0, FINDING_QUIET},
		{2, {-9000, 9000}, 0, FINDING_QUIET},
		{4, {-9000, -600, 600, 9000}, 0, FINDING_QUIET},
		/* Half of them are no majority. */
		{4, {9000, 0, 9000, 0}, 0, FINDING_QUIET},
		{4, {9000, 0, 9000, 700}, 0, FINDING_ACTIVE},
		{5, {-700, 0, -900, 0, -800}, 0, FINDING_ACTIVE},
		{6, {-700, 0, -900, 0, -800, 0}, 0, FINDING_QUIET},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct clock_offset offsets[OFFSETS];
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);
		enum finding_level level;

		for (unsigned int j = 0; j < cases[i].count; j++)
			offsets[j] =
				(struct clock_offset){cases[i].offsets_ms[j] * (int64_t)NS_PER_MS,
						      cases[i].uncertainty_ms * NS_PER_MS};
		level = clock_skew(offsets, cases[i].count, LIMIT_MS * NS_PER_MS, &text);
		if (level != cases[i].level)
			fail_msg("case %zu: %d", i, level);
		assert_int_equal(*sentence != 0, level == FINDING_ACTIVE);
	}
}

static void test_sentence(void **state)
{
	struct clock_offset offsets[] = {{-1204 * (int64_t)NS_PER_MS, 200 * NS_PER_US},
					 {-1300 * (int64_t)NS_PER_MS, 0},
					 {0, 0}};
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);

	(void)state;
	assert_int_equal(clock_skew(offsets, 3, LIMIT_MS * NS_PER_MS, &text), FINDING_ACTIVE);
	assert_string_equal(sentence,
			    "this node's clock is 1204.0 ms ahead of those of its peers, expected "
			    "within 500.0 ms: 2 of 3 peers agree, the median is uncertain by 0.2 "
			    "ms");
}

/* Ours was under way for out_ms, held for held_ms, and theirs for in_ms. */
static void exchange(struct heartbeat_clock *clock, int64_t offset_ms, uint64_t out_ms,
		     uint64_t held_ms, uint64_t in_ms)
{
	uint64_t sent_back_ns = SENT_NS + (out_ms + held_ms) * NS_PER_MS;
	uint64_t received_ns = sent_back_ns + in_ms * NS_PER_MS;
	const struct heartbeat heartbeat = {
		.sent_realtime_ns =
			OUR_EPOCH + sent_back_ns + (uint64_t)(offset_ms * (int64_t)NS_PER_MS),
		.report = {.echo_sent_ns = SENT_NS, .held_ns = held_ms * NS_PER_MS},
	};

	heartbeat_clock_take(clock, &heartbeat, received_ns, OUR_EPOCH + received_ns);
}

static void expect(const struct heartbeat_clock *clock, int64_t offset_ms, uint64_t uncertainty_ms)
{
	uint64_t uncertainty_ns;
	int64_t offset_ns;

	assert_true(heartbeat_clock_offset(clock, &offset_ns, &uncertainty_ns));
	assert_int_equal(offset_ns, offset_ms * (int64_t)NS_PER_MS);
	assert_int_equal(uncertainty_ns, uncertainty_ms * NS_PER_MS);
}

static void test_measured(void **state)
{
	static const struct {
		int64_t offset_ms;
		uint64_t out_ms, held_ms, in_ms;
		int64_t measured_ms;
		uint64_t uncertainty_ms;
	} cases[] = {
		{0, 3, 90, 3, 0, 3},
		{700, 3, 90, 3, 700, 3},
		{-700, 0, 0, 0, -700, 0},
		{100, 0, 50, 10, 95, 5}, /* all of it one way */
		{100, 10, 50, 0, 105, 5},
		{-3600000, 1, 5000, 1, -3600000, 1},
		{3600000, 1, 1, 1, 3600000, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct heartbeat_clock clock = {0};

		exchange(&clock, cases[i].offset_ms, cases[i].out_ms, cases[i].held_ms,
			 cases[i].in_ms);
		expect(&clock, cases[i].measured_ms, cases[i].uncertainty_ms);
	}
}

/* The shortest round trip of the last ones counts, and no older one. */
static void test_filter(void **state)
{
	struct heartbeat_clock clock = {0};
	uint64_t uncertainty_ns;
	int64_t offset_ns;

	(void)state;
	assert_false(heartbeat_clock_offset(&clock, &offset_ns, &uncertainty_ns));
	exchange(&clock, 0, 40, 5, 0);
	expect(&clock, 20, 20);
	exchange(&clock, 0, 1, 5, 1);
	expect(&clock, 0, 1);
	for (int i = 0; i < HEARTBEAT_CLOCK_SAMPLES - 1; i++) {
		exchange(&clock, 0, 0, 5, 60);
		expect(&clock, 0, 1);
	}
	exchange(&clock, 0, 0, 5, 60);
	expect(&clock, -30, 30);
	/* Set anew: known after as many heartbeats at the latest. */
	for (int i = 0; i < HEARTBEAT_CLOCK_SAMPLES; i++)
		exchange(&clock, 5000, 1, 5, 1);
	expect(&clock, 5000, 1);
}

/* Held for longer than it was away, or away before it was sent. */
static void test_impossible(void **state)
{
	struct heartbeat heartbeat = {.report = {.echo_sent_ns = SENT_NS, .held_ns = 11}};
	struct heartbeat_clock clock = {0};

	(void)state;
	heartbeat_clock_take(&clock, &heartbeat, SENT_NS + 10, OUR_EPOCH);
	heartbeat_clock_take(&clock, &heartbeat, SENT_NS - 1, OUR_EPOCH);
	assert_int_equal(clock.count, 0);
	heartbeat_clock_take(&clock, &heartbeat, SENT_NS + 11, OUR_EPOCH);
	assert_int_equal(clock.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose_clock), cmocka_unit_test(test_sentence),
		cmocka_unit_test(test_measured),    cmocka_unit_test(test_filter),
		cmocka_unit_test(test_impossible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
