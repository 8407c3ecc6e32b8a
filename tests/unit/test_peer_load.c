// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The rule of peers that answer, but do not read or accept. */
#include "base/clock.h"
#include "detect/peer_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define AFTER_MS  1000
#define LOOKS_MAX 8
#define START_NS  (1000 * NS_PER_S)

struct look {
	uint64_t at_ms; /* 0, but for the first: there is no more */
	enum edge_state state;
	uint32_t closed;	 /* sockets with a closed window */
	uint64_t connects, late; /* so far */
	enum finding_level level;
};

static enum finding_level take(struct peer_load *load, const struct look *look,
			       uint64_t *ret_since_ns, struct text *text)
{
	struct edge_evidence evidence = {0};

	evidence.tcp.zero_window_sockets = look->closed;
	evidence.tcp.connects = look->connects;
	evidence.tcp.connects_late = look->late;
	return peer_load_update(load, look->state, &evidence, AFTER_MS * NS_PER_MS,
				START_NS + look->at_ms * NS_PER_MS, ret_since_ns, text);
}

static void test_looks(void **state)
{
	static const struct look cases[][LOOKS_MAX] = {
		/* Closed for long enough, and open again. */
		{{0, EDGE_HEALTHY, 1, 0, 0, FINDING_QUIET},
		 {499, EDGE_HEALTHY, 1, 0, 0, FINDING_QUIET},
		 {500, EDGE_HEALTHY, 1, 0, 0, FINDING_NEAR},
		 {999, EDGE_LOSSY, 2, 0, 0, FINDING_NEAR},
		 {1000, EDGE_LOSSY, 2, 0, 0, FINDING_ACTIVE},
		 {9000, EDGE_HEALTHY, 1, 0, 0, FINDING_ACTIVE},
		 {9100, EDGE_HEALTHY, 0, 0, 0, FINDING_QUIET},
		 {9200, EDGE_HEALTHY, 1, 0, 0, FINDING_QUIET}},
		/* Open for a moment: it does read. */
		{{0, EDGE_HEALTHY, 1, 0, 0, FINDING_QUIET},
		 {900, EDGE_HEALTHY, 1, 0, 0, FINDING_NEAR},
		 {950, EDGE_HEALTHY, 0, 0, 0, FINDING_QUIET},
		 {1000, EDGE_HEALTHY, 1, 0, 0, FINDING_QUIET},
		 {1900, EDGE_HEALTHY, 1, 0, 0, FINDING_NEAR}},
		/* Cut off: not overloaded; suspected: not known. */
		{{0, EDGE_HEALTHY, 1, 0, 0, FINDING_QUIET},
		 {2000, EDGE_SUSPECT, 1, 0, 0, FINDING_NEAR},
		 {3000, EDGE_HEALTHY, 1, 0, 0, FINDING_ACTIVE},
		 {4000, EDGE_UNREACHABLE, 1, 0, 0, FINDING_QUIET},
		 {9000, EDGE_EGRESS_CUT, 1, 0, 0, FINDING_QUIET},
		 {9500, EDGE_INGRESS_CUT, 1, 0, 0, FINDING_QUIET},
		 {9600, EDGE_HEALTHY, 1, 0, 0, FINDING_QUIET},
		 {10600, EDGE_HEALTHY, 1, 0, 0, FINDING_ACTIVE}},
		/* Late connects, in two windows. */
		{{0, EDGE_HEALTHY, 0, 100, 50, FINDING_QUIET},
		 {4999, EDGE_HEALTHY, 0, 103, 53, FINDING_QUIET},
		 {5000, EDGE_HEALTHY, 0, 103, 53, FINDING_NEAR},
		 {9999, EDGE_HEALTHY, 0, 108, 58, FINDING_NEAR},
		 {10000, EDGE_HEALTHY, 0, 108, 58, FINDING_ACTIVE},
		 {14000, EDGE_HEALTHY, 0, 108, 58, FINDING_ACTIVE},
		 {15000, EDGE_HEALTHY, 0, 108, 58, FINDING_QUIET}},
		/* Not one window after the other. */
		{{0, EDGE_HEALTHY, 0, 0, 0, FINDING_QUIET},
		 {5000, EDGE_HEALTHY, 0, 3, 3, FINDING_NEAR},
		 {10000, EDGE_HEALTHY, 0, 5, 5, FINDING_QUIET},
		 {15000, EDGE_HEALTHY, 0, 8, 8, FINDING_NEAR}},
		/* A few of many. */
		{{0, EDGE_HEALTHY, 0, 0, 0, FINDING_QUIET},
		 {5000, EDGE_HEALTHY, 0, 1000, 50, FINDING_QUIET},
		 {10000, EDGE_HEALTHY, 0, 2000, 101, FINDING_NEAR}},
		/* What a lossy link loses. */
		{{0, EDGE_HEALTHY, 0, 0, 0, FINDING_QUIET},
		 {5000, EDGE_LOSSY, 0, 10, 10, FINDING_QUIET},
		 {10000, EDGE_HEALTHY, 0, 20, 20, FINDING_NEAR}},
		/* Counted anew. */
		{{0, EDGE_HEALTHY, 0, 50, 50, FINDING_QUIET},
		 {5000, EDGE_HEALTHY, 0, 20, 20, FINDING_QUIET},
		 {10000, EDGE_HEALTHY, 0, 23, 23, FINDING_NEAR}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct peer_load load = {0};

		for (size_t j = 0; j < LOOKS_MAX && (!j || cases[i][j].at_ms); j++) {
			char sentence[FINDING_SENTENCE_MAX] = "";
			struct text text = TEXT(sentence);
			enum finding_level level;
			uint64_t since_ns = 0;

			level = take(&load, &cases[i][j], &since_ns, &text);
			if (level != cases[i][j].level)
				fail_msg("case %zu, look %zu: %d", i, j, level);
			assert_int_equal(*sentence != 0, level == FINDING_ACTIVE);
			assert_int_equal(since_ns != 0, level == FINDING_ACTIVE);
		}
	}
}

static void test_sentences(void **state)
{
	static const struct look closed[] = {{0, EDGE_HEALTHY, 2, 0, 0, FINDING_QUIET},
					     {1200, EDGE_HEALTHY, 2, 0, 0, FINDING_ACTIVE}};
	static const struct look late[] = {{0, EDGE_HEALTHY, 0, 0, 0, FINDING_QUIET},
					   {5000, EDGE_HEALTHY, 0, 4, 4, FINDING_NEAR},
					   {10000, EDGE_HEALTHY, 0, 12, 9, FINDING_ACTIVE}};
	struct peer_load load = {0};
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	uint64_t since_ns = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(closed) / sizeof(*closed); i++)
		assert_int_equal(take(&load, &closed[i], &since_ns, &text), closed[i].level);
	assert_string_equal(sentence, "its programs do not read: its window is closed for 2 "
				      "connections, and has been for 1200 ms, expected at most "
				      "1000 ms; its kernel answers");
	assert_int_equal(since_ns, START_NS);
	load = (struct peer_load){0};
	text = (struct text)TEXT(sentence);
	for (size_t i = 0; i < sizeof(late) / sizeof(*late); i++)
		assert_int_equal(take(&load, &late[i], &since_ns, &text), late[i].level);
	assert_string_equal(sentence, "its programs do not accept in time: 5 of 8 connects were "
				      "answered only when they were tried again, expected at most "
				      "5 %; little is lost on the way");
	assert_int_equal(since_ns, START_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_looks),
		cmocka_unit_test(test_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
