/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_SELF_FENCE_H
#define TOCSIN_ISOLATE_SELF_FENCE_H

/*
 * When a node fences itself off, without being told to: it has lost the majority, and the majority
 * cannot tell it anything any more. And when it lets itself out again. Pure. Times are
 * CLOCK_BOOTTIME ns: time asleep counts for a lease.
 */

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct self_fence_case {
	uint64_t now_ns;
	uint32_t nodes; /* configured; with fewer than three there is no minority */
	uint32_t reach; /* members reached both ways, this one included */
	/* When the lease's renewal that was answered last was sent; 0: never held one. */
	uint64_t renewed_ns;
	bool store_connected;
	bool blind;
	double distrust_ratio;
	bool paused;
	/* The store has a record in force that isolates this node. */
	bool recorded;

	uint64_t lease_grace_ns, settle_ns, hold_down_ns;
};

/* Kept from one call to the next; starts as zero, with .fenced as fence_present() found it. */
struct self_fence {
	bool fenced;
	uint64_t lost_ns;    /* since when fewer than a quorum are reached; 0: they are not */
	uint64_t healthy_ns; /* since when all is well again; 0: it is not */
	uint64_t fenced_ns;  /* when it was decided; 0: by an agent before this one */
};

enum self_fence_step { SELF_FENCE_STAY, SELF_FENCE_CLOSE, SELF_FENCE_OPEN };

/* To be called at each turn. The sentence says why, also when what would be done is refused. */
enum self_fence_step self_fence_update(struct self_fence *fence, const struct self_fence_case *now,
				       struct text *sentence);

#endif
