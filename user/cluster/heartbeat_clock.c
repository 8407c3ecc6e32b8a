// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat_clock.h"

void heartbeat_clock_take(struct heartbeat_clock *clock, const struct heartbeat *heartbeat,
			  uint64_t received_ns, uint64_t received_realtime_ns)
{
	uint64_t away_ns = received_ns - heartbeat->report.echo_sent_ns;
	uint64_t round_trip_ns = away_ns - heartbeat->report.held_ns;

	if (received_ns < heartbeat->report.echo_sent_ns || away_ns < heartbeat->report.held_ns)
		return;
	/*
	 * NTP's ((T2 - T1) + (T3 - T4)) / 2. The peer's T2 is its T3 less what it held ours, our T1
	 * is our T4 less what ours was away: both are known by clocks that nobody sets.
	 */
	clock->samples[clock->count++ % HEARTBEAT_CLOCK_SAMPLES] = (struct heartbeat_clock_sample){
		.offset_ns = (int64_t)(heartbeat->sent_realtime_ns - received_realtime_ns +
				       round_trip_ns / 2),
		.round_trip_ns = round_trip_ns,
	};
}

bool heartbeat_clock_offset(const struct heartbeat_clock *clock, int64_t *ret_offset_ns,
			    uint64_t *ret_uncertainty_ns)
{
	const struct heartbeat_clock_sample *best = &clock->samples[0];

	for (uint64_t i = 1; i < HEARTBEAT_CLOCK_SAMPLES && i < clock->count; i++)
		if (clock->samples[i].round_trip_ns < best->round_trip_ns)
			best = &clock->samples[i];
	if (!clock->count)
		return false;
	*ret_offset_ns = best->offset_ns;
	*ret_uncertainty_ns = best->round_trip_ns / 2;
	return true;
}
