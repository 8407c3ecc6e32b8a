// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which disks are of one model: with a directory of the test's own in the place of /sys/block. */
#include "probe/block_model.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#define DIRECTORY "/sys/block"

static bool hidden;

static void write_line(const char *disk, const char *directory, const char *file, const char *line)
{
	char path[128];
	FILE *stream;

	snprintf(path, sizeof(path), DIRECTORY "/%s", disk);
	assert_true(!mkdir(path, 0755) || errno == EEXIST);
	snprintf(path, sizeof(path), DIRECTORY "/%s/%s", disk, directory);
	assert_true(!mkdir(path, 0755) || errno == EEXIST);
	snprintf(path, sizeof(path), DIRECTORY "/%s/%s/%s", disk, directory, file);
	stream = fopen(path, "we");
	assert_non_null(stream);
	assert_true(fputs(line, stream) >= 0);
	assert_int_equal(fclose(stream), 0);
}

static void test_model(void **state)
{
	static const struct {
		const char *name, *directory;	/* as sysfs writes it */
		const char *model, *rotational; /* NULL: no such file */
		const char *expected;
	} cases[] = {
		/* SCSI pads its names. */
		{"sda", "sda", "ST4000NM0035    \n", "1\n", "ST4000NM0035, rotational"},
		{"sdb", "sdb", "ST4000NM0035\n", "1\n", "ST4000NM0035, rotational"},
		{"sdc", "sdc", "ST4000NM0035\n", "0\n", "ST4000NM0035"},
		{"nvme0n1", "nvme0n1", "SAMSUNG MZVL2512\n", "0\n", "SAMSUNG MZVL2512"},
		{"sdd", "sdd", "ST4000NM0035", NULL, "ST4000NM0035"},
		{"cciss/c0d0", "cciss!c0d0", "LOGICAL VOLUME\n", "1\n",
		 "LOGICAL VOLUME, rotational"},
		/* All that have none would be siblings. */
		{"vda", "vda", NULL, "1\n", ""},
		{"vdb", "vdb", "\n", "1\n", ""},
		{"vdc", "vdc", "", "1\n", ""},
		{"gone", "other", "M\n", "0\n", ""},
	};

	(void)state;
	if (!hidden) {
		print_message(DIRECTORY " cannot be replaced: it takes CAP_SYS_ADMIN\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char model[BLOCK_MODEL_BYTES];

		if (cases[i].model)
			write_line(cases[i].directory, "device", "model", cases[i].model);
		if (cases[i].rotational)
			write_line(cases[i].directory, "queue", "rotational", cases[i].rotational);
		memset(model, 'x', sizeof(model));
		block_model(cases[i].name, model);
		assert_string_equal(model, cases[i].expected);
	}
}

/* Of a name that is longer than there is room for, what rotates is still told from what does not.
 */
static void test_long(void **state)
{
	char name[200], model[BLOCK_MODEL_BYTES];

	(void)state;
	if (!hidden) {
		print_message(DIRECTORY " cannot be replaced: it takes CAP_SYS_ADMIN\n");
		skip();
	}
	memset(name, 'm', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	write_line("sdl", "device", "model", name);
	write_line("sdl", "queue", "rotational", "1");
	block_model("sdl", model);
	assert_int_equal(strspn(model, "m"), BLOCK_MODEL_BYTES - 16 - 1);
	assert_string_equal(model + strspn(model, "m"), ", rotational");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_long),
	};

	hidden = !unshare(CLONE_NEWNS) && !mount("", "/", "", MS_REC | MS_PRIVATE, NULL) &&
		 !mount("tmpfs", DIRECTORY, "tmpfs", 0, "size=1m");
	return cmocka_run_group_tests_name("block model", tests, NULL, NULL);
}
