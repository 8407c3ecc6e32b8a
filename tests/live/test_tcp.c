// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The TCP probe on a live kernel, with exact expectations: what is dropped on purpose is what is
 * counted, and it equals what the kernel's own counters say.
 */
#include "base/clock.h"
#include "base/histogram.h"
#include "live/rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
	struct rig rig;
	struct tcp_probe *probe;
	struct address b; /* the peer that host a's records speak of */
	struct peer_record record;
	enum peer_retransmit kind;
	uint64_t wanted;
};

static const struct tcp_probe_settings everything = {.max_peers = 64, .loopback = true};

static struct tcp_probe *open_probe(const struct tcp_probe_settings *settings)
{
	char buffer[512] = "";
	struct text error = TEXT(buffer);
	struct tcp_probe *probe = NULL;

	if (tcp_probe_open(&probe, settings, &error))
		fail_msg("%s", buffer);
	assert_true(tcp_probe_sees(probe));
	return probe;
}

/* The probe looks at host a's sockets only, as each host of one kernel sees all. */
static void start(struct bench *bench, int family)
{
	struct tcp_probe_settings settings = everything;

	settings.netns_inode = bench->rig.inodes[SIDE_A];
	bench->b = rig_address(SIDE_B, family);
	bench->probe = open_probe(&settings);
}

static void stop(struct bench *bench)
{
	tcp_probe_close(bench->probe);
	bench->probe = NULL;
}

static bool look(struct bench *bench)
{
	return rig_find(bench->probe, &bench->b, &bench->record);
}

static bool retransmits_reached(void *context)
{
	struct bench *bench = context;

	return look(bench) && bench->record.retransmits[bench->kind] >= bench->wanted;
}

static void wait_for_retransmits(struct bench *bench, enum peer_retransmit kind, uint64_t wanted)
{
	bench->kind = kind;
	bench->wanted = wanted;
	rig_wait(retransmits_reached, bench, "retransmits");
}

static bool unstalled(void *context)
{
	struct bench *bench = context;

	return look(bench) && !bench->record.stalled_sockets;
}

static bool stalled(void *context)
{
	struct bench *bench = context;

	return look(bench) && bench->record.stalled_sockets >= bench->wanted;
}

static void close_pair(const int pair[2])
{
	close(pair[SIDE_A]);
	close(pair[SIDE_B]);
}

struct kernel_counts {
	uint64_t timeouts, probes, fast, slow_start, syn, all;
};

static struct kernel_counts kernel_counts(const struct bench *bench)
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
static void assert_kernel_agrees(struct bench *bench)
{
	struct kernel_counts kernel = kernel_counts(bench);
	const __u64 *ours = bench->record.retransmits;

	assert_true(look(bench));
	assert_int_equal(ours[PEER_RETRANSMIT_RTO] + ours[PEER_RETRANSMIT_SYN], kernel.timeouts);
	assert_int_equal(ours[PEER_RETRANSMIT_TLP], kernel.probes);
	assert_int_equal(ours[PEER_RETRANSMIT_SYN], kernel.syn);
	assert_int_equal(ours[PEER_RETRANSMIT_FAST], kernel.fast + kernel.slow_start);
	assert_int_equal(ours[PEER_RETRANSMIT_RTO] + ours[PEER_RETRANSMIT_TLP] +
				 ours[PEER_RETRANSMIT_SYN] + ours[PEER_RETRANSMIT_FAST],
			 kernel.all);
}

/* One segment, dropped n times: a tail loss probe, then n - 1 timeouts. */
static void drop_and_count(struct bench *bench, int family, unsigned int drops)
{
	int pair[2];
	uint16_t port;

	start(bench, family);
	rig_connect(&bench->rig, family, pair, &port);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp meta length > 100", drops);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	assert_true(look(bench));
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_TLP], 1);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_RTO], drops - 1);
	assert_kernel_agrees(bench);
	rig_wait(unstalled, bench, "the socket to be unstalled by progress");
	close_pair(pair);
	stop(bench);
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
	struct bench *bench = *state;
	int pair[2];
	uint16_t port;

	start(bench, AF_INET);
	rig_drop(&bench->rig, SIDE_B, "tcp flags & (syn | ack) == syn", 2);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	wait_for_retransmits(bench, PEER_RETRANSMIT_SYN, 2);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_SYN], 2);
	assert_int_equal(bench->record.connects, 1);
	assert_int_equal(bench->record.service_port, port);
	assert_kernel_agrees(bench);
	close_pair(pair);
	stop(bench);
}

