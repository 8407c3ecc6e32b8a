/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_KUBERNETES_API_H
#define TOCSIN_CLUSTER_KUBERNETES_API_H

/*
 * The objects that the store in Kubernetes reads and writes (docs/store.md), as JSON: no I/O, no
 * state. Encoders return NULL when there is no memory. Decoders take whatever came.
 *
 * A node's lease is a Lease "node-NODE", its row a TocsinNode "NODE". The election is a Lease
 * "actor"; the isolation records stand in an annotation of that one, so that whoever writes them
 * writes the object that makes him the actor, as he has read it, or nothing.
 */

#include "cluster/store.h"

#include <jansson.h>

#define KUBERNETES_LEASE_PREFIX "node-"
#define KUBERNETES_ACTOR_LEASE	"actor"
/* What marks the leases that are tocsin's, as a selector in a query. */
#define KUBERNETES_SELECTOR "labelSelector=app.kubernetes.io%2Fname%3Dtocsin"
/* All annotations of an object together may have 256 KiB. */
#define KUBERNETES_ISOLATIONS_MAX (224U << 10)

/* A lease's spec. */
struct kubernetes_lease {
	char holder[STORE_NAME_MAX]; /* "": nobody holds it */
	char renewed[40];	     /* the time that its holder wrote; only ever compared */
	uint64_t duration_ns;	     /* 1 s at the least, 600 s at the most */
	uint64_t transitions;
};

/* The holder is "" as well when its name cannot be a node's. */
void kubernetes_decode_lease(const json_t *object, struct kubernetes_lease *lease);

/* To create a Lease. 'transitions' is 0 for a node's. */
json_t *kubernetes_encode_lease(const char *name, const char *holder, unsigned int duration_s,
				uint64_t transitions, uint64_t realtime_ns);

/* A merge patch that renews a node's lease. */
json_t *kubernetes_encode_renewal(const char *holder, unsigned int duration_s,
				  uint64_t realtime_ns);

/* A merge patch that takes the holder out of a lease; it only holds at this revision (0: any). */
json_t *kubernetes_encode_release(uint64_t revision);

/* A merge patch of the actor's lease at this revision: a new holder. */
json_t *kubernetes_encode_election(uint64_t revision, const char *holder, unsigned int duration_s,
				   uint64_t transitions, uint64_t realtime_ns);

/* A merge patch of the actor's lease at this revision: all isolation records. */
json_t *kubernetes_encode_isolations(uint64_t revision, const json_t *isolations);

/*
 * The isolation records in the actor's lease: {"n5": {"revision": 17, "record": {...}}}. An empty
 * object when there are none, or what is there is not that; NULL: no memory.
 */
json_t *kubernetes_decode_isolations(const json_t *lease);

/* To create a node's TocsinNode, and a JSON patch that replaces its row. 'row' is borrowed. */
json_t *kubernetes_encode_node(const char *node, const json_t *row);
json_t *kubernetes_encode_row(const json_t *row);

/*
 * What a row amounts to, for the columns that kubectl prints: {"state", "worstPeer", "findings"}.
 */
json_t *kubernetes_summarise_row(const json_t *row);

#endif
