/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_RECEIVE_DROPS_H
#define TOCSIN_DETECT_RECEIVE_DROPS_H

/* Whether many more received packets than usual are dropped for one reason. Pure. */

#include "base/text.h"
#include "detect/findings.h"

#include <stdbool.h>
#include <stdint.h>

/* Windows that are remembered (5 min of windows of 5 s), and from how many on there is a usual. */
#define RECEIVE_DROPS_WINDOWS	  60
#define RECEIVE_DROPS_WINDOWS_MIN 6

/* What is usual of one reason. */
struct drop_history {
	uint32_t counts[RECEIVE_DROPS_WINDOWS]; /* packets, a ring */
	unsigned int count, next;
	unsigned int high_windows; /* one after the other in which there were too many */
	uint64_t since_ns;	   /* when the first of these began */
	uint64_t held_back;	   /* what that one dropped: usual when it stays alone */
};

/* A window that has ended. */
struct drop_window {
	uint64_t begin_ns, end_ns;
	uint64_t dropped;  /* for this reason */
	uint64_t received; /* all packets */
};

/* Whether a reason, as the drop probe names it, means that a packet that was received and wanted is
 * lost. */
bool receive_drops_is_loss(const char *reason);

/* Of a reason that has not been seen in so many windows. */
void receive_drops_init(struct drop_history *history, unsigned int windows);

/*
 * Takes in a window: too many are over 'deviations' median absolute deviations over the median, and
 * over 'ratio' of what was received, in two windows one after the other. Such windows do not become
 * usual; one alone does.
 */
enum finding_level receive_drops(struct drop_history *history, const struct drop_window *window,
				 double deviations, double ratio, uint64_t *ret_since_ns,
				 struct text *sentence);

#endif
