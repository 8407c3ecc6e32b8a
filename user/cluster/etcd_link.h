/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_ETCD_LINK_H
#define TOCSIN_CLUSTER_ETCD_LINK_H

/*
 * Calls to etcd by whichever endpoint works. One endpoint is used for all calls until one of them
 * fails, be it the network, etcd or what it says: then all calls under way are dropped, and one
 * that works is looked for (etcd_search.h); at once, or with growing pauses where what was found
 * did not work for long. Sees to the token of a user and to the words for what is wrong.
 */

#include "cluster/etcd.h"
#include "cluster/etcd_limits.h"
#include "http/http_client.h"

#include <sys/queue.h>

struct etcd_link;

struct etcd_answer {
	enum etcd_error error; /* one of OK, LEASE_GONE, COMPACTED, TOKEN */
	const json_t *root;
	uint64_t sent_ns; /* CLOCK_BOOTTIME before the call was made */
};

/* A call, inside of what it is for. In flight while 'http' is set. */
struct etcd_call {
	LIST_ENTRY(etcd_call) list;
	struct etcd_link *link;
	struct http_call *http;
	uint64_t sent_ns;
	enum etcd_patience patience;
	void *context;
	/* The answer, or each message of a stream; not called when the link fails instead. TOKEN:
	 * nothing was done, and the call is to be made again when the link is ready. */
	void (*answered)(void *context, const struct etcd_answer *answer);
};

struct etcd_link_handlers {
	void *context;
	void (*ready)(void *context); /* calls can be made */
	/* Calls in flight are void; etcd_link_reason() says why. Told again for each endpoint that
	 * is found not to work either. */
	void (*failed)(void *context);
};

int etcd_link_open(struct etcd_link **ret_link, struct uv_loop_s *loop,
		   const struct etcd_settings *settings, const struct etcd_link_handlers *handlers,
		   struct text *error);

/* Whether calls can be made now; if not, 'ready' will tell. */
bool etcd_link_ready(const struct etcd_link *link);

/* Makes a call, unless it is in flight or the link is not ready. Takes 'body', which may be NULL:
 * no memory. */
void etcd_link_call(struct etcd_link *link, struct etcd_call *call, const char *path, char *body,
		    enum etcd_patience patience);

/* Drops a call if it is in flight. */
void etcd_link_cancel(struct etcd_link *link, struct etcd_call *call);

/* Gives up the endpoint for this reason, which is about what it did. */
void etcd_link_fail(struct etcd_link *link, enum etcd_error error, const char *words);

/* Everything works by this endpoint. */
void etcd_link_settled(struct etcd_link *link);

/* The limit of a call with such patience, now. */
unsigned int etcd_link_limit_ms(const struct etcd_link *link, enum etcd_patience patience);

/* Whether no endpoint works. */
bool etcd_link_is_down(const struct etcd_link *link);

const char *etcd_link_reason(const struct etcd_link *link);
const char *etcd_link_endpoint(const struct etcd_link *link);
struct http_client *etcd_link_http(struct etcd_link *link);

/* What a failed exchange with an endpoint means and what to do about it, in plain words. */
void etcd_explain_failure(struct text *text, const char *endpoint,
			  const struct http_result *result);
void etcd_explain_error(struct text *text, const char *endpoint, enum etcd_error error,
			const char *words);

/* No handler is called any more. With a lease, that is given back on the way: a last call. */
void etcd_link_close(struct etcd_link *link, uint64_t lease);

#endif
