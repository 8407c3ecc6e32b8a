// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What was acknowledged is there afterwards, in order and once: when the process is killed at any
 * call that changes the disk or at any moment, and when the power is cut at any such call, in a
 * model of a disk that keeps of what was not synced whatever it likes.
 */
#include "unit/journal_rig.h"

#include "base/clock.h"
#include "unit/slowdown.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_BYTES 700 /* three records */
#define BURST	   2
#define RECORDS	   14

/* The records of a directory must be 0 to some number, without a gap. Returns how many. */
static int expect_contiguous(const char *directory, int acknowledged)
{
	const struct rig_read *read = rig_read(directory);

	assert_int_equal(read->result, 0);
	if (read->warnings)
		fail_msg("%zu warnings, the last: %s", read->warnings, read->warning);
	for (size_t i = 0; i < read->count; i++)
		assert_int_equal(read->numbers[i], i);
	if ((int)read->count < acknowledged)
		fail_msg("%d were acknowledged, %zu are there", acknowledged, read->count);
	return (int)read->count;
}

/* An agent that comes afterwards goes on where it was. */
static void expect_goes_on(const char *directory, int count)
{
	struct journal *journal;

	rig_capture();
	journal = rig_open_in(directory);
	free(rig_captured());
	rig_append(journal, count, 3);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	rig_expect(directory, 0, count + 3);
}

/* Killed at a call: before it, in the middle of it, or behind it. */

enum moment { BEFORE, HALF, AFTER, MOMENTS };

static struct {
	unsigned int call; /* counted from 1; 0: never */
	enum moment moment;
	unsigned int calls;
} killer;

static bool dies(enum moment moment)
{
	return killer.calls == killer.call && killer.moment == moment;
}

static void die_if(enum moment moment)
{
	if (dies(moment))
		(void)kill(getpid(), SIGKILL);
}

static void before(void)
{
	killer.calls++;
	die_if(BEFORE);
}

static int kill_open(int directory, const char *name, int flags, mode_t mode)
{
	int fd;

	before();
	fd = journal_io.open(directory, name, flags, mode);
	die_if(AFTER);
	return fd;
}

static ssize_t kill_write(int fd, const void *data, size_t bytes, off_t offset)
{
	ssize_t count;

	before();
	count = journal_io.write(fd, data, dies(HALF) ? bytes / 2 : bytes, offset);
	die_if(HALF);
	die_if(AFTER);
	return count;
}

#define KILL_CALL(name, parameters, arguments) \
	static int kill_##name parameters      \
	{                                      \
		int r;                         \
                                               \
		before();                      \
		r = journal_io.name arguments; \
		die_if(AFTER);                 \
		return r;                      \
	}

KILL_CALL(truncate, (int fd, off_t bytes), (fd, bytes))
KILL_CALL(sync, (int fd), (fd))
KILL_CALL(sync_directory, (int fd), (fd))
KILL_CALL(rename, (int directory, const char *from, const char *to), (directory, from, to))
KILL_CALL(remove, (int directory, const char *name), (directory, name))

static const struct journal_io kill_io = {
	.open = kill_open,
	.write = kill_write,
	.truncate = kill_truncate,
	.sync = kill_sync,
	.sync_directory = kill_sync_directory,
	.rename = kill_rename,
	.remove = kill_remove,
};

/* Appends numbers from 'first' on, and writes into the pipe how many are acknowledged. */
static void append_and_report(const char *directory, const struct journal_io *io, int first,
			      int count, int report)
{
	struct journal *journal = rig_open(&(struct journal_options){
		.directory = directory, .node = "n1", .io = io, .limits = {FILE_BYTES, 10000}});

	for (int i = 0; i < count; i += BURST) {
		uint64_t acknowledged;

		rig_append(journal, first + i, BURST);
		rig_wait(journal);
		acknowledged = journal_state(journal).acknowledged;
		if (write(report, &acknowledged, sizeof(acknowledged)) != sizeof(acknowledged))
			_exit(2);
	}
	_exit(journal_close(journal, 10000, NULL) ? 3 : 0);
}

/* Runs that in a child, which is killed after 'lifetime_us' unless that is 0. Returns whether it
 * came to its end, and how many it reported as acknowledged. */
static bool run_child(const char *directory, const struct journal_io *io, int first, int count,
		      unsigned int lifetime_us, int *acknowledged)
{
	uint64_t number = 0;
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		append_and_report(directory, io, first, count, ends[1]);
	}
	close(ends[1]);
	if (lifetime_us) {
		usleep(lifetime_us);
		assert_int_equal(kill(pid, SIGKILL), 0);
	}
	while (read(ends[0], &number, sizeof(number)) == sizeof(number))
		*acknowledged = (int)number;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return false;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return true;
}

