/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_FLOW_H
#define TOCSIN_MAPS_FLOW_H

/*
 * What the TCP programs keep of a socket, in the socket's own storage or in a hash
 * (bpf/socket_record.bpf.h): only of one that is in trouble, or that the agent wants left out. A
 * healthy one has none.
 */

/* Where sockets have no storage: how many may be in trouble at once, and how many left out. */
#define FLOWS_BY_ADDRESS_MAX 16384
#define FLOWS_IGNORED_MAX    1024

/* One of the agent's own connects (set from user space): not counted. */
#define FLOW_FLAG_IGNORED (1U << 0)
/* The peer's window is closed: counted in the peer's zero_window_sockets. */
#define FLOW_FLAG_ZERO_WINDOW (1U << 1)
/* An RTO has fired, and nothing was acknowledged since: counted in the peer's stalled_sockets. */
#define FLOW_FLAG_STALLED (1U << 2)

/* A sweep looks at a stalled socket so long after its last RTO. */
#define FLOW_SWEEP_NS 100000000ULL

struct tcp_flow {
	__u32 flags;
	__u32 slot; /* of the peer whose gauges hold this flow's share, plus one; 0 = none yet */
	__u32 generation;
	__u32 stalled_una; /* tcp_sock.snd_una when it stalled */
	__u64 stalled_since_ns;
	__u64 rto_ns; /* when its last RTO fired */
};

_Static_assert(sizeof(struct tcp_flow) == 32, "tcp_flow is shared with the kernel side");

#endif
