/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_LISTENER_H
#define TOCSIN_MAPS_LISTENER_H

/* clang-format off */
/*
 * What the agent's listener programs and user space share: each TCP listener has a struct
 * listener_owner in the map 'listeners', by the address of its socket. User space puts addresses into
 * listener_batch and has the program run that looks at these sockets. It writes a struct
 * listener_record for each that has connections waiting, or has ever dropped any.
 */
/* clang-format on */

#include "maps/peer.h"

#define LISTENER_COMM_BYTES 16

#define LISTENERS_MAX  8192
#define LISTENER_BATCH 64

/* Who called listen(), or had the socket open when the programs were loaded. */
struct listener_owner {
	__u32 pid;
	char comm[LISTENER_COMM_BYTES];
};

struct listener_record {
	__u64 socket;	 /* its address, which may be another's after its end; 0: nothing is said */
	__u64 oldest_ns; /* how long the first connection in the queue has waited; 0: none, or not
			    known */
	struct peer_key local;
	__u32 netns_inode;
	__u32 drops;		     /* segments that it did not take, as it counts them itself */
	__u32 queue;		     /* connections that wait to be accepted */
	__u32 backlog;		     /* how many may; one more fits in */
	struct listener_owner owner; /* left to user space */
	__u16 port;		     /* host order */
	__u8 defers;		     /* TCP_DEFER_ACCEPT: it also counts each handshake as a drop */
	__u8 reserved;
};

_Static_assert(sizeof(struct listener_record) == 72,
	       "listener_record is shared with the kernel side");

struct listener_batch {
	__u32 count;
	__u32 reserved;
	__u64 sockets[LISTENER_BATCH];
	struct listener_record records[LISTENER_BATCH];
};

#endif
