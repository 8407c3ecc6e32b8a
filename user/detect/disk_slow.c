// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/disk_slow.h"

#include "base/clock.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define BAND_BYTES_PER_S (64U << 10) /* the first ends here */
#define BAND_BITS	 2	     /* and each further one at four times as much */

/* A window moves what is usual by this part at least: half of a lasting change is learnt in 15 min
 * of windows of 5 s. */
#define MEMORY_WINDOWS 256
/* And once it is known, by no more than this part of an octave. */
#define STEP_OCTAVES 1.0
/* Requests are as large as others when they are at most so much larger or smaller. */
#define SIZE_OCTAVES 1.0
/* Disks of microseconds differ by more than any ratio for no reason. */
#define SIBLING_MIN_US	   1000
#define SIBLING_MEMORY_NS  (60 * NS_PER_S)
#define SIBLING_GAP	   0.75 /* of the ratio: below it all is well again */
#define FORMAT_BYTES_UNITS 3

static double log2_of(uint64_t value)
{
	return value > 1 ? log2((double)value) : 0;
}

static uint64_t bytes_per_s(const struct disk_slow_window *window)
{
	return (uint64_t)((double)window->bytes * (double)NS_PER_S / (double)window->length_ns);
}

unsigned int disk_slow_band(const struct disk_slow_window *window)
{
	uint64_t rate = bytes_per_s(window);
	unsigned int band = 0;

	while (band < DISK_SLOW_BANDS - 1 && rate >= (uint64_t)BAND_BYTES_PER_S
							     << (BAND_BITS * band))
		band++;
	return band;
}

static double request_log2_bytes(const struct disk_slow_window *window)
{
	return log2_of(window->bytes / window->completions);
}

/* NULL when it is not known what is to be expected. */
static const struct disk_slow_usual *find_usual(const struct disk_slow *slow,
						const struct disk_slow_window *window)
{
	unsigned int band = disk_slow_band(window);

	if (slow->bands[band].windows >= DISK_SLOW_WARM_UP_WINDOWS)
		return &slow->bands[band];
	while (++band < DISK_SLOW_BANDS) {
		const struct disk_slow_usual *usual = &slow->bands[band];

		if (usual->windows >= DISK_SLOW_WARM_UP_WINDOWS &&
		    fabs(usual->request_log2_bytes - request_log2_bytes(window)) <= SIZE_OCTAVES)
			return usual;
	}
	return NULL;
}

static void learn(struct disk_slow *slow, const struct disk_slow_window *window)
{
	struct disk_slow_usual *usual = &slow->bands[disk_slow_band(window)];
	double step = log2_of(window->p99_us) - usual->p99_log2_us;

	if (usual->windows >= DISK_SLOW_WARM_UP_WINDOWS)
		step = fmax(-STEP_OCTAVES, fmin(STEP_OCTAVES, step));
	if (usual->windows < MEMORY_WINDOWS)
		usual->windows++;
	usual->p99_log2_us += step / usual->windows;
	usual->request_log2_bytes +=
		(request_log2_bytes(window) - usual->request_log2_bytes) / usual->windows;
}

static void print_rate(struct text *text, unsigned int band)
{
	static const char *const units[FORMAT_BYTES_UNITS] = {"KiB/s", "MiB/s", "GiB/s"};
	uint64_t kib = (uint64_t)BAND_BYTES_PER_S >> 10 << (BAND_BITS * band);
	unsigned int unit = 0;

	while (kib >= 1024 && unit < FORMAT_BYTES_UNITS - 1) {
		kib >>= 10;
		unit++;
	}
	text_printf(text, "%" PRIu64 " %s", kib, units[unit]);
}

static void print_band(struct text *text, unsigned int band)
{
	if (!band)
		text_printf(text, "less than ");
	else
		print_rate(text, band - 1);
	if (band && band < DISK_SLOW_BANDS - 1)
		text_printf(text, " to ");
	if (band < DISK_SLOW_BANDS - 1)
		print_rate(text, band);
	else
		text_printf(text, " and more");
}

static double limit_us_of(const struct disk_slow_usual *usual, const struct finding_limits *limits)
{
	return fmax(exp2(usual->p99_log2_us) * limits->disk_slow.ratio,
		    limits->disk_slow.min_ms * 1000.0);
}

