/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_TALLY_H
#define TOCSIN_MAPS_TALLY_H

/*
 * What one CPU has counted of one peer since it last told the peer's record (map peer_tallies: a
 * block of equal size for each CPU, each used as a 2-way cache by address). A received segment
 * touches its CPU's tally and nothing that others write, however many sockets the peer has.
 *
 * When the peer was heard and when it acknowledged something is told once a jiffy; counts and RTT
 * samples every TALLY_PUBLISH_JIFFIES, with a retransmit or the end of a connection on this CPU, or
 * when another peer takes the tally over. What a burst's last moments held back waits for one of
 * these.
 */

#include "maps/peer.h"

/* In jiffies of 1 to 10 ms. */
#define TALLY_PUBLISH_JIFFIES 16
#define TALLY_RTT_WINDOW      24
#define TALLY_WAYS	      2

struct peer_tally {
	/* What each segment touches. */
	struct peer_key key; /* all zero: never used */
	__u32 slot;	     /* of the peer, plus one; 0: unused */
	__u32 generation;
	__u32 heard_jiffies; /* low halves of when the peer's record was last told */
	__u32 progress_jiffies;
	__u32 segments;
	__u32 advances;
	__u64 acked_bytes;
	/* The socket heard last, and what it was told: the same again acknowledges nothing new. */
	__u64 socket;
	__u32 socket_ack;
	__u32 published_jiffies;

	/* What those touch that acknowledge something new. A peer's RTT moves little: six octaves
	 * are enough at a time; what lies outside goes to the peer's record at once. */
	__u64 rtt_sum_us;
	__u32 rtt_base; /* bucket of rtt[0] */
	__u32 reserved;
	__u16 rtt[TALLY_RTT_WINDOW];
};

_Static_assert(__builtin_offsetof(struct peer_tally, rtt_sum_us) == 64, "one line a segment");
_Static_assert(sizeof(struct peer_tally) == 128, "a tally is two cache lines");

#endif
