/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_CONNECT_H
#define TOCSIN_MAPS_CONNECT_H

/* What the trace "connect" tells of a TCP connect that was answered or has failed. */

#include "maps/peer.h"
#include "maps/trace.h"

enum connect_direction { CONNECT_OUT = 1, CONNECT_IN };
enum connect_grouping { CONNECT_OF_ALL, CONNECT_BY_REMOTE, CONNECT_BY_PORT, CONNECT_BY_CGROUP };

struct connect_event {
	struct event event;
	struct owner
		owner; /* of one that comes in: of its listener's group; no process has it yet */
	struct peer_key local, remote;
	__u16 local_port, remote_port; /* host order */
	__u8 direction;
	__u8 outcome; /* 0: established; else enum peer_error plus one */
	__u16 reserved;
	/* Out: from connect() to the answer or the end. In: from our SYN-ACK to their answer. 0:
	 * not known. */
	__u64 latency_ns;
};

struct connect_key {
	__u32 epoch;
	__u16 service_port; /* the port that was connected to */
	__u16 direction;
	__u64 cgroup_id;
	struct peer_key remote;
};

_Static_assert(sizeof(struct connect_event) == 88, "connect_event is shared with the kernel side");
_Static_assert(sizeof(struct connect_key) == 32, "connect_key is shared with the kernel side");

#endif
