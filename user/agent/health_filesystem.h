/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_HEALTH_FILESYSTEM_H
#define TOCSIN_AGENT_HEALTH_FILESYSTEM_H

#include "agent/health.h"

/* filesystem: full, read-only, failing or hanging file systems, as a helper process sees them. */
extern const struct health_family health_filesystem;

#endif
