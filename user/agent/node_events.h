/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_NODE_EVENTS_H
#define TOCSIN_AGENT_NODE_EVENTS_H

/*
 * Events of Kubernetes about Nodes. What happens again to the same node within ten minutes is
 * counted in the same Event, as the clients of Kubernetes do. Few wait to be written; what does not
 * fit is left out and counted.
 */

#include <jansson.h>
#include <stdbool.h>

struct kubernetes_link;
struct node_events;

/* 'reporter' is this node. Returns 0 or -ENOMEM; node_events_close() is right in either case. */
int node_events_open(struct node_events **ret_events, const char *reporter,
		     struct kubernetes_link *link);

/* 'node' is the Node as the API has it; 'reason' one word in camel case. */
void node_events_add(struct node_events *events, const json_t *node, bool warns, const char *reason,
		     const char *message);

/* Writes the next one, if the link is ready. */
void node_events_work(struct node_events *events);

/* NULL is allowed. */
void node_events_close(struct node_events *events);

#endif
