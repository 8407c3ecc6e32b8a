// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TWO   "\xc3\xb6"
#define THREE "\xe2\x82\xac"
#define FOUR  "\xf0\x9f\x94\xa5"

static void test_copy_cut(void **state)
{
	static const struct {
		const char *source;
		size_t size;
		const char *expected;
	} cases[] = {
		{"", 1, ""},
		{"abc", 4, "abc"},
		{"abc", 3, "ab"},
		{"abc", 1, ""},
		{"a" TWO, 4, "a" TWO},
		{"a" TWO, 3, "a"},
		{"a" TWO "b", 4, "a" TWO},
		{"a" THREE, 5, "a" THREE},
		{"a" THREE, 4, "a"},
		{"a" THREE, 3, "a"},
		{THREE, 3, ""},
		{"a" FOUR, 5, "a"},
		{"a" FOUR, 4, "a"},
		{"a" FOUR, 3, "a"},
		{"a" FOUR "b", 6, "a" FOUR},
		{TWO FOUR, 6, TWO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char target[16];

		memset(target, 'x', sizeof(target));
		text_copy_cut(target, cases[i].size, cases[i].source);
		if (strcmp(target, cases[i].expected) || target[cases[i].size] != 'x')
			fail_msg("case %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_copy_cut)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
