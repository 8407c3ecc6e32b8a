/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_DISK_SLOW_H
#define TOCSIN_DETECT_DISK_SLOW_H

/*
 * Whether one operation of a disk takes longer than it used to at such a throughput, or than it
 * takes its siblings. Pure: a window of completions goes in, how bad it is comes out.
 */

#include "base/text.h"
#include "config/findings.h"
#include "detect/findings.h"

#include <stddef.h>
#include <stdint.h>

/* Of throughput: below 64 KiB/s, below 256 KiB/s, ..., 4 GiB/s and more. */
#define DISK_SLOW_BANDS 10
/* Fewer completions have no p99 worth the name. */
#define DISK_SLOW_COMPLETIONS_MIN 20
/* Windows in a band before it is known what is usual there. */
#define DISK_SLOW_WARM_UP_WINDOWS 12
/* Disks of the same model to compare with. */
#define DISK_SLOW_SIBLINGS_MIN 3

struct disk_slow_window {
	const char *operation; /* "reads" */
	uint64_t completions;  /* at least DISK_SLOW_COMPLETIONS_MIN */
	uint64_t bytes;
	uint64_t length_ns; /* over 0 */
	uint32_t p99_us;    /* of the device's time */
};

/* What is usual in a band. Means of logarithms: a window that is far off counts little. */
struct disk_slow_usual {
	double p99_log2_us;
	double request_log2_bytes;
	uint32_t windows; /* learnt, up to the number that it remembers */
};

/* All 0 at first. */
struct disk_slow {
	struct disk_slow_usual bands[DISK_SLOW_BANDS];
	uint32_t slow_windows; /* one after the other, up to now */
	uint64_t slow_since_ns;
	uint64_t above_since_ns; /* since when it is above its siblings; 0: it is not */
	uint64_t compared_ns;	 /* when there were siblings to compare with */
	enum finding_level compared;
};

unsigned int disk_slow_band(const struct disk_slow_window *window);

/* The p99 from which a window is slow by the disk's own past, in us; 0: what is usual is not known.
 */
double disk_slow_limit_us(const struct disk_slow *slow, const struct disk_slow_window *window,
			  const struct finding_limits *limits);

/*
 * Judges a window that ends now by the disk's own past, and learns from it if nothing is amiss.
 * A band that is not known yet goes by the nearest busier one with requests as large: a disk that
 * has become slow brings less through. Where that is not known either it only learns.
 */
enum finding_level disk_slow_by_past(struct disk_slow *slow, const struct disk_slow_window *window,
				     const struct finding_limits *limits, uint64_t now_ns,
				     uint64_t *ret_since_ns, struct text *sentence);

/*
 * Judges a window by the p99 of the siblings in their windows of the same operation and about the
 * same throughput; the array is sorted. With too few of them it stays as it was, for a minute.
 */
enum finding_level disk_slow_by_siblings(struct disk_slow *slow,
					 const struct disk_slow_window *window,
					 uint32_t *siblings_us, size_t count,
					 const struct finding_limits *limits, uint64_t now_ns,
					 uint64_t *ret_since_ns, struct text *sentence);

/* There is too little I/O to go on: what was seen in the last windows counts no more. */
void disk_slow_rest(struct disk_slow *slow);

#endif
