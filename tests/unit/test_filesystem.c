// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The rule of file systems, and how a line of mountinfo is read. */
#include "detect/filesystem.h"
#include "probe/filesystem_mount.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static void test_judge(void **state)
{
	static const struct {
		struct filesystem_evidence evidence;
		double used_percent;
		enum finding_level level;
		const char *sentence;
	} cases[] = {
		{{.used_bytes = 95 * MIB, .free_bytes = 5 * MIB},
		 95,
		 FINDING_ACTIVE,
		 "95.0 % of its space is used, expected below 95 %; 5 MiB are free"},
		{{.used_bytes = 949 * MIB, .free_bytes = 51 * MIB}, 95, FINDING_NEAR, ""},
		{{.used_bytes = 903 * MIB, .free_bytes = 97 * MIB}, 95, FINDING_NEAR, ""},
		{{.used_bytes = 902 * MIB, .free_bytes = 98 * MIB}, 95, FINDING_QUIET, ""},
		{{.used_bytes = 10 * MIB, .free_bytes = 0},
		 100,
		 FINDING_ACTIVE,
		 "100.0 % of its space is used, expected below 100 %; 0 MiB are free"},
		/* One without space of its own. */
		{{0}, 95, FINDING_QUIET, ""},
		{{.used_inodes = 96, .free_inodes = 4},
		 95,
		 FINDING_ACTIVE,
		 "96.0 % of its inodes are used, expected below 95 %; 4 are free"},
		{{.used_bytes = 1, .free_bytes = 99, .used_inodes = 94, .free_inodes = 6},
		 95,
		 FINDING_NEAR,
		 ""},
		{{.used_bytes = 99 * MIB, .free_bytes = MIB, .used_inodes = 99, .free_inodes = 1},
		 95,
		 FINDING_ACTIVE,
		 "99.0 % of its space is used, expected below 95 %; 1 MiB are free; 99.0 % of its "
		 "inodes are used, expected below 95 %; 1 are free"},
		/* Read-only from the start, full or not. */
		{{.read_only = true, .used_bytes = 100}, 95, FINDING_QUIET, ""},
		{{.was_writable = true}, 95, FINDING_QUIET, ""},
		{{.remounts_on_error = true}, 95, FINDING_QUIET, ""},
		{{.read_only = true, .was_writable = true},
		 95,
		 FINDING_ACTIVE,
		 "it is read-only, and was writable before"},
		{{.read_only = true, .was_writable = true, .used_bytes = 99, .free_bytes = 1},
		 95,
		 FINDING_ACTIVE,
		 "it is read-only, and was writable before; 99.0 % of its space is used, expected "
		 "below 95 %; 0 MiB are free"},
		{{.read_only = true, .remounts_on_error = true},
		 95,
		 FINDING_ACTIVE,
		 "it is read-only and mounted with errors=remount-ro, expected writable"},
		{{.shut = true},
		 95,
		 FINDING_ACTIVE,
		 "it has shut itself off after an error, expected writable"},
		/* What is said beside an error does not count. */
		{{.error = EIO, .read_only = true, .was_writable = true},
		 95,
		 FINDING_ACTIVE,
		 "it answers with an error, expected none: Input/output error"},
		{{.error = ENOTCONN},
		 95,
		 FINDING_ACTIVE,
		 "it answers with an error, expected none: Transport endpoint is not connected"},
		{{.error = EACCES}, 95, FINDING_QUIET, ""},
		{{.error = ENOENT}, 95, FINDING_QUIET, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);
		enum finding_level level =
			filesystem_judge(&cases[i].evidence, cases[i].used_percent, &text);

		if (level != cases[i].level || strcmp(sentence, cases[i].sentence) ||
		    text.truncated)
			fail_msg("case %zu: %d, '%s'", i, level, sentence);
	}
}

