/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_HISTOGRAM_H
#define TOCSIN_MAPS_HISTOGRAM_H

/*
 * Log-linear time histogram, 4 buckets an octave (so a bucket is at most 25 % wide, but for
 * the first four of one unit each), from about a microsecond to 32 s. Its unit is 2^-20 s, so that
 * every octave ends at a power of two of a second: the edges of Prometheus' native histograms. A
 * bucket holds lower < time <= upper (inclusive upper bounds, as exposition formats want them).
 *
 * Included by programs in the kernel and by user space: needs only the fixed-width types.
 */
#define HISTOGRAM_UNITS_PER_S 1048576
#define HISTOGRAM_BUCKETS     96

/* 2^38 * 1.048576, rounded down: microseconds to units without a division, which BPF has only
 * slowly. */
#define HISTOGRAM_UNITS_PER_US_SHIFT 38
#define HISTOGRAM_UNITS_PER_US_SCALE 288230376151ULL
/* 32 s, the upper bound of the last bucket, which longer times share. */
#define HISTOGRAM_MAX_US 32000000

/* The bucket of a time in units, of those that end before 32 s. */
static inline __attribute__((always_inline)) __u32 histogram_bucket_of_units(__u64 units)
{
	__u32 rest, octave = 0;

	if (units < 4)
		return units;
	/* log2 by halving: clang 14 crashes on __builtin_clz for BPF. */
	rest = units;
	if (rest >= 1 << 16) {
		rest >>= 16;
		octave += 16;
	}
	if (rest >= 1 << 8) {
		rest >>= 8;
		octave += 8;
	}
	if (rest >= 1 << 4) {
		rest >>= 4;
		octave += 4;
	}
	if (rest >= 1 << 2) {
		rest >>= 2;
		octave += 2;
	}
	if (rest >= 1 << 1)
		octave += 1;
	/* octave is 2 to 24 here, so that the result stays below HISTOGRAM_BUCKETS. */
	return (octave - 1) * 4 + ((units >> (octave - 2)) & 3);
}

/*
 * The bucket of a time in nanoseconds: without the division that makes them microseconds. The scale
 * is 2^38 / 953.67, rounded down; wrong by less than one nanosecond in two seconds.
 */
static inline __attribute__((always_inline)) __u32 histogram_bucket_of_ns(__u64 time_ns)
{
	if (time_ns > HISTOGRAM_MAX_US * 1000ULL)
		return HISTOGRAM_BUCKETS - 1;
	return histogram_bucket_of_units(time_ns * 288230376ULL >> HISTOGRAM_UNITS_PER_US_SHIFT);
}

/*
 * The bucket of a time in microseconds. Rounding the scale down puts a time that lies exactly on an
 * upper bound just below it, which is where an inclusive bound wants it; exact for every
 * microsecond up to 32 s.
 */
static inline __attribute__((always_inline)) __u32 histogram_bucket(__u32 time_us)
{
	if (time_us > HISTOGRAM_MAX_US)
		return HISTOGRAM_BUCKETS - 1;
	return histogram_bucket_of_units(time_us * HISTOGRAM_UNITS_PER_US_SCALE >>
					 HISTOGRAM_UNITS_PER_US_SHIFT);
}

#endif
