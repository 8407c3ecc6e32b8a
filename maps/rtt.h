/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_RTT_H
#define TOCSIN_MAPS_RTT_H

/* What the trace "rtt" groups round-trip times by; what is not asked for is zero. */

#include "maps/peer.h"
#include "maps/trace.h"

enum rtt_grouping { RTT_OF_ALL, RTT_BY_REMOTE, RTT_BY_PORT, RTT_BY_CGROUP };

struct rtt_key {
	__u32 epoch;
	__u16 local_port;
	__u16 reserved;
	__u64 cgroup_id;
	struct peer_key remote;
};

_Static_assert(sizeof(struct rtt_key) == 32, "rtt_key is shared with the kernel side");

#endif