double disk_slow_limit_us(const struct disk_slow *slow, const struct disk_slow_window *window,
			  const struct finding_limits *limits)
{
	const struct disk_slow_usual *usual = find_usual(slow, window);

	return usual ? limit_us_of(usual, limits) : 0;
}

enum finding_level disk_slow_by_past(struct disk_slow *slow, const struct disk_slow_window *window,
				     const struct finding_limits *limits, uint64_t now_ns,
				     uint64_t *ret_since_ns, struct text *sentence)
{
	const struct disk_slow_usual *usual = find_usual(slow, window);
	double limit_us;

	if (!usual) {
		slow->slow_windows = 0;
		learn(slow, window);
		return FINDING_QUIET;
	}
	limit_us = limit_us_of(usual, limits);
	if (window->p99_us < limit_us) {
		slow->slow_windows = 0;
		if (window->p99_us >= limit_us / 2)
			return FINDING_NEAR;
		learn(slow, window);
		return FINDING_QUIET;
	}
	if (!slow->slow_windows)
		slow->slow_since_ns = now_ns - window->length_ns;
	slow->slow_windows++;
	if (slow->slow_windows < limits->disk_slow.windows)
		return FINDING_NEAR;
	*ret_since_ns = slow->slow_since_ns;
	text_printf(sentence,
		    "p99 of %s is %.1f ms, in the last of %" PRIu32
		    " slow windows, expected below %.1f ms; usual at ",
		    window->operation, window->p99_us / 1e3, slow->slow_windows, limit_us / 1e3);
	print_band(sentence, (unsigned int)(usual - slow->bands));
	text_printf(sentence, ": %.1f ms", exp2(usual->p99_log2_us) / 1e3);
	return FINDING_ACTIVE;
}

static int by_value(const void *a, const void *b)
{
	const uint32_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

enum finding_level disk_slow_by_siblings(struct disk_slow *slow,
					 const struct disk_slow_window *window,
					 uint32_t *siblings_us, size_t count,
					 const struct finding_limits *limits, uint64_t now_ns,
					 uint64_t *ret_since_ns, struct text *sentence)
{
	const double ratio = limits->disk_slow.sibling_ratio;
	size_t lower, upper;
	double median_us;

	if (count < DISK_SLOW_SIBLINGS_MIN) {
		if (now_ns - slow->compared_ns < SIBLING_MEMORY_NS)
			return slow->compared == FINDING_ACTIVE ? FINDING_NEAR : slow->compared;
		slow->above_since_ns = 0;
		return slow->compared = FINDING_QUIET;
	}
	slow->compared_ns = now_ns;
	qsort(siblings_us, count, sizeof(*siblings_us), by_value);
	upper = count / 2;
	lower = (count - 1) / 2;
	median_us = ((double)siblings_us[lower] + (double)siblings_us[upper]) / 2;
	if (window->p99_us < SIBLING_MIN_US || window->p99_us < median_us * ratio) {
		slow->above_since_ns = 0;
		slow->compared = window->p99_us >= SIBLING_MIN_US &&
						 window->p99_us >= median_us * ratio * SIBLING_GAP
					 ? FINDING_NEAR
					 : FINDING_QUIET;
		return slow->compared;
	}
	if (!slow->above_since_ns)
		slow->above_since_ns = now_ns - window->length_ns;
	slow->compared = now_ns - slow->above_since_ns >= limits->disk_slow.sibling_for_s * NS_PER_S
				 ? FINDING_ACTIVE
				 : FINDING_NEAR;
	if (slow->compared != FINDING_ACTIVE)
		return slow->compared;
	*ret_since_ns = slow->above_since_ns;
	text_printf(sentence,
		    "p99 of %s is %.1f ms, for %" PRIu64
		    " s over %g times the median of %zu disks of the same model, which is %.1f ms",
		    window->operation, window->p99_us / 1e3,
		    (now_ns - slow->above_since_ns) / NS_PER_S, ratio, count, median_us / 1e3);
	return slow->compared;
}

void disk_slow_rest(struct disk_slow *slow)
{
	slow->slow_windows = 0;
	slow->above_since_ns = 0;
	slow->compared = FINDING_QUIET;
}
