/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_HEARTBEAT_MEMBERS_H
#define TOCSIN_CLUSTER_HEARTBEAT_MEMBERS_H

/* The configured nodes as the heartbeat socket keeps them: where they are, and the link to each. */

#include "base/text.h"
#include "cluster/heartbeat.h"
#include "cluster/heartbeat_link.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct heartbeat_peer {
	char name[CONFIG_NAME_MAX];
	bool other;    /* not this node itself, and it has an address */
	bool expected; /* besides, each observes the other: heartbeats go to and fro */
	struct address addresses[CONFIG_ADDRESSES_MAX]; /* whole ones; heartbeats go to the first */
	unsigned int address_count;
	struct heartbeat_link link;
	enum heartbeat_outage outage;
	uint64_t sent;
	uint64_t send_failures;
	int send_errno; /* positive, 0 = the last send went out */
};

/* The nodes of one configuration, in its order. */
struct heartbeat_members {
	char own_name[CONFIG_NAME_MAX];
	struct heartbeat_peer *peers;
	uint64_t *due_ns; /* next heartbeat; apart, because it is looked through at each tick */
	unsigned int *by_name; /* indices in the order of names */
	unsigned int count;
	unsigned int expected_count;
};

/*
 * Fills *ret_members (zeroed by the caller, who frees it, also after a failure) from a
 * configuration. Nodes that 'before' knows too keep their links; incarnation is this agent's.
 * Returns 0, or -errno with a line in 'error'.
 */
int heartbeat_members_build(struct heartbeat_members *ret_members, const struct config *config,
			    const struct heartbeat_members *before, uint64_t incarnation,
			    uint64_t now_ns, struct text *error);

void heartbeat_members_free(struct heartbeat_members *members);

/* The index of a node, or -1. */
int heartbeat_members_find(const struct heartbeat_members *members, const char *name);

/* The address is a configured one of this peer. */
bool heartbeat_peer_has_address(const struct heartbeat_peer *peer, const struct address *address);

#endif
