// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the TCP probe makes of lost segments on a live kernel, with exact expectations: what is
 * dropped on purpose is what is counted, and it equals what the kernel's own counters say.
 */
#include "base/clock.h"
#include "live/tcp_bench.h"

#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* An acknowledgement that comes in just while its CPU works on another segment goes unseen, by
 * design; after a while the probe is asked to look for that, as the agent asks it. */
static uint64_t sweep_after_ns;

static bool unstalled(void *context)
{
	struct tcp_bench *bench = context;

	if (clock_monotonic_ns() > sweep_after_ns)
		assert_int_equal(tcp_probe_sweep(bench->probe), 0);
	return tcp_bench_look(bench) && !bench->record.stalled_sockets;
}

static void wait_until_unstalled(struct tcp_bench *bench)
{
	sweep_after_ns = clock_monotonic_ns() + 5 * NS_PER_S;
	rig_wait(unstalled, bench, "progress to end all stalls");
}

static bool stalled(void *context)
{
	struct tcp_bench *bench = context;

	return tcp_bench_look(bench) && bench->record.stalled_sockets >= bench->wanted;
}

/* With all that the kernel's side holds back for a moment. */
static bool heard_since_stalled(void *context)
{
	struct tcp_bench *bench = context;

	return tcp_bench_look(bench) && bench->record.heard_ns > bench->record.stalled_since_ns &&
	       bench->record.retransmits[PEER_RETRANSMIT_RTO] >= 3;
}

struct kernel_counts {
	uint64_t timeouts, probes, fast, slow_start, syn, all;
};

static struct kernel_counts kernel_counts(const struct tcp_bench *bench)
{
	const struct rig *rig = &bench->rig;

	return (struct kernel_counts){
		.timeouts = rig_counter(rig, SIDE_A, "TcpExt", "TCPTimeouts"),
		.probes = rig_counter(rig, SIDE_A, "TcpExt", "TCPLossProbes"),
		.fast = rig_counter(rig, SIDE_A, "TcpExt", "TCPFastRetrans"),
		.slow_start = rig_counter(rig, SIDE_A, "TcpExt", "TCPSlowStartRetrans"),
		.syn = rig_counter(rig, SIDE_A, "TcpExt", "TCPSynRetrans"),
		.all = rig_counter(rig, SIDE_A, "Tcp", "RetransSegs"),
	};
}

/* The namespace is new: its counters count nothing but the test. */
static void assert_kernel_agrees(struct tcp_bench *bench)
{
	struct kernel_counts kernel = kernel_counts(bench);
	const __u64 *ours = bench->record.retransmits;

	assert_true(tcp_bench_look(bench));
	assert_int_equal(ours[PEER_RETRANSMIT_RTO] + ours[PEER_RETRANSMIT_SYN], kernel.timeouts);
	assert_int_equal(ours[PEER_RETRANSMIT_TLP], kernel.probes);
	assert_int_equal(ours[PEER_RETRANSMIT_SYN], kernel.syn);
	assert_int_equal(ours[PEER_RETRANSMIT_FAST], kernel.fast + kernel.slow_start);
	assert_int_equal(ours[PEER_RETRANSMIT_RTO] + ours[PEER_RETRANSMIT_TLP] +
				 ours[PEER_RETRANSMIT_SYN] + ours[PEER_RETRANSMIT_FAST],
			 kernel.all);
}

/* One segment, dropped n times: a tail loss probe, then n - 1 timeouts. */
static void drop_and_count(struct tcp_bench *bench, int family, unsigned int drops)
{
	int pair[2];
	uint16_t port;

	tcp_bench_start(bench, family);
	rig_connect(&bench->rig, family, pair, &port);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp meta length > 100", drops);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	assert_true(tcp_bench_look(bench));
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_TLP], 1);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_RTO], drops - 1);
	assert_kernel_agrees(bench);
	wait_until_unstalled(bench);
	tcp_bench_close_pair(pair);
	tcp_bench_stop(bench);
}

static void test_rto_ipv4(void **state)
{
	drop_and_count(*state, AF_INET, 3);
}

static void test_rto_ipv6(void **state)
{
	drop_and_count(*state, AF_INET6, 3);
}

