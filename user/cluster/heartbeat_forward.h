/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_HEARTBEAT_FORWARD_H
#define TOCSIN_CLUSTER_HEARTBEAT_FORWARD_H

/* How much of one node's word to another this node passes on. Pure. */

#include "cluster/heartbeat_codec.h"

#include <stdbool.h>
#include <stdint.h>

#define HEARTBEAT_FORWARD_PAIRS_MAX  256 /* of sender and receiver, within a minute */
#define HEARTBEAT_FORWARD_PER_SECOND 20	 /* of one pair */

/* Zero-initialise. */
struct heartbeat_forwards {
	struct heartbeat_forward {
		unsigned int sender, receiver;
		uint64_t second_start_ns; /* 0 = unused */
		unsigned int count;	  /* in this second */
		uint64_t incarnation;
		uint64_t sequence;
	} pairs[HEARTBEAT_FORWARD_PAIRS_MAX];
};

/*
 * May this relayed heartbeat be passed on now? Counts it when so: each goes on once, in order, up
 * to the limits above. sender and receiver are indices of nodes.
 */
bool heartbeat_may_forward(struct heartbeat_forwards *forwards, const struct heartbeat *heartbeat,
			   unsigned int sender, unsigned int receiver, uint64_t now_ns);

#endif