static void test_mountinfo(void **state)
{
	static const struct {
		const char *line;
		bool good;
		struct filesystem_mount mount;
	} cases[] = {
		{"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n",
		 true,
		 {.id = 36, .device = UINT64_C(98) << 32, .type = "ext3", .path = "/mnt2"}},
		/* No optional field, and several. */
		{"1 2 0:31 / /run rw - tmpfs tmpfs rw,size=10k\n",
		 true,
		 {.id = 1, .device = 31, .type = "tmpfs", .path = "/run"}},
		{"1 2 0:31 / /run rw shared:1 master:2 unbindable - tmpfs tmpfs rw\n",
		 true,
		 {.id = 1, .device = 31, .type = "tmpfs", .path = "/run"}},
		/* A bind mount that is read-only, of a file system that is not. */
		{"1 2 8:1 /a /b ro,relatime - ext4 /dev/sda1 rw\n",
		 true,
		 {.id = 1, .device = UINT64_C(8) << 32 | 1, .type = "ext4", .path = "/b"}},
		{"1 2 8:1 /a /b rw,relatime - ext4 /dev/sda1 ro,errors=remount-ro\n",
		 true,
		 {.id = 1,
		  .device = UINT64_C(8) << 32 | 1,
		  .type = "ext4",
		  .path = "/b",
		  .read_only = true,
		  .remounts_on_error = true}},
		{"1 2 8:1 /a /b rw - ext4 /dev/sda1 rw,emergency_ro,x=y\n",
		 true,
		 {.id = 1,
		  .device = UINT64_C(8) << 32 | 1,
		  .type = "ext4",
		  .path = "/b",
		  .shut = true}},
		/* Only whole options count. */
		{"1 2 8:1 /a /b rw - ext4 /dev/sda1 rw,root=1,nro,errors=remount-rox\n",
		 true,
		 {.id = 1, .device = UINT64_C(8) << 32 | 1, .type = "ext4", .path = "/b"}},
		/* Escapes; "-" as a name; an empty source. */
		{"1 2 0:9 / /with\\040blank\\134\\011x rw - tmpfs none rw\n",
		 true,
		 {.id = 1, .device = 9, .type = "tmpfs", .path = "/with blank\\\tx"}},
		/* Three digits, or it is none. */
		{"1 2 0:9 / /a\\4 rw - tmpfs none rw\n",
		 true,
		 {.id = 1, .device = 9, .type = "tmpfs", .path = "/a\\4"}},
		{"1 2 0:9 / /a\\+40\\777 rw - tmpfs none rw\n",
		 true,
		 {.id = 1, .device = 9, .type = "tmpfs", .path = "/a\\+40\\777"}},
		{"1 2 0:9 / /a rw - tmpfs - ro\n",
		 true,
		 {.id = 1, .device = 9, .type = "tmpfs", .path = "/a", .read_only = true}},
		{"1 2 0:9 / /a rw - tmpfs  ro\n",
		 true,
		 {.id = 1, .device = 9, .type = "tmpfs", .path = "/a", .read_only = true}},
		{"", false, {0}},
		{"\n", false, {0}},
		{"1 2 0:9 / /a rw\n", false, {0}},
		{"1 2 0:9 / /a rw - tmpfs\n", false, {0}},
		{"1 2 0:9 / /a rw shared:1 tmpfs none rw\n", false, {0}},
		{"x 2 0:9 / /a rw - tmpfs none rw\n", false, {0}},
		{"1 2 09 / /a rw - tmpfs none rw\n", false, {0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct filesystem_mount mount;
		char line[512];
		bool good;

		snprintf(line, sizeof(line), "%s", cases[i].line);
		good = filesystem_mount_parse(line, &mount);
		if (good != cases[i].good ||
		    (good &&
		     (mount.id != cases[i].mount.id || mount.device != cases[i].mount.device ||
		      mount.read_only != cases[i].mount.read_only ||
		      mount.remounts_on_error != cases[i].mount.remounts_on_error ||
		      mount.shut != cases[i].mount.shut ||
		      strcmp(mount.type, cases[i].mount.type) ||
		      strcmp(mount.path, cases[i].mount.path))))
			fail_msg("case %zu: %s", i, cases[i].line);
	}
}

/* A path that cannot be asked is none. */
static void test_long_path(void **state)
{
	static const int lengths[] = {PATH_MAX - 1, PATH_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		static struct filesystem_mount mount;
		char line[PATH_MAX + 128];

		snprintf(line, sizeof(line), "1 2 0:9 / %0*d rw - tmpfs none rw\n", lengths[i], 0);
		assert_int_equal(filesystem_mount_parse(line, &mount), lengths[i] < PATH_MAX);
	}
}

static void test_counts(void **state)
{
	static const struct {
		const char *type, *path;
		bool counts;
	} cases[] = {
		{"ext4", "/", true},
		{"tmpfs", "/run", true},
		{"nfs4", "/data", true},
		{"fuse.sshfs", "/s", true},
		{"proc", "/proc", false},
		{"autofs", "/net", false},
		{"squashfs", "/snap", false},
		{"overlay", "/", true},
		{"overlay", "/var/lib/containers/1/merged", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		static struct filesystem_mount mount;

		snprintf(mount.type, sizeof(mount.type), "%s", cases[i].type);
		snprintf(mount.path, sizeof(mount.path), "%s", cases[i].path);
		assert_int_equal(filesystem_mount_counts(&mount), cases[i].counts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
