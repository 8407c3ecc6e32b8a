/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_NODE_KEEPER_H
#define TOCSIN_AGENT_NODE_KEEPER_H

/*
 * Sees to it that Node objects show what is known here: taints and cordon of isolated nodes and of
 * this node's findings, conditions, and an Event for each change. It compares what they are with
 * what they should be, again and again; nothing else is remembered, so that a new actor or a new
 * start goes on where the last one was. Before anything is changed the Node is read anew.
 */

#include "agent/node_objects.h"

struct node_keeper;

int node_keeper_open(struct node_keeper **ret_keeper, struct agent *agent,
		     struct node_objects *objects);

/* What matters of a Node; NULL: no memory. */
json_t *node_keeper_excerpt(const json_t *object);

/* Whether two excerpts tell the same. */
bool node_keeper_is_same(const json_t *one, const json_t *other);

/* Looks for what is to be done, and does the next thing. To be called when the link is ready, and
 * when anything may have changed. */
void node_keeper_work(struct node_keeper *keeper);

/* NULL is allowed. */
void node_keeper_close(struct node_keeper *keeper);

#endif
