// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "http/http_multi.h"

#include <errno.h>
#include <stdlib.h>

#define CONNECTIONS_IDLE_MAX 8
/* More wait for one to end, which takes as long as its limit where the host is cut off: enough for
 * two to each endpoint of etcd, and the members that are asked how they are. */
#define CONNECTIONS_MAX 48

struct http_socket {
	LIST_ENTRY(http_socket) link;
	uv_poll_t poll;
	struct http_multi *multi;
	curl_socket_t fd;
};

static void act(struct http_multi *multi, curl_socket_t fd, int events)
{
	int running;

	/* Its errors are those of wrong use. */
	(void)curl_multi_socket_action(multi->curl, fd, events, &running);
	multi->progress(multi->context);
}

static void on_timer(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout_wanted(CURLM *curl, long timeout_ms, void *context)
{
	struct http_multi *multi = context;

	(void)curl;
	/* Both only fail for a timer that is being closed. */
	if (timeout_ms < 0) {
		(void)uv_timer_stop(&multi->timer);
	} else {
		uv_update_time(multi->loop);
		(void)uv_timer_start(&multi->timer, on_timer, (uint64_t)timeout_ms, 0);
	}
	return 0;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	const struct http_socket *socket = poll->data;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0;

	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	act(socket->multi, socket->fd, flags);
}

static void end_handle(struct http_multi *multi)
{
	if (!--multi->open_handles)
		multi->closed(multi->context);
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct http_socket *socket = handle->data;
	struct http_multi *multi = socket->multi;

	free(socket);
	end_handle(multi);
}

static void forget_socket(struct http_socket *socket)
{
	LIST_REMOVE(socket, link);
	/* The descriptor is libcurl's and closed by it after this. */
	uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
}

static struct http_socket *watch_socket(struct http_multi *multi, curl_socket_t fd)
{
	struct http_socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	socket->multi = multi;
	socket->fd = fd;
	if (uv_poll_init_socket(multi->loop, &socket->poll, fd)) {
		free(socket);
		return NULL;
	}
	socket->poll.data = socket;
	multi->open_handles++;
	LIST_INSERT_HEAD(&multi->sockets, socket, link);
	return socket;
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *context,
			    void *socket_context)
{
	struct http_multi *multi = context;
	struct http_socket *socket = socket_context;
	int events =
		(what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (socket) {
			(void)curl_multi_assign(multi->curl, fd, NULL);
			forget_socket(socket);
		}
		return 0;
	}
	if (!socket) {
		/* Without it the request runs into its limit. */
		socket = watch_socket(multi, fd);
		if (!socket)
			return 0;
		(void)curl_multi_assign(multi->curl, fd, socket);
	}
	(void)uv_poll_start(&socket->poll, events, on_ready);
	return 0;
}

#define SET(option, value)                                             \
	do {                                                           \
		if (!code)                                             \
			code = curl_multi_setopt(curl, option, value); \
	} while (0)

static CURLM *make_curl(struct http_multi *multi)
{
	CURLM *curl = curl_multi_init();
	CURLMcode code = CURLM_OK;

	if (!curl)
		return NULL;
	SET(CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
	SET(CURLMOPT_SOCKETDATA, multi);
	SET(CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
	SET(CURLMOPT_TIMERDATA, multi);
	SET(CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_IDLE_MAX);
	SET(CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX);
	if (code) {
		(void)curl_multi_cleanup(curl);
		return NULL;
	}
	return curl;
}

static void free_curl(struct http_multi *multi)
{
	struct http_socket *socket, *next;

	/* Every transfer is out of it, so that this cannot fail. */
	(void)curl_multi_cleanup(multi->curl);
	multi->curl = NULL;
	for (socket = LIST_FIRST(&multi->sockets); socket; socket = next) {
		next = LIST_NEXT(socket, link);
		forget_socket(socket);
	}
}

void http_multi_drop_connections(struct http_multi *multi)
{
	CURLM *curl = make_curl(multi);

	if (!curl)
		return;
	free_curl(multi);
	(void)uv_timer_stop(&multi->timer);
	multi->curl = curl;
}

static void on_timer_closed(uv_handle_t *handle)
{
	end_handle(handle->data);
}

void http_multi_close(struct http_multi *multi, void (*closed)(void *context))
{
	multi->closed = closed;
	free_curl(multi);
	uv_close((uv_handle_t *)&multi->timer, on_timer_closed);
}

int http_multi_open(struct http_multi *multi, uv_loop_t *loop, void *context,
		    void (*progress)(void *context))
{
	multi->loop = loop;
	multi->context = context;
	multi->progress = progress;
	LIST_INIT(&multi->sockets);
	multi->curl = make_curl(multi);
	if (!multi->curl)
		return -ENOMEM;
	(void)uv_timer_init(loop, &multi->timer);
	multi->timer.data = multi;
	multi->open_handles = 1;
	return 0;
}
