/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_FLOW_H
#define TOCSIN_MAPS_FLOW_H

/*
 * What the TCP programs keep of each socket, in the socket's own storage (map tcp_flows): received
 * segments are added up here, where nobody else writes because every program runs under the
 * socket's lock, and published to the peer's record a few times a second. That makes the busy path
 * free of shared cache lines. What a burst's last moments held back is published with the next
 * segment, retransmit or close of the socket. When the peer was last heard is never older than two
 * jiffies.
 */

/* In jiffies of 1 to 10 ms. */
#define FLOW_STAMP_JIFFIES   2
#define FLOW_PUBLISH_JIFFIES 64
#define FLOW_RTT_WINDOW	     8

/* Not counted: filtered out, or one of the agent's own connects (set from user space). */
#define FLOW_FLAG_IGNORED     (1U << 0)
#define FLOW_FLAG_ZERO_WINDOW (1U << 1)
/* Something was acknowledged since stamped_ns. */
#define FLOW_FLAG_ADVANCED (1U << 2)
/* An RTO has fired, and nothing was acknowledged since: stalled_since_ns is set. */
#define FLOW_FLAG_STALLED (1U << 3)

struct tcp_flow {
	/* What every segment touches: one cache line, together with what the kernel puts before it.
	 */
	__u32 flags;
	__u32 segments;
	__u32 acked_bytes; /* low half of tcp_sock.bytes_acked when last looked at */
	__u32 rack_mstamp; /* low half of tcp_sock.rack.mstamp, likewise */
	__u64 rtt_sum_us;
	__u32 stamped_jiffies; /* low half: when the peer's heard_ns was last brought up to date */
	__u32 advances;
	__u32 rtt_base;		    /* bucket of rtt[0] */
	__u16 rtt[FLOW_RTT_WINDOW]; /* one socket's RTT moves little: two octaves are enough at a
				       time */
	__u32 reserved;

	__u32 slot; /* of the peer, plus one; 0 = not known yet */
	__u32 generation;
	__u64 published_acked_bytes; /* tcp_sock.bytes_acked when the peer's counters were brought
					up to date */
	__u64 stamped_ns;	     /* the time of stamped_jiffies */
	__u64 stalled_since_ns;
	__u32 published_jiffies;
	__u32 padding;
};

_Static_assert(sizeof(struct tcp_flow) == 96, "tcp_flow is shared with the kernel side");

#endif
