// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/cgroup_owner.h"

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

static void test_said(void **state)
{
	static const struct {
		struct cgroup_owner owner;
		const char *words, *pod, *container;
	} cases[] = {
		{{{ID, UID, ""}, {"shop", "web-1", "app"}},
		 "container app of pod shop/web-1",
		 "web-1",
		 "app"},
		{{{ID, UID, ""}, {"shop", "web-1", ""}},
		 "container 0123456789ab of pod shop/web-1",
		 "web-1",
		 ID},
		{{{ID, UID, ""}, {"", "", ""}}, "container 0123456789ab of pod " UID, UID, ID},
		{{{"", UID, ""}, {"shop", "web-1", ""}}, "pod shop/web-1", "web-1", ""},
		{{{"", UID, ""}, {"", "", ""}}, "pod " UID, UID, ""},
	};

	static const struct cgroup_owner of_no_pod = {{ID, "", "a.service"}, {"", "", ""}};
	char nothing[16] = "";
	struct text nothing_text = TEXT(nothing);

	(void)state;
	assert_false(cgroup_owner_explain(&of_no_pod, " is of ", &nothing_text));
	assert_string_equal(nothing, "");
	for (size_t i = 0; i < COUNT(cases); i++) {
		char words[128] = "";
		struct text text = TEXT(words);

		text_printf(&text, "it");
		assert_true(cgroup_owner_explain(&cases[i].owner, " is of ", &text));
		assert_string_equal(words + strlen("it is of "), cases[i].words);
		assert_memory_equal(words, "it is of ", strlen("it is of "));
		assert_string_equal(cgroup_owner_pod(&cases[i].owner), cases[i].pod);
		assert_string_equal(cgroup_owner_container(&cases[i].owner), cases[i].container);
	}
}

static void test_subject(void **state)
{
	static const struct cgroup_owner none = {{ID, "", "a.service"}, {"shop", LONG, "app"}},
					 fits = {{ID, UID, ""}, {"shop", LONG, "app"}},
					 too_long = {{ID, UID, ""}, {LONG, LONG, "app"}};
	char subject[128] = "untouched";

	(void)state;
	assert_false(cgroup_owner_subject(&none, subject, sizeof(subject)));
	assert_string_equal(subject, "untouched");
	assert_true(cgroup_owner_subject(&fits, subject, sizeof(subject)));
	assert_string_equal(subject, "pod shop/" LONG);
	/* Two that begin alike stay two. */
	assert_true(cgroup_owner_subject(&too_long, subject, 120));
	assert_string_equal(subject, "pod " UID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_said),
		cmocka_unit_test(test_subject),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
