// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Block devices by name and number: each one of this machine, and what is none. */
#include "base/block_device.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

static void test_names_and_numbers_lead_to_each_other(void **state)
{
	DIR *directory = opendir("/sys/class/block");
	const struct dirent *entry;
	unsigned int devices = 0;

	(void)state;
	while (directory && (entry = readdir(directory))) {
		char path[300], name[64];
		struct stat status;
		uint32_t device, same;

		if (entry->d_name[0] == '.' || strchr(entry->d_name, '!'))
			continue;
		assert_int_equal(block_device_find(entry->d_name, &device), 0);
		assert_int_equal(block_device_name(device, name, sizeof(name)), 0);
		assert_string_equal(name, entry->d_name);
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		assert_int_equal(block_device_find(path, &same), 0);
		assert_int_equal(device, same);
		if (!stat(path, &status))
			assert_int_equal(device,
					 major(status.st_rdev) << 20 | minor(status.st_rdev));
		devices++;
	}
	if (directory)
		closedir(directory);
	if (!devices) {
		print_message("no block devices here (/sys/class/block)\n");
		skip();
	}
}

static void test_what_is_none(void **state)
{
	static const struct {
		const char *text;
		int error;
	} cases[] = {
		{"", -ENOENT},
		{".", -ENOENT},
		{"..", -ENOENT},
		{"nosuch", -ENOENT},
		{"/dev/nosuch", -ENOENT},
		{"mapper/nosuch", -ENOENT},
		{"/dev/null", -ENOTBLK},
		{"null", -ENOTBLK},
		{"null/x", -ENOENT},
		{"/nosuch/at/all", -ENOENT},
	};
	char name[64];
	uint32_t device;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int r = block_device_find(cases[i].text, &device);

		if (r != cases[i].error)
			fail_msg("'%s': %d instead of %d", cases[i].text, r, cases[i].error);
	}
	assert_int_equal(block_device_name(4095U << 20, name, sizeof(name)), -ENOENT);
	block_device_number(253U << 20 | 1048575, name, sizeof(name));
	assert_string_equal(name, "253:1048575");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_numbers_lead_to_each_other),
		cmocka_unit_test(test_what_is_none),
	};

	return cmocka_run_group_tests_name("block_device", tests, NULL, NULL);
}
