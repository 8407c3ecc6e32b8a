// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat_forward.h"

#include "base/clock.h"

#include <stddef.h>

/*
 * A place for what we pass on from one node to another, or NULL when too many pairs want that at
 * once.
 */
static struct heartbeat_forward *find_forward(struct heartbeat_forwards *forwards,
					      unsigned int sender, unsigned int receiver,
					      uint64_t now_ns)
{
	struct heartbeat_forward *free_place = NULL;

	for (unsigned int i = 0; i < HEARTBEAT_FORWARD_PAIRS_MAX; i++) {
		struct heartbeat_forward *forward = &forwards->pairs[i];

		if (forward->second_start_ns && forward->sender == sender &&
		    forward->receiver == receiver)
			return forward;
		if (!free_place && (!forward->second_start_ns ||
				    now_ns - forward->second_start_ns > 60 * NS_PER_S))
			free_place = forward;
	}
	if (free_place)
		*free_place = (struct heartbeat_forward){
			.sender = sender, .receiver = receiver, .second_start_ns = now_ns};
	return free_place;
}

bool heartbeat_may_forward(struct heartbeat_forwards *forwards, const struct heartbeat *heartbeat,
			   unsigned int sender, unsigned int receiver, uint64_t now_ns)
{
	struct heartbeat_forward *forward = find_forward(forwards, sender, receiver, now_ns);

	if (!forward)
		return false;
	if (now_ns - forward->second_start_ns >= NS_PER_S) {
		forward->second_start_ns = now_ns;
		forward->count = 0;
	}
	if (forward->count >= HEARTBEAT_FORWARD_PER_SECOND)
		return false;
	/* Once each: a copy that somebody captured goes no further. */
	if (forward->incarnation == heartbeat->incarnation &&
	    forward->sequence >= heartbeat->sequence)
		return false;
	forward->count++;
	forward->incarnation = heartbeat->incarnation;
	forward->sequence = heartbeat->sequence;
	return true;
}
