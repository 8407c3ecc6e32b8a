// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An agent among 60 nodes: it sends heartbeats to those that it observes, and to no other. */
#include "base/clock.h"
#include "cluster/heartbeat_codec.h"
#include "cluster/membership.h"
#include "live/agents.h"

#include <jansson.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NODES	  60
#define PORT	  9480
#define PEERS_MAX 20
#define ENOUGH	  10 /* heartbeats to each */
#define URL	  "http://127.0.2.1:9479"

/* The other nodes: no agents, but what is sent to them is counted. */
struct others {
	int fds[NODES];
	unsigned int received[NODES];
	bool observed[NODES];
};

static struct sockaddr_in name_of(unsigned int node, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(0x7f000201 + node)};
}

/* n1 is 127.0.2.1, and so on. */
static void configure(struct agents *agents, unsigned int node_count)
{
	char nodes[4096] = "";
	struct text text = TEXT(nodes);

	for (unsigned int i = 0; i < node_count; i++)
		text_printf(&text, "%s{name: n%u, addresses: [127.0.2.%u]}", i ? "," : "", i + 1,
			    i + 1);
	agents_configure(agents, 0,
			 "node: n1\nnetns: own\ntcp: {loopback: true}\n"
			 "http: {listen: '127.0.2.1:9479'}\n"
			 "heartbeat: {listen: '127.0.2.1:9480', authenticate: false}\n"
			 "nodes: [%s]\n",
			 nodes);
}

static void pick_observed(struct others *others, unsigned int node_count)
{
	struct config_node *nodes = calloc(node_count, sizeof(*nodes));
	struct membership membership;
	uint32_t self;

	assert_non_null(nodes);
	for (unsigned int i = 0; i < node_count; i++)
		snprintf(nodes[i].name, sizeof(nodes[i].name), "n%u", i + 1);
	assert_int_equal(membership_init(&membership, nodes, node_count), 0);
	self = (uint32_t)membership_find(&membership, "n1");
	for (unsigned int i = 0; i < NODES; i++) {
		int64_t member = i < node_count ? membership_find(&membership, nodes[i].name) : -1;

		others->observed[i] =
			member >= 0 && membership_slot(&membership, self, (uint32_t)member) >= 0;
	}
	membership_free(&membership);
	free(nodes);
}

static void count_received(struct others *others)
{
	char data[512];

	for (unsigned int i = 1; i < NODES; i++)
		while (recv(others->fds[i], data, sizeof(data), MSG_DONTWAIT) > 0)
			others->received[i]++;
}

static bool enough_received(void *context)
{
	struct others *others = context;

	count_received(others);
	for (unsigned int i = 1; i < NODES; i++)
		if (others->observed[i] && others->received[i] < ENOUGH)
			return false;
	return true;
}

/* From here on those that are observed, and no other, are sent to. Returns how many they are. */
static unsigned int expect_destinations(struct others *others)
{
	unsigned int destinations = 0;

	count_received(others);
	memset(others->received, 0, sizeof(others->received));
	rig_wait(enough_received, others, "heartbeats to all that are observed");
	for (unsigned int i = 1; i < NODES; i++) {
		if (!others->observed[i] && others->received[i])
			fail_msg("%u heartbeats to n%u", others->received[i], i + 1);
		destinations += others->received[i] > 0;
	}
	print_message("heartbeats to %u nodes\n", destinations);
	return destinations;
}

/* What the agent says of a node; a new reference to the whole, and the peer borrowed. */
static json_t *ask(struct agents *agents, unsigned int node, const json_t **ret_peer)
{
	json_t *status = process_get_status(&agents->rig, SIDE_A, URL);
	char name[8];

	snprintf(name, sizeof(name), "n%u", node + 1);
	*ret_peer = process_find_peer(status, name);
	assert_non_null(*ret_peer);
	return status;
}

struct wait {
	struct agents *agents;
	unsigned int node;
};

static bool is_heard(void *context)
{
	struct wait *wait = context;
	const json_t *peer;
	json_t *status = ask(wait->agents, wait->node, &peer);
	bool heard = json_is_integer(json_object_get(peer, "last_heard_ms"));

	assert_string_equal(json_string_value(json_object_get(peer, "state")), "healthy");
	json_decref(status);
	return heard;
}

