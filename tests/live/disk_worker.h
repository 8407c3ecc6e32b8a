/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_DISK_WORKER_H
#define TOCSIN_TESTS_LIVE_DISK_WORKER_H

/* A process that makes I/O of each kind when it is let. What cannot be done fails the running test.
 */

#include "live/cgroup_rig.h"

#include <sys/types.h>

/* Of one block each. */
#define WORKER_READS	200
#define WORKER_WRITES	150
#define WORKER_DISCARDS 40
#define WORKER_FLUSHES	30
#define WORKER_IOS	(WORKER_READS + WORKER_WRITES + WORKER_DISCARDS + WORKER_FLUSHES)

struct disk_worker {
	pid_t pid; /* 0: none */
	int gate[2];
	const char *path;
	const struct cgroup_rig *cgroup; /* it is in; NULL: where the test is */
	unsigned int pause_ms;		 /* between two kinds */
};

/* The same, by the test itself. */
void disk_work(const char *path, unsigned int pause_ms);

/* Path, cgroup and pause are set. */
void disk_worker_start(struct disk_worker *worker);

/* Lets it, and waits for its end. */
void disk_worker_run(struct disk_worker *worker);

/* Ends it, if it is there. */
void disk_worker_discard(struct disk_worker *worker);

#endif
