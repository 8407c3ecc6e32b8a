/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_HEARTBEAT_CLOCK_H
#define TOCSIN_CLUSTER_HEARTBEAT_CLOCK_H

/*
 * How far a peer's wall clock is from ours, as NTP measures it: by when a heartbeat was sent and
 * received by either clock, there and back. Pure.
 *
 * A measurement is wrong by at most half of its round trip. So of the last few the one with the
 * shortest round trip counts.
 */

#include "cluster/heartbeat_codec.h"

#include <stdbool.h>
#include <stdint.h>

#define HEARTBEAT_CLOCK_SAMPLES 8

/* Zero-initialise. */
struct heartbeat_clock {
	struct heartbeat_clock_sample {
		int64_t offset_ns;
		uint64_t round_trip_ns;
	} samples[HEARTBEAT_CLOCK_SAMPLES]; /* of count % HEARTBEAT_CLOCK_SAMPLES */
	uint64_t count;			    /* ever taken */
};

/*
 * Takes in a heartbeat of the peer whose report echoes what we sent: it was received at
 * received_ns (CLOCK_MONOTONIC), when our wall clock had received_realtime_ns. What cannot be
 * (held for longer than it was away) is left out.
 */
void heartbeat_clock_take(struct heartbeat_clock *clock, const struct heartbeat *heartbeat,
			  uint64_t received_ns, uint64_t received_realtime_ns);

/* Theirs less ours (positive: theirs is ahead), and by how much that may be wrong. False when
 * nothing has been measured. */
bool heartbeat_clock_offset(const struct heartbeat_clock *clock, int64_t *ret_offset_ns,
			    uint64_t *ret_uncertainty_ns);

#endif
