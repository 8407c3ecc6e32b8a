// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Configurations as files: how one is loaded, and those that the project delivers. */
#include "config/config.h"

#include "config/keys.h"
#include "unit/config_expect.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct directory {
	char path[64];
	char file[96];
};

static int make_directory(void **state)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return -1;
	snprintf(directory->path, sizeof(directory->path), "/tmp/test_config.XXXXXX");
	if (!mkdtemp(directory->path)) {
		free(directory);
		return -1;
	}
	snprintf(directory->file, sizeof(directory->file), "%s/tocsin.yaml", directory->path);
	*state = directory;
	return 0;
}

static int remove_directory(void **state)
{
	struct directory *directory = *state;

	unlink(directory->file);
	rmdir(directory->path);
	free(directory);
	return 0;
}

static void assert_load_fails(const char *path, int expected, const char *reason)
{
	struct config config = {.node_count = 77};
	char message[1024] = "", line[512];
	struct text error = TEXT(message);

	snprintf(line, sizeof(line), "%s: %s", path, reason);
	assert_int_equal(config_load(path, &config, &error), expected);
	assert_string_equal(message, line);
	assert_int_equal(config.node_count, 77);
}

static void write_file(const char *path, const char *data, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, length), length);
	assert_int_equal(close(fd), 0);
}

static void test_load(void **state)
{
	struct directory *directory = *state;
	char message[1024] = "";
	struct text error = TEXT(message);
	struct config config = {0};

	write_file(directory->file, "node: abc\n", 10);
	assert_int_equal(config_load(directory->file, &config, &error), 0);
	assert_string_equal(message, "");
	assert_string_equal(config.node, "abc");
	config_free(&config);
}

static void test_load_errors(void **state)
{
	struct directory *directory = *state;

	assert_load_fails(directory->file, -ENOENT, "cannot be opened: No such file or directory");
	assert_load_fails(directory->path, -EISDIR, "found a directory, expected a regular file");
	assert_load_fails("/dev/null", -EINVAL, "found a device, expected a regular file");
	/* Would wait for ever for a writer if it were opened plainly; the alarm ends the test then.
	 */
	assert_int_equal(mkfifo(directory->file, 0600), 0);
	alarm(10);
	assert_load_fails(directory->file, -EINVAL, "found a pipe (FIFO), expected a regular file");
	alarm(0);
}

static void test_load_size(void **state)
{
	struct directory *directory = *state;
	size_t size = CONFIG_FILE_BYTES_MAX + 1;
	char *data = malloc(size);
	char message[1024] = "";
	struct text error = TEXT(message);
	struct config config = {0};

	assert_non_null(data);
	memset(data, '#', size);
	write_file(directory->file, data, size - 1);
	assert_int_equal(config_load(directory->file, &config, &error), 0);
	config_free(&config);
	write_file(directory->file, data, size);
	assert_load_fails(directory->file, -EFBIG, "is too long, expected at most 1048576 bytes");
	free(data);
}

static char *read_file(const char *path)
{
	FILE *stream = fopen(path, "r");
	char *data = calloc(1, 65536);

	if (!stream)
		fail_msg("cannot open %s: run this test from the root of the tree", path);
	assert_non_null(data);
	assert_true(fread(data, 1, 65535, stream) > 0);
	assert_int_equal(fclose(stream), 0);
	return data;
}

/* The reference names every key. */
static void test_documented(void **state)
{
	char *text = read_file("docs/configuration.md");

	(void)state;
	for (unsigned int i = 0; i < CONFIG_KEY_COUNT; i++) {
		char quoted[CONFIG_KEY_PATH_MAX + 2];

		snprintf(quoted, sizeof(quoted), "`%s`", config_keys[i].path);
		if (config_keys[i].type != &config_type_section && !strstr(text, quoted))
			fail_msg("docs/configuration.md does not tell of %s", quoted);
	}
	free(text);
}

static bool is_key(const char *path, size_t length)
{
	for (unsigned int i = 0; i < CONFIG_KEY_COUNT; i++)
		if (strlen(config_keys[i].path) == length &&
		    !strncmp(config_keys[i].path, path, length))
			return true;
	/* What stands for the keys that all findings have. */
	return !strncmp(path, "findings.KIND.", strlen("findings.KIND."));
}

/* And it names none that is not there: each name in the first column of its tables is a key. */
static void test_documented_keys(void **state)
{
	char *text = read_file("docs/configuration.md"), *rest = text, *line;
	unsigned int count = 0;

	(void)state;
	while ((line = strsep(&rest, "\n"))) {
		char *cell = !strncmp(line, "| `", 3) ? line + 2 : NULL, *end;

		if (!cell)
			continue;
		*strstr(cell, " | ") = '\0';
		for (; (cell = strchr(cell, '`')) && (end = strchr(++cell, '`')); cell = end + 1) {
			if (!is_key(cell, (size_t)(end - cell)))
				fail_msg("docs/configuration.md tells of %.*s, which is no key",
					 (int)(end - cell), cell);
			count++;
		}
	}
	assert_true(count > 50);
	free(text);
}

/*
 * The example is good as it is delivered, and also with every setting that it shows switched on:
 * their lines begin with '#' and not with '#' and one blank.
 */
static void test_example(void **state)
{
	char *text = read_file("deploy/tocsin.yaml");
	struct config config = {0}, expected = {0};
	char *to = text;

	(void)state;
	assert_int_equal(config_defaults(&expected), 0);
	config_expect_good(text, &config);
	assert_memory_equal(&config, &expected, sizeof(config));
	config_free(&config);

	for (const char *from = text; *from; from++) {
		bool first = from == text || from[-1] == '\n';

		bool remark = from[1] == '\n' || (from[1] == ' ' && from[2] != ' ');

		if (!first || *from != '#' || remark)
			*to++ = *from;
	}
	*to = '\0';
	config_expect_good(text, &config);
	assert_true(config.node_count > 0);
	for (unsigned int i = 0; i < CONFIG_KEY_COUNT; i++) {
		const char *dot = strrchr(config_keys[i].path, '.');
		char setting[CONFIG_KEY_PATH_MAX + 1];

		snprintf(setting, sizeof(setting), "%s:", dot ? dot + 1 : config_keys[i].path);
		if (!strstr(text, setting))
			fail_msg("deploy/tocsin.yaml does not show %s", config_keys[i].path);
	}
	config_free(&config);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_load, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_load_errors, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_load_size, make_directory, remove_directory),
		cmocka_unit_test(test_documented),
		cmocka_unit_test(test_documented_keys),
		cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
