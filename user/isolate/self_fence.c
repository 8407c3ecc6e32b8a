// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/self_fence.h"

#include "cluster/view.h"

#include <inttypes.h>

static void note_since(uint64_t *since_ns, bool holds, uint64_t now_ns)
{
	if (!holds)
		*since_ns = 0;
	else if (!*since_ns)
		*since_ns = now_ns;
}

enum self_fence_step self_fence_update(struct self_fence *fence, const struct self_fence_case *now,
				       struct text *sentence)
{
	uint32_t quorum = now->nodes / 2 + 1;
	bool lease = now->renewed_ns && now->renewed_ns + now->lease_grace_ns > now->now_ns;
	bool lost = now->reach < quorum;

	note_since(&fence->lost_ns, lost, now->now_ns);
	note_since(&fence->healthy_ns, !lost && lease && now->store_connected && !now->recorded,
		   now->now_ns);
	if (!fence->fenced) {
		/*
		 * A node that never held a lease has done nothing under it. With two nodes, neither
		 * is a majority without the other, and both would go.
		 */
		if (!lost || lease || !now->renewed_ns || now->nodes < 3 || now->blind ||
		    now->paused || now->distrust_ratio > VIEW_DISTRUST_MAX ||
		    now->now_ns - fence->lost_ns < now->settle_ns)
			return SELF_FENCE_STAY;
		text_printf(sentence,
			    "only %" PRIu32 " of %" PRIu32 " nodes are reached both ways, %" PRIu32
			    " are needed, for %" PRIu64 " ms; the lease was renewed last %" PRIu64
			    " ms ago",
			    now->reach, now->nodes, quorum,
			    (now->now_ns - fence->lost_ns) / 1000000,
			    (now->now_ns - now->renewed_ns) / 1000000);
		fence->fenced = true;
		fence->fenced_ns = now->now_ns;
		return SELF_FENCE_CLOSE;
	}
	if (!fence->healthy_ns || now->now_ns - fence->healthy_ns < now->hold_down_ns)
		return SELF_FENCE_STAY;
	text_printf(sentence,
		    "%" PRIu32 " of %" PRIu32
		    " nodes are reached both ways and the lease is renewed, for %" PRIu64 " ms",
		    now->reach, now->nodes, (now->now_ns - fence->healthy_ns) / 1000000);
	fence->fenced = false;
	return SELF_FENCE_OPEN;
}
