/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_JOURNAL_PAST_H
#define TOCSIN_REPORT_JOURNAL_PAST_H

/*
 * What a journal told before its present writer came, folded into incidents by a thread of its own,
 * which ends with that: a disk that hangs holds up nobody else. As many bytes are read as the
 * journal is allowed to have, and one record at a time is kept.
 */

#include "report/incidents.h"

#include "base/text.h"

#include <stdint.h>

struct journal_past;

/* Reads up to the record of this sequence. Returns 0 or a negative errno. */
int journal_past_start(struct journal_past **ret_past, const char *directory,
		       uint64_t last_sequence);

/*
 * Returns 1 when all is read: the incidents, which are the caller's from then on, and the time of
 * the last record (wall clock, ns; 0: there is none). 0 while it is being read; a negative errno
 * with a line in 'error' when it cannot be.
 */
int journal_past_take(struct journal_past *past, struct incidents **ret_incidents,
		      uint64_t *ret_last_time_ns, struct text *error);

/* Waits for nothing: a thread that is still reading ends by itself, sooner or later. NULL is
 * allowed. */
void journal_past_close(struct journal_past *past);

#endif
