/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_RUNQ_H
#define TOCSIN_MAPS_RUNQ_H

/* What `tocsin trace runq` sees: how long a task that could run had to wait for a CPU. */

#include "maps/trace.h"

enum runq_grouping {
	RUNQ_BY_NOTHING,
	RUNQ_BY_CPU,
	RUNQ_BY_PID,
	RUNQ_BY_CGROUP,
};

struct runq_key {
	__u32 epoch;
	__u32 pid; /* thread group; 0 unless grouped by it, as the next two */
	__u64 cgroup_id;
	char comm[TRACE_COMM_BYTES];
	/* Always there, so that CPUs do not write to the same histogram. Grouped by something else
	 * its columns do not show it, and the histograms are added up. */
	__u32 cpu;
	__u32 reserved;
};

struct runq_event {
	struct event event;
	struct owner owner; /* who waited */
	__u64 delay_ns;
	__u32 tid, cpu;
	__u32 before_pid; /* who ran on that CPU until then; 0: it was idle */
	__u32 before_tid;
	char before_comm[TRACE_COMM_BYTES];
};

_Static_assert(sizeof(struct runq_key) == 40, "runq_key is shared with the kernel side");
_Static_assert(sizeof(struct runq_event) == 80, "runq_event is shared with the kernel side");

#endif
