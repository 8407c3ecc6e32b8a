// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The journal's writer: what it stamps, how it rotates, and what becomes of the directory. */
#include "unit/journal_rig.h"

#include "base/clock.h"
#include "report/journal_frame.h"
#include "report/journal_reader.h"
#include "report/journal_record.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST_FILE "journal-00000001.log"

static void test_stamps(void **state)
{
	struct journal *journal = rig_open_in(*state);
	uint64_t before_ns = clock_realtime_ns(), boot_before_ns = clock_boottime_ns();
	struct journal_reader *reader = NULL;
	struct journal_record record = {0};
	char message[512] = "", boot_id[64] = "", expected[CLOCK_TEXT_MAX];
	struct text error = TEXT(message);
	uint64_t time_ns;
	FILE *stream = fopen("/proc/sys/kernel/random/boot_id", "re");

	assert_non_null(stream);
	assert_int_equal(fscanf(stream, "%63s", boot_id), 1);
	fclose(stream);
	/* What it stamps, a record cannot say otherwise. */
	assert_int_equal(journal_append(journal, json_pack("{s:s, s:s, s:i}", "kind", "agent",
							   "node", "forged", "time_ns", 1)),
			 0);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);

	assert_int_equal(journal_reader_open(&reader, *state, NULL, NULL, &error), 0);
	assert_int_equal(journal_reader_next(reader, &record, &error), 1);
	assert_int_equal(record.sequence, 1);
	time_ns = (uint64_t)json_integer_value(json_object_get(record.object, "time_ns"));
	assert_in_range(time_ns, before_ns, clock_realtime_ns());
	assert_in_range(json_integer_value(json_object_get(record.object, "boottime_ns")),
			boot_before_ns, clock_boottime_ns());
	clock_format_utc(time_ns, expected);
	assert_string_equal(json_string_value(json_object_get(record.object, "time")), expected);
	assert_string_equal(json_string_value(json_object_get(record.object, "boot_id")), boot_id);
	assert_string_equal(json_string_value(json_object_get(record.object, "node")), "n1");
	assert_int_equal(json_object_size(record.object), 6);
	json_decref(record.object);
	assert_int_equal(journal_reader_next(reader, &record, &error), 0);
	journal_reader_close(reader);
}

static void test_goes_on_after_restart(void **state)
{
	for (int run = 0; run < 5; run++) {
		struct journal *journal = rig_open_in(*state);

		assert_int_equal(journal_state(journal).appended, 10 * run);
		rig_append(journal, 10 * run, 10);
		rig_wait(journal);
		assert_int_equal(journal_state(journal).acknowledged, 10 * (run + 1));
		assert_int_equal(journal_close(journal, 10000, NULL), 0);
	}
	rig_expect(*state, 0, 50);
}

/* Any byte that a hook may print is a record in the end. */
static void test_strings(void **state)
{
	char longest[JOURNAL_STRING_MAX + 10];
	struct journal *journal = rig_open_in(*state);
	struct journal_reader *reader = NULL;
	struct journal_record record = {0};
	char message[512] = "";
	struct text error = TEXT(message);
	static const char *const expected[] = {"plain", "???\n\033[2J", "n\xc3\xb6rd"};

	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest + JOURNAL_STRING_MAX - 1, "\xc3\xb6", 2);
	assert_int_equal(
		journal_append(journal, journal_action("n3", "hook", JOURNAL_DONE, "plain")), 0);
	assert_int_equal(journal_append(journal, journal_action("n3", "hook", JOURNAL_FAILED,
								"\xff\xc3\x80\n\033[2J")),
			 0);
	assert_int_equal(
		journal_append(journal, journal_action("n3", "hook", JOURNAL_DONE, "n\xc3\xb6rd")),
		0);
	assert_int_equal(
		journal_append(journal, journal_action("n3", "hook", JOURNAL_DONE, longest)), 0);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	assert_int_equal(journal_reader_open(&reader, *state, NULL, NULL, &error), 0);
	for (size_t i = 0; i < 4; i++) {
		const char *detail;

		assert_int_equal(journal_reader_next(reader, &record, &error), 1);
		detail = json_string_value(json_object_get(record.object, "detail"));
		if (i < 3)
			assert_string_equal(detail, expected[i]);
		else
			assert_int_equal(strlen(detail), JOURNAL_STRING_MAX - 1);
		json_decref(record.object);
	}
	journal_reader_close(reader);
}

static unsigned int count_files(const char *directory, off_t *ret_largest)
{
	DIR *stream = opendir(directory);
	const struct dirent *entry;
	unsigned int count = 0;
	struct stat status;

	assert_non_null(stream);
	*ret_largest = 0;
	while ((entry = readdir(stream))) {
		if (entry->d_name[0] == '.')
			continue;
		assert_memory_equal(entry->d_name, "journal-", 8);
		assert_int_equal(fstatat(dirfd(stream), entry->d_name, &status, 0), 0);
		if (status.st_size > *ret_largest)
			*ret_largest = status.st_size;
		count++;
	}
	closedir(stream);
	return count;
}

