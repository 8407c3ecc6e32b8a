// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/pod_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ID	     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID	     "7d3f1c62-9a4e-4d1b-8f0a-2b6c5d4e3f21"
/* Of 60 characters. */
#define LONG "a23456789b123456789c123456789d123456789e123456789f1234567890"

static void test_explained(void **state)
{
	static const struct {
		struct cgroup_name group;
		struct pod_name name;
		const char *words;
	} cases[] = {
		{{ID, UID, ""}, {"shop", "web-1", "app"}, "container app of pod shop/web-1"},
		{{ID, UID, ""}, {"shop", "web-1", ""}, "container 0123456789ab of pod shop/web-1"},
		{{ID, UID, ""}, {"", "", ""}, "container 0123456789ab of pod " UID},
		{{"", UID, ""}, {"shop", "web-1", ""}, "pod shop/web-1"},
		{{"", UID, ""}, {"", "", ""}, "pod " UID},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char words[128] = "";
		struct text text = TEXT(words);

		pod_name_explain(&cases[i].group, &cases[i].name, &text);
		assert_string_equal(words, cases[i].words);
	}
}

static void test_subject(void **state)
{
	static const struct cgroup_name pod = {ID, UID, ""}, none = {ID, "", "a.service"};
	static const struct pod_name fits = {"shop", LONG, "app"}, too_long = {LONG, LONG, "app"};
	char subject[128] = "untouched";

	(void)state;
	assert_false(pod_name_subject(&none, &fits, subject, sizeof(subject)));
	assert_string_equal(subject, "untouched");
	assert_true(pod_name_subject(&pod, &fits, subject, sizeof(subject)));
	assert_string_equal(subject, "pod shop/" LONG);
	/* Two that begin alike stay two. */
	assert_true(pod_name_subject(&pod, &too_long, subject, 120));
	assert_string_equal(subject, "pod " UID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_explained),
		cmocka_unit_test(test_subject),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
