// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Single rules of the edge's state machine, each with evidence made up for it. */
#include "base/clock.h"
#include "detect/edge.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START_NS    (100 * NS_PER_S)
#define INTERVAL_NS (100 * NS_PER_MS)

/* An edge and what it is told. */
struct bench {
	struct edge edge;
	struct edge_evidence evidence;
	struct edge_self self;
	struct edge_settings settings;
};

/* The peer has an agent and was heard just now, and it heard us. */
static struct bench with_agent(void)
{
	struct bench bench = {
		.evidence = {.heartbeat = {.expected = true,
					   .heard_ns = START_NS,
					   .accepted = 100,
					   .interval_ns = INTERVAL_NS,
					   .loss_in_pessimistic = LOSS_FLOOR,
					   .loss_out_pessimistic = LOSS_FLOOR}},
		.self = {.now_ns = START_NS},
		.settings = {.certainty = 6,
			     .min_silence_ns = 250 * NS_PER_MS,
			     .lossy_ratio = 0.01},
	};

	edge_init(&bench.edge, START_NS - 1);
	(void)edge_update(&bench.edge, &bench.evidence, &bench.self, &bench.settings);
	return bench;
}

/* Known from traffic alone. */
static struct bench without_agent(void)
{
	struct bench bench = with_agent();

	bench.evidence = (struct edge_evidence){
		.tcp = {.heard_ns = START_NS, .progress_ns = START_NS, .segments = 1000}};
	edge_init(&bench.edge, START_NS - 1);
	(void)edge_update(&bench.edge, &bench.evidence, &bench.self, &bench.settings);
	return bench;
}

/* A turn after so much time, all of it or only a part of it awake. */
static enum edge_state turn(struct bench *bench, unsigned int passed_ms, unsigned int awake_ms)
{
	bench->self.now_ns += passed_ms * NS_PER_MS;
	bench->self.awake_ns = awake_ms * NS_PER_MS;
	(void)edge_update(&bench->edge, &bench->evidence, &bench->self, &bench->settings);
	return bench->edge.state;
}

/* A segment with an acknowledgement comes in just before the next turn. */
static void answer(struct bench *bench)
{
	bench->evidence.tcp.heard_ns = bench->self.now_ns + 49 * NS_PER_MS;
	bench->evidence.tcp.progress_ns = bench->evidence.tcp.heard_ns;
}

/* When the whole machine stood still nothing could be heard. */
static void test_time_asleep_is_no_silence(void **state)
{
	struct bench bench = with_agent();

	(void)state;
	bench.evidence.connect.possible = true;
	for (unsigned int i = 0; i < 10; i++) {
		bench.evidence.connect.timed_out++;
		assert_true(turn(&bench, 310, 10) < EDGE_UNREACHABLE);
	}
	assert_int_equal(bench.edge.silence_ns, 100 * NS_PER_MS);
	/* Awake, the same is a cut. */
	assert_int_equal(turn(&bench, 310, 310), EDGE_UNREACHABLE);
}

static void test_pause_starts_over(void **state)
{
	struct bench bench = with_agent();

	(void)state;
	bench.evidence.connect.possible = true;
	bench.evidence.connect.timed_out = 2;
	assert_int_equal(turn(&bench, 240, 240), EDGE_SUSPECT);
	/* What was counted meanwhile, and before, proves nothing. */
	bench.evidence.connect.timed_out = 50;
	bench.evidence.tcp.stalled_sockets = 1;
	bench.evidence.tcp.rto = 9;
	bench.self.paused = true;
	assert_int_equal(turn(&bench, 5000, 50), EDGE_HEALTHY);
	assert_true(bench.edge.silence_decades < 1e-9);
	assert_int_equal(bench.edge.connects_in_vain, 0);
	/* From then on it counts again, from nothing. */
	bench.self.paused = false;
	bench.evidence.connect.timed_out += 3;
	assert_int_equal(turn(&bench, 100, 100), EDGE_SUSPECT);
	assert_int_equal(turn(&bench, 99, 99), EDGE_SUSPECT);
	assert_int_equal(turn(&bench, 1, 1), EDGE_UNREACHABLE);
}