/* Traffic with a node that is not observed is measured as before. */
static void expect_tcp(struct agents *agents, unsigned int node)
{
	struct sockaddr_in name = name_of(node, 0);
	socklen_t length = sizeof(name);
	int listener = rig_socket(&agents->rig, SIDE_A, AF_INET, SOCK_STREAM);
	int client = rig_socket(&agents->rig, SIDE_A, AF_INET, SOCK_STREAM);
	struct wait wait = {agents, node};
	int server;

	assert_int_equal(bind(listener, (struct sockaddr *)&name, length), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &length), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&name, length), 0);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	rig_transfer(client, server, 50000);
	rig_wait(is_heard, &wait, "the traffic to be told");
	close(server);
	close(client);
	close(listener);
}

static bool is_silent(void *context)
{
	struct wait *wait = context;
	const json_t *peer;
	json_t *status = ask(wait->agents, wait->node, &peer);
	bool silent = json_is_true(json_object_get(peer, "agent_silent"));

	json_decref(status);
	return silent;
}

/* Some heartbeats of a node, and then no more. */
static void speak(const struct others *others, unsigned int node)
{
	struct heartbeat heartbeat = {.incarnation = 1, .receiver = "n1"};
	struct sockaddr_in name = name_of(0, PORT);
	uint8_t data[HEARTBEAT_BYTES_MAX];
	size_t length;

	snprintf(heartbeat.sender, sizeof(heartbeat.sender), "n%u", node + 1);
	for (heartbeat.sequence = 1; heartbeat.sequence <= ENOUGH; heartbeat.sequence++) {
		length = heartbeat_encode(&heartbeat, NULL, data);
		assert_int_equal(sendto(others->fds[node], data, length, 0,
					(struct sockaddr *)&name, sizeof(name)),
				 length);
	}
}

static void test_destinations(void **state)
{
	struct agents *agents = *state;
	struct process_options options = agents_options(agents, 0);
	struct others others = {0};
	struct wait wait = {.agents = agents};
	unsigned int unobserved = 0;

	for (unsigned int i = 1; i < NODES; i++) {
		struct sockaddr_in name = name_of(i, PORT);

		others.fds[i] = rig_socket(&agents->rig, SIDE_A, AF_INET, SOCK_DGRAM);
		assert_int_equal(bind(others.fds[i], (struct sockaddr *)&name, sizeof(name)), 0);
	}
	configure(agents, NODES);
	agents_start(agents, 0, &options);
	pick_observed(&others, NODES);
	assert_in_range(expect_destinations(&others), 8, PEERS_MAX);

	/* Of the others nothing is known, which is no fault of theirs. */
	for (unsigned int i = 1; i < NODES; i++) {
		const json_t *peer;
		json_t *status;

		if (others.observed[i])
			continue;
		unobserved = i < MEMBERSHIP_MESH_MAX ? i : unobserved;
		status = ask(agents, i, &peer);
		assert_true(json_is_true(json_object_get(peer, "configured")));
		assert_string_equal(json_string_value(json_object_get(peer, "state")), "healthy");
		assert_true(json_is_null(json_object_get(peer, "last_heard_ms")));
		json_decref(status);
	}
	expect_tcp(agents, unobserved);
	wait.node = unobserved;

	/* In a mesh all are sent to; and back again. */
	configure(agents, MEMBERSHIP_MESH_MAX);
	process_signal(&agents->agent[0], SIGHUP);
	(void)process_expect_log(&agents->agent[0], "configuration reloaded");
	pick_observed(&others, MEMBERSHIP_MESH_MAX);
	assert_int_equal(expect_destinations(&others), MEMBERSHIP_MESH_MAX - 1);
	speak(&others, unobserved);
	rig_wait(is_silent, &wait, "the agent to be missed");
	configure(agents, NODES);
	process_signal(&agents->agent[0], SIGHUP);
	(void)process_expect_log(&agents->agent[0], "configuration reloaded");
	pick_observed(&others, NODES);
	assert_in_range(expect_destinations(&others), 8, PEERS_MAX);
	/* Who is not observed any more is not missed any more. */
	assert_false(is_silent(&wait));
	for (unsigned int i = 1; i < NODES; i++)
		close(others.fds[i]);
	agents_stop(agents, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {agents_test(test_destinations)};

	return agents_run_tests("agent_rings", tests);
}
