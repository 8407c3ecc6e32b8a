/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_HEALTH_PROCESS_H
#define TOCSIN_AGENT_HEALTH_PROCESS_H

#include "agent/health.h"

/* crash-loop: from the task probe's crashes. */
extern const struct health_family health_crash_loop;
/* watched-process-died: from process descriptors (pidfd), explained by the task probe. */
extern const struct health_family health_watch;
/* task-hung: from the task probe's iterator. */
extern const struct health_family health_hung;

#endif
