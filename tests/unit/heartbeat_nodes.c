// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "unit/heartbeat_nodes.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

void nodes_write_key(const char *path, size_t length)
{
	static const uint8_t bytes[64] = NODES_KEY;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	close(fd);
}

static uint16_t free_port(void)
{
	struct sockaddr_in name = {.sin_family = AF_INET};
	socklen_t length = sizeof(name);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
	close(fd);
	return ntohs(name.sin_port);
}

void nodes_set_address(struct config_node *node, const char *address)
{
	assert_int_equal(cidr_parse(address, &node->addresses[0]), 0);
	node->address_count = 1;
}

int nodes_set_up(void **state)
{
	struct heartbeat_nodes *nodes = calloc(1, sizeof(*nodes));
	char address[32];

	assert_non_null(nodes);
	assert_int_equal(uv_loop_init(&nodes->loop), 0);
	strcpy(nodes->directory, "/tmp/test_heartbeat.XXXXXX");
	assert_non_null(mkdtemp(nodes->directory));
	nodes->port = free_port();
	for (unsigned int i = 0; i < HEARTBEAT_NODES; i++) {
		struct config *config = &nodes->configs[i];

		snprintf(config->node, sizeof(config->node), "n%u", i + 1);
		snprintf(address, sizeof(address), "127.0.0.%u", i + 1);
		assert_int_equal(address_parse(address, &config->heartbeat.listen.address), 0);
		config->heartbeat.listen.port = nodes->port;
		config->heartbeat.interval_ms = NODES_INTERVAL_MS;
		config->heartbeat.authenticate = true;
		snprintf(config->heartbeat.key_file, sizeof(config->heartbeat.key_file), "%s/key",
			 nodes->directory);
		config->nodes = nodes->members[i];
		config->node_count = HEARTBEAT_NODES;
		for (unsigned int other = 0; other < HEARTBEAT_NODES; other++) {
			snprintf(config->nodes[other].name, sizeof(config->nodes[other].name),
				 "n%u", other + 1);
			snprintf(address, sizeof(address), "127.0.0.%u", other + 1);
			nodes_set_address(&config->nodes[other], address);
		}
	}
	nodes_write_key(nodes->configs[0].heartbeat.key_file, 32);
	*state = nodes;
	return 0;
}

void nodes_stop(struct heartbeat_nodes *nodes, unsigned int node)
{
	heartbeat_close(nodes->sockets[node]);
	nodes->sockets[node] = NULL;
}

int nodes_tear_down(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	char command[128];

	for (unsigned int i = 0; i < HEARTBEAT_NODES; i++)
		nodes_stop(nodes, i);
	loop_end(&nodes->loop);
	snprintf(command, sizeof(command), "rm -rf %s", nodes->directory);
	assert_int_equal(system(command), 0);
	free(nodes);
	return 0;
}

void nodes_start(struct heartbeat_nodes *nodes, unsigned int node)
{
	char buffer[512] = "";
	struct text error = TEXT(buffer);

	if (heartbeat_open(&nodes->sockets[node], &nodes->loop, &nodes->configs[node], &error))
		fail_msg("%s", buffer);
}

void nodes_send(const struct heartbeat_nodes *nodes, const struct heartbeat *heartbeat,
		const char *source, const char *target)
{
	static const struct heartbeat_key key = {NODES_KEY};
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(nodes->port)};
	uint8_t buffer[HEARTBEAT_BYTES_MAX];
	size_t length = heartbeat_encode(heartbeat, &key, buffer);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, source, &from.sin_addr), 1);
	assert_int_equal(inet_pton(AF_INET, target, &to.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(sendto(fd, buffer, length, 0, (struct sockaddr *)&to, sizeof(to)), length);
	close(fd);
}

struct edge_evidence nodes_evidence(const struct heartbeat_nodes *nodes, unsigned int node,
				    unsigned int peer)
{
	struct edge_evidence evidence;

	memset(&evidence, 0xa5, sizeof(evidence));
	heartbeat_evidence(nodes->sockets[node], peer, &evidence);
	return evidence;
}

uint64_t nodes_accepted(const struct heartbeat_nodes *nodes, unsigned int node, unsigned int peer)
{
	return nodes_evidence(nodes, node, peer).heartbeat.accepted;
}

void nodes_turn_until_accepted(struct heartbeat_nodes *nodes, unsigned int node, unsigned int peer,
			       uint64_t more)
{
	uint64_t end_ns = clock_monotonic_ns() + LOOP_LIMIT_NS;
	uint64_t target = nodes_accepted(nodes, node, peer) + more;

	while (nodes_accepted(nodes, node, peer) < target && clock_monotonic_ns() < end_ns)
		loop_turn(&nodes->loop);
	assert_true(nodes_accepted(nodes, node, peer) >= target);
}

const struct heartbeat_counters *nodes_counters(const struct heartbeat_nodes *nodes,
						unsigned int node)
{
	return heartbeat_counters(nodes->sockets[node]);
}
