/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_PROCESS_H
#define TOCSIN_REPORT_PROCESS_H

/* What the agent's own process costs, for the conventional process_* metrics. */

#include <stdint.h>

struct process_usage {
	uint64_t cpu_us; /* user and system time of all threads */
	uint64_t resident_bytes;
	uint64_t open_fds;
	double start_time_s; /* since the epoch, as /proc/stat's btime has it */
};

/* Reads /proc/self. Returns 0, or -errno with *ret_usage untouched. */
int process_usage_read(struct process_usage *ret_usage);

#endif
