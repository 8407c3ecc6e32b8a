/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_ETCD_SEARCH_H
#define TOCSIN_CLUSTER_ETCD_SEARCH_H

/*
 * Which endpoint works. They are asked one a little after the other, and whichever answers first is
 * taken: one whose host is cut off costs no time. Asked is a write that changes nothing: a key is
 * deleted that is never there, the bare prefix. A member that knows of no leader holds a write
 * until there is one, and answers at that moment; a read it would answer up to half a second later
 * (etcd's readIndexRetryTime, for all reads of a member together). What it has sent to a leader
 * that is gone is lost: so each is asked again, at first soon, while the oldest question, which a
 * slow store may still answer, stands.
 */

#include "cluster/etcd.h"
#include "http/http_client.h"

struct etcd_search;
struct text;

struct etcd_search_handlers {
	void *context;
	/* This endpoint works. The search is over. */
	void (*found)(void *context, unsigned int endpoint);
	/* This one has not answered: 'result' tells of HTTP, or else, when NULL, 'error' and
	 * 'words' of etcd. The search goes on. */
	void (*failed)(void *context, unsigned int endpoint, const struct http_result *result,
		       enum etcd_error error, const char *words);
};

/* 'prefix' of the keys; how many may be searching at the same time. 0, or -ENOMEM. */
int etcd_search_open(struct etcd_search **ret_search, struct uv_loop_s *loop,
		     struct http_client *http, const char *prefix, unsigned int clients,
		     const struct etcd_search_handlers *handlers);

/* Adds an endpoint, up to ETCD_ENDPOINTS_MAX. The URL must last. */
void etcd_search_add(struct etcd_search *search, const char *url);

/* Begins, or begins again, with this endpoint. 'token' ("": none) must last as long as the search;
 * 'limit_ms' is how long one question stands. */
void etcd_search_begin(struct etcd_search *search, unsigned int first, const char *token,
		       unsigned int limit_ms);

/* Whether all endpoints have failed since the search began, or in the one before while it has not
 * begun again. */
bool etcd_search_is_vain(const struct etcd_search *search);

/* No handler is called any more, until it begins again. */
void etcd_search_end(struct etcd_search *search);

/* Ends it, and frees it by the loop. NULL is allowed. */
void etcd_search_close(struct etcd_search *search);

#endif
