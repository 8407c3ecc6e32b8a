/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_HEALTH_DISK_H
#define TOCSIN_AGENT_HEALTH_DISK_H

#include "agent/health.h"

/* disk-stalled, disk-hung-request, disk-errors, disk-slow: from the block probe. */
extern const struct health_family health_disk;

#endif
