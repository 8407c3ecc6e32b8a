/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_PEER_H
#define TOCSIN_MAPS_PEER_H

/* clang-format off */
/*
 * What the TCP programs keep of each remote address. Fixed-width types only: the kernel side gets
 * them from vmlinux.h, user space from <linux/types.h>.
 *
 *	map		kind
 *	peer_slots	hash		struct peer_key -> __u32 slot
 *	peers		array		slot -> struct peer_record; mapped into the agent
 *	peer_free	queue		slots that nobody uses
 *	peer_wakeups	ring buffer	struct peer_wakeup
 *
 * And, by the control group that owns the socket, of what should not happen:
 *
 *	tcp_group_records	hash	struct group_key -> struct tcp_group_record
 *
 * What finds no room there, or is of a socket whose group the kernel does not keep, is counted in the
 * global tcp_group_other, so that the sum is whole. There is also one struct tcp_counters in the
 * programs' global data. What each CPU holds back for a moment: maps/tally.h. What is kept of a socket
 * in trouble: maps/flow.h.
 *
 * Times are CLOCK_MONOTONIC nanoseconds, 0 = never, and lag by up to two ticks (of 1 to 10 ms).
 * Counters only grow while 'generation' stays the same; when the table is full, the slot of a peer
 * not heard for long is given to the new one: everything starts at zero and 'generation' grows.
 */
/* clang-format on */

#include "maps/group.h"
#include "maps/histogram.h"

/* A v6 address, or a v4 address in its mapped form, in network order. */
struct peer_key {
	__u8 address[16];
};

enum peer_retransmit {
	PEER_RETRANSMIT_RTO, /* retransmission timer expired: no answer for a round trip and more */
	PEER_RETRANSMIT_TLP, /* tail loss probe: happens on healthy networks */
	PEER_RETRANSMIT_FAST, /* driven by acknowledgements: the peer answers, segments were lost */
	PEER_RETRANSMIT_SYN,  /* our connect is not answered */
	PEER_RETRANSMIT_SYNACK, /* our answer to their connect is not acknowledged */
	PEER_RETRANSMIT_FAILED, /* the local stack refused to send it (visible since Linux 6.17) */
	PEER_RETRANSMIT_KINDS,
};

/* Why a connect or a connection ended in an error; the first five are OpenTelemetry's error.type.
 */
enum peer_error {
	PEER_ERROR_REFUSED,
	PEER_ERROR_RESET,
	PEER_ERROR_TIMED_OUT,
	PEER_ERROR_HOST_UNREACHABLE,
	PEER_ERROR_NET_UNREACHABLE,
	PEER_ERROR_ABANDONED, /* the application gave up while its connect was unanswered */
	PEER_ERROR_OTHER,
	PEER_ERROR_KINDS,
};

struct peer_record {
	__u64 heard_ns; /* when the last segment came in (on an established connection) */
	/* When they last acknowledged something new (on an established connection). */
	__u64 progress_ns;
	__u64 stalled_since_ns; /* oldest socket stalled now (RTO, no progress since); 0 = none */
	__u64 rto_ns;		/* when the last RTO fired */
	__u32 generation;	/* how often this slot has changed hands */
	__u32 flags;		/* PEER_FLAG_* */
	__u32 stalled_sockets;
	__u32 zero_window_sockets; /* their application does not read: overload, not partition */
	struct peer_key key;
	/* Last remote port that answered a connect of ours; for connections older than the programs
	 * the lower port is taken for the service's. Host order, 0 = unknown. */
	__u16 service_port;
	__u16 reserved;
	__u32 netns_inode; /* network namespace of the socket that was last tied to this peer */
	__u64 created_ns;

	__u64 segments;	   /* received */
	__u64 advances;	   /* acknowledgements of something new */
	__u64 acked_bytes; /* how much they acknowledged */
	__u64 retransmits[PEER_RETRANSMIT_KINDS];
	__u64 connects; /* ours, answered */
	__u64 connect_failures[PEER_ERROR_KINDS];
	__u64 connection_errors[PEER_ERROR_KINDS]; /* of established connections */
	__u64 resets_sent;
	__u64 resets_received;
	__u64 zero_window_episodes;
	__u64 rtt_sum_us;
	__u32 rtt[HISTOGRAM_BUCKETS]; /* one sample an acknowledged advance */
	__u64 woken_ns;		      /* when the agent was last told to look */
	__u64 connects_late; /* of 'connects', those that were answered only when tried again */
};

/* The slot holds a peer. Cleared while the slot is being handed over. */
#define PEER_FLAG_USED (1U << 0)
/* Set by the agent: the record of a configured node's own address, never given away. */
#define PEER_FLAG_PINNED (1U << 1)

/* Of the sockets of a control group; all only grow. */
struct tcp_group_record {
	__u64 retransmits;	/* of all kinds that were sent */
	__u64 connect_failures; /* for all reasons */
};

/* How the programs themselves fare; all only grow. */
struct tcp_counters {
	__u64 slots_taken; /* from the free ones: no slot beyond this number has ever been used */
	__u64 peers_created;
	__u64 peers_evicted;
	__u64 peer_failures; /* no slot for a new peer, or its insertion failed: that traffic is not
				counted */
	__u64 flow_failures; /* no memory for a socket's record: same */
	__u64 wakeups_lost;  /* the ring to the agent was full: it learns at its next tick */
	__u64 group_records_made; /* grows when there is a group whose name may not be known yet */
	/* Retransmits and failed connects counted as of no group: no room for its record. */
	__u64 group_records_lost;
};

/* Tells the agent to look at a peer now rather than at its next tick. */
struct peer_wakeup {
	__u32 slot;
	__u32 generation;
};

_Static_assert(sizeof(struct peer_key) == 16, "peer_key is shared with the kernel side");
_Static_assert(sizeof(struct peer_record) == 704, "peer_record is shared with the kernel side");
_Static_assert(sizeof(struct tcp_group_record) == 16,
	       "tcp_group_record is shared with the kernel side");
_Static_assert(sizeof(struct peer_record) % 64 == 0, "array elements lie back to back");

#endif
