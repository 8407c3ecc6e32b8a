// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat_link.h"

#include "base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define INTERVAL_NS (100 * NS_PER_MS)
#define OURS	    1000
#define THEIRS	    2000

/* Two ends of one link under one clock; 'there' is the peer. */
struct pair {
	uint64_t now_ns;
	struct heartbeat_link here, there;
};

static struct pair new_pair(void)
{
	struct pair pair = {.now_ns = 5 * NS_PER_S};

	heartbeat_link_init(&pair.here, OURS);
	heartbeat_link_init(&pair.there, THEIRS);
	return pair;
}

static struct heartbeat next(struct heartbeat_link *link, uint64_t now_ns)
{
	struct heartbeat heartbeat = {0};

	heartbeat_link_next(link, now_ns, &heartbeat);
	return heartbeat;
}

/* One interval: each sends one; either may get lost. One way takes 1 ms. */
static void exchange(struct pair *pair, bool ours_arrives, bool theirs_arrives)
{
	struct heartbeat ours = next(&pair->here, pair->now_ns);
	struct heartbeat theirs;

	if (ours_arrives)
		assert_int_equal(
			heartbeat_link_receive(&pair->there, &ours, pair->now_ns + NS_PER_MS),
			HEARTBEAT_ACCEPTED);
	theirs = next(&pair->there, pair->now_ns + 10 * NS_PER_MS);
	if (theirs_arrives)
		assert_int_equal(
			heartbeat_link_receive(&pair->here, &theirs, pair->now_ns + 11 * NS_PER_MS),
			HEARTBEAT_ACCEPTED);
	pair->now_ns += INTERVAL_NS;
}

static struct heartbeat bare(uint64_t incarnation, uint64_t sequence)
{
	return (struct heartbeat){.incarnation = incarnation, .sequence = sequence};
}

static void test_healthy(void **state)
{
	struct pair pair = new_pair();
	struct edge_evidence evidence = {0};

	(void)state;
	for (unsigned int i = 0; i < 200; i++)
		exchange(&pair, true, true);
	heartbeat_link_evidence(&pair.here, &evidence);
	assert_int_equal(evidence.heartbeat.accepted, 200);
	assert_int_equal(evidence.heartbeat.heard_ns, pair.now_ns - 89 * NS_PER_MS);
	assert_int_equal(evidence.heartbeat.unheard, 0);
	assert_true(evidence.heartbeat.loss_in == 0 && evidence.heartbeat.loss_out == 0);
	assert_true(evidence.heartbeat.loss_in_pessimistic == LOSS_FLOOR);
	assert_true(evidence.heartbeat.loss_out_pessimistic == LOSS_FLOOR);
	assert_int_equal(evidence.heartbeat.testimony_ns, 0);
	/* There and back is 2 ms; the 9 ms that they held our datagram are not in it. */
	assert_int_equal(pair.here.rtt_ns, 2 * NS_PER_MS);
	assert_int_equal(pair.here.restarts, 0);
}

/* What is sent says what was heard. */
static void test_report(void **state)
{
	struct heartbeat_link link = {0};
	struct heartbeat heartbeat, incoming;
	static const uint64_t heard[] = {5, 6, 8, 70};

	(void)state;
	heartbeat_link_init(&link, OURS);
	heartbeat = next(&link, 40);
	assert_int_equal(heartbeat.sequence, 1);
	assert_int_equal(heartbeat.sent_ns, 40);
	assert_int_equal(heartbeat.incarnation, OURS);
	assert_int_equal(heartbeat.report.sequence, 0);
	assert_int_equal(heartbeat.report.incarnation, 0);
	assert_int_equal(heartbeat.report.held_ns, 0);
	for (size_t i = 0; i < 4; i++) {
		incoming = bare(THEIRS, heard[i]);
		incoming.sent_ns = 7000 + heard[i];
		assert_int_equal(heartbeat_link_receive(&link, &incoming, 100 + i),
				 HEARTBEAT_ACCEPTED);
		heartbeat = next(&link, 150);
		assert_int_equal(heartbeat.report.sequence, heard[i]);
		assert_int_equal(heartbeat.report.echo_sent_ns, 7000 + heard[i]);
		assert_int_equal(heartbeat.report.held_ns, 50 - i);
		assert_int_equal(heartbeat.report.incarnation, THEIRS);
		if (heard[i] == 8)
			assert_int_equal(heartbeat.report.heard_bitmap, 0xd);
	}
	/* 70 - 6 is just out of the window, 70 - 8 just in. */
	assert_true(heartbeat.report.heard_bitmap == (1ULL | 1ULL << 62));
	/* A late one is reported as heard; the echo stays that of the newest. */
	incoming = bare(THEIRS, 69);
	incoming.sent_ns = 7069;
	assert_int_equal(heartbeat_link_receive(&link, &incoming, 140), HEARTBEAT_ACCEPTED);
	heartbeat = next(&link, 150);
	assert_true(heartbeat.report.heard_bitmap == (3ULL | 1ULL << 62));
	assert_int_equal(heartbeat.report.sequence, 70);
	assert_int_equal(heartbeat.report.echo_sent_ns, 7070);
	assert_int_equal(heartbeat.report.held_ns, 47);
}

