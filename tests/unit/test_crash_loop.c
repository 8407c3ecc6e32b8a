// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* When crashes are a loop, whose it is, and when it has ended. */
#include "detect/crash_loop.h"

#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CRASHES	 3
#define WITHIN_S 60

static struct crash crash_at(uint64_t ms, uint8_t signal)
{
	return (struct crash){.time_ns = ms * NS_PER_MS, .signal = signal, .pid = 7, .comm = "a"};
}

static void test_rule(void **state)
{
	static const struct {
		uint64_t crashes_ms[5]; /* up to the first 0 */
		uint64_t now_ms;
		enum finding_level level;
		uint64_t since_ms; /* of an active one */
	} cases[] = {
		{{1000}, 1000, FINDING_NEAR, 0},
		{{1000, 2000}, 2000, FINDING_NEAR, 0},
		{{1000, 2000, 3000}, 3000, FINDING_ACTIVE, 1000},
		/* The records are newer than the clock's reading. */
		{{1000, 2000, 3000}, 2999, FINDING_ACTIVE, 1000},
		{{1000, 2000, 61000}, 61000, FINDING_ACTIVE, 1000},
		{{1000, 2000, 61001}, 61001, FINDING_NEAR, 0},
		/* It flaps: the first is past. */
		{{1000, 2000, 3000, 61500}, 61500, FINDING_ACTIVE, 2000},
		{{1000, 2000, 3000, 63000}, 63000, FINDING_NEAR, 0},
		{{1000, 2000, 3000}, 62999, FINDING_ACTIVE, 1000},
		{{1000, 2000, 3000}, 63000, FINDING_QUIET, 0},
		{{1000}, 61000, FINDING_QUIET, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct crash_loop *loop = calloc(1, sizeof(*loop));
		const struct crash_subject *subject = NULL;
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);
		enum finding_level level;
		uint64_t since_ns = 0;

		assert_non_null(loop);
		for (size_t j = 0; cases[i].crashes_ms[j]; j++) {
			struct crash crash = crash_at(cases[i].crashes_ms[j], SIGSEGV);

			subject = crash_loop_note(loop, "unit a.service", &crash);
		}
		assert_ptr_equal(subject, crash_loop_find(loop, "unit a.service"));
		level = crash_loop_judge(subject, CRASHES, WITHIN_S * NS_PER_S,
					 cases[i].now_ms * NS_PER_MS, &since_ns, &text);
		if (level != cases[i].level || since_ns != cases[i].since_ms * NS_PER_MS)
			fail_msg("case %zu: level %d", i, level);
		assert_int_equal(*sentence != 0, level == FINDING_ACTIVE);
		free(loop);
	}
}

static void test_sentence(void **state)
{
	static const uint8_t signals[] = {SIGSEGV, SIGABRT, SIGSEGV, SIGILL, SIGBUS, SIGFPE};
	struct crash_loop *loop = calloc(1, sizeof(*loop));
	const struct crash_subject *subject = NULL;
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	uint64_t since_ns;

	(void)state;
	assert_non_null(loop);
	for (size_t i = 0; i < sizeof(signals); i++) {
		struct crash crash = crash_at(1000 + i * 500, signals[i]);

		subject = crash_loop_note(loop, "a", &crash);
	}
	crash_loop_judge(subject, CRASHES, WITHIN_S * NS_PER_S, 3500 * NS_PER_MS, &since_ns, &text);
	assert_string_equal(sentence,
			    "6 crashes by SIGSEGV, SIGABRT, SIGILL, SIGBUS and 1 more in "
			    "2.5 s, expected fewer than 3 in 60 s; the last was a, pid 7");
	free(loop);
}

