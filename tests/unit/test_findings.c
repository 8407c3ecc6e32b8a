// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What stands of the node's own health: raised, kept, cleared, ended, bounded. */
#include "detect/findings.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KIND	 FINDING_DISK_STALLED
#define CLEAR_NS (10 * NS_PER_S)

struct told {
	unsigned int raised, cleared, blinded;
	struct finding last;
	char why[64];
};

static void on_raised(void *context, const struct finding *finding)
{
	struct told *told = context;

	told->raised++;
	told->last = *finding;
}

static void on_cleared(void *context, const struct finding *finding, const char *why,
		       uint64_t now_ns)
{
	struct told *told = context;

	(void)now_ns;
	told->cleared++;
	told->last = *finding;
	snprintf(told->why, sizeof(told->why), "%s", why);
}

static void on_blinded(void *context, enum finding_kind kind, const char *reason)
{
	struct told *told = context;

	(void)kind;
	(void)reason;
	told->blinded++;
}

static void begin(struct findings *findings, struct told *told)
{
	*told = (struct told){0};
	*findings = (struct findings){.handlers = {told, on_raised, on_cleared, on_blinded}};
}

static void say(struct findings *findings, const char *subject, enum finding_level level,
		uint64_t now_s)
{
	findings_say(findings, KIND, subject, level, now_s * NS_PER_S - 1, CLEAR_NS,
		     now_s * NS_PER_S, "it is so");
}

/* Each row: what is said each second from 1 on ('.' quiet, '-' near, '!' active), and how often it
 * is then raised and cleared. */
