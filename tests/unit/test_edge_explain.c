// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The sentence behind each state, word by word. */
#include "base/clock.h"
#include "detect/edge.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MS(n) ((n)*NS_PER_MS)
/* A node with an agent that sends each 100 ms; what loss to reckon with. */
#define LINK_LOSING(ratio)                                            \
	.heartbeat.expected = true, .heartbeat.interval_ns = MS(100), \
	.heartbeat.loss_in_pessimistic = (ratio), .heartbeat.loss_out_pessimistic = (ratio)
#define LINK LINK_LOSING(LOSS_FLOOR)

static const struct {
	struct edge edge;
	struct edge_evidence evidence;
	struct edge_self self;
	const char *sentence;
} rows[] = {
	{.edge = {.state = EDGE_HEALTHY, .silence_ns = MS(42)},
	 .evidence = {LINK},
	 .sentence = "heard 42 ms ago, 0.0 % lost outwards, 0.0 % inwards"},
	{.edge = {.state = EDGE_HEALTHY, .silence_ns = MS(3600000)},
	 .sentence = "heard 3600 s ago, 0.0 % lost outwards, 0.0 % inwards"},
	/* The node's own trouble is no news while the peer is fine. */
	{.edge = {.state = EDGE_HEALTHY, .silence_ns = MS(9999)},
	 .evidence = {LINK},
	 .self = {.alone = true, .carrier_down = true},
	 .sentence = "heard 9999 ms ago, 0.0 % lost outwards, 0.0 % inwards"},
	{.edge = {.state = EDGE_HEALTHY, .silence_ns = MS(3)},
	 .evidence = {LINK, .tcp.zero_window_sockets = 2},
	 .sentence = "heard 3 ms ago, 0.0 % lost outwards, 0.0 % inwards; "
		     "its application does not read on 2 sockets"},
	{.edge = {.state = EDGE_HEALTHY, .agent_silent = true, .agent_silence_ns = MS(12500)},
	 .evidence = {LINK},
	 .sentence = "its agent has been silent for 12 s, but its kernel answers, "
		     "0.0 % lost outwards, 0.0 % inwards"},
	/* Loss outwards is then that of TCP. */
	{.edge = {.state = EDGE_HEALTHY,
		  .heartbeats_blocked = true,
		  .silence_ns = MS(42),
		  .tcp_loss = {.slow_tries = 1000, .slow_lost = 3}},
	 .evidence = {LINK, .heartbeat.unheard = 300, .heartbeat.loss_out = 0.5},
	 .sentence = "our heartbeats do not arrive there (UDP blocked?), but its kernel answers, "
		     "0.3 % lost outwards, 0.0 % inwards"},
	{.edge = {.state = EDGE_HEALTHY, .heartbeats_blocked = true},
	 .evidence = {LINK, .heartbeat.unheard = 300, .heartbeat.send_errno = EPERM},
	 .sentence = "our heartbeats do not arrive there (UDP blocked?), but its kernel answers, "
		     "this node's own stack refuses to send heartbeats (Operation not permitted), "
		     "0.0 % lost outwards, 0.0 % inwards"},
	{.edge = {.state = EDGE_LOSSY, .silence_ns = MS(120)},
	 .evidence = {LINK, .heartbeat.loss_out = 0.0512, .heartbeat.loss_in = 0.104},
	 .sentence = "heard 120 ms ago, 5.1 % lost outwards, 10.4 % inwards"},
	/* Without an agent, from TCP. */
	{.edge = {.state = EDGE_LOSSY,
		  .silence_ns = MS(20),
		  .tcp_loss = {.slow_tries = 400, .slow_lost = 10}},
	 .sentence = "heard 20 ms ago, 2.5 % lost outwards, 2.5 % inwards"},
	{.edge = {.state = EDGE_SUSPECT,
		  .certainty = 6,
		  .silence_ns = MS(230),
		  .agent_silence_ns = MS(230),
		  .silence_decades = 8.7,
		  .connects_in_vain = 1},
	 .evidence = {LINK},
	 .sentence = "nothing heard for 230 ms, 2 heartbeats missing, 1 of 1 connects timed out; "
		     "expected within 220 ms at 0.0 % loss"},
	{.edge = {.state = EDGE_SUSPECT,
		  .certainty = 6,
		  .silence_ns = MS(30),
		  .unreached_ns = MS(240),
		  .egress_decades = 6,
		  .silence_decades = 0},
	 .evidence = {LINK, .heartbeat.unheard = 2},
	 .sentence = "heard 30 ms ago, but nothing of ours has arrived for 240 ms, "
		     "it reports 2 of our heartbeats missing"},
	{.edge = {.state = EDGE_UNREACHABLE,
		  .certainty = 6,
		  .silence_ns = MS(412),
		  .agent_silence_ns = MS(430),
		  .rto_in_vain = 2,
		  .syn_in_vain = 1,
		  .connects_in_vain = 3},
	 .evidence = {LINK, .tcp.stalled_sockets = 3},
	 .sentence = "nothing heard for 412 ms, 4 heartbeats missing, 2 RTOs on 3 sockets, "
		     "1 connect retry of programs unanswered, 3 of 3 connects timed out; "
		     "expected within 220 ms at 0.0 % loss"},
	{.edge = {.state = EDGE_UNREACHABLE,
		  .certainty = 6,
		  .silence_ns = MS(750),
		  .agent_silence_ns = MS(750),
		  .connects_in_vain = 9},
	 .evidence = {LINK_LOSING(0.1), .heartbeat.loss_in = 0.1},
	 .self = {.alone = true},
	 .sentence = "nothing heard for 750 ms, 7 heartbeats missing, 9 of 9 connects timed out; "
		     "expected within 660 ms at 10.0 % loss; "
		     "no other peer is heard: this node itself may be cut off"},
	/* No agent there, so that no time was expected. */
	{.edge = {.state = EDGE_UNREACHABLE,
		  .certainty = 6,
		  .silence_ns = MS(10000),
		  .rto_in_vain = 1,
		  .syn_in_vain = 2},
	 .evidence = {.tcp.stalled_sockets = 1},
	 .sentence = "nothing heard for 10 s, 1 RTO on 1 socket, 2 connect retries of programs "
		     "unanswered"},
	/* A silent agent misses no heartbeats, its kernel's silence is what counts. */
	{.edge = {.state = EDGE_UNREACHABLE,
		  .certainty = 6,
		  .silence_ns = MS(300),
		  .agent_silent = true,
		  .agent_silence_ns = MS(60000),
		  .connects_in_vain = 4},
	 .evidence = {LINK},
	 .sentence = "nothing heard for 300 ms, 4 of 4 connects timed out; "
		     "expected within 220 ms at 0.0 % loss"},
	{.edge = {.state = EDGE_UNREACHABLE,
		  .certainty = 6,
		  .silence_ns = MS(300),
		  .agent_silence_ns = MS(300),
		  .refusals_in_vain = 3},
	 .evidence = {LINK, .heartbeat.send_errno = ENETUNREACH},
	 .self = {.alone = true, .carrier_down = true},
	 .sentence = "nothing heard for 300 ms, 3 heartbeats missing, "
		     "this node's own stack refused 3 connects, "
		     "this node's own stack refuses to send heartbeats (Network is unreachable); "
		     "expected within 220 ms at 0.0 % loss; this node's own link is down"},
	{.edge = {.state = EDGE_EGRESS_CUT,
		  .certainty = 6,
		  .silence_ns = MS(17),
		  .unreached_ns = MS(390),
		  .connects_in_vain = 3},
	 .evidence = {LINK, .heartbeat.unheard = 3},
	 .sentence = "heard 17 ms ago, but nothing of ours has arrived for 390 ms, "
		     "it reports 3 of our heartbeats missing, 3 of 3 connects timed out"},
	{.edge = {.state = EDGE_EGRESS_CUT,
		  .certainty = 6,
		  .silence_ns = MS(17),
		  .unreached_ns = MS(390),
		  .refusals_in_vain = 1},
	 .evidence = {LINK, .heartbeat.unheard = 3, .heartbeat.send_errno = EPERM},
	 .sentence =
		 "heard 17 ms ago, but nothing of ours has arrived for 390 ms, "
		 "it reports 3 of our heartbeats missing, this node's own stack refused 1 connect, "
		 "this node's own stack refuses to send heartbeats (Operation not permitted)"},
	{.edge = {.state = EDGE_INGRESS_CUT,
		  .certainty = 6,
		  .silence_ns = MS(500),
		  .agent_silence_ns = MS(500),
		  .connects_in_vain = 5},
	 .evidence = {LINK, .heartbeat.testimony_heard = true, .tcp.zero_window_sockets = 1},
	 .sentence = "nothing heard for 500 ms, 5 heartbeats missing, 5 of 5 connects timed out; "
		     "expected within 220 ms at 0.0 % loss; "
		     "a third node passes on its word that it hears us; "
		     "its application does not read on 1 socket"},
};

static void test_sentences(void **state)
{
	static const struct edge_settings settings = {.certainty = 6};
	unsigned int seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char buffer[512] = "";
		struct text sentence = TEXT(buffer);

		edge_explain(&rows[i].edge, &rows[i].evidence, &rows[i].self, &settings, &sentence);
		assert_string_equal(buffer, rows[i].sentence);
		assert_false(sentence.truncated);
		seen |= 1U << rows[i].edge.state;
	}
	assert_int_equal(seen, (1U << EDGE_STATES) - 1);
}

static void test_state_names(void **state)
{
	static const char *const names[] = {"healthy",	   "lossy",	 "suspect",
					    "unreachable", "egress-cut", "ingress-cut"};

	(void)state;
	assert_int_equal(sizeof(names) / sizeof(*names), EDGE_STATES);
	for (unsigned int i = 0; i < EDGE_STATES; i++)
		assert_string_equal(edge_state_name(i), names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_state_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
