/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_NODE_OBJECTS_H
#define TOCSIN_AGENT_NODE_OBJECTS_H

/*
 * The Node objects of Kubernetes, which come and go while the agent runs. Where no nodes are
 * configured they are the members of the cluster; until they are known, and where this account may
 * not see them, the agent is alone. node_keeper.h writes to them.
 */

#include "base/text.h"
#include "config/config.h"

#include <jansson.h>

struct agent;
struct api_endpoints;
struct kubernetes_link;
struct node_objects;
struct pods;

struct node_object {
	struct config_node member;
	bool is_member; /* it has a name and an address that one can use */
	bool control_plane;
	bool paused; /* a person wants it left alone */
	bool seen;   /* in the list that is under way */
	/* What node_keeper.c needs of the object: name, uid, revision, annotations, taints, cordon,
	 * conditions. */
	json_t *object;
	bool changed;	     /* since it was compared with what is wanted of it */
	unsigned int wanted; /* as it was then; bits of node_keeper.c's */
	bool ages;	     /* nothing is new, but it is to be written again */
	bool paused_told;
};

/* Returns 0, or -errno with a line in 'error'; that the API does not answer is no error. */
int node_objects_open(struct node_objects **ret_objects, struct agent *agent,
		      const char *kubeconfig, struct text *error);

/*
 * Puts them as its members into a configuration that has none: none, while they are not known.
 * Returns 0 or -ENOMEM.
 */
int node_objects_fill(const struct node_objects *objects, struct config *config);

/* In the order of names. */
unsigned int node_objects_count(const struct node_objects *objects);
struct node_object *node_objects_at(struct node_objects *objects, unsigned int index);

/* NULL when there is none of this name. */
struct node_object *node_objects_find(const struct node_objects *objects, const char *name);

/* They are all known, and what becomes of them is told. */
bool node_objects_are_live(const struct node_objects *objects);

/* Where the API servers are, for a fence to leave them open. NULL is allowed. */
const struct api_endpoints *node_objects_api(const struct node_objects *objects);

/* The pods of this node. NULL is allowed. */
const struct pods *node_objects_pods(const struct node_objects *objects);

/* At each turn of the agent's. NULL is allowed. */
void node_objects_turn(struct node_objects *objects);

/* A Node as the API has just answered. */
void node_objects_take(struct node_objects *objects, const json_t *object);

struct kubernetes_link *node_objects_link(struct node_objects *objects);

/* NULL is allowed. */
void node_objects_close(struct node_objects *objects);

#endif
