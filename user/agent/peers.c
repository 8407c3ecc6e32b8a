// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/peers.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One of a node's addresses or networks. */
struct node_address {
	struct cidr cidr;
	struct peer *peer; /* NULL: this node's own */
};

static int compare_addresses(const void *a, const void *b)
{
	const struct node_address *left = a, *right = b;

	/* Longest prefix first, so that the first match is the best; then by address for a stable
	 * order. */
	if (left->cidr.prefix != right->cidr.prefix)
		return right->cidr.prefix - left->cidr.prefix;
	return memcmp(left->cidr.address.bytes, right->cidr.address.bytes, 16);
}

static struct peer *make_node(const struct config *config, unsigned int index, uint64_t now_ns)
{
	const struct config_node *node = &config->nodes[index];
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return NULL;
	snprintf(peer->name, sizeof(peer->name), "%s", node->name);
	peer->configured = true;
	edge_init(&peer->edge, now_ns);
	return peer;
}

/* Index and address may change with the configuration, the edge stays. */
static void place_node(struct peer *peer, const struct config *config, unsigned int index)
{
	const struct address *address = &config->nodes[index].addresses[0].address;

	if (!address_equal(&peer->address, address)) {
		peer->connect_proven = peer->connect_useless = false;
		peer->calibration_timed_out = 0;
	}
	peer->address = *address;
	peer->node_index = index;
	peer->target = index;
	peer->target_port = config->heartbeat.listen.port;
}

static struct peer *find_by_name(const struct peers *peers, const char *name)
{
	for (unsigned int i = 0; i < peers->node_count; i++)
		if (peers->nodes[i] && !strcmp(peers->nodes[i]->name, name))
			return peers->nodes[i];
	return NULL;
}

static bool still_there(struct peer **nodes, unsigned int count, const struct peer *peer)
{
	for (unsigned int i = 0; i < count; i++)
		if (nodes[i] == peer)
			return true;
	return false;
}

int peers_reload(struct peers *peers, const struct config *config, uint64_t now_ns)
{
	struct peer **nodes = calloc(config->node_count + 1, sizeof(struct peer *));
	struct node_address *index;
	size_t index_count = 0;
	int r = -ENOMEM;

	index = calloc(config->node_count * (size_t)CONFIG_ADDRESSES_MAX + 1, sizeof(*index));
	if (!nodes || !index)
		goto failed;
	for (unsigned int i = 0; i < config->node_count; i++) {
		const struct config_node *node = &config->nodes[i];

		if (strcmp(node->name, config->node)) {
			nodes[i] = find_by_name(peers, node->name) ?: make_node(config, i, now_ns);
			if (!nodes[i])
				goto failed;
		}
		for (unsigned int j = 0; j < node->address_count; j++)
			index[index_count++] = (struct node_address){node->addresses[j], nodes[i]};
	}
	qsort(index, index_count, sizeof(*index), compare_addresses);
	for (unsigned int i = 0; i < config->node_count; i++)
		if (nodes[i])
			place_node(nodes[i], config, i);
	/* Whose the slots are is found out anew; unconfigured peers start over. */
	for (uint32_t slot = 0; slot < peers->slot_count; slot++) {
		if (peers->owner_generations[slot] && peers->owners[slot] &&
		    peers->owners[slot]->target >= CONFIG_NODES_MAX)
			free(peers->owners[slot]);
		peers->owners[slot] = NULL;
		peers->owner_generations[slot] = 0;
	}
	/* After the slots, which point to them. */
	for (unsigned int i = 0; i < peers->node_count; i++)
		if (peers->nodes[i] && !still_there(nodes, config->node_count, peers->nodes[i]))
			free(peers->nodes[i]);
	free(peers->nodes);
	free(peers->index);
	peers->nodes = nodes;
	peers->node_count = config->node_count;
	peers->index = index;
	peers->index_count = index_count;
	return 0;

failed:
	for (unsigned int i = 0; nodes && i < config->node_count; i++)
		if (nodes[i] && !still_there(peers->nodes, peers->node_count, nodes[i]))
			free(nodes[i]);
	free(nodes);
	free(index);
	return r;
}

