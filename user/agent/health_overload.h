/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_HEALTH_OVERLOAD_H
#define TOCSIN_AGENT_HEALTH_OVERLOAD_H

/* Findings about CPU, memory and I/O that are not enough: pressure, run-queue delay, OOM kills. */

#include "agent/health.h"

extern const struct health_family health_overload;

#endif
