/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_RESET_H
#define TOCSIN_MAPS_RESET_H

/* What the trace "reset" sees: a TCP reset, sent or received. */

#include "maps/peer.h"
#include "maps/trace.h"

struct reset_event {
	struct event event;
	struct owner owner;
	struct peer_key local, remote;
	__u16 local_port, remote_port; /* host order */
	__u32 reason; /* enum sk_rst_reason of this kernel, plus one; 0: not told (never for one
			 received, nor before Linux 6.10) */
	__u8 sent;    /* 1: sent, 0: received */
	__u8 state;   /* of the socket; 0: there is none */
	__u8 reserved[6];
};

_Static_assert(sizeof(struct reset_event) == 88, "reset_event is shared with the kernel side");

#endif