static void test_syn(void **state)
{
	struct tcp_bench *bench = *state;
	int pair[2];
	uint16_t port;

	tcp_bench_start(bench, AF_INET);
	rig_drop(&bench->rig, SIDE_B, "tcp flags & (syn | ack) == syn", 2);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	tcp_bench_await_retransmits(bench, PEER_RETRANSMIT_SYN, 2);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_SYN], 2);
	assert_int_equal(bench->record.connects, 1);
	assert_int_equal(bench->record.service_port, port);
	assert_kernel_agrees(bench);
	tcp_bench_close_pair(pair);
	tcp_bench_stop(bench);
}

/* Seen from host b: its answers to a's connect are lost on the way to a. */
static void test_synack(void **state)
{
	struct tcp_bench *bench = *state;
	struct tcp_probe_settings settings = tcp_bench_everything;
	int pair[2];
	uint16_t port;

	settings.netns_inode = bench->rig.inodes[SIDE_B];
	bench->b = rig_address(SIDE_A, AF_INET);
	bench->probe = tcp_bench_open_probe(&settings);
	rig_drop(&bench->rig, SIDE_A, "tcp flags & (syn | ack) == (syn | ack)", 1);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	assert_true(tcp_bench_look(bench));
	/* Either b's timer or a's repeated SYN asks for it again, whichever is first. */
	assert_in_range(bench->record.retransmits[PEER_RETRANSMIT_SYNACK], 1, 2);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_SYNACK],
			 rig_counter(&bench->rig, SIDE_B, "Tcp", "RetransSegs"));
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_RTO], 0);
	tcp_bench_close_pair(pair);
	tcp_bench_stop(bench);
}

/* One segment of many is lost: the others' acknowledgements tell, and no timer fires. */
static void test_fast(void **state)
{
	struct tcp_bench *bench = *state;
	int pair[2];
	uint16_t port;

	/* Segments as a wire has them, so that one packet is one segment. */
	rig_run(&bench->rig, SIDE_A, "ip link set eth0 gso_max_segs 1");
	tcp_bench_start(bench, AF_INET);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	/* Open the congestion window first. */
	for (int i = 0; i < 20; i++)
		rig_transfer(pair[SIDE_A], pair[SIDE_B], 20000);
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp meta length > 1000", 1);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 30000);
	assert_true(tcp_bench_look(bench));
	assert_in_range(bench->record.retransmits[PEER_RETRANSMIT_FAST], 1, 20);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_RTO], 0);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_FAST],
			 kernel_counts(bench).fast);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_TLP],
			 kernel_counts(bench).probes);
	tcp_bench_close_pair(pair);
	tcp_bench_stop(bench);
}

/* The sender's own link is down. */
static void test_failed(void **state)
{
	struct tcp_bench *bench = *state;
	int pair[2];
	uint16_t port;

	tcp_bench_skip_without_errors();
	tcp_bench_start(bench, AF_INET);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp", 1000);
	assert_int_equal(send(pair[SIDE_A], "x", 1, 0), 1);
	tcp_bench_await_retransmits(bench, PEER_RETRANSMIT_RTO, 1);
	rig_run(&bench->rig, SIDE_A, "ip link set eth0 down");
	tcp_bench_await_retransmits(bench, PEER_RETRANSMIT_FAILED, 1);
	tcp_bench_close_pair(pair);
	tcp_bench_stop(bench);
	/* The next test expects the hosts as they were. */
	rig_down(&bench->rig);
	rig_up(&bench->rig);
}

/* Three sockets fall silent, come back one by one or are closed: never one too many, never one
 * left. */
