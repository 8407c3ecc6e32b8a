/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_ACTING_H
#define TOCSIN_AGENT_ACTING_H

/*
 * What this agent does about verdicts: writes isolation records when it is the actor, fences this
 * node when a record or its own loss of the majority says so, runs the hook. What to do is decided
 * in user/isolate; here it is done, logged and journalled.
 */

#include "base/text.h"
#include "cluster/store.h"
#include "isolate/actor.h"

struct acting;
struct cluster;

/* Returns 0 or -ENOMEM; in either case acting_close() is right. */
int acting_open(struct acting **ret_acting, struct cluster *cluster);

/* Mode and isolation are other ones: the agent's configuration. What is known of nodes stays. */
void acting_reload(struct acting *acting);

/*
 * The members are about to be others, in a store that says itself who hosts it (Kubernetes):
 * 'places' are those of the present ones in the new membership. Returns 0, or -ENOMEM with all as
 * it was.
 */
int acting_renumber(struct acting *acting, const struct membership *membership,
		    const uint32_t *places);

/* The store's words. */
void acting_take_record(struct acting *acting, uint32_t member, const void *data, size_t size_bytes,
			uint64_t revision);
void acting_committed(struct acting *acting, const char *node, enum store_commit_result result);
/* The store is being read anew: what was told stands until all has been told. */
void acting_reset(struct acting *acting);
void acting_synced(struct acting *acting);

/* At each turn: this node's own fence. */
void acting_turn(struct acting *acting, uint64_t now_ns);

/* After each judgement: what to do about verdicts and records. */
void acting_decide(struct acting *acting, uint64_t now_ns, bool paused);

/*
 * A person isolates or releases a node. Returns 0 when the store was asked to; -ENOENT for no such
 * member, -EPERM when a rail refuses, -EALREADY when there is nothing to do, another -errno. The
 * answer is one line in any case.
 */
int acting_by_hand(struct acting *acting, const char *node, bool isolate, bool force,
		   struct text *answer);

bool acting_is_fenced(const struct acting *acting);
const struct actor *acting_actor(const struct acting *acting);

void acting_close(struct acting *acting);

#endif
