/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_HTTP_ROUTES_H
#define TOCSIN_REPORT_HTTP_ROUTES_H

/* Which paths the HTTP server knows, and what each answers. No I/O: http.c sends it. */

#include "report/metrics.h"
#include "report/snapshot.h"

#include <stdbool.h>
#include <stddef.h>

enum http_route_index {
	HTTP_ROUTE_METRICS,
	HTTP_ROUTE_HEALTH,
	HTTP_ROUTE_STATUS,
	HTTP_ROUTE_CLUSTER,
	HTTP_ROUTE_LIST,
	HTTP_ROUTES,
};

/* The data is from malloc() and the receiver's to free(). */
struct http_answer {
	unsigned int status;
	const char *content_type;
	char *data;
	size_t size;
};

struct http_route {
	enum http_route_index index;
	const char *path;
	const char *summary;
	/* Returns 0, or -errno with *ret_answer untouched. 'format' matters to metrics only. */
	int (*answer)(const struct snapshot *snapshot, enum metrics_format format,
		      struct http_answer *ret_answer);
	bool large; /* grows with the number of peers */
};

/* The route of exactly this path, or NULL. */
const struct http_route *http_route_find(const char *path);

/* An answer of plain text. Returns 0 or -ENOMEM. */
int http_answer_text(unsigned int status, const char *text, struct http_answer *ret_answer);

#endif
