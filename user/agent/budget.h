/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_BUDGET_H
#define TOCSIN_AGENT_BUDGET_H

/*
 * What the agent's programs cost the machine: measured in short windows, because measuring slows
 * them down, and held to budget.cpu_percent by giving up probes.
 */

#include "probe/program_status.h"
#include "report/snapshot.h"

#include <stdint.h>

struct agent;
struct agent_budget;

/* Returns 0 or -ENOMEM. */
int agent_budget_open(struct agent_budget **ret_budget, struct agent *agent);

/* At each turn of the loop: a few system calls at the begin and the end of a window. */
void agent_budget_turn(struct agent_budget *budget, uint64_t now_ns);

/* What was measured last, and what is given up. */
void agent_budget_snapshot(const struct agent_budget *budget, struct snapshot_budget *ret_budget);

/* Runs of a program and how long they took, of all windows. */
struct program_runs agent_budget_runs(const struct agent_budget *budget,
				      const struct program_status *program);

/* NULL is allowed. */
void agent_budget_close(struct agent_budget *budget);

#endif
