/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_HEALTH_H
#define TOCSIN_AGENT_HEALTH_H

/*
 * The node's own health: families of findings that share their evidence, as rows of a table. Each
 * gathers its evidence, at the pace that its rules ask for, has the rules of user/detect judge it
 * and says the outcome to the agent's findings.
 */

#include "probe/task.h"

#include <stdint.h>

struct agent;

struct health_family {
	const char *name;
	/* Returns 0, also when evidence is missing (its findings are then set blind), or -ENOMEM.
	 */
	int (*open)(void **ret_family, struct agent *agent);
	/* At each turn of the loop: must not block, and mostly has nothing to do. */
	void (*turn)(void *family, uint64_t now_ns);
	/* A process was ended by a signal; NULL where that is of no interest. */
	void (*crashed)(void *family, const struct task_event *event, uint64_t now_ns);
	/* A watched process has exited by itself; NULL likewise. */
	void (*exited)(void *family, const struct task_event *event, uint64_t now_ns);
	void (*close)(void *family);
};

struct health;

/* Returns 0 or -ENOMEM. */
int health_open(struct health **ret_health, struct agent *agent);
void health_turn(struct health *health, uint64_t now_ns);
void health_crashed(struct health *health, const struct task_event *event, uint64_t now_ns);
void health_exited(struct health *health, const struct task_event *event, uint64_t now_ns);
void health_close(struct health *health);

#endif
