/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_HTTP_HTTP_MULTI_H
#define TOCSIN_HTTP_HTTP_MULTI_H

/* libcurl's multi interface on the agent's loop: its sockets and its timer. */

#include <curl/curl.h>
#include <sys/queue.h>
#include <uv.h>

struct http_multi {
	uv_loop_t *loop;
	uv_timer_t timer;
	CURLM *curl;
	LIST_HEAD(, http_socket) sockets;
	unsigned int open_handles;
	void *context;
	void (*progress)(void *context);
	void (*closed)(void *context);
};

/* Calls 'progress' whenever libcurl has done something, outside of its own callbacks. */
int http_multi_open(struct http_multi *multi, uv_loop_t *loop, void *context,
		    void (*progress)(void *context));

/* Closes all connections. No transfer may be under way. */
void http_multi_drop_connections(struct http_multi *multi);

/* The same, for good: 'closed' tells when its memory may go. */
void http_multi_close(struct http_multi *multi, void (*closed)(void *context));

#endif
