/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_HEALING_H
#define TOCSIN_ISOLATE_HEALING_H

/* What proves, beside its edges and its lease, that a node may be released. Pure. */

#include "base/text.h"
#include "cluster/etcd.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The member of etcd that a healed node hosts has caught up with the others, all of which were
 * asked before it was. It follows the leader of the newest term, has applied all that was committed
 * there, reports no errors and is no learner. The leader's own answer counts, or else the furthest
 * one; an answer of the healed member itself, by another of its addresses, does not. If it has not
 * caught up, 'reason' says what is missing.
 */
bool healing_member_caught_up(const struct etcd_member *others, size_t count,
			      const struct etcd_member *member, struct text *reason);

#endif