static void test_hysteresis(void **state)
{
	static const struct {
		const char *levels;
		unsigned int raised, cleared;
	} cases[] = {
		{"", 0, 0},
		{"....", 0, 0},
		{"----", 0, 0},
		{"-!", 1, 0},
		{"!!!!", 1, 0},
		{"!----------------", 1, 0},
		{"!..........", 1, 0},
		{"!...........", 1, 1},
		{"!.....-...........", 1, 1},
		{"!.....-..........", 1, 0},
		{"!.....!..........", 1, 0},
		{"!...........!", 2, 1},
		{"!...........-....", 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct findings findings;
		struct told told;

		begin(&findings, &told);
		for (uint64_t second = 1; cases[i].levels[second - 1]; second++) {
			char level = cases[i].levels[second - 1];

			say(&findings, "sda",
			    level == '!'   ? FINDING_ACTIVE
			    : level == '-' ? FINDING_NEAR
					   : FINDING_QUIET,
			    second);
		}
		if (told.raised != cases[i].raised || told.cleared != cases[i].cleared)
			fail_msg("%s: raised %u, cleared %u", cases[i].levels, told.raised,
				 told.cleared);
		assert_int_equal(findings.raised[KIND], cases[i].raised);
		assert_int_equal(findings.cleared[KIND], cases[i].cleared);
		assert_int_equal(findings.count, cases[i].raised - cases[i].cleared);
	}
}

static void test_told(void **state)
{
	struct findings findings;
	struct told told;

	(void)state;
	begin(&findings, &told);
	say(&findings, "sda", FINDING_ACTIVE, 5);
	assert_int_equal(told.last.kind, KIND);
	assert_string_equal(told.last.subject, "sda");
	assert_string_equal(told.last.sentence, "it is so");
	assert_int_equal(told.last.since_ns, 5 * NS_PER_S - 1);
	assert_int_equal(told.last.raised_ns, 5 * NS_PER_S);
	findings_say(&findings, KIND, "sda", FINDING_ACTIVE, 0, CLEAR_NS, 6 * NS_PER_S, "worse");
	assert_string_equal(findings_find(&findings, KIND, "sda")->sentence, "worse");
	/* The beginning stays. */
	assert_int_equal(findings_find(&findings, KIND, "sda")->since_ns, 5 * NS_PER_S - 1);
	for (uint64_t second = 7; second <= 17; second++)
		findings_say(&findings, KIND, "sda", FINDING_QUIET, 0, CLEAR_NS, second * NS_PER_S,
			     "not read");
	assert_int_equal(told.cleared, 1);
	assert_string_equal(told.why, "quiet for 10 s");
	assert_string_equal(told.last.sentence, "worse");
}

/* Subjects and kinds are kept apart, and those that remain keep their order. */
static void test_apart(void **state)
{
	struct findings findings;
	struct told told;

	(void)state;
	begin(&findings, &told);
	say(&findings, "sda", FINDING_ACTIVE, 1);
	say(&findings, "sdb", FINDING_ACTIVE, 2);
	findings_say(&findings, FINDING_DISK_ERRORS, "sda", FINDING_ACTIVE, 0, CLEAR_NS,
		     3 * NS_PER_S, "other");
	assert_int_equal(told.raised, 3);
	findings_end(&findings, KIND, "sdc", "never was", 4 * NS_PER_S);
	assert_int_equal(told.cleared, 0);
	findings_end(&findings, KIND, "sda", "gone", 4 * NS_PER_S);
	assert_int_equal(told.cleared, 1);
	assert_string_equal(told.why, "gone");
	assert_int_equal(findings.count, 2);
	assert_string_equal(findings.standing[0].subject, "sdb");
	assert_int_equal(findings.standing[1].kind, FINDING_DISK_ERRORS);
	assert_null(findings_find(&findings, KIND, "sda"));
}

static void test_bounded(void **state)
{
	struct findings findings;
	char subject[FINDING_SUBJECT_MAX + 16];
	struct told told;

	(void)state;
	begin(&findings, &told);
	for (unsigned int i = 0; i < FINDINGS_MAX + 3; i++) {
		snprintf(subject, sizeof(subject), "disk%u", i);
		say(&findings, subject, FINDING_ACTIVE, 1);
	}
	assert_int_equal(told.raised, FINDINGS_MAX);
	assert_int_equal(findings.lost, 3);
	/* A long subject is cut, and found again. */
	begin(&findings, &told);
	memset(subject, 'x', sizeof(subject) - 1);
	subject[sizeof(subject) - 1] = '\0';
	say(&findings, subject, FINDING_ACTIVE, 1);
	say(&findings, subject, FINDING_ACTIVE, 2);
	assert_int_equal(told.raised, 1);
}

static void test_blind(void **state)
{
	struct findings findings;
	struct told told;

	(void)state;
	begin(&findings, &told);
	findings_set_blind(&findings, KIND, "");
	assert_int_equal(told.blinded, 0);
	findings_set_blind(&findings, KIND, "no probe");
	findings_set_blind(&findings, KIND, "no probe");
	assert_int_equal(told.blinded, 1);
	findings_set_blind(&findings, KIND, "");
	assert_int_equal(told.blinded, 2);
}

/* Every kind has a name of its own. */
static void test_names(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < FINDING_KINDS; i++) {
		assert_non_null(finding_kind_name(i));
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(finding_kind_name(i), finding_kind_name(j));
	}
}

/* What is told goes into JSON, whatever a program or a file is called. */
static void test_printable(void **state)
{
	struct findings findings;
	struct told told;

	(void)state;
	begin(&findings, &told);
	findings_say(&findings, KIND, "a\xff\n", FINDING_ACTIVE, 1, 0, 1, "\x1b[31m");
	assert_string_equal(told.last.subject, "a??");
	assert_string_equal(told.last.sentence, "?[31m");
	findings_say(&findings, KIND, "a\xff\n", FINDING_ACTIVE, 1, 0, 2, "\xc3");
	assert_int_equal(told.raised, 1);
	assert_string_equal(findings_find(&findings, KIND, "a\xff\n")->sentence, "?");
	findings_end(&findings, KIND, "a\xff\n", "", 3);
	assert_int_equal(told.cleared, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hysteresis), cmocka_unit_test(test_told),
		cmocka_unit_test(test_apart),	   cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_blind),	   cmocka_unit_test(test_names),
		cmocka_unit_test(test_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
