// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "unit/journal_rig.h"

#include "base/clock.h"
#include "report/journal_reader.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_NS (20 * NS_PER_S)

int rig_make_directory(void **state)
{
	/* In memory where that goes: thousands of syncs of a real disk would take minutes. */
	const char *template = access("/dev/shm", W_OK) ? "/tmp/tocsin-journal-XXXXXX"
							: "/dev/shm/tocsin-journal-XXXXXX";
	char *path = strdup(template);

	if (!path || !mkdtemp(path))
		return -1;
	*state = path;
	return 0;
}

void rig_empty(const char *directory)
{
	DIR *stream = opendir(directory);
	const struct dirent *entry;

	assert_non_null(stream);
	while ((entry = readdir(stream)))
		(void)unlinkat(dirfd(stream), entry->d_name, 0);
	closedir(stream);
}

int rig_remove_directory(void **state)
{
	rig_empty(*state);
	if (rmdir(*state))
		return -1;
	free(*state);
	return 0;
}

struct journal *rig_open(const struct journal_options *options)
{
	struct journal *journal = NULL;
	char message[512] = "";
	struct text error = TEXT(message);

	if (journal_open(&journal, options, &error))
		fail_msg("%s", message);
	assert_string_equal(message, "");
	return journal;
}

struct journal *rig_open_in(const char *directory)
{
	return rig_open(&(struct journal_options){.directory = directory, .node = "n1"});
}

json_t *rig_record(int number)
{
	json_t *record = json_pack("{s:s, s:i}", "kind", "test", "number", number);

	assert_non_null(record);
	return record;
}

void rig_append(struct journal *journal, int first, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(journal_append(journal, rig_record(first + i)), 0);
}

void rig_wait(struct journal *journal)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

	for (;;) {
		const struct journal_state state = journal_state(journal);

		if (state.acknowledged == state.appended)
			return;
		assert_true(clock_monotonic_ns() < deadline_ns);
		usleep(500);
	}
}

static void on_warning(void *context, const char *sentence)
{
	struct rig_read *read = context;

	read->warnings++;
	snprintf(read->warning, sizeof(read->warning), "%s", sentence);
}

static void take(struct rig_read *read, const json_t *object)
{
	const char *kind = json_string_value(json_object_get(object, "kind"));

	assert_non_null(kind);
	assert_true(read->count < RIG_RECORDS_MAX);
	if (!strcmp(kind, "lost")) {
		read->numbers[read->count++] = -1;
		read->lost += (uint64_t)json_integer_value(json_object_get(object, "records"));
	} else {
		assert_string_equal(kind, "test");
		read->numbers[read->count++] =
			(int)json_integer_value(json_object_get(object, "number"));
	}
}

const struct rig_read *rig_read(const char *directory)
{
	static struct rig_read read;
	struct journal_reader *reader = NULL;
	struct journal_record record;
	struct text error;

	memset(&read, 0, sizeof(read));
	error = TEXT(read.error);
	assert_int_equal(journal_reader_open(&reader, directory, on_warning, &read, &error), 0);
	while ((read.result = journal_reader_next(reader, &record, &error)) > 0) {
		take(&read, record.object);
		json_decref(record.object);
	}
	read.tail_bytes = journal_reader_tail_bytes(reader);
	journal_reader_close(reader);
	return &read;
}

void rig_expect(const char *directory, int first, int count)
{
	const struct rig_read *read = rig_read(directory);

	assert_int_equal(read->result, 0);
	if (read->warnings)
		fail_msg("%zu warnings, the last: %s", read->warnings, read->warning);
	assert_int_equal(read->count, count);
	for (int i = 0; i < count; i++)
		assert_int_equal(read->numbers[i], first + i);
	assert_int_equal(read->tail_bytes, 0);
}

static void path_of(char path[static 2 * RIG_PATH_MAX], const char *directory, const char *name)
{
	snprintf(path, 2 * RIG_PATH_MAX, "%s/%s", directory, name);
}

uint8_t *rig_load(const char *directory, const char *name, size_t *ret_size)
{
	char path[2 * RIG_PATH_MAX];
	struct stat status;
	uint8_t *data;
	int fd;

	path_of(path, directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	*ret_size = (size_t)status.st_size;
	data = malloc(*ret_size + 1);
	assert_non_null(data);
	assert_int_equal(read(fd, data, *ret_size + 1), *ret_size);
	close(fd);
	return data;
}

void rig_store(const char *directory, const char *name, const void *data, size_t size)
{
	char path[2 * RIG_PATH_MAX];
	int fd;

	path_of(path, directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static int stderr_before = -1, stderr_file = -1;

void rig_capture(void)
{
	stderr_file = memfd_create("stderr", MFD_CLOEXEC);
	stderr_before = dup(STDERR_FILENO);
	assert_true(stderr_file >= 0 && stderr_before >= 0);
	assert_true(dup2(stderr_file, STDERR_FILENO) >= 0);
}

char *rig_captured(void)
{
	off_t size = lseek(stderr_file, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);

	assert_true(dup2(stderr_before, STDERR_FILENO) >= 0);
	assert_non_null(text);
	assert_int_equal(pread(stderr_file, text, (size_t)size, 0), size);
	close(stderr_before);
	close(stderr_file);
	return text;
}
