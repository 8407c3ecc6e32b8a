// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which sockets and peers the TCP probe looks at on a live kernel, and how many: its filters, the
 * sockets that it is told to ignore, and the bound of its table.
 */
#include "live/tcp_bench.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 1000

static void test_ignored_socket(void **state)
{
	struct tcp_bench *bench = *state;
	struct address address = rig_address(SIDE_B, AF_INET);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, 9, &target);
	int fd = rig_socket(&bench->rig, SIDE_A, AF_INET, SOCK_STREAM);

	tcp_bench_start(bench, AF_INET);
	assert_int_equal(tcp_probe_ignore_socket(bench->probe, fd), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&target, length), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	assert_false(tcp_bench_look(bench));
	tcp_bench_stop(bench);
}

static void test_filters(void **state)
{
	struct tcp_bench *bench = *state;
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
		settings = tcp_bench_everything;
		assert_int_equal(cidr_parse(networks[i].remote, &settings.remote), 0);
		bench->probe = tcp_bench_open_probe(&settings);
		tcp_bench_exchange(pair, 1);
		assert_int_equal(tcp_bench_look(bench), networks[i].wanted);
		tcp_bench_stop(bench);
	}
	for (int other = 0; other < 2; other++) {
		settings = tcp_bench_everything;
		settings.port = (uint16_t)(port + other);
		bench->probe = tcp_bench_open_probe(&settings);
		tcp_bench_exchange(pair, 1);
		assert_int_equal(tcp_bench_look(bench), !other);
		tcp_bench_stop(bench);
	}
	/* Host b's namespace: nobody there speaks to b. */
	settings = tcp_bench_everything;
	settings.netns_inode = bench->rig.inodes[SIDE_B];
	bench->probe = tcp_bench_open_probe(&settings);
	tcp_bench_exchange(pair, 1);
	assert_false(tcp_bench_look(bench));
	bench->b = rig_address(SIDE_A, AF_INET);
	assert_true(tcp_bench_look(bench));
	tcp_bench_stop(bench);
	tcp_bench_close_pair(pair);
}

static void test_loopback_left_out(void **state)
{
	struct tcp_bench *bench = *state;
	struct tcp_probe_settings settings = {
		.max_peers = 16, .max_groups = 16, .netns_inode = bench->rig.inodes[SIDE_A]};

	for (int wanted = 0; wanted < 2; wanted++) {
		settings.loopback = wanted;
		bench->probe = tcp_bench_open_probe(&settings);
		assert_int_equal(address_parse("127.0.0.1", &bench->b), 0);
		assert_int_equal(tcp_bench_connect(bench, "127.0.0.1", 9), ECONNREFUSED);
		assert_int_equal(tcp_bench_look(bench), wanted);
		assert_int_equal(address_parse("::1", &bench->b), 0);
		assert_int_equal(tcp_bench_connect(bench, "::1", 9), ECONNREFUSED);
		assert_int_equal(tcp_bench_look(bench), wanted);
		tcp_bench_stop(bench);
	}
}

/* Host b answers for all of a network. */
static void many_addresses(const struct tcp_bench *bench)
{
	rig_run(&bench->rig, SIDE_B, "ip route replace local 10.100.0.0/16 dev lo");
	rig_run(&bench->rig, SIDE_A, "ip route replace 10.100.0.0/16 via 10.99.0.2");
}

static void connect_to_many(const struct tcp_bench *bench, unsigned int first, unsigned int end)
{
	char host[32];

	for (unsigned int i = first; i < end; i++) {
		snprintf(host, sizeof(host), "10.100.%u.%u", i / 250, i % 250 + 1);
		assert_int_equal(tcp_bench_connect(bench, host, 9), ECONNREFUSED);
	}
}

/* Of this process, of maps that it shares with programs. */
static size_t mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	uintptr_t start, end;
	size_t bytes = 0;
	char line[512];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (strstr(line, "anon_inode:bpf-map") &&
		    sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) == 2)
			bytes += end - start;
	fclose(file);
	return bytes;
}

/* The table is mapped as far as it is used: in the beginning, and further each time. */
static void test_table_grows(void **state)
{
	struct tcp_bench *bench = *state;
	const struct tcp_probe_settings settings = {
		.max_peers = MANY, .max_groups = 16, .netns_inode = bench->rig.inodes[SIDE_A]};
	const unsigned int counts[] = {1, 255, 257, MANY - 1, MANY};
	size_t begin_bytes, grown_bytes = 0;
	struct address address;
	struct peer_record record;
	char host[32];

	many_addresses(bench);
	bench->probe = tcp_bench_open_probe(&settings);
	assert_int_equal(tcp_probe_slots_touched(bench->probe), 0);
	begin_bytes = mapped_bytes();
	for (size_t k = 0; k < sizeof(counts) / sizeof(*counts); k++) {
		connect_to_many(bench, k ? counts[k - 1] : 0, counts[k]);
		assert_int_equal(tcp_probe_slots_touched(bench->probe), counts[k]);
		grown_bytes = mapped_bytes() - begin_bytes;
		assert_int_equal(grown_bytes > 0, counts[k] > 256);
		for (unsigned int i = 0; i < counts[k]; i++) {
			snprintf(host, sizeof(host), "10.100.%u.%u", i / 250, i % 250 + 1);
			assert_int_equal(address_parse(host, &address), 0);
			if (!rig_find(bench->probe, &address, &record))
				fail_msg("no %s among %u", host, counts[k]);
		}
	}
	/* In the beginning it was a quarter. */
	assert_true(grown_bytes > MANY * sizeof(struct peer_record) / 2);
	assert_int_equal(tcp_probe_counters(bench->probe).peers_evicted, 0);
	tcp_bench_stop(bench);
}

/* 1,000 peers and room for 16: bounded, and every one that had to go is counted. */
static void test_bounded(void **state)
{
	struct tcp_bench *bench = *state;
	struct tcp_probe_settings settings = {
		.max_peers = 16, .max_groups = 16, .netns_inode = bench->rig.inodes[SIDE_A]};
	struct tcp_counters counters;
	struct peer_record record;
	unsigned int used = 0;
	char host[32];

	many_addresses(bench);
	bench->probe = tcp_bench_open_probe(&settings);
	connect_to_many(bench, 0, MANY);
	counters = tcp_probe_counters(bench->probe);
	for (uint32_t slot = 0; slot < tcp_probe_slots(bench->probe); slot++)
		used += tcp_probe_read(bench->probe, slot, &record);
	assert_int_equal(used, 16);
	assert_int_equal(counters.peers_created, MANY);
	assert_int_equal(counters.peers_evicted, MANY - 16);
	assert_int_equal(counters.slots_taken, 16);
	assert_int_equal(counters.peer_failures, 0);
	/* Room only for pinned ones: refused, and counted. */
	for (uint32_t slot = 0; slot < 16; slot++)
		tcp_probe_pin(bench->probe, slot, true);
	for (unsigned int i = 0; i < 10; i++) {
		snprintf(host, sizeof(host), "10.100.9.%u", i + 1);
		assert_int_equal(tcp_bench_connect(bench, host, 9), ECONNREFUSED);
	}
	counters = tcp_probe_counters(bench->probe);
	assert_int_equal(counters.peers_created, MANY);
	assert_true(counters.peer_failures >= 10);
	tcp_bench_stop(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tcp_bench_test(test_ignored_socket),	tcp_bench_test(test_filters),
		tcp_bench_test(test_loopback_left_out), tcp_bench_test(test_table_grows),
		tcp_bench_test(test_bounded),
	};

	return tcp_bench_run_tests("tcp_scope", tests);
}
