/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_FLOW_H
#define TOCSIN_MAPS_FLOW_H

/*
 * What the TCP programs keep of each socket, in the socket's own storage (map tcp_flows): received
 * segments are added up here, where nobody else writes because every program runs under the
 * socket's lock, and published to the peer's record at most once in FLOW_FLUSH_JIFFIES. That makes
 * the busy path free of shared cache lines. What a burst's last few milliseconds held back is
 * published with the next segment, retransmit or close of the socket.
 */

#define FLOW_FLUSH_JIFFIES 2
#define FLOW_RTT_WINDOW	   8

/* Not counted: filtered out, or one of the agent's own connects (set from user space). */
#define FLOW_FLAG_IGNORED     (1U << 0)
#define FLOW_FLAG_ZERO_WINDOW (1U << 1)

struct tcp_flow {
	__u32 flags;
	__u32 slot; /* of the peer, plus one; 0 = not known yet */
	__u32 generation;
	__u32 segments;
	__u64 acked_bytes; /* tcp_sock.bytes_acked when last looked at */
	__u64 newly_acked_bytes;
	__u64 rack_mstamp;
	__u64 rtt_sum_us;
	__u64 stalled_since_ns;
	__u64 flushed_jiffies;
	__u32 advances;
	__u32 rtt_base;		    /* bucket of rtt[0] */
	__u16 rtt[FLOW_RTT_WINDOW]; /* one socket's RTT moves little: two octaves are enough at a
				       time */
};

_Static_assert(sizeof(struct tcp_flow) == 88, "tcp_flow is shared with the kernel side");

#endif
