/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_HEALING_H
#define TOCSIN_AGENT_HEALING_H

/* After this node was isolated: the commands of isolation.after_heal, one after the other. */

struct agent;
struct healing;

/* Returns 0, or -ENOMEM; healing_close() is right then, too. */
int healing_open(struct healing **ret_healing, struct agent *agent);

/* Starts the commands; while they run: has them run once more after that. */
void healing_run_commands(struct healing *healing);

/* NULL is allowed. What runs is ended; nothing is told any more. */
void healing_close(struct healing *healing);

#endif
