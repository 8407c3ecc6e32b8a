/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_API_ENDPOINTS_H
#define TOCSIN_AGENT_API_ENDPOINTS_H

/*
 * Where the API servers of Kubernetes really are. In a pod the API has the address of a service,
 * which is translated on the way; what comes back through a fence, which is in front of that, comes
 * from the servers themselves. A fence that does not know them would cut its node off from the API
 * for good.
 */

#include "isolate/fence.h"

struct api_endpoints;
struct kubernetes_link;

#define API_ENDPOINTS_MAX 15

/* Returns 0 or -ENOMEM. */
int api_endpoints_open(struct api_endpoints **ret_endpoints, struct kubernetes_link *link);

/* Makes the next call; to be called whenever the link wakes its owner. */
void api_endpoints_work(struct api_endpoints *endpoints, uint64_t now_ns);

/* When it must be called again at the latest, CLOCK_MONOTONIC; UINT64_MAX: no need. */
uint64_t api_endpoints_due_ns(const struct api_endpoints *endpoints);

/* Those that are known. NULL is allowed. Returns how many. */
unsigned int api_endpoints_get(const struct api_endpoints *endpoints,
			       struct fence_endpoint ret_endpoints[API_ENDPOINTS_MAX]);

/* NULL is allowed. */
void api_endpoints_close(struct api_endpoints *endpoints);

#endif