/* Each sequence once, inside the window in any order. */
static void test_replay_window(void **state)
{
	static const struct {
		uint64_t sequence;
		enum heartbeat_reject expected;
		uint64_t newest;
	} cases[] = {
		{100, HEARTBEAT_ACCEPTED, 100},
		{100, HEARTBEAT_REJECT_REPLAYED, 100},
		{98, HEARTBEAT_ACCEPTED, 100}, /* late, does not move the newest */
		{98, HEARTBEAT_REJECT_REPLAYED, 100},
		{103, HEARTBEAT_ACCEPTED, 103},
		{100, HEARTBEAT_REJECT_REPLAYED, 103},
		{40, HEARTBEAT_ACCEPTED, 103}, /* the oldest in the window */
		{39, HEARTBEAT_REJECT_REPLAYED, 103},
		{1, HEARTBEAT_REJECT_REPLAYED, 103},
		{166, HEARTBEAT_ACCEPTED, 166},
		{103, HEARTBEAT_REJECT_REPLAYED, 166}, /* still remembered at the far end */
		{104, HEARTBEAT_ACCEPTED, 166},
		{1000, HEARTBEAT_ACCEPTED, 1000}, /* farther than the window */
		{937, HEARTBEAT_ACCEPTED, 1000},
		{936, HEARTBEAT_REJECT_REPLAYED, 1000},
		{1064, HEARTBEAT_ACCEPTED, 1064}, /* exactly a window on */
		{1000, HEARTBEAT_REJECT_REPLAYED, 1064},
		{1001, HEARTBEAT_ACCEPTED, 1064},
		{UINT64_MAX, HEARTBEAT_ACCEPTED, UINT64_MAX},
		{UINT64_MAX, HEARTBEAT_REJECT_REPLAYED, UINT64_MAX},
		{1064, HEARTBEAT_REJECT_REPLAYED, UINT64_MAX},
	};
	struct heartbeat_link link = {0};
	uint64_t accepted = 0;

	(void)state;
	heartbeat_link_init(&link, OURS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct heartbeat heartbeat = bare(THEIRS, cases[i].sequence);
		enum heartbeat_reject reject = heartbeat_link_receive(&link, &heartbeat, 10 + i);

		if (reject != cases[i].expected || link.direct.newest != cases[i].newest)
			fail_msg("case %zu: %s", i, heartbeat_reject_name(reject));
		accepted += reject == HEARTBEAT_ACCEPTED;
		if (reject == HEARTBEAT_ACCEPTED)
			assert_int_equal(link.heard_ns, 10 + i);
		assert_int_equal(link.accepted, accepted);
	}
}

static void test_incoming_loss(void **state)
{
	struct heartbeat_link link = {0};
	struct heartbeat heartbeat;

	(void)state;
	heartbeat_link_init(&link, OURS);
	for (uint64_t sequence = 50; sequence < 50 + 4000; sequence++) {
		heartbeat = bare(THEIRS, sequence);
		if (sequence % 10)
			heartbeat_link_receive(&link, &heartbeat, sequence);
	}
	assert_true(fabs(loss_ratio(&link.loss_in) - 0.1) < 0.005);
	assert_true(link.loss_out.slow_tries == 0);
}

static void test_outgoing_loss(void **state)
{
	struct pair pair = new_pair();

	(void)state;
	for (unsigned int i = 0; i < 3000; i++)
		exchange(&pair, i % 4, true);
	assert_true(fabs(loss_ratio(&pair.here.loss_out) - 0.25) < 0.005);
	assert_true(loss_ratio(&pair.here.loss_in) == 0);
	assert_true(fabs(loss_ratio(&pair.there.loss_in) - 0.25) < 0.005);
	assert_true(loss_ratio(&pair.there.loss_out) == 0);
}

