// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/clock_skew.h"

#include "base/clock.h"

#include <stdlib.h>

static uint64_t magnitude(int64_t value)
{
	return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static int compare(const void *a, const void *b)
{
	const struct clock_offset *left = a, *right = b;

	return (left->offset_ns > right->offset_ns) - (left->offset_ns < right->offset_ns);
}

static struct clock_offset median(const struct clock_offset *offsets, unsigned int count)
{
	const struct clock_offset *low = &offsets[(count - 1) / 2], *high = &offsets[count / 2];

	if (low->offset_ns < 0 && high->offset_ns > 0)
		return (struct clock_offset){0};
	return magnitude(low->offset_ns) < magnitude(high->offset_ns) ? *low : *high;
}

/* How far it is off at least. */
static uint64_t certain_ns(const struct clock_offset *offset)
{
	uint64_t off_ns = magnitude(offset->offset_ns);

	return off_ns > offset->uncertainty_ns ? off_ns - offset->uncertainty_ns : 0;
}

enum finding_level clock_skew(struct clock_offset *offsets, unsigned int count, uint64_t limit_ns,
			      struct text *sentence)
{
	struct clock_offset middle;
	unsigned int agree = 0;

	qsort(offsets, count, sizeof(*offsets), compare);
	middle = median(offsets, count);
	if (certain_ns(&middle) <= limit_ns)
		return certain_ns(&middle) > limit_ns / 2 ? FINDING_NEAR : FINDING_QUIET;
	for (unsigned int i = 0; i < count; i++)
		agree += (offsets[i].offset_ns < 0) == (middle.offset_ns < 0) &&
			 certain_ns(&offsets[i]) > limit_ns;
	text_printf(sentence,
		    "this node's clock is %.1f ms %s those of its peers, expected within %.1f ms: "
		    "%u of %u peers agree, the median is uncertain by %.1f ms",
		    (double)magnitude(middle.offset_ns) / NS_PER_MS,
		    middle.offset_ns < 0 ? "ahead of" : "behind", (double)limit_ns / NS_PER_MS,
		    agree, count, (double)middle.uncertainty_ns / NS_PER_MS);
	return FINDING_ACTIVE;
}
