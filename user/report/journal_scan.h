/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_JOURNAL_SCAN_H
#define TOCSIN_REPORT_JOURNAL_SCAN_H

/* The files of a journal and the records of one file, as they are found; nothing is changed. */

#include "base/text.h"
#include "report/journal_frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_NAME_MAX   32
#define JOURNAL_NUMBER_MAX 99999999

/* "journal-00000001.log" */
void journal_name(unsigned int number, char name[static JOURNAL_NAME_MAX]);

/* The numbers of the journal's files in a directory, ascending, to be freed. Returns 0 or a
 * negative errno. */
int journal_list(int directory, unsigned int **ret_numbers, size_t *ret_count);

struct journal_scan {
	int fd;
	char name[JOURNAL_NAME_MAX];
	enum journal_header header; /* good, short or damaged; what is worse is refused */
	uint64_t first_sequence;    /* by the header; 0 when it does not say */
	uint64_t offset;	    /* behind the last record */
	/* What is read ahead: buffer[0] lies at buffer_offset of the file. */
	uint8_t *buffer;
	uint64_t buffer_offset;
	size_t buffer_bytes;
};

/*
 * Opens a file of the journal, at its first record. Returns 0; -EPROTONOSUPPORT when it is no
 * journal or one of another version; another negative errno when it cannot be read. Then there is a
 * line in 'error', and nothing to close.
 */
int journal_scan_open(struct journal_scan *scan, int directory, unsigned int number,
		      struct text *error);

/*
 * The next record, valid until the next call. Returns 1, 0 when no further one is there (yet), or
 * a negative errno. Bytes between the one before and this one that are no record are told in
 * *ret_skipped_bytes; they begin at *ret_skipped_offset.
 */
int journal_scan_next(struct journal_scan *scan, struct journal_frame *ret_frame,
		      uint64_t *ret_skipped_offset, uint64_t *ret_skipped_bytes);

/* How many bytes lie behind the last record: one that is being written, or was torn. */
int journal_scan_tail(const struct journal_scan *scan, uint64_t *ret_bytes);

void journal_scan_close(struct journal_scan *scan);

#endif
