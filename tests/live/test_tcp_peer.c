// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the TCP probe's record of a peer holds besides retransmits, on a live kernel: connects that
 * fail and why, resets, bytes, segments, times and closed windows.
 */
#include "base/clock.h"
#include "base/histogram.h"
#include "live/tcp_bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void test_connect_failures(void **state)
{
	static const struct {
		const char *rule; /* at host b */
		int error;
		enum peer_error reason;
	} cases[] = {
		{"", ECONNREFUSED, PEER_ERROR_REFUSED},
		{"reject with tcp reset", ECONNREFUSED, PEER_ERROR_REFUSED},
		{"reject with icmp type host-unreachable", EHOSTUNREACH,
		 PEER_ERROR_HOST_UNREACHABLE},
		{"reject with icmp type net-unreachable", ENETUNREACH, PEER_ERROR_NET_UNREACHABLE},
		{"drop", ETIMEDOUT, PEER_ERROR_TIMED_OUT},
	};
	struct tcp_bench *bench = *state;

	rig_run(&bench->rig, SIDE_A, "echo 1 > /proc/sys/net/ipv4/tcp_syn_retries");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		tcp_bench_start(bench, AF_INET);
		rig_pass(&bench->rig, SIDE_B);
		if (cases[i].rule[0])
			rig_run(&bench->rig, SIDE_B,
				"nft 'add table inet rig; add chain inet rig in { type filter hook "
				"input priority 0; }; add rule inet rig in tcp dport 9 %s'",
				cases[i].rule);
		assert_int_equal(tcp_bench_connect(bench, "10.99.0.2", 9), cases[i].error);
		assert_true(tcp_bench_look(bench));
		for (int reason = 0; reason < PEER_ERROR_KINDS; reason++)
			assert_int_equal(bench->record.connect_failures[reason],
					 reason == (int)cases[i].reason);
		assert_int_equal(bench->record.connects, 0);
		tcp_bench_stop(bench);
	}
	rig_pass(&bench->rig, SIDE_B);
}

static void test_connect_abandoned(void **state)
{
	struct tcp_bench *bench = *state;
	struct address address = rig_address(SIDE_B, AF_INET);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, 9, &target);
	int fd = rig_socket(&bench->rig, SIDE_A, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);

	tcp_bench_start(bench, AF_INET);
	rig_drop(&bench->rig, SIDE_B, "tcp dport 9", 1000);
	assert_int_equal(connect(fd, (struct sockaddr *)&target, length), -1);
	assert_int_equal(errno, EINPROGRESS);
	close(fd);
	assert_true(tcp_bench_look(bench));
	assert_int_equal(bench->record.connect_failures[PEER_ERROR_ABANDONED], 1);
	rig_pass(&bench->rig, SIDE_B);
	tcp_bench_stop(bench);
}

/* Host b ends a connection with a reset: a's record has it received, b's has it sent when a port is
 * closed. */
