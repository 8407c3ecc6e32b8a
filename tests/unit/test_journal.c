// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The journal's writer: what it stamps, how it rotates, and what it does when the disk is full,
 * fails or hangs. */
#include "unit/journal_rig.h"

#include "base/clock.h"
#include "report/journal_frame.h"
#include "report/journal_reader.h"
#include "report/journal_record.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
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

/* A disk that does what a test asks for. */
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t change;
	bool hung;	 /* sync does not return */
	bool waiting;	 /* in such a sync */
	int write_error; /* 0: none */
	off_t size;	 /* of a file, at most; 0: no limit */
	int sync_error;
	int truncate_error;
	unsigned int syncs;
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static ssize_t disk_write(int fd, const void *data, size_t bytes, off_t offset)
{
	int error = 0;

	pthread_mutex_lock(&disk.mutex);
	if (disk.write_error) {
		error = disk.write_error;
	} else if (disk.size && offset >= disk.size) {
		error = ENOSPC;
	} else if (disk.size && offset + (off_t)bytes > disk.size) {
		bytes = (size_t)(disk.size - offset);
	}
	pthread_mutex_unlock(&disk.mutex);
	errno = error;
	return error ? -1 : pwrite(fd, data, bytes, offset);
}

static int disk_sync(int fd)
{
	int error;

	(void)fd;
	pthread_mutex_lock(&disk.mutex);
	disk.waiting = true;
	pthread_cond_broadcast(&disk.change);
	while (disk.hung)
		pthread_cond_wait(&disk.change, &disk.mutex);
	disk.waiting = false;
	disk.syncs++;
	error = disk.sync_error;
	pthread_mutex_unlock(&disk.mutex);
	errno = error;
	return error ? -1 : 0;
}

static int disk_truncate(int fd, off_t bytes)
{
	int error;

	pthread_mutex_lock(&disk.mutex);
	error = disk.truncate_error;
	pthread_mutex_unlock(&disk.mutex);
	errno = error;
	return error ? -1 : ftruncate(fd, bytes);
}

static struct journal_io disk_io(void)
{
	struct journal_io io = journal_io;

	io.write = disk_write;
	io.sync = disk_sync;
	io.truncate = disk_truncate;
	return io;
}

#define disk_set(member, value)                       \
	do {                                          \
		pthread_mutex_lock(&disk.mutex);      \
		disk.member = (value);                \
		pthread_cond_broadcast(&disk.change); \
		pthread_mutex_unlock(&disk.mutex);    \
	} while (0)

static void disk_hang(void)
{
	pthread_mutex_lock(&disk.mutex);
	disk.hung = true;
	disk.waiting = false;
	pthread_mutex_unlock(&disk.mutex);
}

/* Until the journal's thread is in a sync that does not return. */
static void disk_wait_hung(void)
{
	pthread_mutex_lock(&disk.mutex);
	while (!disk.waiting)
		pthread_cond_wait(&disk.change, &disk.mutex);
	pthread_mutex_unlock(&disk.mutex);
}

static void wait_failures(struct journal *journal, uint64_t failures)
{
	uint64_t deadline_ns = clock_monotonic_ns() + 20 * NS_PER_S;

	while (journal_state(journal).failures < failures) {
		assert_true(clock_monotonic_ns() < deadline_ns);
		usleep(500);
	}
}

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
								"\xff\xc3\x80\n\033[2J" + 0)),
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

static void test_group_commit(void **state)
{
	const struct journal_io io = disk_io();
	struct journal *journal =
		rig_open(&(struct journal_options){.directory = *state, .node = "n1", .io = &io});

	disk_hang();
	rig_append(journal, 0, 1);
	disk_wait_hung();
	rig_append(journal, 1, 500);
	assert_int_equal(journal_state(journal).acknowledged, 0);
	disk_set(syncs, 0);
	disk_set(hung, false);
	rig_wait(journal);
	assert_int_equal(disk.syncs, 2);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	rig_expect(*state, 0, 501);
}

