/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_CLOCK_SKEW_H
#define TOCSIN_DETECT_CLOCK_SKEW_H

/* Whether this node's wall clock is wrong: the majority of its peers' are elsewhere. Pure. */

#include "base/text.h"
#include "detect/findings.h"

#include <stdint.h>

/* One peer cannot be told right or wrong by one other. */
#define CLOCK_SKEW_PEERS_MIN 2

/* A peer's clock less ours. */
struct clock_offset {
	int64_t offset_ns;
	uint64_t uncertainty_ns; /* it may be wrong by so much */
};

/*
 * The median of the offsets, and of two medians that which is nearer to 0: then more than half of
 * the peers are as far off, on the same side. One peer that is off by itself moves it little: that
 * is that peer's finding, on its own node. 'offsets', of CLOCK_SKEW_PEERS_MIN and more, are
 * sorted.
 */
enum finding_level clock_skew(struct clock_offset *offsets, unsigned int count, uint64_t limit_ns,
			      struct text *sentence);

#endif
