/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_JOURNAL_H
#define TOCSIN_REPORT_JOURNAL_H

/*
 * The journal's writer: a bounded queue, and a thread of its own that takes from it and is the only
 * one to touch the disk. journal_append() never waits for a disk, whatever that does. What one
 * write finds queued it writes and syncs at once. A record is acknowledged when it is on the disk;
 * what fails is kept and tried again, what finds no room in the queue is counted, and the journal
 * itself says how many are missing where.
 *
 * The directory must be locked by the caller: one writer. journal_append() and journal_state() may
 * be called from any thread.
 */

#include "base/text.h"
#include "report/journal_file.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct journal;

/* Whatever is 0 takes its default. */
struct journal_options {
	const char *directory;
	const char *node;	      /* "node" of each record */
	struct journal_limits limits; /* 4 MiB, 8 files */
	uint64_t queue_records;	      /* 4096 */
	uint64_t queue_bytes;	      /* 4 MiB */
	uint32_t retry_ms;	      /* after a failure; 1000 */
	const struct journal_io *io;  /* the real one */
	/* Called from the journal's thread when something was acknowledged or has failed; it must
	 * not block, and not call the journal. */
	void (*on_change)(void *context);
	/* Called by journal_append() with each record, stamped, whether there is room for it or
	 * not. The reference stays the journal's. */
	void (*on_append)(void *context, json_t *record);
	void *context; /* of both */
};

struct journal_state {
	uint64_t appended;     /* sequence of the last record taken; grows over restarts */
	uint64_t acknowledged; /* of the last one on the disk: all up to it are */
	/* Since the start. */
	uint64_t records, bytes; /* acknowledged */
	uint64_t lost;		 /* not taken */
	uint64_t failures;	 /* writes that failed */
	uint64_t writes;	 /* tried, with their sync */
	uint64_t writes_ns;	 /* how long these took */
	/* Now. */
	uint64_t queued_records, queued_bytes; /* taken and not acknowledged */
	uint64_t oldest_age_ns;		       /* of the oldest of these; 0 when there is none */
	int error;	   /* negative errno of the last write; 0 when it went well */
	unsigned int file; /* number of the file that is written */
};

/*
 * Opens the journal and mends its end, with a warning in the log; then starts the thread. This may
 * block on the disk. Returns 0; -EPROTONOSUPPORT when there are files of another version or origin,
 * which are left alone; another negative errno. Then there is a line in 'error'.
 */
int journal_open(struct journal **ret_journal, const struct journal_options *options,
		 struct text *error);

/*
 * Takes the reference of a record of journal_record.h, stamps and queues it. Returns 0; -ENOBUFS
 * when there is no room in the queue, -EMSGSIZE when the record is longer than
 * JOURNAL_PAYLOAD_BYTES, or -ENOMEM; these are counted as lost.
 */
int journal_append(struct journal *journal, json_t *record);

struct journal_state journal_state(struct journal *journal);

/*
 * Puts into the log what has changed since the last call: that the journal cannot be written, or is
 * not (a disk that does not answer), that records were lost, and that it is well again. For the
 * agent's loop, about once a second.
 */
void journal_tell(struct journal *journal);

/*
 * Writes what is queued, for at most so long, and closes. Returns 0 when all is acknowledged,
 * -ETIMEDOUT when the disk does not answer (the thread is then left to itself), or the error by
 * which the last write failed. *ret_unwritten, which may be NULL, tells how many records were not
 * written. NULL is no journal.
 */
int journal_close(struct journal *journal, uint32_t timeout_ms, uint64_t *ret_unwritten);

#endif
