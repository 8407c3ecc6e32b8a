/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_BUDGET_H
#define TOCSIN_DETECT_BUDGET_H

/*
 * What the agent's own programs may cost, and what is given up when they cost more. Pure: no I/O,
 * no clock.
 */

#include <stdbool.h>
#include <stdint.h>

/* So many windows over the limit, one after the other, and something is shed. */
#define BUDGET_WINDOWS 3
/* What is shed comes back when all else costs less than this part of the limit. */
#define BUDGET_RESTORE_RATIO 0.5
/* Less than this part of the limit, and to shed it would blind the node for nothing. */
#define BUDGET_WORTH_RATIO 0.1
/* Shed again soon after its return, it stays away for twice as long, up to this. */
#define BUDGET_HOLD_MAX_NS (3600 * UINT64_C(1000000000))

#define BUDGET_PARTS_MAX 8

/* What can be shed for itself. */
struct budget_part {
	bool shed;
	uint64_t changed_ns; /* when it was last shed or came back */
	uint64_t hold_ns;    /* how long it stays away; 0: it was never shed */
};

struct budget {
	unsigned int part_count; /* the later, the sooner it is shed */
	struct budget_part parts[BUDGET_PARTS_MAX];
	unsigned int windows_over;
	bool exhausted; /* over the limit, and nothing is left that is worth shedding */
};

/* What was measured; shares of the machine's CPU time, 0 to 1. */
struct budget_window {
	double share; /* of all programs, also those that cannot be shed */
	double parts[BUDGET_PARTS_MAX];
	bool open[BUDGET_PARTS_MAX]; /* there is something to shed */
	uint64_t now_ns;	     /* its end, CLOCK_MONOTONIC */
};

struct budget_limits {
	double share;	  /* 0 to 1 */
	uint64_t hold_ns; /* what is shed for the first time stays away for so long at least */
};

enum budget_action { BUDGET_KEEP, BUDGET_SHED, BUDGET_RESTORE };

struct budget_decision {
	enum budget_action action;
	unsigned int part; /* with SHED and RESTORE; the budget has it so already */
};

/* What follows from one more window: at most one part changes, so that its effect is seen in the
 * next. */
struct budget_decision budget_judge(struct budget *budget, const struct budget_window *window,
				    const struct budget_limits *limits);

#endif
