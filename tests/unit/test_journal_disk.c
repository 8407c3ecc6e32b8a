// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the journal's writer does when the disk is slow, full, fails or hangs. */
#include "unit/journal_rig.h"

#include "base/clock.h"
#include "report/journal_frame.h"
#include "unit/slowdown.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
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
	const char *line;

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
	assert_true(longest_ns < slowdown() * 200 * NS_PER_MS);
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
	line = strstr(
		log, "event=\"the journal's disk does not answer; what comes is kept\" oldest_ms=");
	assert_non_null(line);
	assert_in_range(strtoul(strstr(line, "oldest_ms=") + strlen("oldest_ms="), NULL, 10), 2100,
			2999 * slowdown());
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

/* A real file system that is full, and then is not. */
static void test_full_file_system(void **state)
{
	struct journal *journal;
	struct journal_state now;
	int count = 0;

	if (geteuid() || unshare(CLONE_NEWNS) || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", *state, "tmpfs", 0, "size=32k")) {
		print_message("needs root, to mount a file system in a namespace of its own\n");
		skip();
	}
	journal = rig_open(&(struct journal_options){
		.directory = *state, .node = "n1", .retry_ms = 1, .limits = {8192, 100}});
	do {
		rig_append(journal, count++, 1);
		while ((now = journal_state(journal)).queued_records && !now.error)
			usleep(100);
	} while (!now.error);
	assert_int_equal(now.error, -ENOSPC);
	assert_in_range(count, 20, 500);
	rig_append(journal, count, 50);
	wait_failures(journal, 10);
	rig_expect(*state, 0, (int)journal_state(journal).acknowledged);
	assert_int_equal(mount("tmpfs", *state, "tmpfs", MS_REMOUNT, "size=1m"), 0);
	rig_wait(journal);
	assert_int_equal(journal_state(journal).lost, 0);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	rig_expect(*state, 0, count + 50);
	assert_int_equal(umount(*state), 0);
}

/* Whatever the test before left behind. */
static int make_sound_disk(void **state)
{
	pthread_mutex_lock(&disk.mutex);
	disk.hung = false;
	disk.size = 0;
	disk.write_error = disk.sync_error = disk.truncate_error = 0;
	pthread_cond_broadcast(&disk.change);
	pthread_mutex_unlock(&disk.mutex);
	return rig_make_directory(state);
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, make_sound_disk, rig_remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_group_commit),  TEST(test_hung_disk),
		TEST(test_lost_by_bytes), TEST(test_close_while_hung),
		TEST(test_disk_full),	  TEST(test_failure_is_told_once),
		TEST(test_sync_fails),	  TEST(test_full_file_system),
	};

	return cmocka_run_group_tests_name("journal_disk", tests, NULL, NULL);
}
