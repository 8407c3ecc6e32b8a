/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_HEALING_H
#define TOCSIN_AGENT_HEALING_H

/*
 * Before a node is released: whether the member of the store that it hosts has caught up. And after
 * this node was isolated: the commands of isolation.after_heal, one after the other.
 */

#include <stdbool.h>
#include <stdint.h>

struct agent;
struct healing;

/* Told once for each healing_check() that returned 0: 'reason' says why not, or is "". */
typedef void (*healing_checked)(void *context, const char *reason);

/* Returns 0, or -ENOMEM; healing_close() is right then, too. */
int healing_open(struct healing **ret_healing, struct agent *agent);

/*
 * Whether the member of etcd with this endpoint has caught up. One check at a time: -EBUSY. Another
 * negative errno when it cannot be asked; -ENOENT when there is no other member to compare it with.
 */
int healing_check(struct healing *healing, const char *endpoint, healing_checked checked,
		  void *context);

/* Starts the commands, unless they are running. */
void healing_run_commands(struct healing *healing);

/* NULL is allowed. What runs is ended; nothing is told any more. */
void healing_close(struct healing *healing);

#endif
