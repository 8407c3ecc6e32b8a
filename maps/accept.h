/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_ACCEPT_H
#define TOCSIN_MAPS_ACCEPT_H

/* What the trace "accept" sees of TCP listeners: how long connections waited to be accepted, and
 * what was dropped because it could not wait. */

#include "maps/peer.h"
#include "maps/trace.h"

enum accept_kind { ACCEPT_ACCEPTED = 1, ACCEPT_DROPPED };
enum accept_grouping { ACCEPT_OF_ALL, ACCEPT_BY_LISTENER, ACCEPT_BY_PORT, ACCEPT_BY_CGROUP };

struct accept_event {
	struct event event;
	struct owner owner; /* who accepted, or has the listener open */
	struct peer_key local, remote;
	__u16 local_port, remote_port; /* host order */
	__u32 queue;		       /* connections that wait now; not known where backlog is 0 */
	__u32 backlog;		       /* how many may wait */
	__u8 kind;
	__u8 state;  /* of the connection: the other side may have given up */
	__u8 defers; /* the listener has TCP_DEFER_ACCEPT: its drops are also ACKs that it ignores
		      */
	__u8 reserved;
	__u64 delay_ns; /* since it could be accepted; 0: it is older than the trace */
	__u64 drops;	/* since the last look at the listener */
};

struct accept_key {
	__u32 epoch;
	__u32 netns_inode;
	struct peer_key local; /* as the listener is bound */
	__u64 cgroup_id;
	__u16 local_port;
	__u16 reserved[3];
};

struct accept_count {
	__u64 drops, accepted;
	__u64 delay_sum_ns;
	__u64 look; /* that queue and backlog are of */
	__u32 queue, backlog;
	__u8 defers;
	__u8 reserved[7];
	struct owner owner;
};

/* By the mode of the trace. */
union accept_aggregate {
	struct trace_histogram histogram;
	struct accept_count count;
};

_Static_assert(sizeof(struct accept_event) == 104, "accept_event is shared with the kernel side");
_Static_assert(sizeof(struct accept_key) == 40, "accept_key is shared with the kernel side");
_Static_assert(sizeof(struct accept_count) == 80, "accept_count is shared with the kernel side");

#endif