/* Seen from host b: its answers to a's connect are lost on the way to a. */
static void test_synack(void **state)
{
	struct bench *bench = *state;
	struct tcp_probe_settings settings = everything;
	int pair[2];
	uint16_t port;

	settings.netns_inode = bench->rig.inodes[SIDE_B];
	bench->b = rig_address(SIDE_A, AF_INET);
	bench->probe = open_probe(&settings);
	rig_drop(&bench->rig, SIDE_A, "tcp flags & (syn | ack) == (syn | ack)", 1);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	assert_true(look(bench));
	/* Either b's timer or a's repeated SYN asks for it again, whichever is first. */
	assert_in_range(bench->record.retransmits[PEER_RETRANSMIT_SYNACK], 1, 2);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_SYNACK],
			 rig_counter(&bench->rig, SIDE_B, "Tcp", "RetransSegs"));
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_RTO], 0);
	close_pair(pair);
	stop(bench);
}

/* One segment of many is lost: the others' acknowledgements tell, and no timer fires. */
static void test_fast(void **state)
{
	struct bench *bench = *state;
	int pair[2];
	uint16_t port;

	/* Segments as a wire has them, so that one packet is one segment. */
	rig_run(&bench->rig, SIDE_A, "ip link set eth0 gso_max_segs 1");
	start(bench, AF_INET);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	/* Open the congestion window first. */
	for (int i = 0; i < 20; i++)
		rig_transfer(pair[SIDE_A], pair[SIDE_B], 20000);
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp meta length > 1000", 1);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 30000);
	assert_true(look(bench));
	assert_in_range(bench->record.retransmits[PEER_RETRANSMIT_FAST], 1, 20);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_RTO], 0);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_FAST],
			 kernel_counts(bench).fast);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_TLP],
			 kernel_counts(bench).probes);
	close_pair(pair);
	stop(bench);
}

/* The sender's own link is down: visible where the tracepoint tells the error (Linux 6.17). */
static void test_failed(void **state)
{
	struct bench *bench = *state;
	int pair[2];
	uint16_t port;

	start(bench, AF_INET);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp", 1000);
	assert_int_equal(send(pair[SIDE_A], "x", 1, 0), 1);
	wait_for_retransmits(bench, PEER_RETRANSMIT_RTO, 1);
	rig_run(&bench->rig, SIDE_A, "ip link set eth0 down");
	wait_for_retransmits(bench, PEER_RETRANSMIT_FAILED, 1);
	close_pair(pair);
	stop(bench);
	/* The next test expects the hosts as they were. */
	rig_down(&bench->rig);
	rig_up(&bench->rig);
}

static int connect_to(const struct bench *bench, const char *host, uint16_t port)
{
	struct sockaddr_storage target;
	struct address address;
	socklen_t length;
	int fd, r;

	assert_int_equal(address_parse(host, &address), 0);
	length = address_to_sockaddr(&address, port, &target);
	fd = rig_socket(&bench->rig, SIDE_A, address_is_v4(&address) ? AF_INET : AF_INET6,
			SOCK_STREAM);
	r = connect(fd, (struct sockaddr *)&target, length) ? errno : 0;
	close(fd);
	return r;
}

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
	struct bench *bench = *state;

	rig_run(&bench->rig, SIDE_A, "sysctl -qw net.ipv4.tcp_syn_retries=1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		start(bench, AF_INET);
		rig_pass(&bench->rig, SIDE_B);
		if (cases[i].rule[0])
			rig_run(&bench->rig, SIDE_B,
				"nft 'add table inet rig; add chain inet rig in { type filter hook "
				"input priority 0; }; add rule inet rig in tcp dport 9 %s'",
				cases[i].rule);
		assert_int_equal(connect_to(bench, "10.99.0.2", 9), cases[i].error);
		assert_true(look(bench));
		for (int reason = 0; reason < PEER_ERROR_KINDS; reason++)
			assert_int_equal(bench->record.connect_failures[reason],
					 reason == (int)cases[i].reason);
		assert_int_equal(bench->record.connects, 0);
		stop(bench);
	}
	rig_pass(&bench->rig, SIDE_B);
}

