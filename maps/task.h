/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_TASK_H
#define TOCSIN_MAPS_TASK_H

/* clang-format off */
/*
 * What the task programs and user space share.
 *
 *	map		kind
 *	task_records	hash		group -> struct task_record
 *	task_events	ring buffer	struct task_event of each crash, and of each watched end
 *	task_watched	hash		number of a process -> __u8: its end is told, however it ends
 *
 * What finds no room in task_records is counted in the global task_other, so that the sum is whole.
 * The global task_watching is not zero while task_watched holds anything. An iterator writes a struct
 * task_sleeper for each task that sleeps where it cannot be woken.
 */
/* clang-format on */

#include "maps/group.h"

#define TASK_WATCHED_MAX 1024

#define TASK_COMM_BYTES 16

/* Signals are counted by number, but all of the real-time signals (from 32 on) in one. */
#define TASK_SIGNALS	     33
#define TASK_SIGNAL_REALTIME 32

/* All only grow. */
struct task_record {
	__u64 oom_kills;
	__u64 crashes[TASK_SIGNALS]; /* processes that a signal ended, by its number */
};

/* The end of a process by a signal, or of one that is watched. */
struct task_event {
	__u64 time_ns;	/* CLOCK_MONOTONIC, of its last thread's end */
	__u64 start_ns; /* CLOCK_BOOTTIME, of its start: tells it from others of the same number */
	struct group_key group;
	__u32 pid;
	__u32 status; /* as wait() reports it */
	char comm[TASK_COMM_BYTES];
	__u8 oom_killed;
	__u8 reserved[7];
};

/* A task in uninterruptible sleep. */
struct task_sleeper {
	__u64 start_ns; /* CLOCK_BOOTTIME, of the task */
	__u64 switches; /* grows when it runs */
	struct group_key group;
	__u32 pid, tid;
	char comm[TASK_COMM_BYTES]; /* of its process */
	__u8 killable;		    /* a fatal signal would wake it */
	__u8 reserved[7];
};

/* How the programs fare; all only grow. */
struct task_counters {
	__u64 events_lost;    /* ends that were not told: the ring was full */
	__u64 records_lost;   /* crashes and OOM kills counted as of no group: no room for it */
	__u64 repeats_unsure; /* what may have been counted twice: there was no room to note it */
};

_Static_assert(sizeof(struct task_record) == 272, "task_record is shared with the kernel side");
_Static_assert(sizeof(struct task_event) == 64, "task_event is shared with the kernel side");
_Static_assert(sizeof(struct task_sleeper) == 64, "task_sleeper is shared with the kernel side");

#endif