int peers_open(struct peers *peers, const struct config *config, uint32_t slot_count,
	       uint32_t netns_inode, uint64_t now_ns)
{
	*peers = (struct peers){0};
	peers->owners = calloc(slot_count + 1UL, sizeof(struct peer *));
	peers->owner_generations = calloc(slot_count + 1UL, sizeof(uint32_t));
	if (!peers->owners || !peers->owner_generations)
		return -ENOMEM;
	peers->slot_count = slot_count;
	peers->netns_inode = netns_inode;
	peers_refresh_own(peers);
	return peers_reload(peers, config, now_ns);
}

void peers_refresh_own(struct peers *peers)
{
	struct ifaddrs *interfaces = NULL;
	struct address *own;
	size_t count = 0;
	uint16_t port;

	/* Out of memory or out of descriptors: the list from before still serves. */
	if (getifaddrs(&interfaces))
		return;
	for (struct ifaddrs *at = interfaces; at; at = at->ifa_next)
		count++;
	own = calloc(count + 1, sizeof(*own));
	if (own) {
		count = 0;
		for (struct ifaddrs *at = interfaces; at; at = at->ifa_next)
			if (at->ifa_addr &&
			    !address_from_sockaddr(at->ifa_addr, &own[count], &port))
				count++;
		free(peers->own);
		peers->own = own;
		peers->own_count = count;
	}
	freeifaddrs(interfaces);
}

static bool is_own(const struct peers *peers, const struct address *address)
{
	for (size_t i = 0; i < peers->own_count; i++)
		if (address_equal(&peers->own[i], address))
			return true;
	return false;
}

static const struct node_address *find_address(const struct peers *peers,
					       const struct address *address)
{
	for (size_t i = 0; i < peers->index_count; i++)
		if (cidr_contains(&peers->index[i].cidr, address))
			return &peers->index[i];
	return NULL;
}

struct peer *peers_find_node(const struct peers *peers, const struct address *address)
{
	const struct node_address *found = find_address(peers, address);

	return found ? found->peer : NULL;
}

static struct peer *make_unconfigured(const struct address *address, uint32_t slot, uint64_t now_ns)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	char text[ADDRESS_TEXT_MAX];

	if (!peer)
		return NULL;
	snprintf(peer->name, sizeof(peer->name), "%s", address_format(address, text));
	peer->address = *address;
	peer->slot = slot;
	peer->target = PEER_TARGET_OF_SLOT(slot);
	edge_init(&peer->edge, now_ns);
	return peer;
}

/* Whose slot is this now: a node's, an unconfigured peer's, or nobody's (our own address). */
static struct peer *find_owner(struct peers *peers, struct tcp_probe *probe, uint32_t slot,
			       uint64_t now_ns)
{
	const volatile struct peer_record *record = tcp_probe_record(probe, slot);
	const struct node_address *found;
	struct address address;

	for (size_t i = 0; i < sizeof(address.bytes); i++)
		address.bytes[i] = record->key.address[i];
	found = find_address(peers, &address);
	if (found) {
		tcp_probe_pin(probe, slot, found->peer && cidr_is_single(&found->cidr));
		return found->peer;
	}
	if (is_own(peers, &address))
		return NULL;
	return make_unconfigured(&address, slot, now_ns);
}

void peers_sync(struct peers *peers, struct tcp_probe *probe, uint64_t now_ns,
		void (*dropped)(void *context, const struct peer *peer), void *context)
{
	uint32_t touched = tcp_probe_slots_touched(probe);

	for (uint32_t slot = 0; slot < touched && slot < peers->slot_count; slot++) {
		uint32_t generation = tcp_probe_generation(probe, slot);
		struct peer *owner = peers->owners[slot];

		if (generation == peers->owner_generations[slot])
			continue;
		if (owner && !owner->configured) {
			dropped(context, owner);
			free(owner);
		}
		peers->owners[slot] = generation ? find_owner(peers, probe, slot, now_ns) : NULL;
		if (slot >= peers->slots_seen)
			peers->slots_seen = slot + 1;
		peers->owner_generations[slot] = generation;
	}
}

