// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "unit/http_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

void server_fill(void *context, struct snapshot *snapshot)
{
	struct server *server = context;

	server->fills++;
	*snapshot = (struct snapshot){
		.node = "n1",
		.version = "0.1.0",
		.blind = server->blind,
		.blind_reason = server->blind ? "tcp_probe is not attached" : "",
		.peers = server->peers,
		.peer_count = server->peer_count,
	};
}

static void on_stop(uv_async_t *async)
{
	struct server *server = async->data;

	http_close(server->http);
	uv_close((uv_handle_t *)async, NULL);
}

static void *run_loop(void *argument)
{
	struct server *server = argument;

	/* Returns when http_close() has let go of everything. */
	return (void *)(intptr_t)uv_run(&server->loop, UV_RUN_DEFAULT);
}

void server_start(struct server *server, const char *address_text)
{
	char reason[256] = "";
	struct text error = TEXT(reason);
	struct address address;

	assert_int_equal(address_parse(address_text, &address), 0);
	assert_int_equal(uv_loop_init(&server->loop), 0);
	assert_int_equal(uv_async_init(&server->loop, &server->stop, on_stop), 0);
	server->stop.data = server;
	if (http_open(&server->http, &server->loop, &address, 0, server_fill, server, &error))
		fail_msg("%s", reason);
	server->port = http_port(server->http);
	assert_int_not_equal(server->port, 0);
	assert_int_equal(pthread_create(&server->thread, NULL, run_loop, server), 0);
}

void server_stop(struct server *server)
{
	assert_int_equal(uv_async_send(&server->stop), 0);
	assert_int_equal(pthread_join(server->thread, NULL), 0);
	/* -EBUSY would be a handle that http_close() forgot. */
	assert_int_equal(uv_loop_close(&server->loop), 0);
}

int server_set_up(void **state)
{
	struct server *server = calloc(1, sizeof(*server));

	assert_non_null(server);
	server_start(server, "127.0.0.1");
	*state = server;
	return 0;
}

int server_tear_down(void **state)
{
	struct server *server = *state;

	server_stop(server);
	free(server->peers);
	free(server);
	return 0;
}

int server_connect(const struct server *server, int receive_bytes)
{
	struct sockaddr_storage name;
	struct address loopback;
	const struct timeval timeout = {.tv_sec = 4};
	socklen_t length;
	int fd;

	assert_int_equal(address_parse("127.0.0.1", &loopback), 0);
	length = address_to_sockaddr(&loopback, (uint16_t)server->port, &name);
	fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	if (receive_bytes)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
					    sizeof(receive_bytes)),
				 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, length), 0);
	return fd;
}

void server_try_send(int fd, const char *data)
{
	ssize_t sent = send(fd, data, strlen(data), MSG_NOSIGNAL);

	assert_true(sent >= 0 || errno == EPIPE || errno == ECONNRESET);
}

ssize_t server_receive(int fd, char *data, size_t size)
{
	ssize_t got;

	do
		got = recv(fd, data, size, 0);
	while (got < 0 && errno == EINTR);
	return got;
}

int server_read_all(int fd, char *reply, size_t size, size_t *ret_length)
{
	size_t length = 0;
	ssize_t got = 1;

	while (length < size - 1 && got > 0) {
		got = server_receive(fd, reply + length, size - 1 - length);
		if (got > 0)
			length += (size_t)got;
	}
	reply[length] = '\0';
	*ret_length = length;
	if (got > 0)
		return -EMSGSIZE;
	return got < 0 ? -errno : 0;
}
