/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_CLUSTER_H
#define TOCSIN_AGENT_CLUSTER_H

/*
 * This node as a member of its cluster: publishes its row, keeps the view of all rows, judges it,
 * and has acting.c do what follows. Without a shared store the cluster is this node alone.
 */

#include "base/text.h"
#include "cluster/store.h"
#include "cluster/verdicts.h"
#include "isolate/actor.h"
#include "report/snapshot.h"

struct agent;
struct acting;

struct cluster {
	struct agent *agent;
	struct membership membership;
	struct view view;
	struct classifier classifier;
	struct judgement judgement;
	struct verdicts verdicts;
	struct store *store;
	struct acting *acting;
	uint32_t self;					 /* this member */
	unsigned int node_of_slot[MEMBERSHIP_SLOTS_MAX]; /* who stands in each of its slots, as an
							    index of the configuration's nodes */

	/* What was published last, and when (CLOCK_BOOTTIME). */
	struct row row;
	uint8_t words[MEMBERSHIP_SLOTS_MAX];
	uint64_t put_ns;

	/* ROW_FLAG_STOPPING, with ROW_FLAG_HALTING where the machine goes down; 0: it stays. */
	uint32_t leaving_flags;
	uint64_t leaving_sequence; /* of the row that said so first */

	enum config_store kind; /* the store's: local where there is nobody to share with */
	bool connected;		/* the store was, when it told last */
	bool synced;		/* the view holds all that the store has */
	bool dirty;		/* something came since the last judgement */
	uint64_t disagrees_ns;	/* since when the rows do on the members; 0: they do not */
	uint64_t judged_ns;	/* when that was */
	bool paused;		/* by the file 'pause' in state_dir */
	uint64_t pause_checked_ns;
};

/*
 * Joins the cluster that the agent's configuration describes. Returns 0, or -errno with a line in
 * 'error' and *ret_cluster NULL.
 */
int cluster_open(struct cluster **ret_cluster, struct agent *agent, struct text *error);

/* The members that this node observes. */
static inline uint32_t cluster_slots(const struct cluster *cluster)
{
	return cluster->membership.start[cluster->self + 1] -
	       cluster->membership.start[cluster->self];
}

/* To be called at each turn, after the edges are judged. Returns whether it wants the next one
 * soon. */
bool cluster_turn(struct cluster *cluster);

/* The members reached both ways by this node's own edges, itself included. */
uint32_t cluster_reach(const struct cluster *cluster);

void cluster_snapshot(const struct cluster *cluster, struct snapshot_cluster *ret_snapshot);

/* What another configuration makes of the cluster. What may be done (mode, isolation) is no part of
 * that. */
enum cluster_change {
	CLUSTER_SAME,
	CLUSTER_MEMBERS, /* other members, in the same store, as the same node */
	CLUSTER_OTHER,
};

enum cluster_change cluster_compare(const struct config *one, const struct config *other);

/*
 * The agent's configuration is a new one that makes such a change, not CLUSTER_OTHER: takes it, and
 * keeps lease, view and verdicts. Returns 0, or -errno when the cluster must be opened anew for it.
 */
int cluster_reload(struct cluster *cluster, enum cluster_change change);

/*
 * Says in this node's row that its agent stops, and whether the machine does. Returns whether the
 * store was asked to; then agent_left() is called when the store has told it back.
 */
bool cluster_leave(struct cluster *cluster, bool halting);

/* NULL is allowed. */
void cluster_close(struct cluster *cluster);

#endif
