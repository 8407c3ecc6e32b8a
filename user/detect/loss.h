/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_LOSS_H
#define TOCSIN_DETECT_LOSS_H

/*
 * How lossy is one direction of an edge, from counts of what was sent and what of it was lost.
 * Pure.
 *
 * Two estimates are kept: a slow one (half-life 300 tries, 30 s of heartbeats) that measures, and a
 * fast one (half-life 10 tries) that reacts when a link turns bad within a second.
 * loss_pessimistic() takes the worse of both, because underestimating loss is what makes a detector
 * cry wolf.
 */

#include <stdint.h>

struct loss {
	double slow_tries, slow_lost; /* decayed counts */
	double fast_tries, fast_lost;
};

/* A number of tries, in order, of which the last one arrived and 'lost' before it did not. */
void loss_record(struct loss *loss, uint64_t lost);

/* Measured ratio, 0 to 1; 0 before the first try. For people, status and the lossy rule. */
double loss_ratio(const struct loss *loss);

/* Decayed number of tries behind loss_ratio(): how much it is worth. */
double loss_weight(const struct loss *loss);

/* Decayed number of losses behind loss_ratio(). */
double loss_lost(const struct loss *loss);

/* The ratio to reckon with when judging silence: never below LOSS_FLOOR, never above LOSS_CEILING.
 */
double loss_pessimistic(const struct loss *loss);

/* No link is trusted beyond one loss in a thousand; none is written off entirely. */
#define LOSS_FLOOR   0.001
#define LOSS_CEILING 0.95

#endif
