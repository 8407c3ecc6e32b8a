/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_DISK_H
#define TOCSIN_DETECT_DISK_H

/*
 * Whether a disk has stopped answering, holds on to a single request, or fails. Pure. Each rule
 * returns how bad it is; when it is active, *ret_since_ns is the first evidence and the sentence
 * tells what was seen against what expectation.
 */

#include "base/text.h"
#include "detect/findings.h"

#include <stdint.h>

/* What is known of one disk, all operations together. CLOCK_MONOTONIC. */
struct disk_evidence {
	uint64_t oldest_ns;    /* when the oldest request that its driver has was made; 0: none */
	uint64_t completed_ns; /* its last completion; 0: none was seen */
	uint64_t errors;       /* failed completions, without unsupported operations */
};

/* I/O is in flight, and nothing has been completed for so long. */
enum finding_level disk_stalled(const struct disk_evidence *evidence, uint64_t after_ns,
				uint64_t now_ns, uint64_t *ret_since_ns, struct text *sentence);

/* One request is as old as that, while others have been completed meanwhile. */
enum finding_level disk_hung_request(const struct disk_evidence *evidence, uint64_t after_ns,
				     uint64_t now_ns, uint64_t *ret_since_ns,
				     struct text *sentence);

/* More I/O has failed since the evidence 'before'. */
enum finding_level disk_errors(const struct disk_evidence *evidence, uint64_t errors_before,
			       uint64_t now_ns, uint64_t *ret_since_ns, struct text *sentence);

#endif