static void test_stalled_sockets(void **state)
{
	struct tcp_bench *bench = *state;
	int pairs[3][2];
	uint16_t port;
	uint64_t before_ns;

	tcp_bench_start(bench, AF_INET);
	for (int i = 0; i < 3; i++) {
		rig_connect(&bench->rig, AF_INET, pairs[i], &port);
		tcp_bench_exchange(pairs[i], 1);
	}
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp", 1000);
	before_ns = clock_monotonic_ns();
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(pairs[i][SIDE_A], "x", 1, 0), 1);
	bench->wanted = 3;
	rig_wait(stalled, bench, "three stalled sockets");
	assert_int_equal(bench->record.stalled_sockets, 3);
	assert_in_range(bench->record.stalled_since_ns, before_ns, clock_monotonic_ns());
	assert_true(bench->record.heard_ns < before_ns);
	/* One is given up: its end is no stall. */
	{
		const struct linger now = {.l_onoff = 1};

		assert_int_equal(
			setsockopt(pairs[0][SIDE_A], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
		close(pairs[0][SIDE_A]);
	}
	assert_true(tcp_bench_look(bench));
	assert_int_equal(bench->record.stalled_sockets, 2);
	rig_pass(&bench->rig, SIDE_B);
	wait_until_unstalled(bench);
	assert_int_equal(bench->record.stalled_since_ns, 0);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_TLP], 3);
	close(pairs[0][SIDE_B]);
	tcp_bench_close_pair(pairs[1]);
	tcp_bench_close_pair(pairs[2]);
	tcp_bench_stop(bench);
}

/* A one-way cut: what b sends still comes in, but acknowledges nothing new, and that is no end of a
 * stall. */
static void test_stalled_though_heard(void **state)
{
	enum { EXCHANGES = 3, LAST_WORD = 10, BYTES_BEFORE_CUT = EXCHANGES * 10 + LAST_WORD };
	struct tcp_bench *bench = *state;
	const int on = 1;
	struct peer_record before;
	uint16_t port;
	int pair[2];

	tcp_bench_start(bench, AF_INET);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	/* Host b hears no acknowledgement, for which Nagle's algorithm would wait. */
	assert_int_equal(setsockopt(pair[SIDE_B], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	tcp_bench_exchange(pair, EXCHANGES);
	/* The last word is a's and acknowledges all of b's: what b waits for would narrow its
	 * window. */
	rig_transfer(pair[SIDE_A], pair[SIDE_B], LAST_WORD);
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp", 1000);
	assert_int_equal(send(pair[SIDE_A], "x", 1, 0), 1);
	bench->wanted = 1;
	rig_wait(stalled, bench, "a stalled socket");
	before = bench->record;
	for (int i = 0; i < 5; i++)
		rig_transfer(pair[SIDE_B], pair[SIDE_A], 100);
	rig_wait(heard_since_stalled, bench, "host b to be heard");
	assert_true(bench->record.segments > before.segments);
	assert_int_equal(bench->record.stalled_sockets, 1);
	assert_int_equal(bench->record.stalled_since_ns, before.stalled_since_ns);
	assert_int_equal(bench->record.progress_ns, before.progress_ns);
	/* Told late where another CPU had heard it, but never a byte more than host b has had. */
	assert_in_range(bench->record.acked_bytes, before.acked_bytes, BYTES_BEFORE_CUT);
	rig_pass(&bench->rig, SIDE_B);
	wait_until_unstalled(bench);
	assert_true(bench->record.progress_ns > before.progress_ns);
	tcp_bench_close_pair(pair);
	tcp_bench_stop(bench);
}

static void note_slot(void *context, uint32_t slot)
{
	uint32_t *woken = context;

	(void)slot;
	(*woken)++;
}

static bool woken(void *context)
{
	struct tcp_bench *bench = context;
	uint32_t count = 0;

	assert_true(tcp_probe_drain(bench->probe, note_slot, &count) >= 0);
	return count > 0;
}

static void test_wakeup(void **state)
{
	struct tcp_bench *bench = *state;
	int pair[2];
	uint16_t port;

	tcp_bench_start(bench, AF_INET);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	tcp_bench_exchange(pair, 3);
	assert_false(woken(bench));
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp", 1000);
	assert_int_equal(send(pair[SIDE_A], "x", 1, 0), 1);
	rig_wait(woken, bench, "the kernel to tell of an RTO");
	rig_pass(&bench->rig, SIDE_B);
	tcp_bench_close_pair(pair);
	tcp_bench_stop(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tcp_bench_test(test_rto_ipv4),
		tcp_bench_test(test_rto_ipv6),
		tcp_bench_test(test_syn),
		tcp_bench_test(test_synack),
		tcp_bench_test(test_fast),
		tcp_bench_test(test_failed),
		tcp_bench_test(test_stalled_sockets),
		tcp_bench_test(test_stalled_though_heard),
		tcp_bench_test(test_wakeup),
	};

	return tcp_bench_run_tests("tcp_retransmit", tests);
}
