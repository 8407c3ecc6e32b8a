// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is given back is as it was when it is needed again, and what was changed is kept. */
#include "base/memory.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TABLE_BYTES (1 << 20)

/* As its file is. */
static const unsigned char table[TABLE_BYTES] = {1, [TABLE_BYTES - 1] = 2};

static int one(void)
{
	return 1;
}

static int two(void)
{
	return 2;
}

/* Addresses that were put in when the program was loaded, and made read-only then. */
static int (*const volatile functions[])(void) = {one, two};

static unsigned int sum_table(void)
{
	const volatile unsigned char *bytes = table;
	unsigned int sum = 0;

	for (size_t i = 0; i < TABLE_BYTES; i++)
		sum += bytes[i];
	return sum;
}

static uint64_t resident_file_kb(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	uint64_t kb = 0;
	char line[256];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "RssFile: %" SCNu64, &kb) == 1)
			break;
	fclose(file);
	return kb;
}

static void test_give_back(void **state)
{
	uint64_t before_kb, after_kb;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sum_table(), 3);
		before_kb = resident_file_kb();
		memory_give_back();
		after_kb = resident_file_kb();
		/* To look at it brings some of the program back. */
		assert_in_range(after_kb, 1, before_kb - TABLE_BYTES / 1024 / 2);
		assert_int_equal(sum_table(), 3);
		assert_int_equal(functions[0]() + functions[1](), 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_give_back),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
