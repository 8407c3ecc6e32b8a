/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_RETRANS_H
#define TOCSIN_MAPS_RETRANS_H

/* Records of the trace "retrans": one a TCP retransmit, or counts by connection. */

#include "maps/peer.h"
#include "maps/trace.h"

struct retrans_event {
	struct event event;
	struct owner owner;
	struct peer_key local, remote;
	__u16 local_port, remote_port; /* host order */
	__u32 sequence;		       /* first byte of the segment, relative to the first sent */
	__s32 error;		       /* 0, or why the local stack did not send it: -errno */
	__u8 kind;		       /* enum peer_retransmit */
	__u8 state;		       /* of the connection: TCP_ESTABLISHED ... */
	__u16 reserved;
};

struct retrans_key {
	__u32 epoch;
	__u16 local_port, remote_port;
	struct peer_key local, remote;
};

struct retrans_count {
	__u64 all;
	__u64 kinds[PEER_RETRANSMIT_KINDS];
};

_Static_assert(sizeof(struct retrans_event) == 88, "retrans_event is shared with the kernel side");
_Static_assert(sizeof(struct retrans_key) == 40, "retrans_key is shared with the kernel side");

#endif