static void test_rotation(void **state)
{
	const struct journal_options options = {
		.directory = *state, .node = "n1", .limits = {.file_bytes = 2048, .files = 3}};
	struct journal *journal = rig_open(&options);
	const struct rig_read *read;
	off_t largest;

	for (int i = 0; i < 20; i++) {
		rig_append(journal, 5 * i, 5);
		rig_wait(journal);
		assert_in_range(count_files(*state, &largest), 1, 3);
		assert_in_range(largest, 1, 2048);
	}
	assert_int_equal(count_files(*state, &largest), 3);
	assert_true(journal_state(journal).file > 5);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	read = rig_read(*state);
	assert_int_equal(read->result, 0);
	assert_int_equal(read->warnings, 0);
	assert_in_range(read->count, 10, 30);
	for (size_t i = 0; i < read->count; i++)
		assert_int_equal(read->numbers[i], 100 - read->count + i);

	/* Fewer are kept from now on; the one that is written is never removed. */
	journal = rig_open(&(struct journal_options){
		.directory = *state, .node = "n1", .limits = {.file_bytes = 2048, .files = 1}});
	for (int i = 100; i < 120; i++) {
		rig_append(journal, i, 1);
		rig_wait(journal);
	}
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	assert_int_equal(count_files(*state, &largest), 1);
	read = rig_read(*state);
	assert_int_equal(read->numbers[read->count - 1], 119);
}

/* One record may be longer than a file should be. */
static void test_sizes(void **state)
{
	const struct journal_options options = {
		.directory = *state, .node = "n1", .limits = {.file_bytes = 1000, .files = 4}};
	struct journal *journal = rig_open(&options);
	char *string = calloc(1, JOURNAL_PAYLOAD_BYTES + 1);
	off_t largest;

	assert_non_null(string);
	memset(string, 's', JOURNAL_PAYLOAD_BYTES);
	assert_int_equal(journal_append(journal, json_pack("{s:s, s:i, s:s}", "kind", "test",
							   "number", 0, "long", string)),
			 -EMSGSIZE);
	string[JOURNAL_PAYLOAD_BYTES - 300] = '\0';
	for (int i = 1; i <= 3; i++)
		assert_int_equal(
			journal_append(journal, json_pack("{s:s, s:i, s:s}", "kind", "test",
							  "number", i, "long", string)),
			0);
	assert_int_equal(journal_append(journal, NULL), -ENOMEM);
	rig_append(journal, 4, 1);
	rig_wait(journal);
	assert_int_equal(journal_state(journal).lost, 2);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	assert_int_equal(count_files(*state, &largest), 4);
	free(string);
	{
		const struct rig_read *read = rig_read(*state);

		/* The record that tells of the first loss was rotated away, or not. */
		assert_int_equal(read->warnings, 0);
		assert_int_equal(read->numbers[read->count - 1], 4);
		assert_int_equal(read->numbers[read->count - 2], -1);
		assert_int_equal(read->numbers[read->count - 3], 3);
	}
}

/* Someone removed the file: the next record makes a new one instead of going nowhere. */
static void test_file_removed(void **state)
{
	struct journal *journal = rig_open_in(*state);

	rig_append(journal, 0, 2);
	rig_wait(journal);
	rig_empty(*state);
	rig_append(journal, 2, 2);
	rig_wait(journal);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	rig_expect(*state, 2, 2);
}

static void on_change(void *context)
{
	atomic_fetch_add((atomic_uint *)context, 1);
}

static void test_callback(void **state)
{
	atomic_uint calls = 0;
	struct journal *journal = rig_open(&(struct journal_options){
		.directory = *state, .node = "n1", .on_change = on_change, .context = &calls});

	for (int i = 0; i < 3; i++) {
		rig_append(journal, i, 1);
		rig_wait(journal);
	}
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	assert_int_equal(calls, 3);
}

static void test_no_directory(void **state)
{
	char message[512] = "", path[2 * RIG_PATH_MAX];
	struct text error = TEXT(message);
	struct journal *journal = NULL;
	struct journal_options options = {.directory = path, .node = "n1"};

	snprintf(path, sizeof(path), "%s/none", (const char *)*state);
	assert_int_equal(journal_open(&journal, &options, &error), -ENOENT);
	assert_non_null(strstr(message, "/none: the directory cannot be opened: No such file"));
	rig_store(*state, FIRST_FILE, "", 0);
	snprintf(path, sizeof(path), "%s/" FIRST_FILE, (const char *)*state);
	error = TEXT(message);
	assert_int_equal(journal_open(&journal, &options, &error), -ENOTDIR);
	assert_null(journal);
	assert_int_equal(journal_close(NULL, 0, NULL), 0);
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, rig_make_directory, rig_remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stamps),   TEST(test_goes_on_after_restart),
		TEST(test_strings),  TEST(test_rotation),
		TEST(test_sizes),    TEST(test_file_removed),
		TEST(test_callback), TEST(test_no_directory),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
