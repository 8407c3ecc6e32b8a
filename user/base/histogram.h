/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_HISTOGRAM_H
#define TOCSIN_BASE_HISTOGRAM_H

#include <linux/types.h>
#include <stdint.h>

#include "maps/histogram.h"

/* Upper bound (inclusive) of a bucket in units of 2^-20 s; the last bucket has none and returns
 * UINT64_MAX. */
uint64_t histogram_upper_units(uint32_t bucket);

/* Sum of all buckets. */
uint64_t histogram_total(const uint32_t counts[static HISTOGRAM_BUCKETS]);

/*
 * The time in microseconds below which a share of the samples lies (quantile 0 to 1), interpolated
 * inside its bucket; 0 when there are none. Wrong by at most one bucket's width (25 %).
 */
uint32_t histogram_quantile_us(const uint32_t counts[static HISTOGRAM_BUCKETS], double quantile);

#endif
