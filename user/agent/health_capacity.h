/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_HEALTH_CAPACITY_H
#define TOCSIN_AGENT_HEALTH_CAPACITY_H

#include "agent/health.h"

/* capacity: when CPU, memory, and what else is told (file systems, disks' times), will be used up.
 */
extern const struct health_family health_capacity;

/*
 * How much of something is used, of how much there is, in one unit; 'name' is the finding's subject
 * ("space of /var"), and 'whole' stands in its sentence for how much there is ("the space"). To be
 * told each minute or more often. What is not told for 10 minutes is forgotten, and its finding
 * ended. May be called whenever the family is open; does nothing while the finding is off.
 */
void capacity_observe(struct agent *agent, const char *name, const char *whole, double used,
		      double limit, uint64_t now_ns);

#endif
