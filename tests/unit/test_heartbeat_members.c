// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who of many nodes sends heartbeats to whom. */
#include "cluster/heartbeat_members.h"

#include "base/address.h"
#include "base/clock.h"
#include "cluster/heartbeat.h"
#include "cluster/membership.h"
#include "unit/loop.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NODES_MAX   1000
#define INTERVAL_MS 100
#define PEERS_MAX   20
#define START_NS    (1000 * NS_PER_S)

/* node-0 is 127.1.0.1, and so on. */
static struct config *make_config(unsigned int count, const char *own_name)
{
	struct config *config = calloc(1, sizeof(*config));

	assert_non_null(config);
	snprintf(config->node, sizeof(config->node), "%s", own_name);
	config->heartbeat.interval_ms = INTERVAL_MS;
	config->nodes = calloc(count, sizeof(*config->nodes));
	assert_non_null(config->nodes);
	config->node_count = count;
	for (unsigned int i = 0; i < count; i++) {
		char address[32];

		snprintf(config->nodes[i].name, sizeof(config->nodes[i].name), "node-%u", i);
		snprintf(address, sizeof(address), "127.1.%u.%u", i / 200, i % 200 + 1);
		assert_int_equal(cidr_parse(address, &config->nodes[i].addresses[0]), 0);
		config->nodes[i].address_count = 1;
	}
	return config;
}

static void free_config(struct config *config)
{
	free(config->nodes);
	free(config);
}

static struct heartbeat_members build(const struct config *config,
				      const struct heartbeat_members *before)
{
	struct heartbeat_members members = {0};
	char buffer[256] = "";
	struct text error = TEXT(buffer);

	if (heartbeat_members_build(&members, config, before, 1, START_NS, &error))
		fail_msg("%s", buffer);
	return members;
}

/* At how many different times the first heartbeats are due. */
static unsigned int due_times(const struct heartbeat_members *members)
{
	unsigned int times = 0;

	for (unsigned int i = 0; i < members->count; i++) {
		bool known = members->due_ns[i] == UINT64_MAX;

		for (unsigned int j = 0; j < i && !known; j++)
			known = members->due_ns[i] == members->due_ns[j];
		times += !known;
	}
	return times;
}

static void test_who_is_expected(void **state)
{
	static const unsigned int counts[] = {1, 2, 50, 51, 60, 200, NODES_MAX};
	static bool expected[NODES_MAX][NODES_MAX];
	const struct heartbeat_members none = {0};

	(void)state;
	for (size_t n = 0; n < sizeof(counts) / sizeof(*counts); n++) {
		unsigned int count = counts[n];
		unsigned int step = count > 200 ? 97 : 1;
		struct config *config = make_config(count, "");

		memset(expected, 0, sizeof(expected));
		for (unsigned int self = 0; self < count; self += step) {
			struct heartbeat_members members;
			unsigned int found = 0;

			snprintf(config->node, sizeof(config->node), "node-%u", self);
			members = build(config, &none);
			for (unsigned int i = 0; i < count; i++) {
				const struct heartbeat_peer *peer = &members.peers[i];

				assert_int_equal(peer->other, i != self);
				expected[self][i] = peer->expected;
				found += peer->expected;
				/* Nothing is ever due to the others. */
				assert_int_equal(members.due_ns[i] != UINT64_MAX, peer->expected);
			}
			assert_false(members.peers[self].expected);
			assert_int_equal(members.expected_count, found);
			/* Few wakeups for few peers, no bursts for many. */
			assert_int_equal(due_times(&members), (found + 15) / 16);
			if (count <= MEMBERSHIP_MESH_MAX)
				assert_int_equal(found, count - 1);
			else
				assert_in_range(found, 8, PEERS_MAX);
			heartbeat_members_free(&members);
		}
		/* Whoever sends to one is sent to by it. */
		for (unsigned int i = 0; i < count; i += step)
			for (unsigned int j = 0; j < count; j += step)
				assert_int_equal(expected[i][j], expected[j][i]);
		free_config(config);
	}
}

/* A node that is none of those that are configured is outside of all rings. */
static void test_no_member(void **state)
{
	const struct heartbeat_members none = {0};
	struct config *config = make_config(60, "elsewhere");
	struct heartbeat_members members = build(config, &none);

	(void)state;
	assert_int_equal(members.expected_count, 60);
	heartbeat_members_free(&members);
	free_config(config);
}

