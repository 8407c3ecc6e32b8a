/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_HEALING_H
#define TOCSIN_ISOLATE_HEALING_H

/* What proves, beside its edges and its lease, that a node may be released. Pure. */

#include "base/text.h"
#include "cluster/etcd.h"

#include <stdbool.h>

/*
 * The member of etcd that a healed node hosts has caught up with the others: it follows the leader
 * of the same term, has applied all that another member had in its log when that was asked before,
 * reports no errors and is no learner. If not, 'reason' says what is missing.
 */
bool healing_member_caught_up(const struct etcd_member *other_before,
			      const struct etcd_member *member, struct text *reason);

#endif
