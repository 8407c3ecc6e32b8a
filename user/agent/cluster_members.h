/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_CLUSTER_MEMBERS_H
#define TOCSIN_AGENT_CLUSTER_MEMBERS_H

/* Who the members of this node's cluster are, by its configuration, and what hangs on that. */

#include "agent/cluster.h"

/* Makes the membership, an empty view and a classifier of it. Returns 0 or -ENOMEM; in either case
 * cluster_free_members() is right. */
int cluster_init_members(struct cluster *cluster);

/*
 * The members are other ones, this node still among them: what is known of those who stay is kept.
 * Verdicts on those who have left are told as cleared. Returns 0, or -ENOMEM with all as it was.
 */
int cluster_renumber(struct cluster *cluster, verdicts_function *cleared);

/* Whether the members of two configurations differ, or their order. */
bool cluster_members_differ(const struct config *one, const struct config *other);

void cluster_free_members(struct cluster *cluster);

#endif
