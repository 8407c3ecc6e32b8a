/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_METRICS_H
#define TOCSIN_REPORT_METRICS_H

#include "report/snapshot.h"

#include <stdio.h>

enum metrics_format {
	METRICS_PROMETHEUS,  /* text format 0.0.4 */
	METRICS_OPENMETRICS, /* OpenMetrics 1.0 */
};

/* The value of the Content-Type header. */
const char *metrics_content_type(enum metrics_format format);

/*
 * The format that an Accept header prefers; 'accept' may be NULL. OpenMetrics is only given to who
 * names it, at no lower a weight than plain text.
 */
enum metrics_format metrics_negotiate(const char *accept);

/* Writes all series. Returns 0, or -EIO when the stream refused some of it (-ENOMEM for a memory
 * stream). */
int metrics_write(FILE *stream, const struct snapshot *snapshot, enum metrics_format format);

#endif
