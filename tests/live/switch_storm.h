/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_SWITCH_STORM_H
#define TOCSIN_TESTS_LIVE_SWITCH_STORM_H

#include <sys/types.h>

/* Two processes on one CPU hand a byte to and fro: each time the scheduler has to switch. They end
 * with each other, and with the test. */
struct switch_storm {
	int cpu;
	int ends[2];
	pid_t pids[2];
};

/* Begins on this CPU. What cannot be done fails the running test. */
void switch_storm_start(struct switch_storm *storm, int cpu);

/* One that is all zeroes is fine. */
void switch_storm_end(struct switch_storm *storm);

#endif