static void test_connect_abandoned(void **state)
{
	struct bench *bench = *state;
	struct address address = rig_address(SIDE_B, AF_INET);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, 9, &target);
	int fd = rig_socket(&bench->rig, SIDE_A, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);

	start(bench, AF_INET);
	rig_drop(&bench->rig, SIDE_B, "tcp dport 9", 1000);
	assert_int_equal(connect(fd, (struct sockaddr *)&target, length), -1);
	assert_int_equal(errno, EINPROGRESS);
	close(fd);
	assert_true(look(bench));
	assert_int_equal(bench->record.connect_failures[PEER_ERROR_ABANDONED], 1);
	rig_pass(&bench->rig, SIDE_B);
	stop(bench);
}

static void test_ignored_socket(void **state)
{
	struct bench *bench = *state;
	struct address address = rig_address(SIDE_B, AF_INET);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, 9, &target);
	int fd = rig_socket(&bench->rig, SIDE_A, AF_INET, SOCK_STREAM);

	start(bench, AF_INET);
	assert_int_equal(tcp_probe_ignore_socket(bench->probe, fd), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&target, length), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	assert_false(look(bench));
	stop(bench);
}

/* Host b ends a connection with a reset: a's record has it received, b's has it sent when a port is
 * closed. */
static void test_resets(void **state)
{
	struct bench *bench = *state;
	const struct linger now = {.l_onoff = 1};
	struct peer_record record;
	struct address a = rig_address(SIDE_A, AF_INET);
	char byte;
	int pair[2];
	uint16_t port;

	/* No namespace filter: host a's sockets make records of b, and host b's of a. */
	bench->b = rig_address(SIDE_B, AF_INET);
	bench->probe = open_probe(&everything);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	assert_int_equal(setsockopt(pair[SIDE_B], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(pair[SIDE_B]);
	assert_int_equal(recv(pair[SIDE_A], &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(pair[SIDE_A]);
	assert_true(look(bench));
	assert_int_equal(bench->record.resets_received, 1);
	assert_int_equal(bench->record.connection_errors[PEER_ERROR_RESET], 1);
	assert_int_equal(connect_to(bench, "10.99.0.2", 9), ECONNREFUSED);
	assert_true(look(bench));
	assert_int_equal(bench->record.resets_received, 2);
	assert_true(rig_find(bench->probe, &a, &record));
	/* The first is sent for a socket; the second for none (told by the kernel since 6.10). */
	assert_in_range(record.resets_sent, 1, 2);
	stop(bench);
}

/* A request and its answer, n times: counted to the byte, and one RTT sample an acknowledged
 * advance. */
static void exchange(const int pair[2], unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		rig_transfer(pair[SIDE_A], pair[SIDE_B], 10);
		rig_transfer(pair[SIDE_B], pair[SIDE_A], 20);
	}
}

static void count_exchanges(struct bench *bench, int family)
{
	int pair[2];
	uint16_t port;

	start(bench, family);
	rig_connect(&bench->rig, family, pair, &port);
	exchange(pair, 500);
	close_pair(pair);
	assert_true(look(bench));
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
	stop(bench);
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
	struct bench *bench = *state;

	start(bench, AF_INET);
	assert_int_equal(connect_to(bench, "10.99.0.2", 9), ECONNREFUSED);
	{
		struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
		int fd = rig_socket(&bench->rig, SIDE_A, AF_INET6, SOCK_STREAM);

		memcpy(&mapped.sin6_addr, bench->b.bytes, 16);
		assert_int_equal(connect(fd, (struct sockaddr *)&mapped, sizeof(mapped)), -1);
		assert_int_equal(errno, ECONNREFUSED);
		close(fd);
	}
	assert_true(look(bench));
	assert_int_equal(bench->record.connect_failures[PEER_ERROR_REFUSED], 2);
	stop(bench);
}

static void test_older_connection(void **state)
{
	struct bench *bench = *state;
	int pair[2];
	uint16_t port;

	rig_connect(&bench->rig, AF_INET, pair, &port);
	exchange(pair, 10);
	start(bench, AF_INET);
	assert_false(look(bench));
	exchange(pair, 10);
	close_pair(pair);
	assert_true(look(bench));
	assert_in_range(bench->record.segments, 10, 21);
	/* What was acknowledged before the probe came is not its own to count. */
	assert_in_range(bench->record.acked_bytes, 90, 101);
	assert_int_equal(bench->record.service_port, port);
	stop(bench);
}

static void test_filters(void **state)
{
	struct bench *bench = *state;
	struct tcp_probe_settings settings;
	int pair[2];
	uint16_t port;
	static const struct {
		const char *remote;
		bool wanted;
	} networks[] = {
		{"10.99.0.0/24", true},	 {"10.99.0.2", true},  {"10.99.0.3", false},
		{"10.98.0.0/16", false}, {"10.0.0.0/8", true}, {"fd99::/64", false},
	};

	bench->b = rig_address(SIDE_B, AF_INET);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	for (size_t i = 0; i < sizeof(networks) / sizeof(*networks); i++) {
		settings = everything;
		assert_int_equal(cidr_parse(networks[i].remote, &settings.remote), 0);
		bench->probe = open_probe(&settings);
		exchange(pair, 1);
		assert_int_equal(look(bench), networks[i].wanted);
		stop(bench);
	}
	for (int other = 0; other < 2; other++) {
		settings = everything;
		settings.port = (uint16_t)(port + other);
		bench->probe = open_probe(&settings);
		exchange(pair, 1);
		assert_int_equal(look(bench), !other);
		stop(bench);
	}
	/* Host b's namespace: nobody there speaks to b. */
	settings = everything;
	settings.netns_inode = bench->rig.inodes[SIDE_B];
	bench->probe = open_probe(&settings);
	exchange(pair, 1);
	assert_false(look(bench));
	bench->b = rig_address(SIDE_A, AF_INET);
	assert_true(look(bench));
	stop(bench);
	close_pair(pair);
}

static void test_loopback_left_out(void **state)
{
	struct bench *bench = *state;
	struct tcp_probe_settings settings = {.max_peers = 16,
					      .netns_inode = bench->rig.inodes[SIDE_A]};

	for (int wanted = 0; wanted < 2; wanted++) {
		settings.loopback = wanted;
		bench->probe = open_probe(&settings);
		assert_int_equal(address_parse("127.0.0.1", &bench->b), 0);
		assert_int_equal(connect_to(bench, "127.0.0.1", 9), ECONNREFUSED);
		assert_int_equal(look(bench), wanted);
		assert_int_equal(address_parse("::1", &bench->b), 0);
		assert_int_equal(connect_to(bench, "::1", 9), ECONNREFUSED);
		assert_int_equal(look(bench), wanted);
		stop(bench);
	}
}

/* 1,000 peers and room for 16: bounded, and every one that had to go is counted. */
static void test_bounded(void **state)
{
	struct bench *bench = *state;
	struct tcp_probe_settings settings = {.max_peers = 16,
					      .netns_inode = bench->rig.inodes[SIDE_A]};
	struct tcp_counters counters;
	struct peer_record record;
	unsigned int used = 0;
	char host[32];

	/* Host b answers for all of a network. */
	rig_run(&bench->rig, SIDE_B, "ip route replace local 10.100.0.0/16 dev lo");
	rig_run(&bench->rig, SIDE_A, "ip route replace 10.100.0.0/16 via 10.99.0.2");
	bench->probe = open_probe(&settings);
	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(host, sizeof(host), "10.100.%u.%u", i / 250, i % 250 + 1);
		assert_int_equal(connect_to(bench, host, 9), ECONNREFUSED);
	}
	counters = tcp_probe_counters(bench->probe);
	for (uint32_t slot = 0; slot < tcp_probe_slots(bench->probe); slot++)
		used += tcp_probe_read(bench->probe, slot, &record);
	assert_int_equal(used, 16);
	assert_int_equal(counters.peers_created, 1000);
	assert_int_equal(counters.peers_evicted, 984);
	assert_int_equal(counters.slots_taken, 16);
	assert_int_equal(counters.peer_failures, 0);
	/* Room only for pinned ones: refused, and counted. */
	for (uint32_t slot = 0; slot < 16; slot++)
		tcp_probe_pin(bench->probe, slot, true);
	for (unsigned int i = 0; i < 10; i++) {
		snprintf(host, sizeof(host), "10.100.9.%u", i + 1);
		assert_int_equal(connect_to(bench, host, 9), ECONNREFUSED);
	}
	counters = tcp_probe_counters(bench->probe);
	assert_int_equal(counters.peers_created, 1000);
	assert_true(counters.peer_failures >= 10);
	stop(bench);
}

static bool window_closed(void *context)
{
	struct bench *bench = context;

	return look(bench) && bench->record.zero_window_sockets == 1;
}

static bool window_open(void *context)
{
	struct bench *bench = context;

	return look(bench) && !bench->record.zero_window_sockets;
}

/* An application that does not read: an episode, no stall, and over when it reads. */
static void test_zero_window(void **state)
{
	static char buffer[65536];
	struct bench *bench = *state;
	const int small = 4096;
	ssize_t sent, all = 0;
	int pair[2];
	uint16_t port;

	start(bench, AF_INET);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	assert_int_equal(setsockopt(pair[SIDE_B], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	while ((sent = send(pair[SIDE_A], buffer, sizeof(buffer), MSG_DONTWAIT)) > 0)
		all += sent;
	rig_wait(window_closed, bench, "the window to close");
	assert_int_equal(bench->record.zero_window_episodes, 1);
	assert_int_equal(bench->record.stalled_sockets, 0);
	while (all > 0) {
		sent = recv(pair[SIDE_B], buffer, sizeof(buffer), 0);
		assert_true(sent > 0);
		all -= sent;
	}
	rig_wait(window_open, bench, "the window to open");
	assert_int_equal(bench->record.zero_window_episodes, 1);
	close_pair(pair);
	stop(bench);
}

/* Three sockets fall silent, come back one by one or are closed: never one too many, never one
 * left. */
static void test_stalled_sockets(void **state)
{
	struct bench *bench = *state;
	int pairs[3][2];
	uint16_t port;
	uint64_t before_ns;

	start(bench, AF_INET);
	for (int i = 0; i < 3; i++) {
		rig_connect(&bench->rig, AF_INET, pairs[i], &port);
		exchange(pairs[i], 1);
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
	assert_true(look(bench));
	assert_int_equal(bench->record.stalled_sockets, 2);
	rig_pass(&bench->rig, SIDE_B);
	rig_wait(unstalled, bench, "progress after the healing");
	assert_int_equal(bench->record.stalled_since_ns, 0);
	assert_int_equal(bench->record.retransmits[PEER_RETRANSMIT_TLP], 3);
	close(pairs[0][SIDE_B]);
	close_pair(pairs[1]);
	close_pair(pairs[2]);
	stop(bench);
}

static void note_slot(void *context, uint32_t slot)
{
	uint32_t *woken = context;

	(void)slot;
	(*woken)++;
}

static bool woken(void *context)
{
	struct bench *bench = context;
	uint32_t count = 0;

	assert_true(tcp_probe_drain(bench->probe, note_slot, &count) >= 0);
	return count > 0;
}

static void test_wakeup(void **state)
{
	struct bench *bench = *state;
	int pair[2];
	uint16_t port;

	start(bench, AF_INET);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	exchange(pair, 3);
	assert_false(woken(bench));
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp", 1000);
	assert_int_equal(send(pair[SIDE_A], "x", 1, 0), 1);
	rig_wait(woken, bench, "the kernel to tell of an RTO");
	rig_pass(&bench->rig, SIDE_B);
	close_pair(pair);
	stop(bench);
}

static struct bench the_bench;

static int set_up(void **state)
{
	the_bench = (struct bench){0};
	rig_up(&the_bench.rig);
	*state = &the_bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	tcp_probe_close(bench->probe);
	rig_down(&bench->rig);
	return 0;
}

static void test_cannot_run(void **state)
{
	(void)state;
	print_message("%s\n", rig_obstacle());
	skip();
}

#define live_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		live_test(test_rto_ipv4),
		live_test(test_rto_ipv6),
		live_test(test_syn),
		live_test(test_synack),
		live_test(test_fast),
		live_test(test_failed),
		live_test(test_connect_failures),
		live_test(test_connect_abandoned),
		live_test(test_ignored_socket),
		live_test(test_resets),
		live_test(test_exchange_ipv4),
		live_test(test_exchange_ipv6),
		live_test(test_mapped_address),
		live_test(test_older_connection),
		live_test(test_filters),
		live_test(test_loopback_left_out),
		live_test(test_bounded),
		live_test(test_zero_window),
		live_test(test_stalled_sockets),
		live_test(test_wakeup),
	};
	const struct CMUnitTest none[] = {cmocka_unit_test(test_cannot_run)};

	if (rig_obstacle())
		return cmocka_run_group_tests_name("tcp", none, NULL, NULL);
	return cmocka_run_group_tests_name("tcp", tests, NULL, NULL);
}