static void test_killed_at_every_call(void **state)
{
	bool complete = false;
	unsigned int call;

	for (call = 1; !complete; call++) {
		for (unsigned int moment = 0; moment < MOMENTS; moment++) {
			int acknowledged = 0;

			killer.call = call;
			killer.moment = moment;
			killer.calls = 0;
			complete = run_child(*state, &kill_io, 0, RECORDS, 0, &acknowledged);
			if (complete && moment != HALF)
				assert_int_equal(acknowledged, RECORDS);
			expect_goes_on(*state, expect_contiguous(*state, acknowledged));
			rig_empty(*state);
		}
	}
	/* 7 writes with a sync each, 5 files of 5 calls each, the directory at the start. */
	assert_in_range(call, 30, 60);
}

/* Any moment, one life after the other in the same directory. */
static void test_killed_at_random(void **state)
{
	int acknowledged = 0, count = 0;
	unsigned int killed = 0;

	srand(1);
	/* Until something was written, too: longer and longer where that takes its time. */
	for (unsigned int life = 0; life < 40 || (count <= 20 && life < 200); life++) {
		unsigned int lifetime_us = 1000 + (unsigned int)rand() % 15000;

		if (!run_child(*state, &journal_io, count, 4000,
			       slowdown() * (1 + life / 40) * lifetime_us, &acknowledged))
			killed++;
		count = expect_contiguous(*state, acknowledged);
	}
	assert_true(killed > 20);
	assert_true(count > 20);
	expect_goes_on(*state, count);
}

/*
 * The power is cut. The model: what a file held when it was last synced stays; of what was written
 * to it since, any part may be there, or zeros. Names are those of the last sync of the directory,
 * or those of now. A process that is killed without a power cut loses nothing of all that.
 */

#define MODEL_FILES 64

struct model_file {
	ino_t inode;
	uint8_t *data;
	size_t size;
};

struct model_name {
	char name[64];
	ino_t inode;
};

struct model_names {
	struct model_name names[MODEL_FILES];
	size_t count;
};

static struct {
	char directory[2 * RIG_PATH_MAX];
	unsigned int calls, last_call; /* the last that is made; those behind it fail */
	struct model_file files[MODEL_FILES];
	size_t file_count;
	struct model_names names; /* as synced */
} model;

static bool is_dead(void)
{
	errno = EIO;
	return model.calls++ >= model.last_call;
}

static struct model_file *model_file(ino_t inode)
{
	for (size_t i = 0; i < model.file_count; i++)
		if (model.files[i].inode == inode)
			return &model.files[i];
	assert_true(model.file_count < MODEL_FILES);
	model.files[model.file_count] = (struct model_file){.inode = inode};
	return &model.files[model.file_count++];
}

static uint8_t *load_descriptor(int fd, size_t *ret_size)
{
	char path[64];
	struct stat status;
	uint8_t *data;
	int file;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	file = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(file >= 0);
	assert_int_equal(fstat(file, &status), 0);
	*ret_size = (size_t)status.st_size;
	data = calloc(1, *ret_size + 1);
	assert_non_null(data);
	assert_int_equal(pread(file, data, *ret_size, 0), *ret_size);
	close(file);
	return data;
}

static void list_names(struct model_names *names)
{
	DIR *stream = opendir(model.directory);
	const struct dirent *entry;

	assert_non_null(stream);
	names->count = 0;
	while ((entry = readdir(stream))) {
		if (entry->d_name[0] == '.')
			continue;
		assert_true(names->count < MODEL_FILES);
		names->names[names->count].inode = entry->d_ino;
		snprintf(names->names[names->count++].name, sizeof(names->names[0].name), "%.60s",
			 entry->d_name);
	}
	closedir(stream);
}

static int model_open(int directory, const char *name, int flags, mode_t mode)
{
	return is_dead() ? -1 : journal_io.open(directory, name, flags, mode);
}

static ssize_t model_write(int fd, const void *data, size_t bytes, off_t offset)
{
	return is_dead() ? -1 : journal_io.write(fd, data, bytes, offset);
}

static int model_truncate(int fd, off_t bytes)
{
	return is_dead() ? -1 : journal_io.truncate(fd, bytes);
}

static int model_sync(int fd)
{
	struct model_file *file;
	struct stat status;

	if (is_dead())
		return -1;
	assert_int_equal(fstat(fd, &status), 0);
	file = model_file(status.st_ino);
	free(file->data);
	file->data = load_descriptor(fd, &file->size);
	return 0;
}

static int model_sync_directory(int directory)
{
	(void)directory;
	if (is_dead())
		return -1;
	list_names(&model.names);
	return 0;
}

static int model_rename(int directory, const char *from, const char *to)
{
	return is_dead() ? -1 : journal_io.rename(directory, from, to);
}

static int model_remove(int directory, const char *name)
{
	return is_dead() ? -1 : journal_io.remove(directory, name);
}

