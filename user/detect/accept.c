// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/accept.h"

#include "base/clock.h"

#include <inttypes.h>

#define LATE_LOOKS 3

static void note_age(struct accept_memory *memory, const struct accept_evidence *evidence,
		     uint64_t delay_ns, uint64_t now_ns)
{
	if (evidence->oldest_ns < delay_ns)
		memory->late_looks = 0;
	else if (!memory->late_looks++)
		memory->late_since_ns = now_ns - evidence->oldest_ns;
}

enum finding_level accept_overflow(struct accept_memory *memory,
				   const struct accept_evidence *evidence, uint64_t delay_ns,
				   uint64_t now_ns, uint64_t *ret_since_ns, struct text *sentence)
{
	/* It was full when something was dropped, as far as can be known. */
	bool overflow =
		evidence->dropped && (evidence->full || memory->full || evidence->overflowed);

	memory->full = evidence->full;
	note_age(memory, evidence, delay_ns, now_ns);
	if (overflow) {
		*ret_since_ns = now_ns;
		text_printf(sentence,
			    "%" PRIu64 " attempts to connect were dropped since the last look, "
			    "expected none; %" PRIu32 " connections wait in a queue for %" PRIu32
			    ", which %s (pid %" PRIu32 ") is to accept",
			    evidence->dropped, evidence->queue, evidence->backlog, evidence->comm,
			    evidence->pid);
		return FINDING_ACTIVE;
	}
	if (memory->late_looks >= LATE_LOOKS) {
		*ret_since_ns = memory->late_since_ns;
		text_printf(sentence,
			    "the oldest of %" PRIu32 " connections has waited for %" PRIu64
			    " ms, expected at most %" PRIu64 " ms; %s (pid %" PRIu32
			    ") is to accept them",
			    evidence->queue, evidence->oldest_ns / NS_PER_MS, delay_ns / NS_PER_MS,
			    evidence->comm, evidence->pid);
		return FINDING_ACTIVE;
	}
	return evidence->full || evidence->oldest_ns >= delay_ns / 2 ? FINDING_NEAR : FINDING_QUIET;
}
