/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_LISTENER_H
#define TOCSIN_MAPS_LISTENER_H

/* clang-format off */
/*
 * What the agent's listener programs and user space share: each TCP listener has a struct
 * listener_owner in its socket storage (map 'listeners'), by which an iterator finds it again. It
 * writes a struct listener_record for each that has connections waiting, or has ever dropped any.
 */
/* clang-format on */

#include "maps/peer.h"

#define LISTENER_COMM_BYTES 16

/* Who called listen(), or had the socket open when the programs were loaded. */
struct listener_owner {
	__u32 pid;
	char comm[LISTENER_COMM_BYTES];
};

struct listener_record {
	__u64 socket; /* tells it from others; its number may be given to another after its end */
	__u64 oldest_ns; /* how long the first connection in the queue has waited; 0: none, or not
			    known */
	struct peer_key local;
	__u32 netns_inode;
	__u32 drops;   /* segments that it did not take, as it counts them itself */
	__u32 queue;   /* connections that wait to be accepted */
	__u32 backlog; /* how many may; one more fits in */
	struct listener_owner owner;
	__u16 port;  /* host order */
	__u8 defers; /* TCP_DEFER_ACCEPT: it also counts each handshake as a drop */
	__u8 reserved;
};

_Static_assert(sizeof(struct listener_record) == 72,
	       "listener_record is shared with the kernel side");

#endif
