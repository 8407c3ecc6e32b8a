/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_HEARTBEAT_LINK_H
#define TOCSIN_CLUSTER_HEARTBEAT_LINK_H

/*
 * What one node keeps of the heartbeats to and from one peer. Pure: no I/O, and every time is
 * handed in (CLOCK_MONOTONIC ns of this node, 0 = never).
 */

#include "cluster/heartbeat_clock.h"
#include "cluster/heartbeat_codec.h"
#include "detect/edge.h"
#include "detect/loss.h"

#include <stdbool.h>
#include <stdint.h>

/* Sequences that are remembered, of ours and of theirs. */
#define HEARTBEAT_WINDOW 64

/*
 * Added to the round trip before a heartbeat of ours counts as unheard: the peer's agent has to
 * run, too.
 */
#define HEARTBEAT_UNHEARD_MARGIN_NS 20000000ULL

/* The round trip to reckon with until one has been measured. */
#define HEARTBEAT_RTT_UNKNOWN_NS 200000000ULL

/* Which of a peer's sequences were taken in, in one life of its agent. */
struct heartbeat_window {
	uint64_t incarnation;	      /* of the peer's agent; 0 = nothing taken in yet */
	uint64_t highest_incarnation; /* ever taken in: a lower one has to prove that it is alive */
	uint64_t base_sequence;	      /* ours when this incarnation was first heard */
	uint64_t newest;
	uint64_t bitmap; /* bit n: newest - n was taken in */
};

/*
 * Zero-initialise, then heartbeat_link_init(). Fields are read by others, changed only by the
 * functions below.
 */
struct heartbeat_link {
	uint64_t own_incarnation;

	/* Ours, towards the peer. */
	uint64_t sequence;		    /* last one sent, 0 = none */
	uint64_t sent_ns[HEARTBEAT_WINDOW]; /* of sequence % HEARTBEAT_WINDOW */
	uint64_t confirmed;		    /* newest of ours that a report confirmed */
	uint64_t unheard;		    /* see struct edge_evidence */
	struct loss loss_out;
	bool forgive_out;

	/* Theirs, received directly. */
	struct heartbeat_window direct;
	uint64_t newest_sent_ns;     /* sender's stamp in the newest one */
	uint64_t newest_received_ns; /* when it came in */
	uint64_t heard_ns;	     /* when any was accepted */
	uint64_t accepted;
	uint64_t restarts; /* new incarnations after the first */
	uint8_t boot_id[HEARTBEAT_BOOT_BYTES];
	struct loss loss_in;
	bool forgive_in;
	uint64_t rtt_ns; /* smoothed, 0 = unknown */
	struct heartbeat_clock clock;

	/* Theirs, relayed by a third node. */
	struct heartbeat_window relayed;
	uint64_t testimony_ns;
	bool testimony_heard;
};

/* own_incarnation: CLOCK_REALTIME ns when this agent started; not 0. */
void heartbeat_link_init(struct heartbeat_link *link, uint64_t own_incarnation);

/*
 * Begins the next heartbeat to the peer: takes a sequence, remembers now_ns as its send time, and
 * fills sequence, sent_ns, incarnation and report. Flags, boot id, names and the wall clock are the
 * caller's.
 */
void heartbeat_link_next(struct heartbeat_link *link, uint64_t now_ns, struct heartbeat *heartbeat);

/*
 * Takes in a decoded heartbeat of this peer for this node that came in at received_ns. Returns
 * HEARTBEAT_ACCEPTED, or HEARTBEAT_REJECT_REPLAYED with nothing changed: a sequence that was taken
 * in before or is out of the window, or another incarnation that is neither newer than all before
 * nor proves by its report that it heard us since the present one was first heard. Sequences that
 * arrive late inside the window are accepted. A relayed heartbeat sets only testimony_ns and
 * testimony_heard.
 */
enum heartbeat_reject heartbeat_link_receive(struct heartbeat_link *link,
					     const struct heartbeat *heartbeat,
					     uint64_t received_ns);

/* Measures the peer's wall clock by a direct heartbeat that was just accepted, if its report echoes
 * our newest that it confirms. */
void heartbeat_link_measure_clock(struct heartbeat_link *link, const struct heartbeat *heartbeat,
				  uint64_t received_ns, uint64_t received_realtime_ns);

/* The caller judged an outage: the next gap is not counted as loss, in neither direction. */
void heartbeat_link_forgive(struct heartbeat_link *link);

/* The next gap of incoming sequences is not counted as loss: this node itself dropped datagrams. */
void heartbeat_link_forgive_incoming(struct heartbeat_link *link);

/* Fills evidence->heartbeat, but for expected, send_failures, send_errno and interval_ns. */
void heartbeat_link_evidence(const struct heartbeat_link *link, struct edge_evidence *evidence);

#endif