/* The table is bounded: who has not crashed for longest makes room, whoever crashes often stays. */
static void test_many_subjects(void **state)
{
	struct crash_loop *loop = calloc(1, sizeof(*loop));
	uint64_t ms = 1000;

	(void)state;
	assert_non_null(loop);
	for (unsigned int i = 0; i < 10 * CRASH_LOOP_SUBJECTS_MAX; i++) {
		struct crash crash = crash_at(ms++, SIGABRT);
		char name[32];

		snprintf(name, sizeof(name), "program %u", i);
		crash_loop_note(loop, name, &crash);
		crash.time_ns = ms++ * NS_PER_MS;
		crash_loop_note(loop, "busy", &crash);
	}
	assert_int_equal(loop->subject_count, CRASH_LOOP_SUBJECTS_MAX);
	assert_int_equal(crash_loop_find(loop, "busy")->count, 10 * CRASH_LOOP_SUBJECTS_MAX);
	assert_null(crash_loop_find(loop, "program 0"));
	assert_non_null(crash_loop_find(loop, "program 639"));
	free(loop);
}

/* More than are remembered is not more than can be judged. */
static void test_most_crashes(void **state)
{
	struct crash_loop *loop = calloc(1, sizeof(*loop));
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	const struct crash_subject *subject = NULL;
	uint64_t since_ns = 0;

	(void)state;
	assert_non_null(loop);
	for (unsigned int i = 0; i < 250; i++) {
		struct crash crash = crash_at(1000 + i, SIGABRT);

		subject = crash_loop_note(loop, "a", &crash);
	}
	assert_int_equal(crash_loop_judge(subject, CRASH_LOOP_CRASHES_MAX, WITHIN_S * NS_PER_S,
					  1249 * NS_PER_MS, &since_ns, &text),
			 FINDING_ACTIVE);
	assert_int_equal(since_ns, 1150 * NS_PER_MS);
	free(loop);
}

static void test_what_counts(void **state)
{
	static const struct {
		uint32_t signal;
		bool oom_killed, counts;
	} cases[] = {
		{SIGSEGV, false, true},	 {SIGABRT, false, true},  {SIGBUS, false, true},
		{SIGILL, false, true},	 {SIGFPE, false, true},	  {SIGSYS, false, true},
		{SIGTRAP, false, true},	 {SIGKILL, true, true},	  {SIGKILL, false, false},
		{SIGTERM, false, false}, {SIGINT, false, false},  {SIGPIPE, false, false},
		{SIGHUP, false, false},	 {SIGALRM, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (crash_loop_counts(cases[i].signal, cases[i].oom_killed) != cases[i].counts)
			fail_msg("case %zu", i);
}

static void test_names(void **state)
{
#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "7d3f1c62-9a4e-4d1b-8f0a-2b6c5d4e3f21"
	static const struct {
		const char *path, *name;
		struct pod_name pod;
	} cases[] = {
		{"", "program make", {"", "", ""}},
		{"/", "program make", {"", "", ""}},
		{"/system.slice/nginx.service", "unit nginx.service", {"", "", ""}},
		{"/system.slice/docker-" ID ".scope", "container 0123456789ab", {"", "", ""}},
		{"/user.slice/user-0.slice/session-3.scope", "program make", {"", "", ""}},
		{"/system.slice/a\xff\n.service", "unit a??.service", {"", "", ""}},
		/* Each start of a container makes another: what loops is the pod. */
		{"/kubepods/pod" UID "/" ID, "pod " UID, {"", "", ""}},
		{"/kubepods/pod" UID "/" ID, "pod shop/web-1", {"shop", "web-1", ""}},
		{"/kubepods/pod" UID "/" ID, "pod shop/web-1", {"shop", "web-1", "app"}},
		{"/kubepods/pod" UID "/system.slice/a.service",
		 "pod shop/web-1",
		 {"shop", "web-1", ""}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char name[FINDING_SUBJECT_MAX];
		struct cgroup_owner owner = {.pod = cases[i].pod};

		cgroup_name_parse(cases[i].path, &owner.group);
		crash_loop_name(&owner, "make", name);
		assert_string_equal(name, cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule),	      cmocka_unit_test(test_sentence),
		cmocka_unit_test(test_many_subjects), cmocka_unit_test(test_most_crashes),
		cmocka_unit_test(test_what_counts),   cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
