// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/journal_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for the longest record behind most of another one. */
#define BUFFER_BYTES (2 * (size_t)JOURNAL_RECORD_BYTES)

void journal_name(unsigned int number, char name[static JOURNAL_NAME_MAX])
{
	snprintf(name, JOURNAL_NAME_MAX, "journal-%08u.log", number);
}

/* 0: no file of the journal. */
static unsigned int number_of(const char *name)
{
	char canonical[JOURNAL_NAME_MAX];
	unsigned int number;

	if (sscanf(name, "journal-%8u.log", &number) != 1)
		return 0;
	journal_name(number, canonical);
	return strcmp(name, canonical) ? 0 : number;
}

static int compare_numbers(const void *left, const void *right)
{
	unsigned int a = *(const unsigned int *)left, b = *(const unsigned int *)right;

	return (a > b) - (a < b);
}

int journal_list(int directory, unsigned int **ret_numbers, size_t *ret_count)
{
	/* A descriptor of its own: its position is not shared with another reading. */
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	unsigned int *numbers = NULL, *grown;
	const struct dirent *entry;
	size_t count = 0, room = 0;
	int r = 0;

	if (!stream) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (errno = 0, entry = readdir(stream)) {
		unsigned int number = number_of(entry->d_name);

		if (!number)
			continue;
		if (count == room) {
			room = room ? 2 * room : 16;
			grown = reallocarray(numbers, room, sizeof(*numbers));
			if (!grown) {
				r = -ENOMEM;
				break;
			}
			numbers = grown;
		}
		numbers[count++] = number;
	}
	if (!r)
		r = -errno;
	closedir(stream);
	if (r) {
		free(numbers);
		return r;
	}
	if (count)
		qsort(numbers, count, sizeof(*numbers), compare_numbers);
	*ret_numbers = numbers;
	*ret_count = count;
	return 0;
}

/* Makes the buffer hold what there is at 'position', up to a whole record. Returns how much. */
static ssize_t fill(struct journal_scan *scan, uint64_t position)
{
	size_t past = (size_t)(position - scan->buffer_offset);

	if (position < scan->buffer_offset || past > scan->buffer_bytes)
		past = scan->buffer_bytes;
	if (scan->buffer_bytes - past >= JOURNAL_RECORD_BYTES)
		return (ssize_t)(scan->buffer_bytes - past);
	memmove(scan->buffer, scan->buffer + past, scan->buffer_bytes - past);
	scan->buffer_bytes -= past;
	scan->buffer_offset = position;
	while (scan->buffer_bytes < BUFFER_BYTES) {
		ssize_t count = pread(scan->fd, scan->buffer + scan->buffer_bytes,
				      BUFFER_BYTES - scan->buffer_bytes,
				      (off_t)(scan->buffer_offset + scan->buffer_bytes));

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (!count)
			break;
		scan->buffer_bytes += (size_t)count;
	}
	return (ssize_t)scan->buffer_bytes;
}

int journal_scan_next(struct journal_scan *scan, struct journal_frame *ret_frame,
		      uint64_t *ret_skipped_offset, uint64_t *ret_skipped_bytes)
{
	uint64_t position = scan->offset;

	for (;;) {
		ssize_t available = fill(scan, position);
		const uint8_t *data = scan->buffer + (position - scan->buffer_offset);

		if (available <= 0) {
			/* What lies behind the last record may be other bytes by the next call. */
			scan->buffer_offset = scan->offset;
			scan->buffer_bytes = 0;
			return (int)available;
		}
		if (journal_frame_read(data, (size_t)available, ret_frame) ==
		    JOURNAL_PARSE_RECORD) {
			*ret_skipped_offset = scan->offset;
			*ret_skipped_bytes = position - scan->offset;
			scan->offset = position + JOURNAL_FRAME_BYTES + ret_frame->payload_bytes;
			return 1;
		}
		/* Also when it is short: a damaged length may point behind the end. */
		position += journal_frame_find(data, (size_t)available, 1);
	}
}

int journal_scan_tail(const struct journal_scan *scan, uint64_t *ret_bytes)
{
	struct stat status;

	if (fstat(scan->fd, &status))
		return -errno;
	*ret_bytes = (uint64_t)status.st_size > scan->offset
			     ? (uint64_t)status.st_size - scan->offset
			     : 0;
	return 0;
}

/* Whether there is a record of ours in a file whose header is not. */
static bool holds_record(struct journal_scan *scan)
{
	struct journal_frame frame;
	uint64_t offset, bytes;
	bool found = journal_scan_next(scan, &frame, &offset, &bytes) > 0;

	scan->offset = 0;
	return found;
}

static int check_header(struct journal_scan *scan, struct text *error)
{
	struct journal_header_fields fields;
	ssize_t available = fill(scan, 0);

	if (available < 0) {
		text_printf(error, "%s cannot be read: %s", scan->name, strerror((int)-available));
		return (int)available;
	}
	scan->header = journal_header_read(scan->buffer, (size_t)available, &fields);
	if (scan->header == JOURNAL_HEADER_NEWER) {
		text_printf(error,
			    "%s is a journal of version %u, and this tocsin knows version %u: use "
			    "the tocsin that wrote it, or move the file elsewhere",
			    scan->name, fields.version, JOURNAL_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (scan->header == JOURNAL_HEADER_FOREIGN && !holds_record(scan)) {
		text_printf(error,
			    "%s is no journal of tocsin (its first bytes are not those of one): "
			    "move the file elsewhere",
			    scan->name);
		return -EPROTONOSUPPORT;
	}
	if (scan->header == JOURNAL_HEADER_FOREIGN)
		scan->header = JOURNAL_HEADER_DAMAGED;
	scan->first_sequence = fields.first_sequence;
	if (scan->header == JOURNAL_HEADER_GOOD)
		scan->offset = JOURNAL_HEADER_BYTES;
	return 0;
}

int journal_scan_open(struct journal_scan *scan, int directory, unsigned int number,
		      struct text *error)
{
	struct stat status;
	int r;

	*scan = (struct journal_scan){0};
	journal_name(number, scan->name);
	/* O_NONBLOCK: a pipe of this name must not keep anyone waiting. */
	scan->fd = openat(directory, scan->name,
			  O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (scan->fd < 0) {
		r = -errno;
		text_printf(error, "%s cannot be opened: %s", scan->name, strerror(-r));
		return r;
	}
	scan->buffer = malloc(BUFFER_BYTES);
	if (!scan->buffer) {
		r = -ENOMEM;
		text_printf(error, "%s cannot be read: %s", scan->name, strerror(-r));
	} else if (fstat(scan->fd, &status)) {
		r = -errno;
		text_printf(error, "%s cannot be read: %s", scan->name, strerror(-r));
	} else if (!S_ISREG(status.st_mode)) {
		r = -EPROTONOSUPPORT;
		text_printf(error, "%s is no regular file: move it elsewhere", scan->name);
	} else {
		r = check_header(scan, error);
	}
	if (r)
		journal_scan_close(scan);
	return r;
}

void journal_scan_close(struct journal_scan *scan)
{
	if (scan->fd >= 0)
		close(scan->fd);
	free(scan->buffer);
	scan->fd = -1;
	scan->buffer = NULL;
}