static void add_record(struct edge_evidence *evidence, const volatile struct peer_record *record)
{
	uint64_t stalled_since_ns = record->stalled_since_ns;

	if (record->heard_ns > evidence->tcp.heard_ns)
		evidence->tcp.heard_ns = record->heard_ns;
	if (record->progress_ns > evidence->tcp.progress_ns)
		evidence->tcp.progress_ns = record->progress_ns;
	if (stalled_since_ns &&
	    (!evidence->tcp.stalled_since_ns || stalled_since_ns < evidence->tcp.stalled_since_ns))
		evidence->tcp.stalled_since_ns = stalled_since_ns;
	evidence->tcp.stalled_sockets += record->stalled_sockets;
	evidence->tcp.zero_window_sockets += record->zero_window_sockets;
	/* Retransmits that the local stack refused are timer expiries like the others. */
	evidence->tcp.rto += record->retransmits[PEER_RETRANSMIT_RTO] +
			     record->retransmits[PEER_RETRANSMIT_FAILED];
	evidence->tcp.syn += record->retransmits[PEER_RETRANSMIT_SYN];
	evidence->tcp.recovered += record->retransmits[PEER_RETRANSMIT_FAST];
	evidence->tcp.failures += record->connect_failures[PEER_ERROR_TIMED_OUT] +
				  record->connect_failures[PEER_ERROR_HOST_UNREACHABLE] +
				  record->connect_failures[PEER_ERROR_NET_UNREACHABLE] +
				  record->connect_failures[PEER_ERROR_ABANDONED];
	evidence->tcp.segments += record->segments;
	evidence->tcp.connects += record->connects;
	evidence->tcp.connects_late += record->connects_late;
}

void peers_gather_tcp(struct peers *peers, struct tcp_probe *probe)
{
	uint32_t touched = tcp_probe_slots_touched(probe);
	struct peer *peer;

	for (size_t at = 0; (peer = peers_next(peers, &at));)
		memset(&peer->evidence.tcp, 0, sizeof(peer->evidence.tcp));
	for (uint32_t slot = 0; slot < touched && slot < peers->slot_count; slot++) {
		const volatile struct peer_record *record = tcp_probe_record(probe, slot);

		peer = peers->owners[slot];
		if (!peer)
			continue;
		add_record(&peer->evidence, record);
		/* From another network namespace the peer may not be reachable though it is fine.
		 */
		if (!peer->configured)
			peer->target_port = record->netns_inode == peers->netns_inode
						    ? record->service_port
						    : 0;
	}
}

struct peer *peers_next(const struct peers *peers, size_t *at)
{
	while (*at < peers->node_count) {
		struct peer *peer = peers->nodes[(*at)++];

		if (peer)
			return peer;
	}
	while (*at - peers->node_count < peers->slots_seen) {
		struct peer *peer = peers->owners[(*at)++ - peers->node_count];

		if (peer && !peer->configured)
			return peer;
	}
	return NULL;
}

void peers_free(struct peers *peers)
{
	/* Several slots may belong to one node: nodes come last. */
	for (uint32_t slot = 0; slot < peers->slot_count; slot++)
		if (peers->owners[slot] && !peers->owners[slot]->configured)
			free(peers->owners[slot]);
	for (unsigned int i = 0; i < peers->node_count; i++)
		free(peers->nodes[i]);
	free(peers->nodes);
	free(peers->owners);
	free(peers->owner_generations);
	free(peers->index);
	free(peers->own);
	*peers = (struct peers){0};
}