/* The disk does not answer: nobody waits, memory is bounded, and what is missing is told where. */
static void test_hung_disk(void **state)
{
	const struct journal_io io = disk_io();
	struct journal *journal = rig_open(&(struct journal_options){
		.directory = *state, .node = "n1", .io = &io, .queue_records = 100});
	const struct rig_read *read;
	struct journal_state now;
	uint64_t start_ns, longest_ns = 0;
	char *log;

	disk_hang();
	rig_append(journal, 0, 1);
	disk_wait_hung();
	for (int i = 1; i < 1000; i++) {
		start_ns = clock_monotonic_ns();
		assert_int_equal(journal_append(journal, rig_record(i)), i < 100 ? 0 : -ENOBUFS);
		if (clock_monotonic_ns() - start_ns > longest_ns)
			longest_ns = clock_monotonic_ns() - start_ns;
	}
	/* Mostly some 10 us; this machine's scheduler is in it. */
	assert_true(longest_ns < 200 * NS_PER_MS);
	now = journal_state(journal);
	assert_int_equal(now.queued_records, 100);
	assert_int_equal(now.lost, 900);
	assert_int_equal(now.acknowledged, 0);
	assert_int_equal(now.error, 0);
	assert_true(now.oldest_age_ns > 0);

	rig_capture();
	journal_tell(journal);
	usleep(2100000);
	journal_tell(journal);
	journal_tell(journal);
	disk_set(hung, false);
	rig_wait(journal);
	journal_tell(journal);
	journal_tell(journal);
	log = rig_captured();
	assert_non_null(strstr(log, "event=\"journal records are lost: the queue is full\" "
				    "queued_records=100 "));
	assert_non_null(strstr(log, "event=\"the journal's disk does not answer; what comes is "
				    "kept\" oldest_ms=2"));
	assert_non_null(strstr(log, "event=\"the journal's disk answers again\""));
	assert_non_null(strstr(log, "event=\"journal records were lost\" records=900"));
	{
		unsigned int lines = 0;

		for (const char *c = log; *c; c++)
			lines += *c == '\n';
		assert_int_equal(lines, 4);
	}
	free(log);

	rig_append(journal, 1000, 1);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	read = rig_read(*state);
	assert_int_equal(read->count, 102);
	assert_int_equal(read->numbers[99], 99);
	assert_int_equal(read->numbers[100], -1);
	assert_int_equal(read->lost, 900);
	assert_int_equal(read->numbers[101], 1000);
}

/* The record of the loss stands where the loss was, also when the queue fills up again. */
static void test_lost_by_bytes(void **state)
{
	const struct journal_io io = disk_io();
	struct journal *journal = rig_open(&(struct journal_options){
		.directory = *state, .node = "n1", .io = &io, .queue_bytes = 3000});
	const struct rig_read *read;
	int taken = 0, refused = 0;

	for (int round = 0; round < 3; round++) {
		disk_hang();
		rig_append(journal, 1000 * round, 1);
		disk_wait_hung();
		for (int i = 1; i < 40; i++) {
			if (journal_append(journal, rig_record(1000 * round + i)))
				refused++;
			else
				taken++;
		}
		assert_in_range(journal_state(journal).queued_bytes, 2000, 3000);
		disk_set(hung, false);
		rig_wait(journal);
		/* The thread tells it by itself, too, when nobody appends any more. */
		while (journal_state(journal).appended < (uint64_t)(taken + round + 1 + round + 1))
			usleep(500);
		rig_wait(journal);
	}
	assert_true(taken > 10 && refused > 10);
	assert_int_equal(journal_state(journal).lost, refused);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	read = rig_read(*state);
	assert_int_equal(read->count, taken + 3 + 3);
	assert_int_equal(read->lost, refused);
	assert_int_equal(read->warnings, 0);
}

/* An agent that ends does not wait for the disk for ever; nothing is freed under the thread. */
static void test_close_while_hung(void **state)
{
	const struct journal_io io = disk_io();
	struct journal *journal =
		rig_open(&(struct journal_options){.directory = *state, .node = "n1", .io = &io});
	uint64_t start_ns, unwritten = 0, deadline_ns;

	disk_hang();
	rig_append(journal, 0, 1);
	disk_wait_hung();
	rig_append(journal, 1, 9);
	start_ns = clock_monotonic_ns();
	assert_int_equal(journal_close(journal, 100, &unwritten), -ETIMEDOUT);
	assert_in_range(clock_monotonic_ns() - start_ns, 100 * NS_PER_MS, 5 * NS_PER_S);
	assert_int_equal(unwritten, 10);
	/* The disk comes back: the thread writes the rest and goes. */
	disk_set(hung, false);
	deadline_ns = clock_monotonic_ns() + 20 * NS_PER_S;
	while (rig_read(*state)->count < 10) {
		assert_true(clock_monotonic_ns() < deadline_ns);
		usleep(1000);
	}
	usleep(50000);
	rig_expect(*state, 0, 10);
}

static off_t file_size(const char *directory)
{
	size_t size;

	free(rig_load(directory, FIRST_FILE, &size));
	return (off_t)size;
}

/* Room for some bytes more, at each number of them: no record is ever there in part, what fits is
 * written, and all is once there is room. */
