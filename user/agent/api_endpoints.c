// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/api_endpoints.h"

#include "base/log.h"
#include "kubernetes/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The slices of the service 'kubernetes', which the API servers keep themselves. */
#define PATH	 "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
#define SELECTOR "labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes"

struct known {
	struct fence_endpoint endpoint;
	char slice[64]; /* which names it */
	bool seen;	/* in the list that is under way */
};

struct api_endpoints {
	struct kubernetes_watch watch;
	struct known known[API_ENDPOINTS_MAX];
	unsigned int count;
	bool told; /* that there are too many */
};

static void remove_slice(struct api_endpoints *endpoints, const char *slice)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < endpoints->count; i++)
		if (strcmp(endpoints->known[i].slice, slice) != 0)
			endpoints->known[kept++] = endpoints->known[i];
	endpoints->count = kept;
}

static void add(struct api_endpoints *endpoints, const char *slice, const char *address,
		json_int_t port)
{
	struct known known = {.seen = true};

	if (address_parse(address, &known.endpoint.address) || port < 1 || port > UINT16_MAX)
		return;
	known.endpoint.port = (uint16_t)port;
	(void)text_copy(known.slice, sizeof(known.slice), slice);
	if (endpoints->count < API_ENDPOINTS_MAX) {
		endpoints->known[endpoints->count++] = known;
		return;
	}
	if (!endpoints->told)
		log_warning("not all API servers are reached through a fence",
			    log_unsigned("most", API_ENDPOINTS_MAX));
	endpoints->told = true;
}

static void add_slice(struct api_endpoints *endpoints, const char *slice, const json_t *object)
{
	const json_t *ports = json_object_get(object, "ports"), *port, *entry, *address;
	size_t i, j, k;

	json_array_foreach(json_object_get(object, "endpoints"), i, entry)
	{
		json_array_foreach(json_object_get(entry, "addresses"), j, address)
		{
			json_array_foreach(ports, k, port)
			{
				add(endpoints, slice, json_string_value(address) ?: "",
				    json_integer_value(json_object_get(port, "port")));
			}
		}
	}
}

static void on_begin(void *context)
{
	struct api_endpoints *endpoints = context;

	for (unsigned int i = 0; i < endpoints->count; i++)
		endpoints->known[i].seen = false;
}

static void on_object(void *context, const json_t *object, bool deleted)
{
	struct api_endpoints *endpoints = context;
	const char *slice = kubernetes_object_name(object);

	if (strlen(slice) >= sizeof(endpoints->known->slice))
		return;
	remove_slice(endpoints, slice);
	if (!deleted)
		add_slice(endpoints, slice, object);
}

static void on_synced(void *context)
{
	struct api_endpoints *endpoints = context;
	unsigned int kept = 0;

	for (unsigned int i = 0; i < endpoints->count; i++)
		if (endpoints->known[i].seen)
			endpoints->known[kept++] = endpoints->known[i];
	endpoints->count = kept;
}

void api_endpoints_work(struct api_endpoints *endpoints, uint64_t now_ns)
{
	kubernetes_watch_work(&endpoints->watch, now_ns);
}

uint64_t api_endpoints_due_ns(const struct api_endpoints *endpoints)
{
	return kubernetes_watch_due_ns(&endpoints->watch);
}

unsigned int api_endpoints_get(const struct api_endpoints *endpoints,
			       struct fence_endpoint ret_endpoints[API_ENDPOINTS_MAX])
{
	for (unsigned int i = 0; endpoints && i < endpoints->count; i++)
		ret_endpoints[i] = endpoints->known[i].endpoint;
	return endpoints ? endpoints->count : 0;
}

int api_endpoints_open(struct api_endpoints **ret_endpoints, struct kubernetes_link *link)
{
	struct api_endpoints *endpoints = calloc(1, sizeof(*endpoints));
	const struct kubernetes_watch_handlers handlers = {endpoints, on_begin, on_object,
							   on_synced};

	*ret_endpoints = endpoints;
	if (!endpoints)
		return -ENOMEM;
	kubernetes_watch_open(&endpoints->watch, link, PATH, SELECTOR, &handlers);
	return 0;
}

void api_endpoints_close(struct api_endpoints *endpoints)
{
	if (!endpoints)
		return;
	kubernetes_watch_close(&endpoints->watch);
	free(endpoints);
}
