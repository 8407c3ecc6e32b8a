// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/journal_file.h"

#include "report/journal_frame.h"
#include "report/journal_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file comes into being under this name, and gets its own when it is whole. */
#define NEW_NAME  "journal.new"
#define FILE_MODE 0640

static int io_open(int directory, const char *name, int flags, mode_t mode)
{
	return openat(directory, name, flags, mode);
}

static int io_rename(int directory, const char *from, const char *to)
{
	return renameat(directory, from, directory, to);
}

static int io_remove(int directory, const char *name)
{
	return unlinkat(directory, name, 0);
}

const struct journal_io journal_io = {
	.open = io_open,
	.write = pwrite,
	.truncate = ftruncate,
	.sync = fdatasync,
	.sync_directory = fsync,
	.rename = io_rename,
	.remove = io_remove,
};

static bool is_full(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
}

static int write_all(const struct journal_file *file, int fd, const uint8_t *data, size_t bytes,
		     uint64_t offset)
{
	while (bytes) {
		ssize_t count = file->io->write(fd, data, bytes, (off_t)offset);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count ? -errno : -ENOSPC;
		data += count;
		bytes -= (size_t)count;
		offset += (size_t)count;
	}
	return 0;
}

/* The oldest go first: on a full disk they are what makes room for the new one. */
static int remove_old(const struct journal_file *file)
{
	unsigned int *numbers;
	size_t count;
	int r = journal_list(file->directory, &numbers, &count);

	if (r)
		return r;
	for (size_t i = 0; i < count && numbers[i] + file->limits.files <= file->number + 1; i++) {
		char name[JOURNAL_NAME_MAX];

		journal_name(numbers[i], name);
		if (file->io->remove(file->directory, name) && errno != ENOENT && !r)
			r = -errno;
	}
	free(numbers);
	return r;
}

