/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_JOURNAL_READER_H
#define TOCSIN_REPORT_JOURNAL_READER_H

/*
 * Reads a journal from its oldest record to its newest, also while an agent writes it, files are
 * rotated, and old ones removed.
 */

#include "base/text.h"

#include <jansson.h>
#include <stdint.h>

struct journal_reader;

struct journal_record {
	uint64_t sequence;
	json_t *object; /* a new reference */
};

/* Told of what was passed over: damaged bytes, records that are missing. One line each. */
typedef void journal_warn(void *context, const char *sentence);

/* Returns 0, or a negative errno with a line in 'error'. A directory without a journal is an empty
 * journal. */
int journal_reader_open(struct journal_reader **ret_reader, const char *directory,
			journal_warn *warn, void *context, struct text *error);

/*
 * The next record. Returns 1; 0 when no further one is there yet: asking again later goes on from
 * there; -EPROTONOSUPPORT at a file of another version or origin, or another negative errno, with a
 * line in 'error'.
 */
int journal_reader_next(struct journal_reader *reader, struct journal_record *ret_record,
			struct text *error);

/* After 0: how many bytes stand behind the last record. They are one that is being written, or was
 * torn when its writer ended; the next agent cuts them. */
uint64_t journal_reader_tail_bytes(const struct journal_reader *reader);

/* NULL is no reader. */
void journal_reader_close(struct journal_reader *reader);

#endif
