/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_SELF_H
#define TOCSIN_AGENT_SELF_H

/*
 * What the agent knows of itself: whether it was scheduled in time. An agent that was held up has
 * not observed anything meanwhile and must not blame its peers for it (Lifeguard, arXiv
 * 1707.00788).
 */

#include <stdbool.h>
#include <stdint.h>

struct self_watch {
	uint64_t last_ns; /* of the last turn */
	double distrust;  /* 0 to 1 */
	uint64_t late_ticks, late_ns;
};

struct self_turn {
	uint64_t awake_ns; /* how much of the time since the last turn counts as observed */
	uint64_t late_ns;  /* how much later than planned it comes */
	bool late;	   /* held up by more than SELF_LATE_NS */
	bool paused;	   /* held up by more than SELF_PAUSED_NS: stopped, frozen, migrated */
};

#define SELF_LATE_NS   (50 * NS_PER_MS)
#define SELF_PAUSED_NS NS_PER_S
/* How long a late turn is remembered. */
#define SELF_MEMORY_NS (2 * NS_PER_S)

void self_start(struct self_watch *watch, uint64_t now_ns);

/* A turn that was planned 'planned_ns' after the last one (or came earlier, woken) takes place. */
struct self_turn self_turn(struct self_watch *watch, uint64_t now_ns, uint64_t planned_ns);

/* Whether any interface other than loopback is up and has a carrier; true when that cannot be found
 * out. */
bool self_has_carrier(void);

#endif