/* Reports that are lost take no knowledge with them: the next one's bitmap tells it all. */
static void test_outgoing_loss_through_lossy_reports(void **state)
{
	struct pair pair = new_pair();

	(void)state;
	for (unsigned int i = 0; i < 3000; i++)
		exchange(&pair, i % 5, i % 3 == 0);
	assert_true(fabs(loss_ratio(&pair.here.loss_out) - 0.2) < 0.01);
	assert_true(fabs(loss_ratio(&pair.here.loss_in) - 2.0 / 3) < 0.01);
}

/* Without any report for longer than the bitmap reaches, what lies before it is not known: no loss.
 */
static void test_unknown_is_not_lost(void **state)
{
	struct pair pair = new_pair();

	(void)state;
	for (unsigned int i = 0; i < 20; i++)
		exchange(&pair, true, true);
	for (unsigned int i = 0; i < 500; i++)
		exchange(&pair, true, false);
	exchange(&pair, true, true);
	assert_true(loss_ratio(&pair.here.loss_out) == 0);
	assert_true(loss_ratio(&pair.here.loss_in) > 0.5);
}

static void test_forgive(void **state)
{
	static const struct {
		bool forgive, ours_arrives, theirs_arrives;
		unsigned int intervals;
		bool loss_out, loss_in;
	} cases[] = {
		{false, false, false, 30, true, true},	 {true, false, false, 30, false, false},
		{true, false, false, 300, false, false}, {true, false, true, 30, false, false},
		{true, true, false, 30, false, false},	 {false, true, false, 30, false, true},
		{false, false, true, 30, true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pair pair = new_pair();

		for (unsigned int n = 0; n < 20; n++)
			exchange(&pair, true, true);
		for (unsigned int n = 0; n < cases[i].intervals; n++)
			exchange(&pair, cases[i].ours_arrives, cases[i].theirs_arrives);
		if (cases[i].forgive)
			heartbeat_link_forgive(&pair.here);
		for (unsigned int n = 0; n < 5; n++)
			exchange(&pair, true, true);
		if ((loss_ratio(&pair.here.loss_out) > 0) != cases[i].loss_out ||
		    (loss_ratio(&pair.here.loss_in) > 0) != cases[i].loss_in)
			fail_msg("case %zu: loss out %g, in %g", i, loss_ratio(&pair.here.loss_out),
				 loss_ratio(&pair.here.loss_in));
		/* Only the one gap: the next loss of each direction counts again. */
		exchange(&pair, false, false);
		for (unsigned int n = 0; n < 3; n++)
			exchange(&pair, true, true);
		if (!cases[i].ours_arrives)
			assert_true(loss_ratio(&pair.here.loss_out) > 0);
		if (!cases[i].theirs_arrives)
			assert_true(loss_ratio(&pair.here.loss_in) > 0);
	}
}

static void test_unheard(void **state)
{
	struct pair pair = new_pair();

	(void)state;
	for (unsigned int i = 0; i < 10; i++)
		exchange(&pair, true, true);
	assert_int_equal(pair.here.unheard, 0);
	/*
	 * An egress cut. The report leaves 10 ms after our heartbeat and comes 11 ms after it:
	 * inside round trip and margin, so the newest one of ours does not count yet.
	 */
	for (unsigned int i = 0; i < 200; i++) {
		exchange(&pair, false, true);
		assert_int_equal(pair.here.unheard, i);
	}
	/* While their heartbeats are missing, too, nothing new is known. */
	exchange(&pair, false, false);
	assert_int_equal(pair.here.unheard, 199);
	exchange(&pair, true, true);
	assert_int_equal(pair.here.unheard, 0);
}

/* The boundary: round trip and margin before the report came in. */
static void test_unheard_boundary(void **state)
{
	static const struct {
		uint64_t age_ns; /* of our newest when the report comes */
		uint64_t unheard;
	} cases[] = {
		{HEARTBEAT_UNHEARD_MARGIN_NS + 4 * NS_PER_MS - 1, 0},
		{HEARTBEAT_UNHEARD_MARGIN_NS + 4 * NS_PER_MS, 1},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct heartbeat_link link = {0};
		struct heartbeat heartbeat = bare(THEIRS, 1);
		uint64_t now_ns = NS_PER_S;

		heartbeat_link_init(&link, OURS);
		heartbeat_link_receive(&link, &heartbeat, now_ns);
		next(&link, now_ns);
		heartbeat = bare(THEIRS, 2);
		heartbeat.report.incarnation = OURS;
		heartbeat.report.sequence = 1;
		heartbeat.report.heard_bitmap = 1;
		heartbeat.report.echo_sent_ns = now_ns;
		heartbeat_link_receive(&link, &heartbeat, now_ns + 4 * NS_PER_MS);
		assert_int_equal(link.rtt_ns, 4 * NS_PER_MS);
		now_ns += INTERVAL_NS;
		next(&link, now_ns);
		heartbeat.sequence = 3;
		heartbeat_link_receive(&link, &heartbeat, now_ns + cases[i].age_ns);
		assert_int_equal(link.unheard, cases[i].unheard);
	}
}

/* What was sent before the peer's agent was first heard may have found nobody. */
static void test_unheard_counts_from_the_peers_start(void **state)
{
	struct heartbeat_link link = {0};
	struct heartbeat heartbeat = bare(THEIRS, 1);
	uint64_t now_ns = NS_PER_S;

	(void)state;
	heartbeat_link_init(&link, OURS);
	for (unsigned int i = 0; i < 50; i++)
		next(&link, now_ns += INTERVAL_NS);
	heartbeat_link_receive(&link, &heartbeat, now_ns + INTERVAL_NS);
	assert_int_equal(link.unheard, 0);
	for (unsigned int i = 0; i < 10; i++)
		next(&link, now_ns += INTERVAL_NS);
	heartbeat.sequence = 2;
	heartbeat_link_receive(&link, &heartbeat, now_ns + INTERVAL_NS);
	/* Without a measured round trip 220 ms are waited: that excludes two of the ten. */
	assert_int_equal(link.unheard, 8);
}

/* Reports that do not speak of this life of ours, or of what we never sent, say nothing. */
static void test_foreign_reports(void **state)
{
	static const struct {
		uint64_t incarnation, sequence, bitmap;
		bool taken;
	} cases[] = {
		{OURS, 10, 1, true},  {OURS - 1, 10, 1, false}, {OURS, 11, 1, false},
		{OURS, 10, 2, false}, {OURS, 0, 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct heartbeat_link link = {0};
		struct heartbeat heartbeat = bare(THEIRS, 1);

		heartbeat_link_init(&link, OURS);
		for (unsigned int n = 0; n < 10; n++)
			next(&link, NS_PER_S + n);
		heartbeat.report.incarnation = cases[i].incarnation;
		heartbeat.report.sequence = cases[i].sequence;
		heartbeat.report.heard_bitmap = cases[i].bitmap;
		assert_int_equal(heartbeat_link_receive(&link, &heartbeat, 2 * NS_PER_S),
				 HEARTBEAT_ACCEPTED);
		assert_int_equal(link.confirmed, cases[i].taken ? 10 : 0);
		assert_int_equal(link.rtt_ns, 0); /* the echo is none of ours */
	}
}

static void test_rtt(void **state)
{
	static const struct {
		uint64_t back_after_ns, held_ns, rtt_ns;
	} cases[] = {
		{30 * NS_PER_MS, 10 * NS_PER_MS, 20 * NS_PER_MS},
		{30 * NS_PER_MS, 30 * NS_PER_MS, 0}, /* held for longer than it was away */
		{30 * NS_PER_MS, UINT64_MAX, 0},
		{10 * NS_PER_S + 1, 0, 0},
		{10 * NS_PER_S, 0, 10 * NS_PER_S},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct heartbeat_link link = {0};
		struct heartbeat heartbeat = bare(THEIRS, 1);

		heartbeat_link_init(&link, OURS);
		heartbeat.report.echo_sent_ns = next(&link, NS_PER_S).sent_ns;
		heartbeat.report.incarnation = OURS;
		heartbeat.report.sequence = 1;
		heartbeat.report.heard_bitmap = 1;
		heartbeat.report.held_ns = cases[i].held_ns;
		heartbeat_link_receive(&link, &heartbeat, NS_PER_S + cases[i].back_after_ns);
		assert_int_equal(link.rtt_ns, cases[i].rtt_ns);
	}
}

/* The peer's agent restarts with a later clock: taken at once, and its sequences start anew. */
static void test_restart(void **state)
{
	struct pair pair = new_pair();
	struct heartbeat captured;

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		exchange(&pair, true, true);
	captured = next(&pair.there, pair.now_ns);
	/* While it is down nobody hears us: that is no loss. */
	for (unsigned int i = 0; i < 30; i++)
		exchange(&pair, false, false);
	heartbeat_link_init(&pair.there, THEIRS + 1);
	for (unsigned int i = 0; i < 20; i++)
		exchange(&pair, true, true);
	assert_int_equal(pair.here.restarts, 1);
	assert_int_equal(pair.here.direct.newest, 20);
	assert_int_equal(pair.here.unheard, 0);
	assert_true(loss_ratio(&pair.here.loss_in) == 0 && loss_ratio(&pair.here.loss_out) == 0);
	/* The one before is dead: what was captured of it is refused although it never arrived. */
	assert_int_equal(heartbeat_link_receive(&pair.here, &captured, pair.now_ns),
			 HEARTBEAT_REJECT_REPLAYED);
	assert_int_equal(pair.here.direct.incarnation, THEIRS + 1);
}

/* It restarts with a clock that was set back: it must first have heard us in this life. */
static void test_restart_with_clock_set_back(void **state)
{
	struct pair pair = new_pair();
	struct heartbeat captured, ours, theirs;

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		exchange(&pair, true, true);
	captured = next(&pair.there, pair.now_ns);
	heartbeat_link_init(&pair.there, THEIRS - 500);
	theirs = next(&pair.there, pair.now_ns);
	assert_int_equal(heartbeat_link_receive(&pair.here, &theirs, pair.now_ns),
			 HEARTBEAT_REJECT_REPLAYED);
	ours = next(&pair.here, pair.now_ns);
	assert_int_equal(heartbeat_link_receive(&pair.there, &ours, pair.now_ns + 1),
			 HEARTBEAT_ACCEPTED);
	theirs = next(&pair.there, pair.now_ns + 2);
	assert_int_equal(heartbeat_link_receive(&pair.here, &theirs, pair.now_ns + 3),
			 HEARTBEAT_ACCEPTED);
	assert_int_equal(pair.here.direct.incarnation, THEIRS - 500);
	/* The dead one's datagram has the later clock and echoes us, but not what we sent since. */
	assert_int_equal(heartbeat_link_receive(&pair.here, &captured, pair.now_ns + 4),
			 HEARTBEAT_REJECT_REPLAYED);
	assert_int_equal(pair.here.direct.incarnation, THEIRS - 500);
}

/* The proof must be one of our last 64, of this incarnation of ours, with its true send time. */
static void test_proof_of_life(void **state)
{
	static const struct {
		uint64_t incarnation, sequence, echo_offset_ns;
		enum heartbeat_reject expected;
	} cases[] = {
		{OURS, 200, 0, HEARTBEAT_ACCEPTED},
		{OURS, 137, 0, HEARTBEAT_ACCEPTED},
		{OURS, 136, 0, HEARTBEAT_REJECT_REPLAYED},
		{OURS, 200, 1, HEARTBEAT_REJECT_REPLAYED},
		{OURS - 1, 200, 0, HEARTBEAT_REJECT_REPLAYED},
		{OURS, 201, 0, HEARTBEAT_REJECT_REPLAYED},
		{OURS, 0, 0, HEARTBEAT_REJECT_REPLAYED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct heartbeat_link link = {0};
		struct heartbeat heartbeat = bare(THEIRS, 1);

		heartbeat_link_init(&link, OURS);
		heartbeat_link_receive(&link, &heartbeat, NS_PER_S);
		for (unsigned int n = 1; n <= 200; n++)
			next(&link, n * INTERVAL_NS);
		heartbeat = bare(THEIRS - 1, 1);
		heartbeat.report.incarnation = cases[i].incarnation;
		heartbeat.report.sequence = cases[i].sequence;
		heartbeat.report.heard_bitmap = 1;
		heartbeat.report.echo_sent_ns =
			cases[i].sequence * INTERVAL_NS + cases[i].echo_offset_ns;
		if (heartbeat_link_receive(&link, &heartbeat, 30 * NS_PER_S) != cases[i].expected)
			fail_msg("case %zu", i);
	}
}

static void test_testimony(void **state)
{
	struct pair pair = new_pair();
	struct edge_evidence evidence = {0};
	struct heartbeat relayed;
	uint64_t heard_ns, accepted;

	(void)state;
	for (unsigned int i = 0; i < 20; i++)
		exchange(&pair, true, true);
	heard_ns = pair.here.heard_ns;
	accepted = pair.here.accepted;
	/* We do not hear them any more, but they hear us. */
	for (unsigned int i = 0; i < 5; i++)
		exchange(&pair, true, false);
	relayed = next(&pair.there, pair.now_ns);
	relayed.flags = HEARTBEAT_FLAG_RELAY;
	assert_int_equal(heartbeat_link_receive(&pair.here, &relayed, pair.now_ns + 2),
			 HEARTBEAT_ACCEPTED);
	heartbeat_link_evidence(&pair.here, &evidence);
	assert_int_equal(evidence.heartbeat.testimony_ns, pair.now_ns + 2);
	assert_true(evidence.heartbeat.testimony_heard);
	/* That is not hearing them. */
	assert_int_equal(evidence.heartbeat.heard_ns, heard_ns);
	assert_int_equal(evidence.heartbeat.accepted, accepted);
	/* By the second way it comes as a duplicate. */
	assert_int_equal(heartbeat_link_receive(&pair.here, &relayed, pair.now_ns + 3),
			 HEARTBEAT_REJECT_REPLAYED);
	assert_int_equal(pair.here.testimony_ns, pair.now_ns + 2);
	/* Its replay check is its own: the same sequence may also come directly. */
	relayed.flags = 0;
	assert_int_equal(heartbeat_link_receive(&pair.here, &relayed, pair.now_ns + 4),
			 HEARTBEAT_ACCEPTED);
	/* A cut both ways for 2 s: they still speak, and say that they do not hear us. */
	for (unsigned int i = 0; i < 20; i++)
		exchange(&pair, false, false);
	relayed = next(&pair.there, pair.now_ns);
	relayed.flags = HEARTBEAT_FLAG_RELAY;
	assert_int_equal(heartbeat_link_receive(&pair.here, &relayed, pair.now_ns),
			 HEARTBEAT_ACCEPTED);
	assert_int_equal(pair.here.testimony_ns, pair.now_ns);
	assert_false(pair.here.testimony_heard);
	/* They have heard us lately, but in an earlier life of ours. */
	relayed = next(&pair.there, pair.now_ns);
	relayed.flags = HEARTBEAT_FLAG_RELAY;
	relayed.report.sequence = pair.here.sequence;
	relayed.report.echo_sent_ns = pair.now_ns - INTERVAL_NS;
	relayed.report.incarnation = OURS - 1;
	assert_int_equal(heartbeat_link_receive(&pair.here, &relayed, pair.now_ns),
			 HEARTBEAT_ACCEPTED);
	assert_false(pair.here.testimony_heard);
	/* The same in this one. */
	relayed.sequence++;
	relayed.report.incarnation = OURS;
	assert_int_equal(heartbeat_link_receive(&pair.here, &relayed, pair.now_ns),
			 HEARTBEAT_ACCEPTED);
	assert_true(pair.here.testimony_heard);
}

/* Relayed words of long ago, or of an agent that is gone, are refused. */
static void test_testimony_replays(void **state)
{
	struct pair pair = new_pair();
	struct heartbeat old, dead;

	(void)state;
	for (unsigned int i = 0; i < 10; i++)
		exchange(&pair, true, true);
	old = next(&pair.there, pair.now_ns);
	old.flags = HEARTBEAT_FLAG_RELAY;
	dead = old;
	dead.incarnation = THEIRS - 1;
	for (unsigned int i = 0; i < HEARTBEAT_WINDOW; i++)
		exchange(&pair, true, true);
	assert_int_equal(heartbeat_link_receive(&pair.here, &old, pair.now_ns),
			 HEARTBEAT_REJECT_REPLAYED);
	assert_int_equal(heartbeat_link_receive(&pair.here, &dead, pair.now_ns),
			 HEARTBEAT_REJECT_REPLAYED);
	assert_int_equal(pair.here.testimony_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_healthy),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_replay_window),
		cmocka_unit_test(test_incoming_loss),
		cmocka_unit_test(test_outgoing_loss),
		cmocka_unit_test(test_outgoing_loss_through_lossy_reports),
		cmocka_unit_test(test_unknown_is_not_lost),
		cmocka_unit_test(test_forgive),
		cmocka_unit_test(test_unheard),
		cmocka_unit_test(test_unheard_boundary),
		cmocka_unit_test(test_unheard_counts_from_the_peers_start),
		cmocka_unit_test(test_foreign_reports),
		cmocka_unit_test(test_rtt),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_with_clock_set_back),
		cmocka_unit_test(test_proof_of_life),
		cmocka_unit_test(test_testimony),
		cmocka_unit_test(test_testimony_replays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
