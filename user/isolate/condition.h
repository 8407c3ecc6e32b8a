/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_CONDITION_H
#define TOCSIN_ISOLATE_CONDITION_H

/*
 * The conditions that a Node object shows of what is known here. Those of its own health are its
 * own agent's to write; those of the network are the actor's, because a node that is cut off can
 * tell nobody. Pure.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum condition_kind {
	CONDITION_NONE,
	CONDITION_NETWORK_PARTITIONED,
	CONDITION_NETWORK_DEGRADED,
	CONDITION_DISK_STALLED,
	CONDITION_DISK_SLOW,
	CONDITION_OVERLOADED,
	CONDITION_KINDS,
};

/* A condition is written again after so long, so that its age tells whether anybody still stands by
 * it: as often as the kubelet writes its own. */
#define CONDITION_HEARTBEAT_NS (300 * 1000000000ULL)

struct condition_wish {
	bool mine; /* this agent's to write */
	bool holds;
	char reason[64];   /* one word, as Kubernetes wants it: "NodeUnreachable" */
	char message[512]; /* in plain words */
};

/* "NetworkPartitioned", ... */
const char *condition_name(enum condition_kind kind);

/* What a Node says of it, in plain words, while it does not hold. */
const char *condition_good_message(enum condition_kind kind);

/* Whether the Node shows the condition, as true or as false. */
bool condition_is_shown(const json_t *node, enum condition_kind kind);

/* The name of a class or finding as a reason: "node-unreachable" becomes "NodeUnreachable". */
void condition_reason(const char *name, char reason[static 64]);

/*
 * The strategic merge patch of the Node's status that leads from the Node, as it was just read, to
 * the wishes. Returns 0, with *ret_patch NULL when there is nothing to do, or -ENOMEM. When one
 * condition is to be written all that are mine are, so that they grow old together: one change of a
 * Node in CONDITION_HEARTBEAT_NS while all stays as it is. Bit 1 << kind of *ret_changed: it
 * becomes true, or is not any more.
 */
int condition_plan(const json_t *node, const struct condition_wish wishes[CONDITION_KINDS],
		   uint64_t realtime_ns, json_t **ret_patch, unsigned int *ret_changed);

#endif
