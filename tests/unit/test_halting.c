// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/halting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utmp.h>

#include <cmocka.h>

/* A root of the test's own. */
static char directory[32], no_login[64], utmp_file[64];

static int set_up(void **state)
{
	char run[64];

	(void)state;
	strcpy(directory, "/tmp/test_halting.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(run, sizeof(run), "%s/run", directory);
	assert_int_equal(mkdir(run, 0700), 0);
	snprintf(no_login, sizeof(no_login), "%s/run/nologin", directory);
	snprintf(utmp_file, sizeof(utmp_file), "%s/run/utmp", directory);
	return 0;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static void write_file(const char *path, const void *data, size_t size)
{
	FILE *stream = fopen(path, "we");

	assert_non_null(stream);
	assert_int_equal(fwrite(data, 1, size, stream), size);
	assert_int_equal(fclose(stream), 0);
}

static void test_no_files(void **state)
{
	(void)state;
	assert_false(halting_is_told(directory));
	assert_false(halting_is_told("/nonexistent"));
}

static void test_no_login(void **state)
{
	static const struct {
		const char *text;
		bool told;
	} cases[] = {
		{"System is going down. Unprivileged users are not permitted to log in anymore. "
		 "For technical details, see pam_nologin(8).\n",
		 true},
		{"System is going down", true},
		{"System is going dow", false},
		{"System is booting up. Unprivileged users are not permitted to log in yet. "
		 "Please come back later. For technical details, see pam_nologin(8).\n",
		 false},
		{"Maintenance until six\n", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_file(no_login, cases[i].text, strlen(cases[i].text));
		if (halting_is_told(directory) != cases[i].told)
			fail_msg("'%s': expected %d", cases[i].text, cases[i].told);
	}
	assert_int_equal(remove(no_login), 0);
	assert_int_equal(mkdir(no_login, 0700), 0);
	assert_false(halting_is_told(directory));
}

static void test_runlevel(void **state)
{
	static const struct {
		const char *name;
		short type;
		int now, before;
		bool told;
	} cases[] = {
		{"running", RUN_LVL, '5', 'N', false},
		{"single user", RUN_LVL, '1', '5', false},
		{"halts", RUN_LVL, '0', '5', true},
		{"reboots", RUN_LVL, '6', '2', true},
		{"has halted before", RUN_LVL, '2', '6', false},
		{"not a runlevel", USER_PROCESS, '0', '5', false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct utmp records[] = {
			{.ut_type = BOOT_TIME, .ut_pid = '6'},
			{.ut_type = cases[i].type, .ut_pid = cases[i].now | cases[i].before << 8},
		};

		write_file(utmp_file, records, sizeof(records));
		if (halting_is_told(directory) != cases[i].told)
			fail_msg("%s: expected %d", cases[i].name, cases[i].told);
	}
	write_file(utmp_file, "0", 1);
	assert_false(halting_is_told(directory));
	write_file(utmp_file, "", 0);
	assert_false(halting_is_told(directory));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_login, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_runlevel, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
