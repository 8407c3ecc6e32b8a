// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat_link.h"

#include "base/clock.h"

#include <string.h>

/* A testimony says 'hears us' when it confirms one of our last ones, or one not older than this. */
#define TESTIMONY_RECENT_SEQUENCES 10
#define TESTIMONY_RECENT_NS	   NS_PER_S

/* A longer round trip is a mistake of somebody's clock, not of the network. */
#define RTT_MAX_NS    (10 * NS_PER_S)
#define RTT_SMOOTHING 8

enum arrival {
	ARRIVAL_REPLAYED,
	ARRIVAL_LATE,		 /* fills a hole behind the newest */
	ARRIVAL_NEWEST,		 /* after 'lost' sequences that have not come */
	ARRIVAL_NEW_INCARNATION, /* the peer's agent started anew: nothing before it counts */
};

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void heartbeat_link_init(struct heartbeat_link *link, uint64_t own_incarnation)
{
	*link = (struct heartbeat_link){.own_incarnation = own_incarnation};
}

void heartbeat_link_next(struct heartbeat_link *link, uint64_t now_ns, struct heartbeat *heartbeat)
{
	link->sequence++;
	link->sent_ns[link->sequence % HEARTBEAT_WINDOW] = now_ns;

	heartbeat->sequence = link->sequence;
	heartbeat->sent_ns = now_ns;
	heartbeat->incarnation = link->own_incarnation;
	heartbeat->report.incarnation = link->direct.incarnation;
	heartbeat->report.sequence = link->direct.newest;
	heartbeat->report.heard_bitmap = link->direct.bitmap;
	heartbeat->report.echo_sent_ns = link->newest_sent_ns;
	heartbeat->report.held_ns = now_ns > link->newest_received_ns && link->direct.incarnation
					    ? now_ns - link->newest_received_ns
					    : 0;
}

static bool sequence_remembered(const struct heartbeat_link *link, uint64_t sequence)
{
	return sequence && sequence <= link->sequence &&
	       link->sequence - sequence < HEARTBEAT_WINDOW;
}

static uint64_t sequence_sent_ns(const struct heartbeat_link *link, uint64_t sequence)
{
	return link->sent_ns[sequence % HEARTBEAT_WINDOW];
}

/* The report speaks of this life of our agent, and of heartbeats that we did send. */
static bool report_valid(const struct heartbeat_link *link, const struct heartbeat *heartbeat)
{
	return heartbeat->report.incarnation == link->own_incarnation &&
	       heartbeat->report.sequence && heartbeat->report.sequence <= link->sequence &&
	       (heartbeat->report.heard_bitmap & 1);
}

/* The report echoes a send time that only somebody who received that heartbeat can know. */
static bool report_echoes(const struct heartbeat_link *link, const struct heartbeat *heartbeat)
{
	uint64_t sequence = heartbeat->report.sequence;

	return report_valid(link, heartbeat) && sequence_remembered(link, sequence) &&
	       heartbeat->report.echo_sent_ns == sequence_sent_ns(link, sequence);
}

/*
 * An incarnation is a wall-clock time, and a clock may be set back: then the proof of life is an
 * echo of what we sent after the present incarnation was first heard. A dead agent cannot have
 * heard that, so a datagram captured from it never passes.
 */
static bool incarnation_acceptable(const struct heartbeat_link *link,
				   const struct heartbeat_window *window,
				   const struct heartbeat *heartbeat)
{
	return heartbeat->incarnation > window->highest_incarnation ||
	       (report_echoes(link, heartbeat) &&
		heartbeat->report.sequence > window->base_sequence);
}

static enum arrival window_take(const struct heartbeat_link *link, struct heartbeat_window *window,
				const struct heartbeat *heartbeat, uint64_t *ret_lost)
{
	uint64_t sequence = heartbeat->sequence;
	enum arrival arrival = ARRIVAL_REPLAYED;

	if (heartbeat->incarnation != window->incarnation) {
		if (!incarnation_acceptable(link, window, heartbeat))
			return ARRIVAL_REPLAYED;
		window->incarnation = heartbeat->incarnation;
		window->highest_incarnation =
			max_u64(window->highest_incarnation, heartbeat->incarnation);
		window->base_sequence = link->sequence;
		window->newest = sequence;
		window->bitmap = 1;
		arrival = ARRIVAL_NEW_INCARNATION;
	} else if (sequence > window->newest) {
		uint64_t step = sequence - window->newest;

		window->bitmap = step < HEARTBEAT_WINDOW ? window->bitmap << step | 1 : 1;
		window->newest = sequence;
		*ret_lost = step - 1;
		arrival = ARRIVAL_NEWEST;
	} else if (window->newest - sequence < HEARTBEAT_WINDOW) {
		uint64_t bit = 1ULL << (window->newest - sequence);

		if (!(window->bitmap & bit)) {
			window->bitmap |= bit;
			arrival = ARRIVAL_LATE;
		}
	}
	return arrival;
}

