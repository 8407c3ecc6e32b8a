// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The trace "drop" on a live kernel: each packet that a rule drops, and none that is delivered. */
#include "live/rig.h"
#include "live/tcp_bench.h"
#include "live/trace_run.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DROPPED_PORT   4000
#define DELIVERED_PORT 4001
#define PAYLOAD_BYTES  10
#define IPV4_BYTES     (20 + 8 + PAYLOAD_BYTES)
#define IPV6_BYTES     (40 + 8 + PAYLOAD_BYTES)

struct bench {
	struct rig rig;
	struct trace_run run;
	char inode[16]; /* of host b's namespace, where they are dropped */
};

static int set_up(void **state)
{
	static struct bench bench;

	bench = (struct bench){0};
	rig_up(&bench.rig);
	snprintf(bench.inode, sizeof(bench.inode), "%u", bench.rig.inodes[SIDE_B]);
	rig_run(&bench.rig, SIDE_B,
		"nft 'add table inet rig; add chain inet rig in { type filter hook input priority "
		"0; }; add rule inet rig in udp dport %d drop'",
		DROPPED_PORT);
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	trace_run_discard(&bench->run);
	rig_down(&bench->rig);
	return 0;
}

/* From host a to host b; each is dropped, or delivered, before sendto() returns (veth). */
static void send_packets(struct bench *bench, int family, uint16_t port, unsigned int count)
{
	static const char payload[PAYLOAD_BYTES];
	struct address address = rig_address(SIDE_B, family);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, port, &target);
	int fd = rig_socket(&bench->rig, SIDE_A, family, SOCK_DGRAM);

	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(
			sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&target, length),
			sizeof(payload));
	close(fd);
}

static int receiver(struct bench *bench, int family)
{
	struct sockaddr_storage any;
	struct address none = {{0}};
	socklen_t length;
	int fd = rig_socket(&bench->rig, SIDE_B, family, SOCK_DGRAM);

	if (family == AF_INET)
		none.bytes[10] = none.bytes[11] = 0xff;
	length = address_to_sockaddr(&none, DELIVERED_PORT, &any);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, length), 0);
	return fd;
}

/* Sums up the lines of one protocol that a rule made. */
static void sum_up(json_t *lines, const char *ethernet, int64_t *ret_packets, int64_t *ret_bytes)
{
	json_t *line;
	size_t index;

	*ret_packets = *ret_bytes = 0;
	json_array_foreach(lines, index, line)
	{
		if (strcmp(trace_run_string(line, "reason"), "netfilter_drop") ||
		    strcmp(trace_run_string(line, "ethernet_protocol"), ethernet))
			continue;
		assert_string_equal(trace_run_string(line, "protocol"), "udp");
		*ret_packets += trace_run_number(line, "packets");
		*ret_bytes += trace_run_number(line, "bytes");
	}
}

static void test_counts(void **state)
{
	struct bench *bench = *state;
	const char *const arguments[] = {"drop", "-n", bench->inode, "-o", "json", NULL};
	int64_t packets, bytes;
	json_t *lines;
	int v4 = receiver(bench, AF_INET);

	trace_run_start(&bench->run, arguments);
	send_packets(bench, AF_INET, DROPPED_PORT, 700);
	send_packets(bench, AF_INET, DELIVERED_PORT, 100);
	send_packets(bench, AF_INET6, DROPPED_PORT, 300);
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	sum_up(lines, "ipv4", &packets, &bytes);
	assert_int_equal(packets, 700);
	assert_int_equal(bytes, 700 * IPV4_BYTES);
	sum_up(lines, "ipv6", &packets, &bytes);
	assert_int_equal(packets, 300);
	assert_int_equal(bytes, 300 * IPV6_BYTES);
	assert_int_equal(bench->run.updates_lost, 0);
	json_decref(lines);
	close(v4);
}

static void test_events(void **state)
{
	struct bench *bench = *state;
	const char *const arguments[] = {"drop", "--events", "-n",   bench->inode, "-P",
					 "4000", "-o",	     "json", NULL};
	json_t *lines, *line;
	size_t index;

	trace_run_start(&bench->run, arguments);
	send_packets(bench, AF_INET, DROPPED_PORT, 20);
	trace_run_stop(&bench->run, SIGINT);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 20);
	json_array_foreach(lines, index, line)
	{
		assert_string_equal(trace_run_string(line, "reason"), "netfilter_drop");
		assert_string_equal(trace_run_string(line, "source_address"), "10.99.0.1");
		assert_string_equal(trace_run_string(line, "destination_address"), "10.99.0.2");
		assert_int_equal(trace_run_number(line, "destination_port"), DROPPED_PORT);
		assert_int_equal(trace_run_number(line, "length_bytes"), IPV4_BYTES);
		assert_int_equal(trace_run_number(line, "netns_inode"), bench->rig.inodes[SIDE_B]);
	}
	json_decref(lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_events, set_up, tear_down),
	};

	return tcp_bench_run_tests("trace_drop", tests);
}