static void test_disk_full(void **state)
{
	const struct journal_io io = disk_io();
	const struct journal_options options = {
		.directory = *state, .node = "n1", .io = &io, .retry_ms = 1};
	off_t two, record, step;

	for (off_t room = 0;; room += step) {
		struct journal *journal = rig_open(&options);
		const struct rig_read *read;
		struct journal_state now;
		uint64_t fitting;

		rig_append(journal, 0, 2);
		rig_wait(journal);
		two = file_size(*state);
		record = (two - JOURNAL_HEADER_BYTES) / 2;
		step = record / 40;
		fitting = (uint64_t)(room / record);
		if (fitting == 3) {
			assert_int_equal(journal_close(journal, 10000, NULL), 0);
			break;
		}
		disk_set(size, two + room);
		rig_append(journal, 2, 3);
		/* The second failure of a single record is the last that changes anything. */
		wait_failures(journal, 3);
		now = journal_state(journal);
		assert_int_equal(now.error, -ENOSPC);
		assert_int_equal(now.acknowledged, 2 + fitting);
		assert_int_equal(now.queued_records, 3 - fitting);
		read = rig_read(*state);
		assert_int_equal(read->count, 2 + fitting);
		assert_int_equal(read->warnings, 0);
		disk_set(size, 0);
		rig_wait(journal);
		assert_int_equal(journal_state(journal).error, 0);
		assert_int_equal(journal_state(journal).lost, 0);
		assert_int_equal(journal_close(journal, 10000, NULL), 0);
		rig_expect(*state, 0, 5);
		rig_empty(*state);
	}
}

/* Told once, and once that it is over; not with every try. */
static void test_failure_is_told_once(void **state)
{
	const struct journal_io io = disk_io();
	struct journal *journal = rig_open(&(struct journal_options){
		.directory = *state, .node = "n1", .io = &io, .retry_ms = 1});
	char *log;

	rig_capture();
	disk_set(write_error, EIO);
	disk_set(truncate_error, EIO);
	rig_append(journal, 0, 3);
	for (unsigned int i = 1; i <= 20; i++) {
		wait_failures(journal, i);
		journal_tell(journal);
	}
	disk_set(write_error, 0);
	/* What could not be cut yet is before anything is written. */
	wait_failures(journal, journal_state(journal).failures + 2);
	assert_int_equal(journal_state(journal).acknowledged, 0);
	disk_set(truncate_error, 0);
	rig_wait(journal);
	journal_tell(journal);
	journal_tell(journal);
	log = rig_captured();
	assert_non_null(strstr(log,
			       "event=\"the journal cannot be written; what comes is kept and "
			       "tried again\" error=\"Input/output error\" queued_records=3\n"));
	assert_non_null(strstr(log, "event=\"the journal is written again\"\n"));
	assert_ptr_equal(strchr(strchr(log, '\n') + 1, '\n') + 1, log + strlen(log));
	free(log);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	rig_expect(*state, 0, 3);
}

/* After a failed sync the pages may be called clean and be gone: everything is written again. */
static void test_sync_fails(void **state)
{
	const struct journal_io io = disk_io();
	struct journal *journal = rig_open(&(struct journal_options){
		.directory = *state, .node = "n1", .io = &io, .retry_ms = 1});
	uint64_t unwritten = 0;

	rig_append(journal, 0, 2);
	rig_wait(journal);
	disk_set(sync_error, EIO);
	rig_append(journal, 2, 3);
	wait_failures(journal, 3);
	assert_int_equal(journal_state(journal).error, -EIO);
	assert_int_equal(journal_state(journal).acknowledged, 2);
	disk_set(sync_error, 0);
	rig_wait(journal);
	rig_expect(*state, 0, 5);

	disk_set(sync_error, EIO);
	rig_append(journal, 5, 2);
	assert_int_equal(journal_close(journal, 10000, &unwritten), -EIO);
	assert_int_equal(unwritten, 2);
	disk_set(sync_error, 0);
	rig_expect(*state, 0, 5);
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
		TEST(test_stamps),
		TEST(test_goes_on_after_restart),
		TEST(test_strings),
		TEST(test_rotation),
		TEST(test_sizes),
		TEST(test_group_commit),
		TEST(test_hung_disk),
		TEST(test_lost_by_bytes),
		TEST(test_close_while_hung),
		TEST(test_disk_full),
		TEST(test_failure_is_told_once),
		TEST(test_sync_fails),
		TEST(test_file_removed),
		TEST(test_callback),
		TEST(test_no_directory),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
