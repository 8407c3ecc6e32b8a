// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "unit/fake_http.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void on_closed(uv_handle_t *handle)
{
	struct fake_client *client = handle->data;

	client->open = false;
	client->bytes = 0;
}

void fake_hang_up(struct fake_client *client)
{
	if (client->open && !uv_is_closing((uv_handle_t *)&client->tcp))
		uv_close((uv_handle_t *)&client->tcp, on_closed);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct fake_client *client = handle->data;

	(void)suggested;
	buffer->base = client->request + client->bytes;
	buffer->len = sizeof(client->request) - 1 - client->bytes;
}

static bool take_request(struct fake_client *client)
{
	char *body = strstr(client->request, "\r\n\r\n"), *length, path[256];
	size_t body_bytes = 0, bytes;
	char saved;

	if (!body)
		return false;
	body += 4;
	length = strstr(client->request, "Content-Length: ");
	if (length && length < body)
		body_bytes = strtoul(length + strlen("Content-Length: "), NULL, 10);
	bytes = (size_t)(body - client->request) + body_bytes;
	if (client->bytes < bytes)
		return false;
	assert_int_equal(sscanf(client->request, "%*s %255s", path), 1);
	saved = client->request[bytes];
	client->request[bytes] = '\0';
	client->server->request(client->server->context, client, path, body);
	client->request[bytes] = saved;
	memmove(client->request, client->request + bytes, client->bytes - bytes + 1);
	client->bytes -= bytes;
	return client->bytes > 0;
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct fake_client *client = stream->data;

	(void)buffer;
	if (size < 0) {
		fake_hang_up(client);
		return;
	}
	client->bytes += (size_t)size;
	client->request[client->bytes] = '\0';
	while (take_request(client))
		;
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct fake_http *fake = stream->data;
	struct fake_client *client = NULL;

	assert_int_equal(status, 0);
	for (size_t i = 0; i < FAKE_CLIENTS_MAX && !client; i++)
		if (!fake->clients[i].open)
			client = &fake->clients[i];
	assert_non_null(client);
	client->open = true;
	client->server = fake;
	client->bytes = 0;
	client->in_chunks = false;
	assert_int_equal(uv_tcp_init(stream->loop, &client->tcp), 0);
	client->tcp.data = client;
	assert_int_equal(uv_accept(stream, (uv_stream_t *)&client->tcp), 0);
	assert_int_equal(uv_read_start((uv_stream_t *)&client->tcp, on_allocate, on_read), 0);
	fake->accepted++;
}

void fake_open(struct fake_http *fake, uv_loop_t *loop)
{
	struct sockaddr_in address;
	int length = sizeof(address);

	/* A client that is gone is seen by its error. */
	signal(SIGPIPE, SIG_IGN);
	fake->accepted = 0;
	assert_int_equal(uv_ip4_addr("127.0.0.1", fake->port, &address), 0);
	assert_int_equal(uv_tcp_init(loop, &fake->tcp), 0);
	fake->tcp.data = fake;
	assert_int_equal(uv_tcp_bind(&fake->tcp, (struct sockaddr *)&address, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&fake->tcp, 16, on_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&fake->tcp, (struct sockaddr *)&address, &length), 0);
	fake->port = ntohs(address.sin_port);
}

void fake_close(struct fake_http *fake)
{
	uv_close((uv_handle_t *)&fake->tcp, NULL);
	for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++)
		fake_hang_up(&fake->clients[i]);
}

static void on_written(uv_write_t *request, int status)
{
	/* The client may be gone. */
	(void)status;
	free(request);
}

void fake_send(struct fake_client *client, const char *bytes, size_t size)
{
	uv_write_t *request = malloc(sizeof(*request) + size);
	uv_buf_t buffer;

	assert_non_null(request);
	if (!client->open || uv_is_closing((uv_handle_t *)&client->tcp)) {
		free(request);
		return;
	}
	memcpy(request + 1, bytes, size);
	buffer = uv_buf_init((char *)(request + 1), (unsigned int)size);
	if (uv_write(request, (uv_stream_t *)&client->tcp, &buffer, 1, on_written))
		free(request);
}

void fake_answer(struct fake_client *client, unsigned int status, const char *body)
{
	char head[128];
	int length = snprintf(head, sizeof(head), "HTTP/1.1 %u X\r\nContent-Length: %zu\r\n\r\n",
			      status, strlen(body));

	fake_send(client, head, (size_t)length);
	fake_send(client, body, strlen(body));
}

void fake_begin_chunks(struct fake_client *client)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

	client->in_chunks = true;
	fake_send(client, head, sizeof(head) - 1);
}

void fake_send_chunk(struct fake_client *client, const char *text)
{
	char head[32];
	int length = snprintf(head, sizeof(head), "%zx\r\n", strlen(text));

	if (!client->in_chunks)
		return;
	fake_send(client, head, (size_t)length);
	fake_send(client, text, strlen(text));
	fake_send(client, "\r\n", 2);
}