static void count_incoming(struct heartbeat_link *link, uint64_t lost)
{
	if (lost && link->forgive_in) {
		link->forgive_in = false;
		lost = 0;
	}
	loss_record(&link->loss_in, lost);
}

/*
 * Each of our sequences is judged once, when the peer's newest passes it. Those that have left its
 * bitmap since the report before are unknown, which is neither arrived nor lost.
 */
static void count_outgoing(struct heartbeat_link *link, const struct heartbeat *heartbeat)
{
	uint64_t newest = heartbeat->report.sequence;
	uint64_t judged = min_u64(newest - link->confirmed, HEARTBEAT_WINDOW);
	uint64_t lost = 0, mask;

	if (!link->confirmed || judged == 1) {
		loss_record(&link->loss_out, 0);
		return;
	}
	mask = judged < HEARTBEAT_WINDOW ? (1ULL << judged) - 1 : UINT64_MAX;
	if (link->forgive_out && (heartbeat->report.heard_bitmap & mask) != mask) {
		/* Only a gap uses the forgiveness up. */
		link->forgive_out = false;
		loss_record(&link->loss_out, 0);
		return;
	}
	for (uint64_t age = judged; age-- > 0;) {
		if (heartbeat->report.heard_bitmap >> age & 1) {
			loss_record(&link->loss_out, lost);
			lost = 0;
		} else {
			lost++;
		}
	}
}

static void measure_rtt(struct heartbeat_link *link, const struct heartbeat *heartbeat,
			uint64_t received_ns)
{
	uint64_t sent_ns = heartbeat->report.echo_sent_ns;
	uint64_t away_ns = received_ns > sent_ns ? received_ns - sent_ns : 0;
	uint64_t sample_ns;

	if (heartbeat->report.held_ns >= away_ns)
		return;
	sample_ns = away_ns - heartbeat->report.held_ns;
	if (sample_ns > RTT_MAX_NS)
		return;
	if (link->rtt_ns)
		link->rtt_ns = (link->rtt_ns * (RTT_SMOOTHING - 1) + sample_ns) / RTT_SMOOTHING;
	else
		link->rtt_ns = sample_ns;
}

static uint64_t count_unheard(const struct heartbeat_link *link, uint64_t received_ns)
{
	uint64_t wait_ns = (link->rtt_ns ?: HEARTBEAT_RTT_UNKNOWN_NS) + HEARTBEAT_UNHEARD_MARGIN_NS;
	/* What we sent before this agent of the peer was first heard may have found nobody. */
	uint64_t after = max_u64(link->confirmed, link->direct.base_sequence);
	uint64_t unheard = 0;

	for (uint64_t sequence = link->sequence;
	     sequence > after && sequence_remembered(link, sequence); sequence--) {
		if (sequence_sent_ns(link, sequence) + wait_ns <= received_ns) {
			unheard = sequence - after;
			break;
		}
	}
	return unheard;
}

static void take_report(struct heartbeat_link *link, const struct heartbeat *heartbeat,
			uint64_t received_ns)
{
	if (report_valid(link, heartbeat) && heartbeat->report.sequence > link->confirmed) {
		count_outgoing(link, heartbeat);
		link->confirmed = heartbeat->report.sequence;
		if (report_echoes(link, heartbeat))
			measure_rtt(link, heartbeat, received_ns);
	}
	link->unheard = count_unheard(link, received_ns);
}

