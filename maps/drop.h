/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_DROP_H
#define TOCSIN_MAPS_DROP_H

/* What the trace "drop" sees: packets that the kernel gave up. */

#include "maps/packet.h"
#include "maps/trace.h"

struct drop_event {
	struct event event;
	__u64 location; /* address in the kernel of who dropped it */
	__u32 reason;	/* enum skb_drop_reason of this kernel; 0 where it has none */
	__u32 netns_inode;
	__u32 length_bytes;
	__u32 reserved;
	struct packet packet;
};

struct drop_key {
	__u32 epoch;
	__u32 reason;
	__u64 location;
	__u16 ethernet_protocol;
	__u8 protocol;
	__u8 reserved[5];
};

struct drop_count {
	__u64 packets;
	__u64 bytes;
};

_Static_assert(sizeof(struct drop_event) == 72, "drop_event is shared with the kernel side");
_Static_assert(sizeof(struct drop_key) == 24, "drop_key is shared with the kernel side");

#endif
