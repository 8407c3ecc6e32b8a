// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Nodes that send each other heartbeats: as they should, and through every change of theirs. */
#include "cluster/heartbeat.h"

#include "base/clock.h"
#include "unit/heartbeat_nodes.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* n3 is not there: its kernel answers with ICMP errors, which disturb nobody. */
static void test_two_hear_each_other(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	struct edge_evidence evidence;
	struct heartbeat_status status;
	uint8_t no_boot_id[HEARTBEAT_BOOT_BYTES] = {0};
	uint64_t start_ns = clock_monotonic_ns();

	nodes_start(nodes, 0);
	nodes_start(nodes, 1);
	nodes_turn_until_accepted(nodes, 0, 1, 20);
	nodes_turn_until_accepted(nodes, 1, 0, 20);
	evidence = nodes_evidence(nodes, 0, 1);
	assert_true(evidence.heartbeat.expected);
	assert_in_range(evidence.heartbeat.heard_ns, start_ns, clock_monotonic_ns());
	assert_int_equal(evidence.heartbeat.unheard, 0);
	assert_int_equal(evidence.heartbeat.send_errno, 0);
	assert_int_equal(evidence.heartbeat.interval_ns, NODES_INTERVAL_MS * NS_PER_MS);
	assert_true(evidence.heartbeat.loss_in == 0 && evidence.heartbeat.loss_out == 0);
	assert_true(evidence.heartbeat.loss_in_pessimistic == LOSS_FLOOR);
	heartbeat_status(nodes->sockets[0], 1, &status);
	assert_true(status.sent >= 20);
	assert_int_equal(status.received, evidence.heartbeat.accepted);
	assert_in_range(status.rtt_us, 1, 20000);
	assert_true(status.incarnation > 0);
	assert_memory_not_equal(status.boot_id, no_boot_id, sizeof(no_boot_id));

	/* The absent one, oneself, and one that is none. */
	assert_true(nodes_evidence(nodes, 0, 2).heartbeat.expected);
	assert_int_equal(nodes_evidence(nodes, 0, 2).heartbeat.heard_ns, 0);
	assert_false(nodes_evidence(nodes, 0, 0).heartbeat.expected);
	assert_false(nodes_evidence(nodes, 0, 99).heartbeat.expected);
	for (unsigned int i = 0; i < HEARTBEAT_REJECT_KINDS; i++)
		assert_int_equal(nodes_counters(nodes, 0)->rejected[i], 0);
	assert_int_equal(nodes_counters(nodes, 0)->accepted, nodes_counters(nodes, 0)->received);
	assert_int_equal(nodes_counters(nodes, 0)->relays_sent, 0);
}

static void test_rate_and_no_burst_after_a_pause(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	uint64_t before, sent, start_ns;
	struct heartbeat_status status;

	nodes_start(nodes, 0);
	loop_turn_for(&nodes->loop, 100 * NS_PER_MS);
	heartbeat_status(nodes->sockets[0], 1, &status);
	before = status.sent;
	start_ns = clock_monotonic_ns();
	loop_turn_for(&nodes->loop, NS_PER_S);
	heartbeat_status(nodes->sockets[0], 1, &status);
	sent = status.sent - before;
	/* As many as the time allows, whatever held this test up. */
	assert_in_range(sent, 30,
			(clock_monotonic_ns() - start_ns) / (NODES_INTERVAL_MS * NS_PER_MS) + 3);

	usleep(500000);
	heartbeat_status(nodes->sockets[0], 1, &status);
	before = status.sent;
	start_ns = clock_monotonic_ns();
	loop_turn_for(&nodes->loop, 5 * NS_PER_MS);
	heartbeat_status(nodes->sockets[0], 1, &status);
	sent = status.sent - before;
	assert_in_range(sent, 1, 1 + (clock_monotonic_ns() - start_ns) / (10 * NS_PER_MS));
}

/* What the local stack refuses is known by its errno, and disturbs no other peer. */
static void test_send_failures(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	struct edge_evidence evidence;

	/* From a loopback address to another network: EINVAL. */
	nodes_set_address(&nodes->members[0][2], "192.0.2.1");
	nodes_start(nodes, 0);
	nodes_start(nodes, 1);
	nodes_turn_until_accepted(nodes, 1, 0, 10);
	evidence = nodes_evidence(nodes, 0, 2);
	assert_true(evidence.heartbeat.send_failures >= 5);
	assert_true(evidence.heartbeat.send_errno > 0);
	assert_int_equal(nodes_evidence(nodes, 0, 1).heartbeat.send_failures, 0);
	assert_int_equal(nodes_counters(nodes, 0)->send_failures, evidence.heartbeat.send_failures);
}

