// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/histogram.h"

uint64_t histogram_upper_units(uint32_t bucket)
{
	uint32_t octave;

	if (bucket >= HISTOGRAM_BUCKETS - 1)
		return UINT64_MAX;
	if (bucket < 4)
		return bucket + 1ULL;
	octave = bucket / 4 + 1;
	return (1ULL << octave) + ((bucket % 4 + 1ULL) << (octave - 2));
}

uint64_t histogram_total(const uint32_t counts[static HISTOGRAM_BUCKETS])
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += counts[i];
	return total;
}

uint32_t histogram_quantile_us(const uint32_t counts[static HISTOGRAM_BUCKETS], double quantile)
{
	double rank = quantile * (double)histogram_total(counts);
	double below = 0, lower = 0, upper = 0;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (!counts[i])
			continue;
		lower = i ? (double)histogram_upper_units(i - 1) : 0;
		upper = i < HISTOGRAM_BUCKETS - 1 ? (double)histogram_upper_units(i) : lower;
		if (below + counts[i] >= rank) {
			double inside = lower + (upper - lower) * (rank - below) / counts[i];

			return (uint32_t)(inside * 1e6 / HISTOGRAM_UNITS_PER_S + 0.5);
		}
		below += counts[i];
	}
	return (uint32_t)(upper * 1e6 / HISTOGRAM_UNITS_PER_S + 0.5);
}
