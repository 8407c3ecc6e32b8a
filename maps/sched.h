/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_SCHED_H
#define TOCSIN_MAPS_SCHED_H

/* clang-format off */
/*
 * What the sched program and user space share.
 *
 *	map		kind
 *	sched_records	array	CPU -> struct sched_record: each counts for itself, user space adds up
 *	sched_waited	array	sets of the sums of waits, as of each task's last switch; the program's own
 */
/* clang-format on */

#include "maps/histogram.h"

/* All only grow. */
struct sched_record {
	__u64 sum_ns;
	__u64 counts[HISTOGRAM_BUCKETS];
	__u64 unknown; /* waits not counted: the sum before them was not known */
	__u64 reserved[6];
};

/*
 * The sum of a task's waits up to its last switch, with its number, in one word, so that it is
 * whole whoever writes. Tasks of neighbouring numbers, which often run at the same time, are kept
 * on different cache lines.
 */
#define SCHED_SUM_BITS 42 /* 73 minutes; a number has at most 22 (PID_MAX_LIMIT) */
#define SCHED_SUM_MASK ((1ULL << SCHED_SUM_BITS) - 1)
#define SCHED_LINES    1024
#define SCHED_SETS     (4 * SCHED_LINES)
#define SCHED_WAYS     2

struct sched_set {
	__u64 ways[SCHED_WAYS];
};

_Static_assert(sizeof(struct sched_record) == 832, "sched_record is shared with the kernel side");
_Static_assert(sizeof(struct sched_set) == 16, "sched_set is shared with the kernel side");

#endif