static void test_both_families(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name))) {
		print_message("this machine has no ::1: %s\n", strerror(errno));
		if (fd >= 0)
			close(fd);
		skip();
	}
	close(fd);
	/*
	 * At the wildcard address n1 itself gets what it sends to any address of this machine:
	 * which is not for it, and so is counted.
	 */
	assert_int_equal(address_parse("::", &nodes->configs[0].heartbeat.listen.address), 0);
	nodes->configs[0].node_count = 2;
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t end_ns = clock_monotonic_ns() + LOOP_LIMIT_NS;

		nodes_set_address(&nodes->members[0][1], i ? "::1" : "127.0.0.2");
		nodes_start(nodes, 0);
		while (nodes_counters(nodes, 0)->received < 3 && clock_monotonic_ns() < end_ns)
			loop_turn(&nodes->loop);
		assert_true(nodes_counters(nodes, 0)->received >= 3);
		assert_int_equal(
			nodes_counters(nodes, 0)->rejected[HEARTBEAT_REJECT_UNKNOWN_SENDER],
			nodes_counters(nodes, 0)->received);
		assert_int_equal(nodes_counters(nodes, 0)->send_failures, 0);
		nodes_stop(nodes, 0);
		loop_turn(&nodes->loop);
	}
}

/* Whether somebody else could put himself beside the one who holds the port, and take its
 * datagrams. */
static bool port_can_be_shared(uint16_t port)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int on = 1;
	bool shared;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	shared = !bind(fd, (struct sockaddr *)&name, sizeof(name));
	close(fd);
	return shared;
}

static void test_reload(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	struct config_node node;
	struct heartbeat_status before, after;
	char buffer[512] = "";
	struct text error = TEXT(buffer);

	nodes->configs[0].node_count = 2;
	nodes_start(nodes, 0);
	nodes_start(nodes, 1);
	nodes_start(nodes, 2);
	nodes_turn_until_accepted(nodes, 0, 1, 10);
	heartbeat_status(nodes->sockets[0], 1, &before);

	/* n2 moves from index 1 to 2, n3 is new at 1: by name, not by index. */
	node = nodes->members[0][1];
	nodes->members[0][1] = nodes->members[0][2];
	nodes->members[0][2] = node;
	nodes->configs[0].node_count = 3;
	assert_int_equal(heartbeat_reload(nodes->sockets[0], &nodes->configs[0], &error), 0);
	heartbeat_status(nodes->sockets[0], 2, &after);
	assert_true(after.received >= before.received);
	assert_true(after.incarnation == before.incarnation);
	nodes_turn_until_accepted(nodes, 0, 1, 5);
	nodes_turn_until_accepted(nodes, 0, 2, 5);
	assert_true(nodes_evidence(nodes, 0, 2).heartbeat.loss_in == 0);

	/* A reload that fails changes nothing. */
	strcat(nodes->configs[0].heartbeat.key_file, ".none");
	nodes->configs[0].node_count = 1;
	strcpy(nodes->members[0][0].name, "n9");
	assert_int_equal(heartbeat_reload(nodes->sockets[0], &nodes->configs[0], &error), -ENOENT);
	assert_non_null(strstr(buffer, "key.none"));
	nodes_turn_until_accepted(nodes, 0, 2, 5);
	strcpy(nodes->members[0][0].name, "n1");
	strrchr(nodes->configs[0].heartbeat.key_file, '.')[0] = '\0';

	/*
	 * Over to the wildcard address on the same port, which overlaps its own; n2 and n3 stop
	 * first.
	 */
	nodes_stop(nodes, 1);
	nodes_stop(nodes, 2);
	loop_turn(&nodes->loop);
	nodes->configs[0].node_count = 3;
	assert_int_equal(address_parse("0.0.0.0", &nodes->configs[0].heartbeat.listen.address), 0);
	error = TEXT(buffer);
	if (heartbeat_reload(nodes->sockets[0], &nodes->configs[0], &error))
		fail_msg("%s", buffer);
	loop_turn_for(&nodes->loop, 50 * NS_PER_MS);
	assert_false(port_can_be_shared(nodes->port));

	/* Without peers the port is given back; with one it is taken again. */
	nodes->configs[0].node_count = 1;
	assert_int_equal(heartbeat_reload(nodes->sockets[0], &nodes->configs[0], &error), 0);
	loop_turn(&nodes->loop);
	nodes_start(nodes, 1);
	nodes->configs[0].node_count = 3;
	assert_int_equal(address_parse("127.0.0.1", &nodes->configs[0].heartbeat.listen.address),
			 0);
	assert_int_equal(heartbeat_reload(nodes->sockets[0], &nodes->configs[0], &error), 0);
	nodes_turn_until_accepted(nodes, 0, 2, 5);
}

