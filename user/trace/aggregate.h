/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_AGGREGATE_H
#define TOCSIN_TRACE_AGGREGATE_H

/* What is summed up in the kernel over an interval: histograms, or lines of counters. */

#include "trace/render.h"

void aggregate_titles(const struct trace_options *options, const struct renderer *renderer);

/* Takes an interval's aggregates and shows them, the largest first; *shown grows by their number.
 * Returns 0 or a negative errno. */
int aggregate_show(struct object *object, const struct trace_options *options,
		   const struct renderer *renderer, uint64_t now_ns, uint64_t *shown);

#endif
