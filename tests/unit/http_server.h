/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_UNIT_HTTP_SERVER_H
#define TOCSIN_TESTS_UNIT_HTTP_SERVER_H

/* The agent's HTTP server in a thread of its own, and the socket of a client that is the test. */

#include "report/http.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

struct reply {
	long status;
	char content_type[128];
	char allow[64];
	char body[65536];
	size_t length; /* also of what did not fit into 'body' */
};

/* The server runs in the loop of a thread of its own, as in the agent; the test is the client. */
struct server {
	uv_loop_t loop;
	uv_async_t stop;
	struct http *http;
	pthread_t thread;
	unsigned int port;
	/* Set before the thread starts, then read by it alone. */
	bool blind;
	struct snapshot_peer *peers;
	size_t peer_count;
	atomic_uint fills; /* how often it was asked for a snapshot */
	/* Of the test's last request; here, so that a test that fails does not leak it. */
	struct reply reply;
};

/* An http_snapshot_function of one node; 'context' is a struct server. */
void server_fill(void *context, struct snapshot *snapshot);

/* All of these fail the running test when they cannot do their job. */

void server_start(struct server *server, const char *address);
void server_stop(struct server *server);

/* cmocka fixtures; *state is a struct server that listens on 127.0.0.1. */
int server_set_up(void **state);
int server_tear_down(void **state);

/* receive_bytes: size of the socket's receive buffer, 0 for the kernel's choice. */
int server_connect(const struct server *server, int receive_bytes);

/* A write to a client that was displaced fails, and is meant to. */
void server_try_send(int fd, const char *data);

/* One recv(). The kernel interrupts it without any signal when an io_uring of libuv's goes away. */
ssize_t server_receive(int fd, char *data, size_t size);

/* Reads until the end into 'reply', and ends that with a NUL. Returns 0, or a negative errno when
 * the connection did not come to an end, or not to a good one: -EAGAIN, -EMSGSIZE, -ECONNRESET. */
int server_read_all(int fd, char *reply, size_t size, size_t *ret_length);

#endif
