// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* When something that is watched has died, and when it is back. */
#include "detect/watched.h"

#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/*
 * A life, a letter a step: B(egins, each at the next second), E(nds: the one that began first),
 * L(ook), R(estarts: begins 5 ms after the last end, as the kernel's ticks tell it). After each
 * look what it told: '.' nothing, 'd'ied, 'r'eturned, 'x' restarted.
 */
static void test_lives(void **state)
{
	static const struct {
		const char *steps, *news;
	} cases[] = {
		{"L", "."},
		{"LLL", "..."},
		{"BL", "."},
		{"BLEL", ".d"},
		{"BLELL", ".d."},
		{"BLELBL", ".dr"},
		/* It flaps. */
		{"BLELBLELBL", ".drdr"},
		/* One of two is left. */
		{"BBLEL", ".."},
		{"BBLEEL", ".d"},
		{"BBLELEL", "..d"},
		/* Another one was found that had been there all the time. */
		{"BLEBL", ".."},
		/* Or was started since. */
		{"BLERL", ".x"},
		{"BLERLEL", ".xd"},
		{"BLERLL", ".x."},
		{"BLELRL", ".dr"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		static const char letters[] = ".drx";
		struct watched watched = {0};
		uint32_t begun = 0, ended = 0;
		char news[16] = "";
		size_t looks = 0;

		for (const char *step = cases[i].steps; *step; step++) {
			/* All begin long before the end at 100 s. */
			const uint64_t end_ns = 100 * NS_PER_S;
			struct watched_end end = {.pid = ended + 1,
						  .start_ns = (ended + 1) * NS_PER_S,
						  .end_ns = end_ns};

			if (*step == 'B' || *step == 'R') {
				begun++;
				watched_begins(&watched, begun,
					       *step == 'R' ? end_ns - 5 * NS_PER_MS
							    : begun * NS_PER_S);
			} else if (*step == 'E') {
				ended++;
				watched_ends(&watched, &end);
			} else {
				news[looks++] = letters[watched_looked(&watched)];
			}
		}
		if (strcmp(news, cases[i].news) != 0)
			fail_msg("%s: found %s, expected %s", cases[i].steps, news, cases[i].news);
	}
}

/* Whose end is told, of several: pid, start, end in s. */
static void test_whose_end(void **state)
{
	static const struct {
		uint32_t ends[3][3];
		uint32_t pid;
	} cases[] = {
		{{{5, 10, 100}}, 5},
		/* The oldest of those that end together, in either order. */
		{{{5, 10, 100}, {6, 20, 100}}, 5},
		{{{6, 20, 100}, {5, 10, 100}}, 5},
		{{{6, 20, 100}, {5, 10, 101}, {7, 30, 101}}, 5},
		/* One that ended long before is not the cause. */
		{{{5, 10, 100}, {6, 20, 110}}, 6},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct watched watched = {.running = 3, .seen = true};

		for (size_t j = 0; j < 3 && cases[i].ends[j][0]; j++) {
			const uint32_t *of = cases[i].ends[j];
			struct watched_end end = {.pid = of[0],
						  .start_ns = of[1] * NS_PER_S,
						  .end_ns = of[2] * NS_PER_S};

			watched_ends(&watched, &end);
		}
		if (watched.end.pid != cases[i].pid)
			fail_msg("case %zu: pid %u", i, watched.end.pid);
	}
}

static void test_sentences(void **state)
{
	static const struct {
		struct watched_end end;
		const char *sentence;
	} cases[] = {
		{{.pid = 17, .exe = "/usr/bin/etcd", .explained = true, .status = SIGKILL},
		 "pid 17 (/usr/bin/etcd) was killed by SIGKILL; nothing is left of W, expected it "
		 "to "
		 "run"},
		{{.pid = 17, .explained = true, .status = SIGKILL, .oom_killed = true},
		 "pid 17 was killed by SIGKILL, by the OOM killer; nothing is left of W, expected "
		 "it "
		 "to run"},
		{{.pid = 17, .explained = true, .status = SIGSEGV | 0x80},
		 "pid 17 was killed by SIGSEGV and dumped core; nothing is left of W, expected it "
		 "to "
		 "run"},
		{{.pid = 17, .explained = true, .status = 3 << 8},
		 "pid 17 exited with status 3; nothing is left of W, expected it to run"},
		{{.pid = 17},
		 "pid 17 ended, how is not known; nothing is left of W, expected it to run"},
	};
	struct watched watched = {.newest_pid = 18};
	char sentence[256] = "";
	struct text text = TEXT(sentence);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		text = (struct text)TEXT(sentence);
		watched.end = cases[i].end;
		watched_explain_death(&watched, "W", &text);
		assert_string_equal(sentence, cases[i].sentence);
	}
	watched.end.end_ns = 10 * NS_PER_S;
	watched.newest_start_ns = 13240 * NS_PER_MS;
	text = (struct text)TEXT(sentence);
	watched_explain_return(&watched, &text);
	assert_string_equal(sentence, "runs again as pid 18 after 3.2 s");
	watched.newest_start_ns = 9995 * NS_PER_MS;
	text = (struct text)TEXT(sentence);
	watched_explain_return(&watched, &text);
	assert_string_equal(sentence, "runs again as pid 18 after 0.0 s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_whose_end),
		cmocka_unit_test(test_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
