/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_OVERLOAD_H
#define TOCSIN_DETECT_OVERLOAD_H

/*
 * Whether more is asked of this node than it has: CPU, memory, I/O. Pure. Each rule returns how bad
 * it is; when it is active, *ret_since_ns is the first evidence and the sentence tells what was
 * seen against what expectation. What has been raised stands until it is below 3/4 of the limit.
 */

#include "base/text.h"
#include "config/findings.h"
#include "detect/findings.h"

#include <stdbool.h>
#include <stdint.h>

/* What was seen in one window of time. CLOCK_MONOTONIC. */
struct cpu_window {
	uint64_t begin_ns, end_ns;
	bool waits_known;	 /* the two that follow */
	double pressure_percent; /* of the window's time, in which something waited for a CPU */
	uint32_t wait_us;	 /* p99 of the waits that ended in it */
	/* Of the time of all CPUs. What the hypervisor gave to others is not busy. */
	double busy_percent, stolen_percent;
};

/* What the rule remembers from window to window; zero at first. */
struct cpu_overload {
	uint32_t pressed_windows; /* one after the other */
	uint64_t pressed_ns;	  /* when the first of them began */
	bool pressed;		  /* has been active, and has not been quiet since */

	/* Since when the CPUs are busy, on the average; 0: they are not. */
	uint64_t busy_ns;
	double busy_sum_ns, stolen_sum_ns; /* of that time */
	uint32_t calm_windows;		   /* one after the other, in which they are not */
	bool busy;
};

/*
 * Waits for a CPU that are many and long, in so many windows; or CPUs that are busy, on the average
 * from some window on until now, for so long. What makes the time: the limits. To be said once for
 * each window, in their order.
 */
enum finding_level cpu_overload(struct cpu_overload *overload, const struct cpu_window *window,
				const struct finding_limits *limits, uint64_t *ret_since_ns,
				struct text *sentence);

/* Of the time in which everything waited for 'what': "memory", "I/O". */
enum finding_level pressure_level(double avg10_percent, double limit_percent, const char *what,
				  struct text *sentence);

#endif
