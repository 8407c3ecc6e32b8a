// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The rules of a node of which more is asked than it has. */
#include "detect/overload.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WINDOW_NS (5 * NS_PER_S)
#define BEGIN_NS  (1000 * NS_PER_S)

static const struct finding_limits limits = {
	.cpu_overload = {.pressure_percent = 40,
			 .wait_ms = 20,
			 .windows = 3,
			 .busy_percent = 75,
			 .busy_for_s = 60},
};

/* A window of the rows below, by its letter. */
static struct cpu_window window_of(char letter, size_t index)
{
	static const struct {
		char letter;
		bool known;
		double pressure_percent;
		uint32_t wait_us;
		double busy_percent;
	} windows[] = {
		{'.', true, 0, 0, 10},	      /* idle */
		{'O', true, 95, 60000, 10},   /* both over */
		{'p', true, 95, 20000, 10},   /* the wait just not */
		{'w', true, 40, 60000, 10},   /* the pressure just not */
		{'n', true, 31, 15001, 10},   /* near both */
		{'q', true, 29.9, 60000, 10}, /* the pressure is quiet */
		{'r', true, 95, 14999, 10},   /* the wait is */
		{'?', false, 95, 60000, 10},  /* not known */
		{'B', true, 0, 0, 100},	      /* busy */
		{'b', true, 0, 0, 75.1},      /* just so */
		{'l', true, 0, 0, 75},	      /* just not */
		{'m', true, 0, 0, 60},	      /* near */
		{'Z', true, 95, 60000, 100},  /* all of it */
	};

	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++)
		if (windows[i].letter == letter)
			return (struct cpu_window){
				.begin_ns = BEGIN_NS + index * WINDOW_NS,
				.end_ns = BEGIN_NS + (index + 1) * WINDOW_NS,
				.waits_known = windows[i].known,
				.pressure_percent = windows[i].pressure_percent,
				.wait_us = windows[i].wait_us,
				.busy_percent = windows[i].busy_percent,
				.stolen_percent = 3,
			};
	fail_msg("no window '%c'", letter);
	return (struct cpu_window){0};
}

/* Each row: windows, the levels that follow ('.' quiet, '-' near, '!' active), and which window was
 * the first evidence of the last active one. */
static void test_cpu(void **state)
{
	static const struct {
		const char *windows, *levels;
		size_t since;
	} cases[] = {
		{"....", "....", 0},
		/* Three windows, one after the other. */
		{".OO.", "....", 0},
		{".OOO", "...!", 1},
		{"OO.OO", ".....", 0},
		{"OO.OOOO", ".....!!", 3},
		{"OOpO", "....", 0},
		{"ppp", "...", 0},
		{"www", "...", 0},
		/* Stands while near the limits; quiet when one of them is far. */
		{"OOOnn.", "..!--.", 0},
		{"OOOpw.", "..!--.", 0},
		{"OOOq", "..!.", 0},
		{"OOOr", "..!.", 0},
		{"OOOnOn", "..!---", 0},
		{"OOO.n", "..!..", 0},
		/* What is not known neither raises nor clears. */
		{"???", "...", 0},
		{"OO?O", "....", 0},
		{"OOO??.", "..!--.", 0},
		/* A minute of busy CPUs. */
		{"BBBBBBBBBBB.", "............", 0},
		{"BBBBBBBBBBBBB", "...........!!", 0},
		{"bbbbbbbbbbbb", "...........!", 0},
		{"llllllllllll", "............", 0},
		{"mBBBBBBBBBBBB", "............!", 1},
		/* On the average: single windows may be below. */
		{"BBBmBBBmBBBB", "...........!", 0},
		{"BmmmBBBBBBBBBBBB", "...............!", 4},
		{"BmBmBmBmBmBmBmBm", "...........!!!!!", 0},
		{"bmbmbmbmbmbmbmbmbmbm", "....................", 0},
		/* Stands while near, quiet when calm; three calm windows end it. */
		{"BBBBBBBBBBBBm.B", "...........!!.!", 0},
		{"BBBBBBBBBBBB...B", "...........!....", 0},
		{"BBBBBBBBBBBBmmmmmmmmmmmmmmmmmmmmm", "...........!!!!!!!!!!!!!!!!!!!!--", 0},
		/* The waits are told first. */
		{"ZZZZZZZZZZZZ", "..!!!!!!!!!!", 0},
		/* A load that is no overload keeps nothing that the waits have raised. */
		{"OOOmm", "..!..", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cpu_overload overload = {0};
		uint64_t since_ns = 0;
		char levels[64] = "";
		size_t count = 0;

		for (; cases[i].windows[count]; count++) {
			struct cpu_window window = window_of(cases[i].windows[count], count);
			char sentence[FINDING_SENTENCE_MAX] = "";
			struct text text = TEXT(sentence);
			enum finding_level level =
				cpu_overload(&overload, &window, &limits, &since_ns, &text);

			levels[count] = ".-!"[level];
			assert_int_equal(*sentence != 0, level == FINDING_ACTIVE);
			assert_false(text.truncated);
		}
		if (strcmp(levels, cases[i].levels))
			fail_msg("%s: %s, expected %s", cases[i].windows, levels, cases[i].levels);
		if (strchr(levels, '!'))
			assert_int_equal(since_ns, BEGIN_NS + cases[i].since * WINDOW_NS);
	}
}

static void run_windows(const char *windows, char sentence[static FINDING_SENTENCE_MAX])
{
	struct cpu_overload overload = {0};
	uint64_t since_ns;

	for (size_t i = 0; windows[i]; i++) {
		struct cpu_window window = window_of(windows[i], i);
		struct text text = {.data = sentence, .size = FINDING_SENTENCE_MAX};

		*sentence = '\0';
		cpu_overload(&overload, &window, &limits, &since_ns, &text);
	}
}

static void test_sentences(void **state)
{
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);

	(void)state;
	run_windows("OOO", sentence);
	assert_string_equal(sentence,
			    "for 15 s something waits for a CPU, in the last window 95 % of the "
			    "time and 1 of 100 waits for more than 60.0 ms, expected at most 40 % "
			    "or 20 ms; CPUs busy 10 %, stolen by the hypervisor 3 %");
	run_windows("BBBmBBBmBBBB", sentence);
	assert_string_equal(sentence,
			    "the CPUs have been busy 93 % of the last 60 s, expected at most 75 % "
			    "for 60 s; the hypervisor stole another 3 %");
	pressure_level(23.44, 10, "memory", &text);
	assert_string_equal(sentence,
			    "everything waited for memory 23.4 % of the last 10 s, expected at "
			    "most 10 %");
}

static void test_pressure(void **state)
{
	static const struct {
		double percent;
		enum finding_level level;
	} cases[] = {
		{0, FINDING_QUIET}, {7.49, FINDING_QUIET},   {7.5, FINDING_NEAR},
		{10, FINDING_NEAR}, {10.01, FINDING_ACTIVE}, {100, FINDING_ACTIVE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);

		assert_int_equal(pressure_level(cases[i].percent, 10, "I/O", &text),
				 cases[i].level);
		assert_int_equal(*sentence != 0, cases[i].level == FINDING_ACTIVE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_pressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
