/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_HEALTH_NETWORK_H
#define TOCSIN_AGENT_HEALTH_NETWORK_H

/* Listeners that do not accept, packets that are dropped, peers that do not read, clocks that
 * differ. */

#include "agent/health.h"
#include "detect/findings.h"
#include "probe/family.h"

#include <stdbool.h>

extern const struct health_family health_accept; /* accept-overflow */
extern const struct health_family health_drops;	 /* receive-drops */
extern const struct health_family health_peers;	 /* peer-overloaded, clock-skew */

/* Whether a kind is not looked for. What stands of it then ends. */
bool health_network_is_off(struct agent *agent, enum finding_kind kind, uint64_t now_ns);

#endif
