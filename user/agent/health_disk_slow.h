/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_HEALTH_DISK_SLOW_H
#define TOCSIN_AGENT_HEALTH_DISK_SLOW_H

/* disk-slow: what is remembered of one disk's times, and how it is judged. */

#include "config/findings.h"
#include "detect/disk_slow.h"
#include "probe/block.h"

struct disk_history;

/* 'model': as block_model() has it. What the disk has counted so far is no window. To be freed;
 * NULL when there is no memory. */
struct disk_history *disk_history_new(const struct block_disk *disk, const char *model,
				      uint64_t now_ns);

/* Each length of a window: ends those in which enough was completed; the others go on. */
void disk_history_take(struct disk_history *history, const struct block_disk *disk,
		       uint64_t length_ns, uint64_t now_ns);

/*
 * Judges the windows that the last take has ended, of all operations; siblings are looked for among
 * 'all', which may hold NULL and this one. Call it once for each take, after that of all disks.
 */
enum finding_level disk_history_judge(struct disk_history *history, struct disk_history *const *all,
				      size_t count, const struct finding_limits *limits,
				      uint64_t now_ns, uint64_t *ret_since_ns,
				      struct text *sentence);

/* What the last take has found of an operation. */
struct disk_latency {
	const char *operation; /* "reads" */
	double p99_us;
	double limit_us; /* from which it is slow */
};

/* False when it has ended no window of the operation, or it is not known what is usual. */
bool disk_history_latency(const struct disk_history *history, enum block_operation operation,
			  const struct finding_limits *limits, struct disk_latency *ret_latency);

#endif