static enum heartbeat_reject receive_direct(struct heartbeat_link *link,
					    const struct heartbeat *heartbeat, uint64_t received_ns)
{
	bool first = !link->direct.incarnation;
	uint64_t lost = 0;
	enum arrival arrival = window_take(link, &link->direct, heartbeat, &lost);

	if (arrival == ARRIVAL_REPLAYED)
		return HEARTBEAT_REJECT_REPLAYED;
	link->accepted++;
	link->heard_ns = max_u64(link->heard_ns, received_ns);
	/* A late one's report is older than the one that is known. */
	if (arrival == ARRIVAL_LATE)
		return HEARTBEAT_ACCEPTED;

	if (arrival == ARRIVAL_NEW_INCARNATION) {
		link->confirmed = 0;
		link->restarts += !first;
		memcpy(link->boot_id, heartbeat->boot_id, sizeof(link->boot_id));
	}
	count_incoming(link, lost);
	link->newest_sent_ns = heartbeat->sent_ns;
	link->newest_received_ns = received_ns;
	take_report(link, heartbeat, received_ns);
	return HEARTBEAT_ACCEPTED;
}

/* What is known directly bounds what may come by way of others. */
static bool relayed_is_current(const struct heartbeat_link *link, const struct heartbeat *heartbeat)
{
	const struct heartbeat_window *direct = &link->direct;

	if (heartbeat->incarnation != direct->incarnation)
		return incarnation_acceptable(link, direct, heartbeat);
	return heartbeat->sequence > direct->newest ||
	       direct->newest - heartbeat->sequence < HEARTBEAT_WINDOW;
}

static enum heartbeat_reject receive_relayed(struct heartbeat_link *link,
					     const struct heartbeat *heartbeat,
					     uint64_t received_ns)
{
	uint64_t sequence = heartbeat->report.sequence;
	enum arrival arrival = ARRIVAL_REPLAYED;
	uint64_t lost = 0;

	if (relayed_is_current(link, heartbeat))
		arrival = window_take(link, &link->relayed, heartbeat, &lost);
	if (arrival == ARRIVAL_REPLAYED)
		return HEARTBEAT_REJECT_REPLAYED;
	if (arrival == ARRIVAL_LATE)
		return HEARTBEAT_ACCEPTED;
	link->testimony_ns = max_u64(link->testimony_ns, received_ns);
	link->testimony_heard =
		report_echoes(link, heartbeat) &&
		(link->sequence - sequence < TESTIMONY_RECENT_SEQUENCES ||
		 sequence_sent_ns(link, sequence) + TESTIMONY_RECENT_NS >= received_ns);
	return HEARTBEAT_ACCEPTED;
}

enum heartbeat_reject heartbeat_link_receive(struct heartbeat_link *link,
					     const struct heartbeat *heartbeat,
					     uint64_t received_ns)
{
	if (heartbeat->flags & HEARTBEAT_FLAG_RELAY)
		return receive_relayed(link, heartbeat, received_ns);
	return receive_direct(link, heartbeat, received_ns);
}

void heartbeat_link_measure_clock(struct heartbeat_link *link, const struct heartbeat *heartbeat,
				  uint64_t received_ns, uint64_t received_realtime_ns)
{
	if (heartbeat->sequence == link->direct.newest && report_echoes(link, heartbeat))
		heartbeat_clock_take(&link->clock, heartbeat, received_ns, received_realtime_ns);
}

void heartbeat_link_forgive(struct heartbeat_link *link)
{
	link->forgive_in = true;
	link->forgive_out = true;
}

void heartbeat_link_forgive_incoming(struct heartbeat_link *link)
{
	link->forgive_in = true;
}

void heartbeat_link_evidence(const struct heartbeat_link *link, struct edge_evidence *evidence)
{
	evidence->heartbeat.heard_ns = link->heard_ns;
	evidence->heartbeat.accepted = link->accepted;
	evidence->heartbeat.unheard = link->unheard;
	evidence->heartbeat.testimony_ns = link->testimony_ns;
	evidence->heartbeat.testimony_heard = link->testimony_heard;
	evidence->heartbeat.loss_in = loss_ratio(&link->loss_in);
	evidence->heartbeat.loss_out = loss_ratio(&link->loss_out);
	evidence->heartbeat.loss_in_pessimistic = loss_pessimistic(&link->loss_in);
	evidence->heartbeat.loss_out_pessimistic = loss_pessimistic(&link->loss_out);
	evidence->heartbeat.loss_in_lost = loss_lost(&link->loss_in);
	evidence->heartbeat.loss_out_lost = loss_lost(&link->loss_out);
}
