// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/self.h"

#include "base/clock.h"

#include <ifaddrs.h>
#include <math.h>
#include <net/if.h>
#include <stddef.h>

void self_start(struct self_watch *watch, uint64_t now_ns)
{
	*watch = (struct self_watch){.last_ns = now_ns};
}

struct self_turn self_turn(struct self_watch *watch, uint64_t now_ns, uint64_t planned_ns)
{
	uint64_t passed_ns = now_ns - watch->last_ns;
	uint64_t late_ns = passed_ns > planned_ns ? passed_ns - planned_ns : 0;
	struct self_turn turn = {
		.awake_ns = passed_ns - (late_ns > SELF_LATE_NS ? late_ns : 0),
		.late_ns = late_ns,
		.late = late_ns > SELF_LATE_NS,
		.paused = late_ns > SELF_PAUSED_NS,
	};

	watch->last_ns = now_ns;
	watch->distrust *= exp(-(double)passed_ns / SELF_MEMORY_NS);
	if (turn.late) {
		watch->late_ticks++;
		watch->late_ns += late_ns;
		watch->distrust = fmin(1, watch->distrust + (double)late_ns / SELF_MEMORY_NS);
	}
	return turn;
}

bool self_has_carrier(void)
{
	struct ifaddrs *interfaces = NULL;
	bool carrier = false;

	if (getifaddrs(&interfaces))
		return true;
	for (struct ifaddrs *at = interfaces; at; at = at->ifa_next)
		if (!(at->ifa_flags & IFF_LOOPBACK) && (at->ifa_flags & IFF_UP) &&
		    (at->ifa_flags & IFF_RUNNING))
			carrier = true;
	freeifaddrs(interfaces);
	return carrier;
}
