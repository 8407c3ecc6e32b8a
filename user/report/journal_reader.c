// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/journal_reader.h"

#include "report/journal_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct journal_reader {
	int directory;
	char *path;
	journal_warn *warn;
	void *context;
	struct journal_scan scan; /* with a file open only while 'number' is not 0 */
	unsigned int number;
	unsigned int last_number; /* read to its end; 0: none yet */
	uint64_t sequence;	  /* of the last record; 0: none yet */
};

__attribute__((format(printf, 2, 3))) static void warn(const struct journal_reader *reader,
						       const char *format, ...)
{
	char buffer[512] = "";
	struct text line = TEXT(buffer);
	va_list arguments;

	va_start(arguments, format);
	text_vprintf(&line, format, arguments);
	va_end(arguments);
	if (reader->warn)
		reader->warn(reader->context, buffer);
}

int journal_reader_open(struct journal_reader **ret_reader, const char *directory,
			journal_warn *tell, void *context, struct text *error)
{
	struct journal_reader *reader = calloc(1, sizeof(*reader));
	int r = reader ? 0 : -ENOMEM;

	if (!r) {
		reader->warn = tell;
		reader->context = context;
		reader->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (reader->directory < 0)
			r = -errno;
		reader->path = strdup(directory);
		if (!r && !reader->path)
			r = -ENOMEM;
	}
	if (r) {
		text_printf(error, "%s cannot be opened: %s", directory, strerror(-r));
		journal_reader_close(reader);
		return r;
	}
	*ret_reader = reader;
	return 0;
}

/* The number of the first file behind this one; 0 when there is none. */
static int next_number(const struct journal_reader *reader, unsigned int after,
		       unsigned int *ret_number)
{
	unsigned int *numbers;
	size_t count;
	int r = journal_list(reader->directory, &numbers, &count);

	*ret_number = 0;
	if (r)
		return r;
	for (size_t i = 0; i < count && !*ret_number; i++)
		if (numbers[i] > after)
			*ret_number = numbers[i];
	free(numbers);
	return 0;
}

static void close_file(struct journal_reader *reader)
{
	if (reader->number)
		journal_scan_close(&reader->scan);
	reader->number = 0;
}

/* Opens the next file, if there is one. Returns 1 when it is open, 0 or a negative errno. */
static int open_file(struct journal_reader *reader, struct text *error)
{
	for (;;) {
		char buffer[512] = "";
		struct text reason = TEXT(buffer);
		unsigned int number;
		int r = next_number(reader, reader->last_number, &number);

		if (r) {
			text_printf(error, "%s cannot be read: %s", reader->path, strerror(-r));
			return r;
		}
		if (!number)
			return 0;
		r = journal_scan_open(&reader->scan, reader->directory, number, &reason);
		if (!r) {
			reader->number = number;
			return 1;
		}
		if (r != -ENOENT) {
			text_printf(error, "%s/%s", reader->path, buffer);
			return r;
		}
		/* Rotation was faster. */
		reader->last_number = number;
	}
}

/* Returns 1 when the frame is a record to be given out. */
static int take(struct journal_reader *reader, const struct journal_frame *frame,
		struct journal_record *ret_record)
{
	const char *name = reader->scan.name;
	json_error_t reason;

	if (frame->sequence <= reader->sequence) {
		warn(reader, "%s: record %" PRIu64 " comes after record %" PRIu64 ": skipped", name,
		     frame->sequence, reader->sequence);
		return 0;
	}
	/* The oldest that is there is no gap: those before it were rotated away. */
	if (reader->sequence && frame->sequence != reader->sequence + 1)
		warn(reader, "%s: records %" PRIu64 " to %" PRIu64 " are missing", name,
		     reader->sequence + 1, frame->sequence - 1);
	reader->sequence = frame->sequence;
	ret_record->sequence = frame->sequence;
	ret_record->object = json_loadb((const char *)frame->payload, frame->payload_bytes,
					JSON_REJECT_DUPLICATES, &reason);
	if (json_is_object(ret_record->object))
		return 1;
	warn(reader, "%s: record %" PRIu64 " is no JSON object: skipped", name, frame->sequence);
	json_decref(ret_record->object);
	return 0;
}

/* The next record of the file that is open. Returns 1, 0 at its end, or a negative errno. */
static int next_in_file(struct journal_reader *reader, struct journal_record *ret_record)
{
	struct journal_frame frame;
	uint64_t offset, bytes;
	int r;

	while ((r = journal_scan_next(&reader->scan, &frame, &offset, &bytes)) > 0) {
		if (bytes)
			warn(reader, "%s: %" PRIu64 " damaged bytes at offset %" PRIu64 ": skipped",
			     reader->scan.name, bytes, offset);
		if (take(reader, &frame, ret_record))
			return 1;
	}
	return r;
}

/* Of a file that is followed by another one: nobody is writing it any more. */
static void leave_file(struct journal_reader *reader)
{
	uint64_t bytes = 0;

	if (!journal_scan_tail(&reader->scan, &bytes) && bytes)
		warn(reader, "%s: %" PRIu64 " damaged bytes at offset %" PRIu64 ": skipped",
		     reader->scan.name, bytes, reader->scan.offset);
	reader->last_number = reader->number;
	close_file(reader);
}

int journal_reader_next(struct journal_reader *reader, struct journal_record *ret_record,
			struct text *error)
{
	unsigned int next;
	int r;

	for (;;) {
		if (!reader->number) {
			r = open_file(reader, error);
			if (r <= 0)
				return r;
		}
		r = next_in_file(reader, ret_record);
		if (r > 0)
			return r;
		if (!r)
			r = next_number(reader, reader->number, &next);
		/* It may have grown between its end and the next one's beginning. */
		if (!r && next) {
			r = next_in_file(reader, ret_record);
			if (r > 0)
				return r;
		}
		if (r) {
			text_printf(error, "%s/%s cannot be read: %s", reader->path,
				    reader->scan.name, strerror(-r));
			return r;
		}
		if (next) {
			leave_file(reader);
			continue;
		}
		/* The writer replaces such a file by a whole one. */
		if (reader->scan.header == JOURNAL_HEADER_SHORT)
			close_file(reader);
		return 0;
	}
}

uint64_t journal_reader_tail_bytes(const struct journal_reader *reader)
{
	uint64_t bytes;

	if (!reader->number || journal_scan_tail(&reader->scan, &bytes))
		return 0;
	return bytes;
}

void journal_reader_close(struct journal_reader *reader)
{
	if (!reader)
		return;
	close_file(reader);
	if (reader->directory >= 0)
		close(reader->directory);
	free(reader->path);
	free(reader);
}