/* With one node more than a mesh has, most are not expected any more; those that are stay known. */
static void test_mesh_becomes_rings(void **state)
{
	const struct heartbeat_members none = {0};
	struct config *mesh = make_config(50, "node-7"), *rings = make_config(51, "node-7");
	struct heartbeat_members before = build(mesh, &none), after, again;
	unsigned int kept = 0;

	(void)state;
	for (unsigned int i = 0; i < before.count; i++)
		before.peers[i].sent = i + 1;
	after = build(rings, &before);
	for (unsigned int i = 0; i < before.count; i++) {
		assert_int_equal(after.peers[i].sent, after.peers[i].expected ? i + 1 : 0);
		kept += after.peers[i].expected;
	}
	assert_in_range(kept, 7, PEERS_MAX);
	/* Whom it comes to observe again is one that it has never heard. */
	again = build(mesh, &after);
	assert_int_equal(again.expected_count, 49);
	for (unsigned int i = 0; i < again.count; i++)
		assert_int_equal(again.peers[i].sent, after.peers[i].sent);
	heartbeat_members_free(&before);
	heartbeat_members_free(&after);
	heartbeat_members_free(&again);
	free_config(mesh);
	free_config(rings);
}

static int bind_to(const struct cidr *cidr, uint16_t port)
{
	struct sockaddr_storage name;
	socklen_t length = address_to_sockaddr(&cidr->address, port, &name);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, length), 0);
	return fd;
}

static void send_from(int fd, const struct config *config, const char *sender, const char *receiver,
		      uint8_t flags, uint64_t sequence)
{
	struct heartbeat heartbeat = {.flags = flags, .sequence = sequence, .incarnation = 1};
	uint8_t buffer[HEARTBEAT_BYTES_MAX];
	struct sockaddr_storage to;
	socklen_t to_length = address_to_sockaddr(&config->heartbeat.listen.address,
						  config->heartbeat.listen.port, &to);
	size_t length;

	snprintf(heartbeat.sender, sizeof(heartbeat.sender), "%s", sender);
	snprintf(heartbeat.receiver, sizeof(heartbeat.receiver), "%s", receiver);
	length = heartbeat_encode(&heartbeat, NULL, buffer);
	assert_int_equal(sendto(fd, buffer, length, 0, (struct sockaddr *)&to, to_length), length);
}

/*
 * On rings: a node passes on what one that it observes has for one that it does not, and takes no
 * word for itself from that.
 */
static void test_relay_between_rings(void **state)
{
	struct config *config = make_config(60, "node-0");
	struct heartbeat_socket *socket_of_node = NULL;
	const struct heartbeat_members none = {0};
	struct heartbeat_members members = build(config, &none);
	unsigned int observed = 1, other = 1;
	char buffer[512] = "";
	struct text error = TEXT(buffer);
	uint8_t data[HEARTBEAT_BYTES_MAX];
	struct sockaddr_in name = {.sin_family = AF_INET};
	socklen_t length = sizeof(name);
	int from, to, probe;
	uv_loop_t loop;

	(void)state;
	while (!members.peers[observed].expected)
		observed++;
	while (members.peers[other].expected)
		other++;
	heartbeat_members_free(&members);
	/* A port that is free at all of them. */
	probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(probe, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(getsockname(probe, (struct sockaddr *)&name, &length), 0);
	close(probe);
	config->heartbeat.listen.address = config->nodes[0].addresses[0].address;
	config->heartbeat.listen.port = ntohs(name.sin_port);
	from = bind_to(&config->nodes[observed].addresses[0], config->heartbeat.listen.port);
	to = bind_to(&config->nodes[other].addresses[0], config->heartbeat.listen.port);
	assert_int_equal(uv_loop_init(&loop), 0);
	if (heartbeat_open(&socket_of_node, &loop, config, &error))
		fail_msg("%s", buffer);

	send_from(from, config, config->nodes[observed].name, config->nodes[other].name,
		  HEARTBEAT_FLAG_RELAY, 1);
	assert_int_equal(heartbeat_drain(socket_of_node), 1);
	assert_int_equal(heartbeat_counters(socket_of_node)->relays_forwarded, 1);
	assert_true(recv(to, data, sizeof(data), 0) > 0);

	send_from(to, config, config->nodes[other].name, "node-0", 0, 1);
	send_from(from, config, config->nodes[observed].name, "node-0", 0, 2);
	assert_int_equal(heartbeat_drain(socket_of_node), 2);
	assert_int_equal(heartbeat_counters(socket_of_node)->rejected[HEARTBEAT_REJECT_UNOBSERVED],
			 1);
	assert_int_equal(
		heartbeat_counters(socket_of_node)->rejected[HEARTBEAT_REJECT_UNKNOWN_SENDER], 0);
	assert_int_equal(heartbeat_counters(socket_of_node)->accepted, 1);

	/* In three intervals those that it observes are sent to, and no other. */
	loop_turn_for(&loop, 3 * INTERVAL_MS * NS_PER_MS);
	assert_true(recv(from, data, sizeof(data), 0) > 0);
	assert_int_equal(recv(to, data, sizeof(data), 0), -1);
	heartbeat_close(socket_of_node);
	loop_end(&loop);
	close(from);
	close(to);
	free_config(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_expected),
		cmocka_unit_test(test_no_member),
		cmocka_unit_test(test_mesh_becomes_rings),
		cmocka_unit_test(test_relay_between_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
