// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Heartbeats that a third node passes on. */
#include "cluster/heartbeat_forward.h"

#include "base/clock.h"
#include "cluster/heartbeat.h"
#include "cluster/heartbeat_codec.h"
#include "unit/heartbeat_nodes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* n1 sends to a wrong address of n2: n2 does not hear it, but hears of it through n3. */
static void test_relay(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	struct edge_evidence evidence;
	uint64_t end_ns = clock_monotonic_ns() + LOOP_LIMIT_NS;
	uint64_t start_ns;

	nodes_set_address(&nodes->members[0][1], "127.0.0.99");
	for (unsigned int i = 0; i < HEARTBEAT_NODES; i++)
		nodes_start(nodes, i);
	nodes_turn_until_accepted(nodes, 0, 1, 30);
	nodes_turn_until_accepted(nodes, 0, 2, 5);
	evidence = nodes_evidence(nodes, 0, 1);
	assert_true(evidence.heartbeat.unheard >= 20);
	assert_int_equal(nodes_evidence(nodes, 1, 0).heartbeat.testimony_ns, 0);
	assert_int_equal(nodes_counters(nodes, 0)->relays_sent, 0);

	start_ns = clock_monotonic_ns();
	heartbeat_set_outage(nodes->sockets[0], 1, HEARTBEAT_OUTAGE_EGRESS_CUT);
	while (nodes_counters(nodes, 1)->relays_accepted < 10 && clock_monotonic_ns() < end_ns)
		loop_turn(&nodes->loop);
	loop_turn_for(&nodes->loop, 300 * NS_PER_MS);
	evidence = nodes_evidence(nodes, 1, 0);
	assert_true(evidence.heartbeat.testimony_ns > start_ns);
	assert_true(evidence.heartbeat.testimony_heard);
	assert_int_equal(evidence.heartbeat.accepted, 0);
	assert_int_equal(evidence.heartbeat.heard_ns, 0);
	/* Through n3 alone: n1 does not ask n2 to tell n2, nor itself. */
	assert_int_equal(nodes_counters(nodes, 1)->relays_forwarded, 0);
	assert_in_range(nodes_counters(nodes, 2)->relays_forwarded, 10,
			20 * (1 + (clock_monotonic_ns() - start_ns) / NS_PER_S));
	assert_int_equal(nodes_counters(nodes, 2)->relays_accepted, 0);
	assert_in_range(nodes_counters(nodes, 1)->relays_accepted, 10,
			nodes_counters(nodes, 2)->relays_forwarded);

	heartbeat_set_outage(nodes->sockets[0], 1, HEARTBEAT_OUTAGE_NONE);
	loop_turn_for(&nodes->loop, 30 * NS_PER_MS);
	start_ns = nodes_counters(nodes, 0)->relays_sent;
	loop_turn_for(&nodes->loop, 100 * NS_PER_MS);
	assert_int_equal(nodes_counters(nodes, 0)->relays_sent, start_ns);
	heartbeat_set_outage(nodes->sockets[0], 99, HEARTBEAT_OUTAGE_EGRESS_CUT);
}

/* Sends a relayed heartbeat of n1 for 'receiver' to n3, from an address of this machine. */
static void send_relay(const struct heartbeat_nodes *nodes, uint64_t sequence, const char *receiver,
		       const char *source)
{
	struct heartbeat heartbeat = {.flags = HEARTBEAT_FLAG_RELAY,
				      .sequence = sequence,
				      .incarnation = 1,
				      .sender = "n1"};

	snprintf(heartbeat.receiver, sizeof(heartbeat.receiver), "%s", receiver);
	nodes_send(nodes, &heartbeat, source, "127.0.0.3");
}

/*
 * Passed on once, to a node that is configured, and only when it came from the sender's own
 * address.
 */
