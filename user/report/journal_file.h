/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_JOURNAL_FILE_H
#define TOCSIN_REPORT_JOURNAL_FILE_H

/*
 * The writing end of the journal's files: what is there is checked and mended, records are appended
 * and synced, files are rotated. Everything here may block for as long as the disk does.
 */

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Every call by which the journal changes a disk, so that a test can stand between. As the C
 * library's: -1 and errno. */
struct journal_io {
	int (*open)(int directory, const char *name, int flags, mode_t mode);
	ssize_t (*write)(int fd, const void *data, size_t bytes, off_t offset);
	int (*truncate)(int fd, off_t bytes);
	int (*sync)(int fd);
	int (*sync_directory)(int directory);
	int (*rename)(int directory, const char *from, const char *to);
	int (*remove)(int directory, const char *name);
};

/* The real ones. */
extern const struct journal_io journal_io;

struct journal_limits {
	uint64_t file_bytes; /* a file is followed by the next before it grows beyond this */
	unsigned int files;  /* kept, the one being written included */
};

struct journal_file {
	const struct journal_io *io;
	struct journal_limits limits;
	int directory;
	int fd;		     /* -1: there is no file yet */
	unsigned int number; /* of that file, or of the last one before the first of ours */
	uint64_t bytes;	     /* up to here it is whole and, but for what was found, synced */
	bool torn;	     /* there may be bytes behind that, to be cut */
};

/* What was found amiss when it was opened. */
struct journal_repair {
	unsigned int number; /* of the file */
	uint64_t cut_offset, cut_bytes;
	uint64_t skipped_bytes; /* damaged, with records behind them: left as they are */
};

/*
 * Makes the directory's newest file ready to be appended to; a torn end is cut. Files of another
 * version or origin are refused (-EPROTONOSUPPORT) before anything is changed. A disk that is full
 * is no error yet. Returns 0 or a negative errno with a line in 'error'. *ret_sequence is that of
 * the last record, 0 when there is none.
 */
int journal_file_open(struct journal_file *file, const char *directory, const struct journal_io *io,
		      const struct journal_limits *limits, struct journal_repair *ret_repair,
		      uint64_t *ret_sequence, struct text *error);

/* How many bytes can be appended without a new file; the next append must not be larger than that,
 * or than journal_file_room_new(), unless it is one record. */
uint64_t journal_file_room(const struct journal_file *file);
uint64_t journal_file_room_new(const struct journal_file *file);

/*
 * Appends whole frames, the first of which has this sequence, and returns 0 when they are on the
 * disk. On a negative errno none of them are in the file, as far as that could be brought about;
 * what could not is done before the next try.
 */
int journal_file_append(struct journal_file *file, const void *frames, size_t bytes,
			uint64_t sequence);

void journal_file_close(struct journal_file *file);

#endif
