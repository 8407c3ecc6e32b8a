// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the agent itself reads of an HTTP request: the path, and the headers Accept and
 * Accept-Encoding. The first is looked up, the others weighed; a path that is found is one of the
 * table's.
 */
#include "fuzz/fuzz.h"
#include "report/http_accept.h"
#include "report/http_routes.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = make_string(data, size);
	const struct http_route *route;

	route = http_route_find(text);
	require(!route || (route->index < HTTP_ROUTES && !strcmp(route->path, text)));
	metrics_negotiate(text);
	require(http_accept_weight(text, "gzip") >= 0 && http_accept_weight(text, "gzip") <= 1);
	free(text);
	return 0;
}