/* Timers count as tries in vain only with a socket that stalled by them. */
static void test_retransmits_without_stall(void **state)
{
	static const struct {
		uint32_t stalled_sockets, zero_window_sockets;
		uint64_t rto, syn, failures;
		enum edge_state state;
	} rows[] = {
		{0, 0, 1, 0, 0, EDGE_HEALTHY},	   {0, 1, 1, 0, 0, EDGE_HEALTHY},
		{1, 0, 1, 0, 0, EDGE_UNREACHABLE}, {0, 0, 0, 1, 0, EDGE_UNREACHABLE},
		{0, 0, 0, 0, 1, EDGE_UNREACHABLE}, {1, 0, 0, 0, 0, EDGE_HEALTHY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bench bench = without_agent();

		bench.evidence.tcp.stalled_sockets = rows[i].stalled_sockets;
		bench.evidence.tcp.zero_window_sockets = rows[i].zero_window_sockets;
		for (unsigned int turns = 0; turns < 10; turns++) {
			bench.evidence.tcp.rto += rows[i].rto;
			bench.evidence.tcp.syn += rows[i].syn;
			bench.evidence.tcp.failures += rows[i].failures;
			(void)turn(&bench, 100, 100);
		}
		assert_int_equal(bench.edge.state, rows[i].state);
	}
}

/* Timers that expire together share the fate of one burst. */
static void test_simultaneous_timers_are_one_try(void **state)
{
	struct bench bench = without_agent();

	(void)state;
	bench.evidence.connect.possible = true;
	bench.evidence.tcp.stalled_sockets = 1000;
	bench.evidence.tcp.rto = 1000;
	assert_int_equal(turn(&bench, 400, 400), EDGE_HEALTHY);
	assert_true(bench.edge.kernel_decades < 3);
	assert_int_equal(bench.edge.rto_in_vain, 1000);
	assert_int_equal(bench.edge.confirm, EDGE_CONFIRM_FAST);
}

/* A port that has never answered may be firewalled: no measure of loss. One that has is. */
static void test_connects_measure_loss(void **state)
{
	struct bench bench = without_agent();

	(void)state;
	bench.evidence.connect.possible = true;
	for (unsigned int i = 0; i < 40; i++) {
		bench.evidence.connect.timed_out++;
		bench.evidence.tcp.segments++;
		answer(&bench);
		assert_int_equal(turn(&bench, 50, 50), EDGE_HEALTHY);
	}
	bench.evidence.connect.answered = 1;
	for (unsigned int i = 0; i < 40; i++) {
		bench.evidence.connect.timed_out++;
		bench.evidence.tcp.segments++;
		answer(&bench);
		(void)turn(&bench, 50, 50);
	}
	assert_int_equal(bench.edge.state, EDGE_LOSSY);
}

/* RTOs while nothing comes in are losses of what comes in next. */
static void test_timeouts_measure_loss(void **state)
{
	struct bench bench = without_agent();

	(void)state;
	for (unsigned int i = 0; i < 400; i++) {
		bench.evidence.tcp.rto++;
		(void)turn(&bench, 50, 50);
		bench.evidence.tcp.segments += 2;
		answer(&bench);
		(void)turn(&bench, 50, 50);
	}
	assert_int_equal(bench.edge.state, EDGE_LOSSY);
	assert_true(fabs(loss_ratio(&bench.edge.tcp_loss) - 1.0 / 3) < 0.05);
}

/* Many segments at once are taken for what they are worth, and a small ratio is not lost. */
static void test_busy_link_measures_loss(void **state)
{
	static const struct {
		uint64_t segments, recovered; /* between two turns */
		double ratio;
	} rows[] = {
		{100000, 100, 0.001}, {100000, 5000, 0.05}, {1000, 1, 0.001}, {10, 1, 1.0 / 11}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bench bench = without_agent();
		double sum = 0;

		for (unsigned int turns = 0; turns < 2000; turns++) {
			bench.evidence.tcp.segments += rows[i].segments;
			bench.evidence.tcp.recovered += rows[i].recovered;
			answer(&bench);
			(void)turn(&bench, 50, 50);
			sum += turns < 1000 ? 0 : loss_ratio(&bench.edge.tcp_loss);
		}
		assert_true(fabs(sum / 1000 / rows[i].ratio - 1) < 0.1);
		assert_int_equal(bench.edge.state,
				 rows[i].ratio < 0.01 ? EDGE_HEALTHY : EDGE_LOSSY);
	}
}

/* They are heard, but connects are not answered: only with data unacknowledged is it a cut. */
static void test_firewalled_port_is_no_egress_cut(void **state)
{
	static const struct {
		uint32_t stalled_sockets;
		enum edge_state state;
	} rows[] = {{0, EDGE_SUSPECT}, {1, EDGE_EGRESS_CUT}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bench bench = without_agent();

		bench.evidence.connect.possible = true;
		bench.evidence.tcp.stalled_sockets = rows[i].stalled_sockets;
		for (unsigned int turns = 0; turns < 20; turns++) {
			bench.evidence.tcp.syn++;
			bench.evidence.connect.timed_out++;
			bench.evidence.tcp.heard_ns = bench.self.now_ns + 49 * NS_PER_MS;
			(void)turn(&bench, 50, 50);
		}
		assert_int_equal(bench.edge.state, rows[i].state);
	}
}

/* Our own stack's refusal explains why nothing arrives, connects need not. */
static void test_send_errno_confirms(void **state)
{
	static const struct {
		int send_errno;
		unsigned int unreached_ms;
		enum edge_state state;
	} rows[] = {
		{0, 300, EDGE_SUSPECT},
		{EPERM, 300, EDGE_EGRESS_CUT},
		{EPERM, 240, EDGE_SUSPECT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bench bench = with_agent();

		bench.evidence.connect.possible = true;
		bench.evidence.heartbeat.send_errno = rows[i].send_errno;
		bench.evidence.heartbeat.unheard = 3;
		bench.evidence.heartbeat.accepted += 2;
		bench.evidence.heartbeat.heard_ns += (rows[i].unreached_ms - 10) * NS_PER_MS;
		assert_int_equal(turn(&bench, rows[i].unreached_ms, rows[i].unreached_ms),
				 rows[i].state);
	}
}

/* An agent that is not scheduled in time asks for more. */
static void test_distrust_asks_for_more(void **state)
{
	static const struct {
		double distrust;
		enum edge_state state;
	} rows[] = {{0, EDGE_UNREACHABLE},
		    {0.2, EDGE_UNREACHABLE},
		    {0.5, EDGE_SUSPECT},
		    {1, EDGE_SUSPECT}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bench bench = with_agent();

		bench.evidence.connect.possible = true;
		bench.evidence.connect.timed_out = 3;
		bench.self.distrust = rows[i].distrust;
		assert_int_equal(turn(&bench, 330, 330), rows[i].state);
		assert_true(fabs(bench.edge.certainty - 6 * (1 + rows[i].distrust)) < 1e-9);
	}
}

/* A source that started anew must not look like a thousand tries. */
static void test_counters_that_drop(void **state)
{
	struct bench bench = without_agent();

	(void)state;
	bench.evidence.connect.possible = true;
	bench.evidence.connect.timed_out = 1000;
	bench.evidence.connect.answered = 1000;
	bench.evidence.connect.answer_ns = START_NS + 49 * NS_PER_MS;
	(void)turn(&bench, 50, 50);
	bench.evidence.connect.timed_out = 1;
	bench.evidence.connect.answered = 0;
	bench.evidence.connect.answer_ns = 0;
	(void)turn(&bench, 300, 300);
	assert_int_equal(bench.edge.connects_in_vain, 1);
	assert_true(bench.edge.state < EDGE_UNREACHABLE);
}

/* A third node's word is good for a second. */
static void test_testimony_ages(void **state)
{
	struct bench bench = with_agent();

	(void)state;
	bench.evidence.connect.possible = true;
	bench.evidence.connect.timed_out = 4;
	bench.evidence.heartbeat.testimony_heard = true;
	bench.evidence.heartbeat.testimony_ns = START_NS + 300 * NS_PER_MS;
	assert_int_equal(turn(&bench, 400, 400), EDGE_INGRESS_CUT);
	assert_int_equal(turn(&bench, 899, 899), EDGE_INGRESS_CUT);
	assert_int_equal(turn(&bench, 1, 1), EDGE_UNREACHABLE);
	/* And it must say that it hears us. */
	bench.evidence.heartbeat.testimony_ns = bench.self.now_ns;
	bench.evidence.heartbeat.testimony_heard = false;
	assert_int_equal(turn(&bench, 1, 1), EDGE_UNREACHABLE);
}

/* A turn of 100 ms in which one more of ours is reported as missing, or none. */
static enum edge_state report(struct bench *bench, bool missing, bool reached)
{
	uint64_t now_ns = bench->self.now_ns + 99 * NS_PER_MS;

	bench->evidence.heartbeat.accepted++;
	bench->evidence.heartbeat.heard_ns = now_ns;
	bench->evidence.heartbeat.unheard = missing ? bench->evidence.heartbeat.unheard + 1 : 0;
	if (reached) {
		bench->evidence.connect.answered++;
		bench->evidence.connect.answer_ns = now_ns;
	}
	return turn(bench, 100, 100);
}

/* Reports that miss ours for 1 s without a break, and something else that gets there. */
static void test_heartbeats_blocked(void **state)
{
	static const struct {
		unsigned int missing;	  /* reports */
		unsigned int break_after; /* so many, one report that misses none; 0: never */
		unsigned int reached_for; /* after so many, nothing gets there any more */
		double loss_out;
		bool blocked;
	} rows[] = {
		{9, 0, 9, LOSS_FLOOR, false},	{10, 0, 10, LOSS_FLOOR, true},
		{18, 9, 18, LOSS_FLOOR, false}, {19, 9, 19, LOSS_FLOOR, true},
		{30, 0, 5, LOSS_FLOOR, false},	{14, 0, 10, LOSS_FLOOR, true},
		{10, 0, 10, 0.8, false},	{61, 0, 61, 0.8, false},
		{62, 0, 62, 0.8, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bench bench = with_agent();

		bench.evidence.connect.possible = true;
		bench.evidence.heartbeat.loss_out_pessimistic = rows[i].loss_out;
		for (unsigned int n = 1; n <= rows[i].missing; n++) {
			(void)report(&bench, true, n <= rows[i].reached_for);
			if (n == rows[i].break_after)
				(void)report(&bench, false, true);
		}
		assert_int_equal(bench.edge.heartbeats_blocked, rows[i].blocked);
		if (!rows[i].blocked)
			continue;
		assert_int_equal(bench.edge.state, EDGE_HEALTHY);
		assert_int_equal(bench.edge.confirm, EDGE_CONFIRM_SLOW);
		assert_true(bench.edge.egress_decades < 1e-9);
		/* One report that misses none ends it. */
		assert_int_equal(report(&bench, false, false), EDGE_HEALTHY);
		assert_false(bench.edge.heartbeats_blocked);
		assert_int_equal(bench.edge.confirm, EDGE_CONFIRM_NONE);
	}
}

static struct bench with_heartbeats_blocked(void)
{
	struct bench bench = with_agent();

	bench.evidence.connect.possible = true;
	for (unsigned int i = 0; i < 12; i++)
		(void)report(&bench, true, true);
	assert_true(bench.edge.heartbeats_blocked);
	return bench;
}

/* Then loss outwards is that of TCP, inwards still that of heartbeats. */
static void test_loss_while_blocked(void **state)
{
	struct bench bench = with_heartbeats_blocked();

	(void)state;
	bench.evidence.heartbeat.loss_out = 0.5;
	bench.evidence.heartbeat.loss_out_lost = 100;
	assert_int_equal(report(&bench, true, true), EDGE_HEALTHY);
	assert_true(edge_loss_out(&bench.edge, &bench.evidence).ratio < 1e-9);
	for (unsigned int i = 0; i < 100; i++) {
		bench.evidence.tcp.segments += 10;
		bench.evidence.tcp.recovered++;
		(void)report(&bench, true, true);
	}
	assert_int_equal(bench.edge.state, EDGE_LOSSY);
	assert_true(fabs(edge_loss_out(&bench.edge, &bench.evidence).ratio - 0.09) < 0.01);
	assert_true(edge_loss_in(&bench.edge, &bench.evidence).ratio < 1e-9);
	(void)report(&bench, false, true);
	assert_true(fabs(edge_loss_out(&bench.edge, &bench.evidence).ratio - 0.5) < 1e-9);
}

/* Then connects alone make an egress cut: twice the certainty, and heard well after they began to
 * fail. */
static void test_egress_cut_while_blocked(void **state)
{
	struct bench bench = with_heartbeats_blocked();

	(void)state;
	bench.evidence.connect.timed_out += 2;
	(void)report(&bench, true, false);
	bench.evidence.connect.timed_out += 1;
	(void)report(&bench, true, false);
	/* 8 decades after 301 ms. */
	assert_int_equal(report(&bench, true, false), EDGE_SUSPECT);
	assert_true(bench.edge.heartbeats_blocked);
	bench.evidence.connect.timed_out += 2;
	assert_int_equal(report(&bench, true, false), EDGE_EGRESS_CUT);
	assert_false(bench.edge.heartbeats_blocked);

	/* The same, but nothing is heard since then: it may be a cut both ways. */
	bench = with_heartbeats_blocked();
	(void)turn(&bench, 200, 200);
	bench.evidence.connect.timed_out += 5;
	bench.evidence.heartbeat.heard_ns = bench.self.now_ns;
	bench.evidence.heartbeat.accepted++;
	assert_int_equal(turn(&bench, 100, 100), EDGE_SUSPECT);
	assert_int_equal(turn(&bench, 130, 130), EDGE_SUSPECT);
	assert_true(bench.edge.egress_decades >= 12);
	bench.evidence.connect.timed_out += 3;
	assert_int_equal(turn(&bench, 100, 100), EDGE_UNREACHABLE);
	assert_false(bench.edge.heartbeats_blocked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_asleep_is_no_silence),
		cmocka_unit_test(test_pause_starts_over),
		cmocka_unit_test(test_retransmits_without_stall),
		cmocka_unit_test(test_simultaneous_timers_are_one_try),
		cmocka_unit_test(test_connects_measure_loss),
		cmocka_unit_test(test_timeouts_measure_loss),
		cmocka_unit_test(test_busy_link_measures_loss),
		cmocka_unit_test(test_firewalled_port_is_no_egress_cut),
		cmocka_unit_test(test_send_errno_confirms),
		cmocka_unit_test(test_distrust_asks_for_more),
		cmocka_unit_test(test_counters_that_drop),
		cmocka_unit_test(test_testimony_ages),
		cmocka_unit_test(test_heartbeats_blocked),
		cmocka_unit_test(test_loss_while_blocked),
		cmocka_unit_test(test_egress_cut_while_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
