// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/cluster_members.h"

#include "agent/acting.h"
#include "agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is made for one set of members. */
struct members {
	enum config_store kind;
	struct membership membership;
	struct view view;
	struct classifier classifier;
};

static void free_members(struct members *members)
{
	classifier_free(&members->classifier);
	view_free(&members->view);
	membership_free(&members->membership);
}

/* Those that share the store: without a shared one, this node. */
static int make_members(struct members *members, const struct config *config)
{
	struct config_node alone = {0};
	int r;

	*members = (struct members){0};
	memcpy(alone.name, config->node, sizeof(alone.name));
	members->kind = config->node_count ? config->store.kind : CONFIG_STORE_LOCAL;
	r = members->kind == CONFIG_STORE_LOCAL
		    ? membership_init(&members->membership, &alone, 1)
		    : membership_init(&members->membership, config->nodes, config->node_count);
	return r ?: view_init(&members->view, &members->membership)
	       ?: classifier_init(&members->classifier, &members->membership);
}

/* Members are in the order of names, peers in that of the configuration: found once, not at each
 * turn. */
static void index_peers(struct cluster *cluster)
{
	const struct config *config = &cluster->agent->config;
	uint32_t start = cluster->membership.start[cluster->self];

	for (unsigned int i = 0; i < config->node_count && cluster_slots(cluster); i++) {
		int64_t member = membership_find(&cluster->membership, config->nodes[i].name);
		int64_t at = member < 0 ? -1
					: membership_slot(&cluster->membership, cluster->self,
							  (uint32_t)member);

		if (at >= 0)
			cluster->node_of_slot[at - start] = i;
	}
}

/* Gives the cluster others, and takes what it had in their place. */
static void swap_members(struct cluster *cluster, struct members *members)
{
	const struct members former = {
		.kind = cluster->kind,
		.membership = cluster->membership,
		.view = cluster->view,
		.classifier = cluster->classifier,
	};

	cluster->kind = members->kind;
	cluster->membership = members->membership;
	cluster->view = members->view;
	cluster->classifier = members->classifier;
	*members = former;
	cluster->view.membership = cluster->classifier.membership = &cluster->membership;
	members->view.membership = members->classifier.membership = &members->membership;
}

static void put_members(struct cluster *cluster, struct members *members)
{
	swap_members(cluster, members);
	cluster->self =
		(uint32_t)membership_find(&cluster->membership, cluster->agent->config.node);
	index_peers(cluster);
}

int cluster_init_members(struct cluster *cluster)
{
	struct members members;
	int r = make_members(&members, &cluster->agent->config);

	if (!r)
		put_members(cluster, &members);
	free_members(&members);
	return r;
}

int cluster_renumber(struct cluster *cluster, verdicts_function *cleared)
{
	struct members members;
	uint32_t *places = NULL;
	int r = make_members(&members, &cluster->agent->config);

	if (r)
		goto out;
	r = -ENOMEM;
	places = membership_places(&cluster->membership, &members.membership);
	if (!places || acting_renumber(cluster->acting, &members.membership, places))
		goto out;
	view_take_over(&members.view, &cluster->view, places);
	verdicts_renumber(&cluster->verdicts, places, cleared, cluster);
	put_members(cluster, &members);
	cluster->judgement = (struct judgement){0};
	cluster->dirty = true;
	r = 0;
out:
	free_members(&members);
	free(places);
	return r;
}

void cluster_free_members(struct cluster *cluster)
{
	struct members members = {0};

	swap_members(cluster, &members);
	free_members(&members);
}

static bool nodes_differ(const struct config_node *one, const struct config_node *other)
{
	if (strcmp(one->name, other->name) != 0 || strcmp(one->zone, other->zone) != 0 ||
	    one->address_count != other->address_count)
		return true;
	for (unsigned int i = 0; i < one->address_count; i++)
		if (one->addresses[i].prefix != other->addresses[i].prefix ||
		    !address_equal(&one->addresses[i].address, &other->addresses[i].address))
			return true;
	return false;
}

bool cluster_members_differ(const struct config *one, const struct config *other)
{
	if (one->node_count != other->node_count)
		return true;
	/* In their order: slots know them by their place in it. */
	for (unsigned int i = 0; i < one->node_count; i++)
		if (nodes_differ(&one->nodes[i], &other->nodes[i]))
			return true;
	return false;
}
