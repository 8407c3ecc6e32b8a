/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_TRACE_H
#define TOCSIN_MAPS_TRACE_H

/* clang-format off */
/*
 * What the programs of `tocsin trace` and their runner share.
 *
 *	map		kind
 *	events		ring buffer	records of the trace, each beginning with struct event
 *	aggregates	hash		a key of the trace, beginning with its epoch -> struct trace_histogram
 *					or counters of the trace
 *
 * A trace has one of them or both, and always, in the programs' global data, one struct
 * trace_counters and the epoch in force. The runner reads an interval's aggregates by advancing the
 * epoch and waiting until no program runs that may have read the old one: no update is lost.
 */
/* clang-format on */

#include "maps/histogram.h"

#define TRACE_COMM_BYTES  16
#define TRACE_WORDS_BYTES 512

/* What the programs are to produce; a constant set before they are loaded. */
enum trace_mode {
	TRACE_MODE_EVENTS,
	TRACE_MODE_HISTOGRAM,
	TRACE_MODE_COUNTS,
};

/* The head of each record in the ring. */
struct event {
	__u64 time_ns; /* CLOCK_MONOTONIC, when it happened */
};

/* Whom something belongs to; zero where that is not known. */
struct owner {
	__u64 cgroup_id;   /* in the v2 tree */
	__u32 pid;	   /* thread group, as the first namespace numbers it */
	__u32 netns_inode; /* 0 where no network is concerned */
	char comm[TRACE_COMM_BYTES];
};

/* Words that end in a NUL each, such as a program's arguments. */
struct trace_words {
	__u32 bytes; /* of all of them; only the first TRACE_WORDS_BYTES are kept */
	__u8 unreadable;
	__u8 reserved[3];
	char text[TRACE_WORDS_BYTES];
};

/* A distribution of times. */
struct trace_histogram {
	__u64 sum_ns;
	__u32 counts[HISTOGRAM_BUCKETS];
};

/* How the programs fare; all only grow. */
struct trace_counters {
	__u64 events_lost;  /* the ring was full */
	__u64 updates_lost; /* a map was full: what happened is not counted */
};

_Static_assert(sizeof(struct event) == 8, "event is shared with the kernel side");
_Static_assert(sizeof(struct owner) == 32, "owner is shared with the kernel side");
_Static_assert(sizeof(struct trace_words) == 520, "trace_words is shared with the kernel side");
_Static_assert(sizeof(struct trace_histogram) == 392,
	       "trace_histogram is shared with the kernel side");

#endif
