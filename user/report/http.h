/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_HTTP_H
#define TOCSIN_REPORT_HTTP_H

/*
 * The agent's HTTP server: /metrics, /healthz, /api/v1/status, GET and HEAD only. It has no thread
 * of its own: the loop polls it, and no client, slow or hostile, makes the loop wait. At most
 * HTTP_CONNECTIONS_MAX clients are served at once; a further one displaces the oldest, and so does
 * one for whom there is no file descriptor.
 */

#include "base/address.h"
#include "base/text.h"
#include "report/snapshot.h"

#include <stdint.h>
#include <uv.h>

#define HTTP_CONNECTIONS_MAX 64

struct http;

/*
 * Fills in a zero-initialised snapshot, once a request, from within uv_run(). What it points to
 * must stay valid until the next call or http_close().
 */
typedef void (*http_snapshot_function)(void *context, struct snapshot *ret_snapshot);

/*
 * Listens on address:port (port 0: any free one). Returns 0 and *ret_http, or -errno with a line in
 * 'error' that names the address and says what to do.
 */
int http_open(struct http **ret_http, uv_loop_t *loop, const struct address *address, uint16_t port,
	      http_snapshot_function fill, void *context, struct text *error);

/* The port that it listens on. */
uint16_t http_port(const struct http *http);

/*
 * Drops all connections at once. The memory is freed by the loop, which must run once more. NULL is
 * allowed. Not to be called from within the snapshot function.
 */
void http_close(struct http *http);

#endif
