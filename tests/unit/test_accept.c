// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The rule of connections that are not accepted. */
#include "base/clock.h"
#include "detect/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DELAY_MS  100
#define LOOKS_MAX 6
#define NOW_NS	  (1000 * NS_PER_S)

/* A look at each second: d dropped, o the namespace's overflows grew, f full, age of the oldest in
 * ms. */
struct look {
	uint64_t dropped;
	bool overflowed, full;
	uint64_t oldest_ms;
	enum finding_level level;
};

static void test_looks(void **state)
{
	static const struct look cases[][LOOKS_MAX] = {
		/* Young connections wait everywhere. */
		{{0, false, false, 0, FINDING_QUIET}, {0, false, false, 49, FINDING_QUIET}},
		/* Late, but not three times in a row. */
		{{0, false, false, 100, FINDING_NEAR},
		 {0, false, false, 500, FINDING_NEAR},
		 {0, false, false, 99, FINDING_NEAR},
		 {0, false, false, 100, FINDING_NEAR},
		 {0, false, false, 100, FINDING_NEAR},
		 {0, false, false, 100, FINDING_ACTIVE}},
		/* Late, and in time again. */
		{{0, false, false, 1000, FINDING_NEAR},
		 {0, false, false, 2000, FINDING_NEAR},
		 {0, false, false, 3000, FINDING_ACTIVE},
		 {0, false, false, 4000, FINDING_ACTIVE},
		 {0, false, false, 50, FINDING_NEAR},
		 {0, false, false, 49, FINDING_QUIET}},
		/* Full is not yet an overflow, and a drop alone is none: it may be a SYN that came
		 * twice. */
		{{0, false, true, 10, FINDING_NEAR},
		 {0, false, false, 10, FINDING_QUIET},
		 {3, false, false, 10, FINDING_QUIET}},
		{{0, true, false, 10, FINDING_QUIET}},
		/* Overflows: full now, full at the look before, or counted by the kernel. */
		{{1, false, true, 10, FINDING_ACTIVE}, {0, false, false, 10, FINDING_QUIET}},
		{{0, false, true, 10, FINDING_NEAR},
		 {2, false, false, 10, FINDING_ACTIVE},
		 {2, false, false, 10, FINDING_QUIET}},
		{{7, true, false, 0, FINDING_ACTIVE}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct accept_memory memory = {0};

		for (size_t j = 0; j < LOOKS_MAX; j++) {
			const struct look *look = &cases[i][j];
			const struct accept_evidence evidence = {
				.dropped = look->dropped,
				.overflowed = look->overflowed,
				.full = look->full,
				.oldest_ns = look->oldest_ms * NS_PER_MS,
				.comm = "",
			};
			char sentence[FINDING_SENTENCE_MAX] = "";
			struct text text = TEXT(sentence);
			enum finding_level level;
			uint64_t since_ns = 0;

			level = accept_overflow(&memory, &evidence, DELAY_MS * NS_PER_MS,
						NOW_NS + j * NS_PER_S, &since_ns, &text);
			if (level != look->level)
				fail_msg("case %zu, look %zu: %d", i, j, level);
			assert_int_equal(*sentence != 0, level == FINDING_ACTIVE);
			assert_int_equal(since_ns != 0, level == FINDING_ACTIVE);
		}
	}
}

static void test_sentences(void **state)
{
	struct accept_evidence evidence = {.dropped = 12,
					   .full = true,
					   .queue = 129,
					   .backlog = 128,
					   .oldest_ns = 2100 * NS_PER_MS,
					   .comm = "nginx",
					   .pid = 77};
	struct accept_memory memory = {0};
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	uint64_t since_ns = 0;

	(void)state;
	accept_overflow(&memory, &evidence, DELAY_MS * NS_PER_MS, NOW_NS, &since_ns, &text);
	assert_string_equal(sentence,
			    "12 attempts to connect were dropped since the last look, expected "
			    "none; 129 connections wait in a queue for 128, which nginx (pid 77) "
			    "is to accept");
	assert_int_equal(since_ns, NOW_NS);
	evidence.dropped = 0;
	for (unsigned int i = 1; i <= 2; i++) {
		text = (struct text)TEXT(sentence);
		evidence.oldest_ns += NS_PER_S;
		accept_overflow(&memory, &evidence, DELAY_MS * NS_PER_MS, NOW_NS + i * NS_PER_S,
				&since_ns, &text);
	}
	assert_string_equal(sentence, "the oldest of 129 connections has waited for 4100 ms, "
				      "expected at most 100 ms; nginx (pid 77) is to accept them");
	/* When it came. */
	assert_int_equal(since_ns, NOW_NS - 2100 * NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_looks),
		cmocka_unit_test(test_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