static void test_resets(void **state)
{
	struct tcp_bench *bench = *state;
	const struct linger now = {.l_onoff = 1};
	struct peer_record record;
	struct address a = rig_address(SIDE_A, AF_INET);
	char byte;
	int pair[2];
	uint16_t port;

	/* No namespace filter: host a's sockets make records of b, and host b's of a. */
	bench->b = rig_address(SIDE_B, AF_INET);
	bench->probe = tcp_bench_open_probe(&tcp_bench_everything);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	assert_int_equal(setsockopt(pair[SIDE_B], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(pair[SIDE_B]);
	assert_int_equal(recv(pair[SIDE_A], &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(pair[SIDE_A]);
	assert_true(tcp_bench_look(bench));
	assert_int_equal(bench->record.resets_received, 1);
	assert_int_equal(bench->record.connection_errors[PEER_ERROR_RESET], 1);
	assert_int_equal(tcp_bench_connect(bench, "10.99.0.2", 9), ECONNREFUSED);
	assert_true(tcp_bench_look(bench));
	assert_int_equal(bench->record.resets_received, 2);
	assert_true(rig_find(bench->probe, &a, &record));
	/* The first is sent for a socket; the second for none (told by the kernel since 6.10). */
	assert_in_range(record.resets_sent, 1, 2);
	tcp_bench_stop(bench);
}

/* Counted to the byte, and one RTT sample an acknowledged advance. */
static void count_exchanges(struct tcp_bench *bench, int family)
{
	int pair[2];
	uint16_t port;

	tcp_bench_start(bench, family);
	rig_connect(&bench->rig, family, pair, &port);
	tcp_bench_exchange(pair, 500);
	tcp_bench_close_pair(pair);
	assert_true(tcp_bench_look(bench));
	/* 500 requests, each acknowledged by its answer, and at most an acknowledgement of its own
	 * each. */
	assert_in_range(bench->record.segments, 500, 1001);
	/* The last advance acknowledges the end of the connection, which counts as a byte. */
	assert_in_range(bench->record.acked_bytes, 5000, 5001);
	assert_in_range(bench->record.advances, 500, 501);
	assert_in_range(histogram_total(bench->record.rtt), 500, bench->record.advances);
	assert_true(bench->record.rtt_sum_us > 0);
	assert_in_range(histogram_quantile_us(bench->record.rtt, 0.5), 1, 100000);
	assert_in_range(clock_monotonic_ns() - bench->record.heard_ns, 0, NS_PER_S);
	assert_in_range(clock_monotonic_ns() - bench->record.progress_ns, 0, NS_PER_S);
	tcp_bench_stop(bench);
}

static void test_exchange_ipv4(void **state)
{
	count_exchanges(*state, AF_INET);
}

static void test_exchange_ipv6(void **state)
{
	count_exchanges(*state, AF_INET6);
}

/* A v6 socket that speaks to a v4 host has a v4 peer. */
static void test_mapped_address(void **state)
{
	struct tcp_bench *bench = *state;

	tcp_bench_start(bench, AF_INET);
	assert_int_equal(tcp_bench_connect(bench, "10.99.0.2", 9), ECONNREFUSED);
	{
		struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
		int fd = rig_socket(&bench->rig, SIDE_A, AF_INET6, SOCK_STREAM);

		memcpy(&mapped.sin6_addr, bench->b.bytes, 16);
		assert_int_equal(connect(fd, (struct sockaddr *)&mapped, sizeof(mapped)), -1);
		assert_int_equal(errno, ECONNREFUSED);
		close(fd);
	}
	assert_true(tcp_bench_look(bench));
	assert_int_equal(bench->record.connect_failures[PEER_ERROR_REFUSED], 2);
	tcp_bench_stop(bench);
}

static void test_older_connection(void **state)
{
	struct tcp_bench *bench = *state;
	int pair[2];
	uint16_t port;

	rig_connect(&bench->rig, AF_INET, pair, &port);
	tcp_bench_exchange(pair, 10);
	tcp_bench_start(bench, AF_INET);
	assert_false(tcp_bench_look(bench));
	tcp_bench_exchange(pair, 10);
	tcp_bench_close_pair(pair);
	assert_true(tcp_bench_look(bench));
	assert_in_range(bench->record.segments, 10, 21);
	/* What was acknowledged before the probe came is not its own to count. */
	assert_in_range(bench->record.acked_bytes, 90, 101);
	assert_int_equal(bench->record.service_port, port);
	tcp_bench_stop(bench);
}

struct writer {
	struct tcp_bench *bench;
	int fd;
	size_t written; /* bytes */
};

static bool window_closes(void *context)
{
	static const char buffer[65536];
	struct writer *writer = context;
	ssize_t sent = send(writer->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	writer->written += sent > 0 ? (size_t)sent : 0;
	return tcp_bench_look(writer->bench) && writer->bench->record.zero_window_sockets == 1;
}

static bool window_open(void *context)
{
	struct tcp_bench *bench = context;

	return tcp_bench_look(bench) && !bench->record.zero_window_sockets;
}

/* An application that does not read: an episode, no stall, and over when it reads. */
static void test_zero_window(void **state)
{
	static char buffer[1 << 20];
	struct tcp_bench *bench = *state;
	struct writer writer = {.bench = bench};
	/* What waits here for the window to open must not fill it again. */
	const int small = 4096;
	int pair[2];
	uint16_t port;

	tcp_bench_start(bench, AF_INET);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	assert_int_equal(setsockopt(pair[SIDE_A], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	writer.fd = pair[SIDE_A];
	rig_wait(window_closes, &writer, "the window to close");
	assert_int_equal(bench->record.zero_window_episodes, 1);
	assert_int_equal(bench->record.stalled_sockets, 0);
	while (writer.written > 0) {
		ssize_t taken = recv(pair[SIDE_B], buffer, sizeof(buffer), 0);

		assert_true(taken > 0);
		writer.written -= (size_t)taken;
	}
	rig_wait(window_open, bench, "the window to open");
	assert_int_equal(bench->record.zero_window_episodes, 1);
	tcp_bench_close_pair(pair);
	tcp_bench_stop(bench);
}

/* The end of a connection has only its own CPU tell what it holds back of the counts
 * (maps/tally.h). */
static void stay_on_this_cpu(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cpu >= 0)
		CPU_SET((unsigned int)cpu, &set);
	if (cpu < 0 || sched_setaffinity(0, sizeof(set), &set))
		perror("a test of exact counts may fail: it cannot stay on a CPU");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tcp_bench_test(test_connect_failures), tcp_bench_test(test_connect_abandoned),
		tcp_bench_test(test_resets),	       tcp_bench_test(test_exchange_ipv4),
		tcp_bench_test(test_exchange_ipv6),    tcp_bench_test(test_mapped_address),
		tcp_bench_test(test_older_connection), tcp_bench_test(test_zero_window),
	};

	stay_on_this_cpu();
	return tcp_bench_run_tests("tcp_peer", tests);
}
