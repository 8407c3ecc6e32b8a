// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The rule of a surge of dropped packets. */
#include "base/clock.h"
#include "detect/receive_drops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DEVIATIONS 4
#define RATIO	   0.01
#define LENGTH_NS  (5 * NS_PER_S)
#define STEPS_MAX  6
#define PLENTY	   1000000000 /* received: whatever is dropped is little */

static uint64_t clock_ns;

static enum finding_level take(struct drop_history *history, uint64_t dropped, uint64_t received,
			       uint64_t *ret_since_ns, struct text *text)
{
	struct drop_window window = {.begin_ns = clock_ns,
				     .end_ns = clock_ns + LENGTH_NS,
				     .dropped = dropped,
				     .received = received};

	clock_ns += LENGTH_NS;
	return receive_drops(history, &window, DEVIATIONS, RATIO, ret_since_ns, text);
}

/* A past in which low and high take turns, and what comes then. */
static void test_windows(void **state)
{
	static const struct {
		unsigned int past;
		uint64_t low, high;
		struct {
			uint64_t dropped, received;
			enum finding_level level;
		} steps[STEPS_MAX]; /* up to one that received nothing */
	} cases[] = {
		/* Never seen: 4 times the least deviation of 10 packets. */
		{12, 0, 0, {{40, 100, FINDING_NEAR}, {1, 100, FINDING_QUIET}}},
		{12, 0, 0, {{20, 100, FINDING_QUIET}, {21, 100, FINDING_NEAR}}},
		{12,
		 0,
		 0,
		 {{41, 100, FINDING_NEAR},
		  {41, 100, FINDING_ACTIVE},
		  {500, 600, FINDING_ACTIVE},
		  {30, 100, FINDING_NEAR},
		  {0, 100, FINDING_QUIET}}},
		/* One window is none, and two that are apart are none. */
		{12,
		 0,
		 0,
		 {{9000, 9000, FINDING_NEAR},
		  {0, 9000, FINDING_QUIET},
		  {9000, 9000, FINDING_NEAR},
		  {0, 9000, FINDING_QUIET}}},
		/* Few of what was received. */
		{12,
		 0,
		 0,
		 {{100, 10000, FINDING_NEAR},
		  {100, 10000, FINDING_NEAR},
		  {101, 10000, FINDING_NEAR},
		  {101, 10000, FINDING_ACTIVE}}},
		{12, 0, 0, {{50, 10000, FINDING_QUIET}, {50, 10000, FINDING_QUIET}}},
		/* Steady: the deviation is a tenth of the median. */
		{12,
		 1000,
		 1000,
		 {{1400, 2000, FINDING_NEAR},
		  {1401, 2000, FINDING_NEAR},
		  {1401, 2000, FINDING_ACTIVE},
		  {1000, 2000, FINDING_QUIET}}},
		/* Restless: median 1000, deviation 500. */
		{12, 500, 1500, {{3000, 4000, FINDING_NEAR}}},
		{12, 500, 1500, {{3001, 4000, FINDING_NEAR}, {3001, 4000, FINDING_ACTIVE}}},
		/* Too little is known of the past. */
		{4,
		 0,
		 0,
		 {{9000, 9000, FINDING_QUIET},
		  {9000, 9000, FINDING_QUIET},
		  {9000, 9000, FINDING_NEAR}}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct drop_history history;
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);
		uint64_t since_ns = 0;

		receive_drops_init(&history, 0);
		for (unsigned int j = 0; j < cases[i].past; j++)
			assert_int_equal(take(&history, j % 2 ? cases[i].high : cases[i].low,
					      PLENTY, &since_ns, &text),
					 FINDING_QUIET);
		for (size_t j = 0; j < STEPS_MAX && cases[i].steps[j].received; j++) {
			enum finding_level level =
				take(&history, cases[i].steps[j].dropped,
				     cases[i].steps[j].received, &since_ns, &text);

			if (level != cases[i].steps[j].level)
				fail_msg("case %zu, step %zu: %d", i, j, level);
		}
	}
}

/* What lasts for one window time and again is usual. */
static void test_peaks(void **state)
{
	struct drop_history history;
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	uint64_t since_ns = 0;

	(void)state;
	receive_drops_init(&history, RECEIVE_DROPS_WINDOWS);
	for (unsigned int i = 0; i < RECEIVE_DROPS_WINDOWS; i++)
		assert_int_not_equal(take(&history, i % 2 ? 0 : 500, 900, &since_ns, &text),
				     FINDING_ACTIVE);
	assert_int_equal(take(&history, 500, 900, &since_ns, &text), FINDING_QUIET);
	assert_int_equal(take(&history, 500, 900, &since_ns, &text), FINDING_QUIET);
}

/* However long it lasts it does not become usual; what is usual moves. */
static void test_what_is_learnt(void **state)
{
	struct drop_history history;
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	uint64_t since_ns = 0, began_ns;

	(void)state;
	receive_drops_init(&history, 1000);
	assert_int_equal(history.count, RECEIVE_DROPS_WINDOWS);
	began_ns = clock_ns;
	assert_int_equal(take(&history, 500, 900, &since_ns, &text), FINDING_NEAR);
	assert_int_equal(since_ns, 0);
	for (unsigned int i = 0; i < 2 * RECEIVE_DROPS_WINDOWS; i++) {
		text = (struct text)TEXT(sentence);
		assert_int_equal(take(&history, 500, 900, &since_ns, &text), FINDING_ACTIVE);
	}
	assert_int_equal(since_ns, began_ns);
	assert_string_equal(sentence, "500 packets were dropped in 5.0 s, expected at most 40 "
				      "(usual are 0) or 1.0 % of the 900 received");
	for (unsigned int i = 1; i <= RECEIVE_DROPS_WINDOWS; i++)
		(void)take(&history, 10 * i, PLENTY, &since_ns, &text);
	assert_int_equal(take(&history, 500, 900, &since_ns, &text), FINDING_QUIET);
}

static void test_reasons(void **state)
{
	static const struct {
		const char *reason;
		bool loss;
	} cases[] = {
		{"no_socket", true},
		{"socket_rcvbuff", true},
		{"cpu_backlog", true},
		{"tcp_zerowindow", true},
		{"udp_csum", true},
		{"openvswitch_3", true},
		{"other", true},
		{"tcp_ofomerge", false},
		{"socket_filter", false},
		{"netfilter_drop", false},
		{"unknown", false},
		{"not_specified", false},
		{"tcp_listen_overflow", false},
		{"qdisc_drop", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (receive_drops_is_loss(cases[i].reason) != cases[i].loss)
			fail_msg("%s", cases[i].reason);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_peaks),
		cmocka_unit_test(test_what_is_learnt),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