/* Writes a file without records under NEW_NAME. Returns its descriptor. */
static int write_new(const struct journal_file *file, uint64_t sequence)
{
	uint8_t header[JOURNAL_HEADER_BYTES];
	int fd = file->io->open(file->directory, NEW_NAME,
				O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
				FILE_MODE);
	int r;

	if (fd < 0)
		return -errno;
	journal_header_write(header, sequence);
	r = write_all(file, fd, header, sizeof(header), 0);
	if (!r && file->io->sync(fd))
		r = -errno;
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

/* The next file, whose first record will have this sequence. May be called again after it failed.
 */
static int rotate(struct journal_file *file, uint64_t sequence)
{
	char name[JOURNAL_NAME_MAX];
	int fd, r;

	if (file->number >= JOURNAL_NUMBER_MAX)
		return -EOVERFLOW;
	r = remove_old(file);
	if (r)
		return r;
	fd = write_new(file, sequence);
	if (fd < 0)
		return fd;
	journal_name(file->number + 1, name);
	/* Acknowledged is only what a power cut cannot take away, and that goes for names, too. */
	if (file->io->rename(file->directory, NEW_NAME, name) ||
	    file->io->sync_directory(file->directory)) {
		r = -errno;
		close(fd);
		return r;
	}
	if (file->fd >= 0)
		close(file->fd);
	file->fd = fd;
	file->number++;
	file->bytes = JOURNAL_HEADER_BYTES;
	file->torn = false;
	return 0;
}

static int cut(struct journal_file *file)
{
	if (file->io->truncate(file->fd, (off_t)file->bytes))
		return -errno;
	file->torn = false;
	return 0;
}

/* Reads one file to its end. Returns 0 or a negative errno with a line in 'error'. */
static int look_through(struct journal_scan *scan, uint64_t *sequence,
			struct journal_repair *repair, struct text *error)
{
	struct journal_frame frame;
	uint64_t offset, bytes;
	int r;

	if (scan->header == JOURNAL_HEADER_GOOD && scan->first_sequence)
		*sequence = scan->first_sequence - 1;
	while ((r = journal_scan_next(scan, &frame, &offset, &bytes)) > 0) {
		repair->skipped_bytes += bytes;
		if (frame.sequence > *sequence)
			*sequence = frame.sequence;
	}
	if (!r)
		r = journal_scan_tail(scan, &repair->cut_bytes);
	if (r)
		text_printf(error, "%s cannot be read: %s", scan->name, strerror(-r));
	repair->cut_offset = scan->offset;
	return r;
}

/*
 * Finds the sequence of the last record, from the newest file backwards, and what is amiss in the
 * newest. All files are opened: one that is not ours must be told before something is changed.
 */
static int look_at_files(const struct journal_file *file, const unsigned int *numbers, size_t count,
			 enum journal_header *ret_header, struct journal_repair *repair,
			 uint64_t *sequence, struct text *error)
{
	for (size_t i = count; i--;) {
		struct journal_repair older = {0};
		struct journal_scan scan;
		int r = journal_scan_open(&scan, file->directory, numbers[i], error);

		if (r)
			return r;
		if (i == count - 1)
			*ret_header = scan.header;
		if (!*sequence)
			r = look_through(&scan, sequence, i == count - 1 ? repair : &older, error);
		journal_scan_close(&scan);
		if (r)
			return r;
	}
	return 0;
}

static int open_newest(struct journal_file *file, const struct journal_repair *repair,
		       struct text *error)
{
	char name[JOURNAL_NAME_MAX];
	int r = 0;

	journal_name(file->number, name);
	file->fd =
		file->io->open(file->directory, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (file->fd < 0) {
		r = -errno;
		text_printf(error, "%s cannot be opened for writing: %s", name, strerror(-r));
		return r;
	}
	file->bytes = repair->cut_offset;
	file->torn = repair->cut_bytes > 0;
	if (file->torn)
		r = cut(file);
	/* What a run wrote or renamed that did not live to sync it counts as acknowledged from now
	 * on. */
	if (!r && (file->io->sync(file->fd) || file->io->sync_directory(file->directory)))
		r = -errno;
	if (r)
		text_printf(error, "%s cannot be mended: %s", name, strerror(-r));
	return r;
}

static int prepare(struct journal_file *file, struct journal_repair *repair, uint64_t *sequence,
		   struct text *error)
{
	enum journal_header header = JOURNAL_HEADER_SHORT;
	unsigned int *numbers;
	size_t count;
	int r = journal_list(file->directory, &numbers, &count);

	if (r) {
		text_printf(error, "the directory cannot be read: %s", strerror(-r));
		return r;
	}
	r = look_at_files(file, numbers, count, &header, repair, sequence, error);
	if (!r && count) {
		file->number = repair->number = numbers[count - 1];
		if (header != JOURNAL_HEADER_SHORT && repair->cut_offset)
			r = open_newest(file, repair, error);
		else
			file->number--; /* nothing is in it: a whole one takes its place */
	}
	free(numbers);
	if (r || file->fd >= 0)
		return r;
	r = rotate(file, *sequence + 1);
	if (is_full(r))
		r = 0;
	if (r)
		text_printf(error, "no file can be made: %s", strerror(-r));
	return r;
}

int journal_file_open(struct journal_file *file, const char *directory, const struct journal_io *io,
		      const struct journal_limits *limits, struct journal_repair *ret_repair,
		      uint64_t *ret_sequence, struct text *error)
{
	char buffer[512] = "";
	struct text reason = TEXT(buffer);
	int r = 0;

	*file = (struct journal_file){.io = io, .limits = *limits, .fd = -1};
	*ret_repair = (struct journal_repair){0};
	*ret_sequence = 0;
	file->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->directory < 0) {
		r = -errno;
		text_printf(&reason, "the directory cannot be opened: %s", strerror(-r));
	} else {
		r = prepare(file, ret_repair, ret_sequence, &reason);
	}
	if (r) {
		text_printf(error, "journal in %s: %s", directory, buffer);
		journal_file_close(file);
	}
	return r;
}

uint64_t journal_file_room_new(const struct journal_file *file)
{
	return file->limits.file_bytes - JOURNAL_HEADER_BYTES;
}

uint64_t journal_file_room(const struct journal_file *file)
{
	if (file->fd < 0)
		return journal_file_room_new(file);
	return file->bytes < file->limits.file_bytes ? file->limits.file_bytes - file->bytes : 0;
}

/* Whether someone removed it: what is appended then would go nowhere. */
static bool is_removed(const struct journal_file *file)
{
	struct stat status;

	return !fstat(file->fd, &status) && !status.st_nlink;
}

int journal_file_append(struct journal_file *file, const void *frames, size_t bytes,
			uint64_t sequence)
{
	int r = 0;

	if (file->fd < 0 || is_removed(file) ||
	    (file->bytes > JOURNAL_HEADER_BYTES && bytes > journal_file_room(file)))
		r = rotate(file, sequence);
	if (!r && file->torn)
		r = cut(file);
	if (r)
		return r;
	file->torn = true;
	r = write_all(file, file->fd, frames, bytes, file->bytes);
	/* After a failed sync nobody knows what is on the disk: all of it is written once more. */
	if (!r && file->io->sync(file->fd))
		r = -errno;
	if (r) {
		(void)cut(file);
		return r;
	}
	file->bytes += bytes;
	file->torn = false;
	return 0;
}

void journal_file_close(struct journal_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->directory >= 0)
		close(file->directory);
	file->fd = file->directory = -1;
}
