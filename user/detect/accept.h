/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_ACCEPT_H
#define TOCSIN_DETECT_ACCEPT_H

/* Whether connections wait too long to be accepted, or find no room to wait. Pure. */

#include "base/text.h"
#include "detect/findings.h"

#include <stdbool.h>
#include <stdint.h>

/* What a look at the listeners of one address and port found, all of them together. */
struct accept_evidence {
	uint64_t dropped;   /* by them since the look before; more than overflows count as that */
	bool overflowed;    /* since then their network namespace has counted overflows */
	bool full;	    /* the queue of one has no room */
	uint32_t queue;	    /* connections that wait now */
	uint32_t backlog;   /* and may */
	uint64_t oldest_ns; /* how long the first of them has waited */
	const char *comm;   /* who is to accept them ... */
	uint32_t pid;
};

/* From look to look; zero-initialise. */
struct accept_memory {
	bool full;		 /* at the last look */
	unsigned int late_looks; /* one after the other that found one too old */
	uint64_t late_since_ns;	 /* when that of the first look came */
};

/*
 * Takes in a look. An overflow is active at once; that the oldest has waited for delay_ns, when
 * three looks one after the other find it so: who comes in time for all but a few is not late.
 */
enum finding_level accept_overflow(struct accept_memory *memory,
				   const struct accept_evidence *evidence, uint64_t delay_ns,
				   uint64_t now_ns, uint64_t *ret_since_ns, struct text *sentence);

#endif
