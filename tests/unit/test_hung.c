// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which sleeps are without a break, how long, and how many tasks are told as one. */
#include "detect/hung.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AFTER_S 30
#define LOOK_S	5

static struct hung *hung;

static int set_up(void **state)
{
	(void)state;
	hung = calloc(1, sizeof(*hung));
	return hung ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	free(hung);
	return 0;
}

static void see(uint32_t tid, uint64_t start_ns, uint64_t switches, const char *comm,
		uint64_t now_s)
{
	struct hung_sighting sighting = {
		.tid = tid, .pid = tid, .start_ns = start_ns, .switches = switches};

	snprintf(sighting.comm, sizeof(sighting.comm), "%.*s", (int)sizeof(sighting.comm) - 1,
		 comm);
	hung_see(hung, &sighting, now_s * NS_PER_S);
}

/*
 * Looks 5 s apart, a letter each: the number of switches (a to z) of a task that sleeps, '.' when
 * it does not; then whether it hangs at the last look, or so many seconds later.
 */
static void test_without_a_break(void **state)
{
	static const struct {
		const char *looks;
		unsigned int later_s;
		bool hangs;
	} cases[] = {
		{"a", 0, false},	{"aaaaaa", 0, false},	     {"aaaaaa", 4, false},
		{"aaaaaa", 5, true},	{"aaaaaaa", 0, true},	     {"aaaabbb", 0, false},
		{"aaa.aaa", 0, false},	{"abcdefg", 0, false},	     {"aaaaaaa.", 0, false},
		{"aaaaaaab", 0, false}, {"aaaaaaabbbbbbb", 0, true}, {".aaaaaaa", 0, true},
		{".aaaaaa", 0, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct hung_subject subjects[HUNG_SUBJECTS_MAX];
		uint64_t now_s = 1000;
		unsigned int count;

		for (const char *look = cases[i].looks; *look; look++) {
			now_s += LOOK_S;
			hung_begin_look(hung);
			if (*look != '.')
				see(1, 1, (uint64_t)*look, "dd", now_s);
			hung_end_look(hung);
		}
		now_s += cases[i].later_s;
		count = hung_list(hung, AFTER_S * NS_PER_S, now_s * NS_PER_S, subjects);
		if (count != cases[i].hangs)
			fail_msg("%s: %u hang", cases[i].looks, count);
		tear_down(state);
		set_up(state);
	}
}

/* Another task of the same number is another task. */
static void test_numbers_are_used_again(void **state)
{
	struct hung_subject subjects[HUNG_SUBJECTS_MAX];

	(void)state;
	hung_begin_look(hung);
	see(1, 1, 5, "dd", 0);
	hung_end_look(hung);
	hung_begin_look(hung);
	see(1, 2, 5, "dd", 40);
	hung_end_look(hung);
	assert_int_equal(hung->count, 1);
	assert_int_equal(hung_list(hung, AFTER_S * NS_PER_S, 40 * NS_PER_S, subjects), 0);
}

static void look(unsigned int tasks, unsigned int names, uint64_t now_s)
{
	char comm[32];

	hung_begin_look(hung);
	for (unsigned int i = 0; i < tasks; i++) {
		snprintf(comm, sizeof(comm), "p%u", i % names);
		see(i + 1, 1, 1, comm, now_s);
	}
	hung_end_look(hung);
}

static void test_bounds(void **state)
{
	static const struct {
		unsigned int tasks, names;
		unsigned int subjects, in_last;
		const char *last;
		uint64_t lost;
	} cases[] = {
		{1, 1, 1, 1, "p0", 0},
		{100, 7, 7, 14, "p6", 0},
		{100, 8, 8, 12, "others", 0},
		{100, 50, 8, 100 - 7 * 2, "others", 0},
		{HUNG_TASKS_MAX, 1, 1, HUNG_TASKS_MAX, "p0", 0},
		{HUNG_TASKS_MAX + 7, 1, 1, HUNG_TASKS_MAX, "p0", 14},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct hung_subject subjects[HUNG_SUBJECTS_MAX];
		unsigned int count;

		look(cases[i].tasks, cases[i].names, 0);
		look(cases[i].tasks, cases[i].names, 30);
		count = hung_list(hung, AFTER_S * NS_PER_S, 30 * NS_PER_S, subjects);
		assert_int_equal(count, cases[i].subjects);
		assert_string_equal(subjects[count - 1].name, cases[i].last);
		assert_int_equal(subjects[count - 1].tasks, cases[i].in_last);
		assert_int_equal(hung->lost, cases[i].lost);
		tear_down(state);
		set_up(state);
	}
}

static void test_sentences(void **state)
{
	struct hung_task longest = {
		.sighting = {.tid = 8, .pid = 7, .comm = "dd", .killable = true}};
	struct hung_subject subject = {.name = "dd", .tasks = 3, .longest = &longest};
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);

	(void)state;
	hung_explain(&subject, "folio_wait_bit", "group /a.service", AFTER_S * NS_PER_S,
		     41 * NS_PER_S, &text);
	assert_string_equal(sentence,
			    "3 tasks are in uninterruptible sleep without a break; the longest, "
			    "pid 7 thread 8, for at least 41 s in folio_wait_bit, expected less "
			    "than 30 s; it can be killed; group /a.service");
	longest.sighting.tid = 7;
	longest.sighting.killable = false;
	subject.tasks = 1;
	text = (struct text)TEXT(sentence);
	hung_explain(&subject, "", "", AFTER_S * NS_PER_S, 41 * NS_PER_S, &text);
	assert_string_equal(sentence, "1 task is in uninterruptible sleep without a break; pid 7, "
				      "for at least 41 s, expected less than 30 s");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_without_a_break),
		TEST(test_numbers_are_used_again),
		TEST(test_bounds),
		TEST(test_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
