/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_CLUSTER_STORE_H
#define TOCSIN_AGENT_CLUSTER_STORE_H

/* Which store this node's cluster shares, by its configuration. */

#include "agent/cluster.h"

/* Opens the one of cluster->kind. Returns 0, or -errno with a line in 'error'. */
int cluster_open_store(struct cluster *cluster, const struct store_handlers *handlers,
		       struct text *error);

/* Whether two configurations name different stores, or another way to them. */
bool cluster_stores_differ(const struct config *one, const struct config *other);

#endif
