/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_TCPLIFE_H
#define TOCSIN_MAPS_TCPLIFE_H

/* What the trace "tcplife" tells of a connection when it has ended. */

#include "maps/peer.h"
#include "maps/trace.h"

enum tcplife_direction {
	TCPLIFE_UNKNOWN, /* it is older than the trace */
	TCPLIFE_OUT,	 /* this side connected */
	TCPLIFE_IN,
};

struct tcplife_event {
	struct event event;
	struct owner owner;
	struct peer_key local, remote;
	__u16 local_port, remote_port; /* host order */
	__u32 retransmits;	       /* segments sent again */
	__u64 duration_ns; /* since the connect began or was accepted by the kernel; 0: unknown */
	__u64 sent_bytes;  /* of data that the other side has acknowledged */
	__u64 received_bytes;
	__u64 rtt_ns; /* smoothed, at the end; 0: never measured */
	__s32 error;  /* 0, or what ended it: errno */
	__u8 direction;
	__u8 reserved[3];
};

_Static_assert(sizeof(struct tcplife_event) == 120, "tcplife_event is shared with the kernel side");

#endif