/* n2 is started anew: heard again at once, and no loss is made of its past. */
static void test_restart_of_a_peer(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	struct heartbeat_status status;

	nodes_start(nodes, 0);
	nodes_start(nodes, 1);
	nodes_turn_until_accepted(nodes, 0, 1, 10);
	nodes_stop(nodes, 1);
	loop_turn(&nodes->loop);
	nodes_start(nodes, 1);
	nodes_turn_until_accepted(nodes, 0, 1, 5);
	nodes_turn_until_accepted(nodes, 1, 0, 5);
	heartbeat_status(nodes->sockets[0], 1, &status);
	assert_int_equal(status.restarts, 1);
	assert_true(nodes_evidence(nodes, 0, 1).heartbeat.loss_in == 0);
}

/* Nothing to do without peers: no key is needed, and no port taken. */
static void test_no_peers(void **state)
{
	struct heartbeat_nodes *nodes = *state;

	nodes->configs[0].node_count = 1;
	nodes->configs[0].heartbeat.key_file[0] = '\0';
	nodes_start(nodes, 0);
	assert_int_equal(address_parse("127.0.0.1", &nodes->configs[1].heartbeat.listen.address),
			 0);
	nodes_start(nodes, 1);
	loop_turn_for(&nodes->loop, 50 * NS_PER_MS);
	assert_int_equal(heartbeat_drain(nodes->sockets[0]), 0);
	assert_int_equal(nodes_counters(nodes, 0)->sent, 0);
}

static void test_errors(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	static const struct {
		const char *name; /* of the key file, or NULL: none */
		int bytes;	  /* -1 absent, -2 directory, -3 pipe */
		int expected;
		const char *words;
	} cases[] = {
		{NULL, 0, -EINVAL, "heartbeat.key_file is not set"},
		{"absent", -1, -ENOENT, "absent: No such file"},
		{"empty", 0, -EINVAL, "empty: has 0 bytes"},
		{"short", 31, -EINVAL, "short: has 31 bytes: expected a file of exactly 32"},
		{"long", 33, -EINVAL, "long: has 33 bytes"},
		{"directory", -2, -EINVAL, "not a regular file"},
		{"pipe", -3, -EINVAL, "not a regular file"},
	};
	char path[CONFIG_PATH_MAX - 2];
	char buffer[512] = "";
	struct text error;
	struct heartbeat_socket *other = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(path, sizeof(path), "%s/%s", nodes->directory, cases[i].name ?: "");
		if (cases[i].name && cases[i].bytes >= 0)
			nodes_write_key(path, (size_t)cases[i].bytes);
		else if (cases[i].bytes == -2)
			assert_int_equal(mkdir(path, 0700), 0);
		else if (cases[i].bytes == -3)
			assert_int_equal(mkfifo(path, 0600), 0);
		snprintf(nodes->configs[0].heartbeat.key_file, CONFIG_PATH_MAX, "%s",
			 cases[i].name ? path : "");
		error = TEXT(buffer);
		assert_int_equal(heartbeat_open(&other, &nodes->loop, &nodes->configs[0], &error),
				 cases[i].expected);
		if (!strstr(buffer, cases[i].words))
			fail_msg("'%s' does not say '%s'", buffer, cases[i].words);
	}

	/* A port that is taken, also by another agent. */
	nodes_start(nodes, 1);
	nodes->configs[2].heartbeat.listen.address = nodes->configs[1].heartbeat.listen.address;
	error = TEXT(buffer);
	assert_int_equal(heartbeat_open(&other, &nodes->loop, &nodes->configs[2], &error),
			 -EADDRINUSE);
	assert_non_null(strstr(buffer, "heartbeat.listen 127.0.0.2 port"));

	/* An address that is not this node's, and a node that cannot be reached from it. */
	assert_int_equal(address_parse("192.0.2.7", &nodes->configs[2].heartbeat.listen.address),
			 0);
	error = TEXT(buffer);
	assert_int_equal(heartbeat_open(&other, &nodes->loop, &nodes->configs[2], &error),
			 -EADDRNOTAVAIL);
	nodes_set_address(&nodes->members[2][0], "fd00::1");
	error = TEXT(buffer);
	assert_int_equal(heartbeat_open(&other, &nodes->loop, &nodes->configs[2], &error),
			 -EAFNOSUPPORT);
	assert_non_null(strstr(buffer, "n1 at fd00::1"));
	assert_null(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		nodes_test(test_two_hear_each_other),
		nodes_test(test_rate_and_no_burst_after_a_pause),
		nodes_test(test_send_failures),
		nodes_test(test_both_families),
		nodes_test(test_reload),
		nodes_test(test_restart_of_a_peer),
		nodes_test(test_no_peers),
		nodes_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
