// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat_members.h"

#include "base/address.h"
#include "base/clock.h"
#include "cluster/heartbeat_setup.h"
#include "cluster/membership.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So many peers are sent a heartbeat at a time; such groups are spread over the interval. */
#define DUE_TOGETHER 16

static int compare_names(const void *a, const void *b, void *context)
{
	const struct heartbeat_peer *peers = context;

	return strcmp(peers[*(const unsigned int *)a].name, peers[*(const unsigned int *)b].name);
}

/* The index of a node, or -1. */
int heartbeat_members_find(const struct heartbeat_members *members, const char *name)
{
	unsigned int low = 0, high = members->count;

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;
		unsigned int index = members->by_name[middle];
		int order = strcmp(name, members->peers[index].name);

		if (!order)
			return (int)index;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

void heartbeat_members_free(struct heartbeat_members *members)
{
	free(members->peers);
	free(members->due_ns);
	free(members->by_name);
	*members = (struct heartbeat_members){0};
}

static void peer_init(struct heartbeat_peer *peer, const struct config *config,
		      const struct config_node *node, uint64_t incarnation)
{
	snprintf(peer->name, sizeof(peer->name), "%s", node->name);
	for (unsigned int i = 0; i < node->address_count && i < CONFIG_ADDRESSES_MAX; i++)
		if (cidr_is_single(&node->addresses[i]))
			peer->addresses[peer->address_count++] = node->addresses[i].address;
	peer->other = peer->address_count && strcmp(node->name, config->node);
	heartbeat_link_init(&peer->link, incarnation);
}

/* What is known of a node that stays. */
static void peer_inherit(struct heartbeat_peer *peer, const struct heartbeat_peer *before)
{
	peer->link = before->link;
	peer->outage = before->outage;
	peer->sent = before->sent;
	peer->send_failures = before->send_failures;
	peer->send_errno = before->send_errno;
}

static int check_family(const struct config *config, const struct heartbeat_peer *peer,
			struct text *error)
{
	const struct address *listen = &config->heartbeat.listen.address;
	char listen_text[ADDRESS_TEXT_MAX], peer_text[ADDRESS_TEXT_MAX];

	if (heartbeat_listens_to_all(&config->heartbeat.listen) ||
	    address_is_v4(listen) == address_is_v4(&peer->addresses[0]))
		return 0;
	text_printf(error,
		    "heartbeat.listen %s cannot reach node %s at %s: expected addresses of one "
		    "family; listen on \"[::]:%u\" for both",
		    address_format(listen, listen_text), peer->name,
		    address_format(&peer->addresses[0], peer_text), config->heartbeat.listen.port);
	return -EAFNOSUPPORT;
}

/*
 * Whom this node observes: above MEMBERSHIP_MESH_MAX nodes only some. A node that is no member
 * itself observes all.
 */
static void pick_expected(struct heartbeat_members *members, const struct membership *membership)
{
	int64_t self = membership_find(membership, members->own_name);

	for (unsigned int i = 0; i < members->count; i++) {
		struct heartbeat_peer *peer = &members->peers[i];
		int64_t member = membership_find(membership, peer->name);

		peer->expected =
			peer->other && (self < 0 || membership_slot(membership, (uint32_t)self,
								    (uint32_t)member) >= 0);
		members->expected_count += peer->expected;
	}
}

int heartbeat_members_build(struct heartbeat_members *ret_members, const struct config *config,
			    const struct heartbeat_members *before, uint64_t incarnation,
			    uint64_t now_ns, struct text *error)
{
	uint64_t interval_ns = config->heartbeat.interval_ms * NS_PER_MS;
	size_t room = config->node_count ?: 1;
	unsigned int expected = 0, groups;
	struct membership membership;
	int err;

	snprintf(ret_members->own_name, sizeof(ret_members->own_name), "%s", config->node);
	ret_members->peers = calloc(room, sizeof(*ret_members->peers));
	ret_members->due_ns = calloc(room, sizeof(*ret_members->due_ns));
	ret_members->by_name = calloc(room, sizeof(*ret_members->by_name));
	err = membership_init(&membership, config->nodes, config->node_count);
	if (err || !ret_members->peers || !ret_members->due_ns || !ret_members->by_name) {
		membership_free(&membership);
		text_printf(error, "no memory for %u nodes", config->node_count);
		return -ENOMEM;
	}
	ret_members->count = config->node_count;
	for (unsigned int i = 0; i < ret_members->count; i++)
		peer_init(&ret_members->peers[i], config, &config->nodes[i], incarnation);
	pick_expected(ret_members, &membership);
	membership_free(&membership);
	groups = (ret_members->expected_count + DUE_TOGETHER - 1) / DUE_TOGETHER;
	for (unsigned int i = 0; i < ret_members->count; i++) {
		struct heartbeat_peer *peer = &ret_members->peers[i];
		int known;

		ret_members->by_name[i] = i;
		ret_members->due_ns[i] = UINT64_MAX;
		if (peer->expected)
			ret_members->due_ns[i] =
				now_ns + interval_ns * (expected++ / DUE_TOGETHER) / groups;
		if (!peer->other)
			continue;
		err = check_family(config, peer, error);
		if (err)
			return err;
		known = heartbeat_members_find(before, peer->name);
		if (peer->expected && known >= 0 && before->peers[known].expected)
			peer_inherit(peer, &before->peers[known]);
	}
	qsort_r(ret_members->by_name, ret_members->count, sizeof(*ret_members->by_name),
		compare_names, ret_members->peers);
	return 0;
}

bool heartbeat_peer_has_address(const struct heartbeat_peer *peer, const struct address *address)
{
	for (unsigned int i = 0; i < peer->address_count; i++)
		if (address_equal(&peer->addresses[i], address))
			return true;
	return false;
}