static const struct journal_io model_io = {
	.open = model_open,
	.write = model_write,
	.truncate = model_truncate,
	.sync = model_sync,
	.sync_directory = model_sync_directory,
	.rename = model_rename,
	.remove = model_remove,
};

static void model_begin(const char *directory)
{
	for (size_t i = 0; i < model.file_count; i++)
		free(model.files[i].data);
	memset(&model, 0, sizeof(model));
	snprintf(model.directory, sizeof(model.directory), "%s", directory);
}

/* What is left of a file: what was synced, and of the rest a part, then zeros, or nothing. */
static uint8_t *remains(const struct model_name *name, size_t *ret_size)
{
	const struct model_file *file = model_file(name->inode);
	char path[3 * RIG_PATH_MAX];
	uint8_t *data = NULL;
	struct stat status;
	size_t kept;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", model.directory, name->name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && !fstat(fd, &status) && status.st_ino == name->inode)
		data = load_descriptor(fd, ret_size);
	if (fd >= 0)
		close(fd);
	if (!data || *ret_size < file->size || rand() % 3 == 0) {
		free(data);
		data = malloc(file->size + 1);
		assert_non_null(data);
		if (file->size)
			memcpy(data, file->data, file->size);
		*ret_size = file->size;
		return data;
	}
	kept = file->size + (size_t)rand() % (*ret_size - file->size + 1);
	if (rand() % 2)
		*ret_size = kept;
	else
		memset(data + kept, 0, *ret_size - kept);
	return data;
}

static void cut_power(void)
{
	struct model_names names = model.names;
	struct {
		uint8_t *data;
		size_t size;
	} left[MODEL_FILES];

	if (rand() % 2)
		list_names(&names);
	for (size_t i = 0; i < names.count; i++)
		left[i].data = remains(&names.names[i], &left[i].size);
	rig_empty(model.directory);
	for (size_t i = 0; i < names.count; i++) {
		rig_store(model.directory, names.names[i].name, left[i].data, left[i].size);
		free(left[i].data);
	}
}

/* One agent's life, which ends at a call. Returns how many records are acknowledged in the end. */
static int live(unsigned int last_call, int first, int acknowledged, bool *ret_complete)
{
	const struct journal_options options = {.directory = model.directory,
						.node = "n1",
						.io = &model_io,
						.retry_ms = 1,
						.limits = {FILE_BYTES, 10000}};
	struct journal *journal = NULL;
	char message[512];
	struct text error = TEXT(message);
	int r;

	model.calls = 0;
	model.last_call = last_call;
	rig_capture();
	r = journal_open(&journal, &options, &error);
	free(rig_captured());
	if (!r) {
		for (int i = 0; i < RECORDS && !journal_state(journal).error; i += BURST) {
			rig_append(journal, first + i, BURST);
			while (journal_state(journal).queued_records &&
			       !journal_state(journal).error)
				usleep(100);
		}
		acknowledged = (int)journal_state(journal).acknowledged;
		r = journal_close(journal, 10000, NULL);
	}
	*ret_complete = !r;
	return acknowledged;
}

/* What the disk keeps is drawn anew each time. */
static unsigned int draws(unsigned int wanted)
{
	return wanted / slowdown() ?: 1;
}

static void test_power_cut_at_every_call(void **state)
{
	bool complete = false;
	unsigned int call;

	srand(2);
	for (call = 0; !complete; call++) {
		for (unsigned int draw = 0; draw < draws(6); draw++) {
			int acknowledged;

			model_begin(*state);
			acknowledged = live(call, 0, 0, &complete);
			cut_power();
			expect_goes_on(*state, expect_contiguous(*state, acknowledged));
			rig_empty(*state);
		}
	}
	assert_in_range(call, 30, 60);
	model_begin(*state);
}

/* First the process dies, then another one writes, then the power is cut: what the first had not
 * synced, the second must. */
static void test_killed_then_power_cut(void **state)
{
	bool complete = false, unused;

	srand(3);
	for (unsigned int call = 0; !complete; call++) {
		for (unsigned int draw = 0; draw < draws(8); draw++) {
			int acknowledged, count;

			model_begin(*state);
			acknowledged = live(call, 0, 0, &complete);
			count = expect_contiguous(*state, acknowledged);
			acknowledged =
				live((unsigned int)rand() % 12, count, acknowledged, &unused);
			cut_power();
			expect_goes_on(*state, expect_contiguous(*state, acknowledged));
			rig_empty(*state);
		}
	}
	model_begin(*state);
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, rig_make_directory, rig_remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_killed_at_every_call),
		TEST(test_killed_at_random),
		TEST(test_power_cut_at_every_call),
		TEST(test_killed_then_power_cut),
	};

	return cmocka_run_group_tests_name("journal_crash", tests, NULL, NULL);
}