static void test_what_is_relayed(void **state)
{
	static const struct {
		uint64_t sequence;
		const char *receiver, *source;
		unsigned int forwarded, refused, unknown, accepted, duplicate;
	} cases[] = {
		{5, "n2", "127.0.0.1", 1, 0, 0, 0, 0},
		{5, "n2", "127.0.0.1", 0, 1, 0, 0, 0},	/* again */
		{6, "n2", "127.0.0.77", 0, 1, 0, 0, 0}, /* from elsewhere */
		{6, "n2", "127.0.0.2", 0, 1, 0, 0, 0},	/* already passed on by another node */
		{6, "n2", "127.0.0.1", 1, 0, 0, 0, 0},
		{7, "n1", "127.0.0.1", 0, 0, 1, 0, 0}, /* back to the sender */
		{7, "n8", "127.0.0.1", 0, 0, 1, 0, 0}, /* to nobody */
		{8, "n3", "127.0.0.2", 0, 0, 0, 1, 0}, /* for n3 itself, by way of n2 ... */
		{8, "n3", "127.0.0.1", 0, 0, 0, 0, 1}, /* ... and by another way */
	};
	struct heartbeat_nodes *nodes = *state;
	unsigned int forwarded = 0;

	nodes_start(nodes, 1);
	nodes_start(nodes, 2);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct heartbeat_counters before, after;

		heartbeat_drain(nodes->sockets[2]);
		before = *nodes_counters(nodes, 2);
		send_relay(nodes, cases[i].sequence, cases[i].receiver, cases[i].source);
		heartbeat_drain(nodes->sockets[2]);
		after = *nodes_counters(nodes, 2);
		if (after.relays_forwarded - before.relays_forwarded != cases[i].forwarded ||
		    after.relays_refused - before.relays_refused != cases[i].refused ||
		    after.rejected[HEARTBEAT_REJECT_UNKNOWN_SENDER] -
				    before.rejected[HEARTBEAT_REJECT_UNKNOWN_SENDER] !=
			    cases[i].unknown ||
		    after.relays_accepted - before.relays_accepted != cases[i].accepted ||
		    after.relays_duplicate - before.relays_duplicate != cases[i].duplicate)
			fail_msg("case %zu", i);
		forwarded += cases[i].forwarded;
	}
	heartbeat_drain(nodes->sockets[1]);
	assert_int_equal(nodes_counters(nodes, 1)->relays_accepted, forwarded);
	assert_true(nodes_evidence(nodes, 1, 0).heartbeat.testimony_ns > 0);
	assert_false(nodes_evidence(nodes, 1, 0).heartbeat.testimony_heard);
	assert_int_equal(nodes_evidence(nodes, 1, 0).heartbeat.heard_ns, 0);
}

/* Who has passed something on does not let the next wait. */
static void test_relays_are_waited_for(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	const struct heartbeat_counters *counters;
	uint64_t end_ns;

	nodes->configs[2].heartbeat.interval_ms = 60000; /* what it sends would have it look */
	nodes_start(nodes, 2);
	counters = nodes_counters(nodes, 2);
	send_relay(nodes, 5, "n2", "127.0.0.1");
	loop_turn_for(&nodes->loop, 50 * NS_PER_MS);
	assert_int_equal(counters->relays_forwarded, 0);
	heartbeat_drain(nodes->sockets[2]);
	assert_int_equal(counters->relays_forwarded, 1);
	send_relay(nodes, 6, "n2", "127.0.0.1");
	end_ns = clock_monotonic_ns() + LOOP_LIMIT_NS;
	while (counters->relays_forwarded < 2 && clock_monotonic_ns() < end_ns)
		loop_turn(&nodes->loop);
	assert_int_equal(counters->relays_forwarded, 2);
}

static void test_limits_of_forwarding(void **state)
{
	struct heartbeat_forwards forwards = {0};
	struct heartbeat heartbeat = {.incarnation = 5, .sequence = 1};
	uint64_t now_ns = 100 * NS_PER_S;
	unsigned int passed = 0;

	(void)state;
	assert_true(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns));
	assert_false(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns)); /* once */
	heartbeat.sequence = 0;
	assert_false(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns)); /* older */
	heartbeat.sequence = 1;
	heartbeat.incarnation = 4; /* a restart, with whatever clock */
	assert_true(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns));
	for (unsigned int i = 0; i < 100; i++) {
		heartbeat.sequence++;
		passed += heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns + i);
	}
	assert_int_equal(passed, HEARTBEAT_FORWARD_PER_SECOND - 2);
	/* Others have their own share, and so has the next second. */
	assert_true(heartbeat_may_forward(&forwards, &heartbeat, 2, 1, now_ns));
	heartbeat.sequence++;
	assert_false(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns + NS_PER_S - 1));
	assert_true(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns + NS_PER_S));
	now_ns += NS_PER_S;
	/* A full table refuses, until places have been idle for a minute. */
	for (unsigned int i = 0; i < HEARTBEAT_FORWARD_PAIRS_MAX - 2; i++)
		assert_true(heartbeat_may_forward(&forwards, &heartbeat, 10 + i, 2, now_ns));
	assert_false(heartbeat_may_forward(&forwards, &heartbeat, 9, 2, now_ns));
	assert_true(heartbeat_may_forward(&forwards, &heartbeat, 9, 2, now_ns + 61 * NS_PER_S));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		nodes_test(test_relay),
		nodes_test(test_what_is_relayed),
		nodes_test(test_relays_are_waited_for),
		cmocka_unit_test(test_limits_of_forwarding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
