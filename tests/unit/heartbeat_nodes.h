/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_UNIT_HEARTBEAT_NODES_H
#define TOCSIN_TESTS_UNIT_HEARTBEAT_NODES_H

/* Up to three nodes with real sockets, n1 to n3 at 127.0.0.1 to 127.0.0.3, all on one loop. */

#include "cluster/heartbeat.h"
#include "config/config.h"
#include "detect/edge.h"
#include "unit/loop.h"

#include <stddef.h>
#include <stdint.h>

#define HEARTBEAT_NODES	  3
#define NODES_INTERVAL_MS 20
/* What the key file begins with; the rest is zero. */
#define NODES_KEY "\001\002\003"

/* A node is known by its index, 0 for n1; what a test changes before nodes_start() holds. */
struct heartbeat_nodes {
	uv_loop_t loop;
	char directory[64]; /* of the key file; a new one for each test */
	uint16_t port;	    /* of all */
	struct config configs[HEARTBEAT_NODES];
	/* The nodes of each one's configuration. */
	struct config_node members[HEARTBEAT_NODES][HEARTBEAT_NODES];
	struct heartbeat_socket *sockets[HEARTBEAT_NODES]; /* NULL: not started */
};

/* cmocka fixtures; *state is a struct heartbeat_nodes, configured, with none of them started. */
int nodes_set_up(void **state);
int nodes_tear_down(void **state);

#define nodes_test(function) \
	cmocka_unit_test_setup_teardown(function, nodes_set_up, nodes_tear_down)

/* All of these fail the running test when they cannot do their job. */

/* A key file of so many bytes, at most 64. */
void nodes_write_key(const char *path, size_t length);

/* Gives a node this address and no other. */
void nodes_set_address(struct config_node *node, const char *address);

void nodes_start(struct heartbeat_nodes *nodes, unsigned int node);
void nodes_stop(struct heartbeat_nodes *nodes, unsigned int node);

/* Sends one that is made up, with the nodes' key, from an address of this machine to a node's. */
void nodes_send(const struct heartbeat_nodes *nodes, const struct heartbeat *heartbeat,
		const char *source, const char *target);

/* What 'node' knows of 'peer'. */
struct edge_evidence nodes_evidence(const struct heartbeat_nodes *nodes, unsigned int node,
				    unsigned int peer);

/* How many heartbeats of 'peer' it has accepted. */
uint64_t nodes_accepted(const struct heartbeat_nodes *nodes, unsigned int node, unsigned int peer);

/* Turns the loop until 'node' has accepted so many more of 'peer'. */
void nodes_turn_until_accepted(struct heartbeat_nodes *nodes, unsigned int node, unsigned int peer,
			       uint64_t more);

const struct heartbeat_counters *nodes_counters(const struct heartbeat_nodes *nodes,
						unsigned int node);

#endif
