/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_RENDER_H
#define TOCSIN_TRACE_RENDER_H

/* Records as lines of a table, of JSON or of CSV: one description of columns drives all three. */

#include "trace/names.h"
#include "trace/options.h"

#include <stdio.h>

/* A part of a line: columns over the bytes that they describe. */
struct part {
	const struct layout *layout;
	const void *bytes;
};

#define PARTS_MAX 3

struct renderer {
	FILE *stream;
	enum trace_format format;
	bool timestamps;
	struct names *names;
	uint64_t realtime_offset_ns; /* CLOCK_REALTIME less CLOCK_MONOTONIC */
};

void renderer_init(struct renderer *renderer, FILE *stream, const struct trace_options *options,
		   struct names *names);

/* The line of titles (table, CSV; nothing for JSON). 'parts' need no bytes. */
void render_titles(const struct renderer *renderer, const struct part *parts, size_t count);

/* One line. time_ns is CLOCK_MONOTONIC. */
void render_line(const struct renderer *renderer, uint64_t time_ns, const struct part *parts,
		 size_t count);

/* One histogram with what it is of, the key's columns (may be empty): lines of stars, one object,
 * or a row a bucket. 'fine': four buckets an octave in tables, too. */
void render_histogram(const struct renderer *renderer, uint64_t time_ns, const struct part *key,
		      const struct trace_histogram *histogram, bool fine);

/* The line of titles of histograms in CSV. */
void render_histogram_titles(const struct renderer *renderer, const struct part *key);

/* A line between intervals of a table: the time of day. */
void render_interval(const struct renderer *renderer, uint64_t time_ns);

#endif
