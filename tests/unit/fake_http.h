/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_UNIT_FAKE_HTTP_H
#define TOCSIN_TESTS_UNIT_FAKE_HTTP_H

/*
 * A server of HTTP/1.1 on the test's loop that answers with whatever bytes the test likes. What it
 * cannot do fails the test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define FAKE_REQUEST_MAX 16384
#define FAKE_CLIENTS_MAX 32

struct fake_client {
	uv_tcp_t tcp;
	struct fake_http *server;
	bool open;
	bool in_chunks;			/* an answer in chunks has begun */
	char request[FAKE_REQUEST_MAX]; /* the head, then the body, NUL-terminated */
	size_t bytes;
};

struct fake_http {
	uv_tcp_t tcp;
	uint16_t port;
	unsigned int accepted;
	struct fake_client clients[FAKE_CLIENTS_MAX];
	void *context;
	/* A whole request: 'path' is its own, 'body' what follows the head. It answers with
	 * fake_send(), now or later, or not at all. */
	void (*request)(void *context, struct fake_client *client, const char *path,
			const char *body);
};

void fake_open(struct fake_http *fake, uv_loop_t *loop);
void fake_close(struct fake_http *fake);

/* Sends bytes as they are. */
void fake_send(struct fake_client *client, const char *bytes, size_t size);
/* An answer with status and body. */
void fake_answer(struct fake_client *client, unsigned int status, const char *body);
/* The head of an answer in chunks, and one chunk, if that has begun. */
void fake_begin_chunks(struct fake_client *client);
void fake_send_chunk(struct fake_client *client, const char *text);

/* Closes one connection. */
void fake_hang_up(struct fake_client *client);

#endif
