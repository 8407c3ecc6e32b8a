/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_PEERS_H
#define TOCSIN_AGENT_PEERS_H

/*
 * Whom this node watches: each configured node, and each other address that its TCP traffic shows.
 * Ties the slots of the probe's table to them.
 */

#include "base/address.h"
#include "config/config.h"
#include "detect/edge.h"
#include "detect/peer_load.h"
#include "probe/tcp.h"

#include <stdbool.h>
#include <stdint.h>

/* Where confirming connects go is known by a number: nodes by their index, others by their slot
 * above that. */
#define PEER_TARGET_OF_SLOT(slot) (CONFIG_NODES_MAX + (slot))

struct peer {
	char name[CONFIG_NAME_MAX];
	struct address address; /* of a node: its first one */
	bool configured;
	unsigned int node_index; /* in config->nodes, when configured */
	unsigned int target;	 /* for confirming connects */
	uint16_t target_port;	 /* 0: nothing to try yet */
	uint32_t slot;		 /* of an unconfigured peer */
	uint64_t activity;     /* sum of its counters when last judged: whether anything happened */
	uint64_t skipped_ns;   /* awake time since then */
	size_t snapshot_index; /* scratch of agent_snapshot(): where it stands there */

	struct edge edge;
	struct edge_evidence evidence;
	struct peer_load load;
	uint64_t state_changes[EDGE_STATES];

	/* Whether connects to a node are any use: a firewall may drop them while all is well. */
	bool connect_proven, connect_useless;
	uint64_t calibration_timed_out;
};

struct peers {
	struct peer **nodes; /* by node index; NULL for this node itself */
	unsigned int node_count;
	struct peer **owners;	     /* by slot */
	uint32_t *owner_generations; /* which generation of the slot that was; 0 none */
	uint32_t slot_count;
	uint32_t slots_seen;	    /* from here on no slot has had an owner */
	uint32_t netns_inode;	    /* this agent's: only from there can it try connects */
	struct node_address *index; /* sorted: longest prefix first */
	size_t index_count;
	struct address *own; /* this machine's addresses */
	size_t own_count;
};

/* Returns 0 or -ENOMEM; in either case peers_free() is right. slot_count may be 0 (no probe). */
int peers_open(struct peers *peers, const struct config *config, uint32_t slot_count,
	       uint32_t netns_inode, uint64_t now_ns);

/* Goes over to another configuration: nodes that stay (by name) keep their edge. Returns 0, or
 * -ENOMEM with nothing changed. */
int peers_reload(struct peers *peers, const struct config *config, uint64_t now_ns);

/*
 * Looks through the probe's table for slots that changed hands, and makes or drops the peers they
 * belong to. 'dropped' is called before a peer goes.
 */
void peers_sync(struct peers *peers, struct tcp_probe *probe, uint64_t now_ns,
		void (*dropped)(void *context, const struct peer *peer), void *context);

/* Reads this machine's own addresses again: traffic to oneself is no peer's. */
void peers_refresh_own(struct peers *peers);

/* Which node an address belongs to (longest prefix), or NULL. */
struct peer *peers_find_node(const struct peers *peers, const struct address *address);

/* Fills evidence.tcp of all peers from the table. */
void peers_gather_tcp(struct peers *peers, struct tcp_probe *probe);

/* Walks over all peers: for (size_t at = 0; (peer = peers_next(peers, &at));) */
struct peer *peers_next(const struct peers *peers, size_t *at);

void peers_free(struct peers *peers);

#endif
