// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/http.h"

#include "base/clock.h"
#include "report/http_accept.h"
#include "report/http_gzip.h"
#include "report/http_routes.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128
#define IDLE_TIMEOUT_S 5U
/* For one request and its answer, however busily the client trickles. Prometheus waits as long. */
#define REQUEST_TIMEOUT_NS (10 * NS_PER_S)
#define SWEEP_MS	   1000
/* Until the next try, when there is no descriptor for a first client. */
#define ACCEPT_RETRY_MS 100
/* Of one connection; request line, headers and our own headers must fit. */
#define CONNECTION_MEMORY_BYTES ((size_t)8192)
/*
 * An answer is given again for this many times what it took to make, so that a flood of requests
 * leaves the loop to others.
 */
#define CACHE_FACTOR 4
/* Answers made faster than this need no cache: what they say is of the very moment. */
#define CACHE_MIN_NS NS_PER_MS
/* Answers that clients have yet to take. With more than that, no large one is made. */
#define PENDING_BYTES_MAX ((size_t)16 << 20)
/*
 * libmicrohttpd stops listening at its own limit until a client leaves. It accepts ten at a time,
 * and whoever was displaced is gone one round later, so that this much above ours is never reached.
 */
#define CONNECTION_SLOTS (HTTP_CONNECTIONS_MAX + 32)

struct connection {
	bool used;
	bool cut; /* shut down by us; libmicrohttpd will notice and close it */
	int fd;
	uint64_t since_ns; /* accepted, or done with its last request */
};

/* How a client wants an answer. */
struct form {
	enum metrics_format format;
	bool gzip;
};

#define FORMS 4

struct cached_answer {
	struct MHD_Response *response; /* NULL: none */
	uint64_t expires_ns;
};

struct http {
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned int open_handles;
	int listener;	    /* closed by libmicrohttpd */
	unsigned int moves; /* connections that began or ended; wraps around */
	bool paused;	    /* not polled until the timer fires */
	http_snapshot_function fill;
	void *context;
	size_t pending_bytes;
	uint16_t port;
	struct cached_answer cache[HTTP_ROUTES][FORMS]; /* by route and form_index() */
	struct connection connections[CONNECTION_SLOTS];
};

/* Goes with the body of an answer and gives it back when the last byte has been taken, or the
 * client left. */
struct body {
	struct http *http;
	char *data;
	size_t size;
};

static void body_free(void *context)
{
	struct body *body = context;

	body->http->pending_bytes -= body->size;
	free(body->data);
	free(body);
}

/* Takes over answer->data. Returns NULL when there is no memory. */
static struct MHD_Response *make_response(struct http *http, const struct http_answer *answer,
					  const char *allow)
{
	struct body *body = calloc(1, sizeof(*body));
	struct MHD_Response *response;

	if (!body) {
		free(answer->data);
		return NULL;
	}
	*body = (struct body){http, answer->data, answer->size};
	http->pending_bytes += body->size;
	response = MHD_create_response_from_buffer_with_free_callback_cls(body->size, body->data,
									  body_free, body);
	if (!response) {
		body_free(body);
		return NULL;
	}
	if (MHD_add_response_header(response, "Content-Type", answer->content_type) != MHD_YES ||
	    (allow && MHD_add_response_header(response, "Allow", allow) != MHD_YES)) {
		MHD_destroy_response(response);
		response = NULL;
	}
	return response;
}

/* A line of text that ends the connection. MHD_NO makes libmicrohttpd drop it without a word. */
static enum MHD_Result send_text(struct http *http, struct MHD_Connection *connection,
				 unsigned int status, const char *text, const char *allow)
{
	struct http_answer answer = {0};
	struct MHD_Response *response = NULL;
	enum MHD_Result result = MHD_NO;

	if (!http_answer_text(status, text, &answer))
		response = make_response(http, &answer, allow);
	if (response && MHD_add_response_header(response, "Connection", "close") == MHD_YES)
		result = MHD_queue_response(connection, status, response);
	if (response)
		MHD_destroy_response(response);
	return result;
}

static bool has_body(struct MHD_Connection *connection)
{
	const char *length =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");

	return (length && strcmp(length, "0")) ||
	       MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding");
}

static void drop_cached(struct cached_answer *cached)
{
	if (cached->response)
		MHD_destroy_response(cached->response);
	*cached = (struct cached_answer){0};
}

/* Returns how long until the next one expires, in ms and at least 1; 0 when none is left. */
static uint64_t drop_expired(struct http *http)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t next_ns = UINT64_MAX;

	for (size_t i = 0; i < HTTP_ROUTES; i++) {
		for (size_t j = 0; j < FORMS; j++) {
			struct cached_answer *cached = &http->cache[i][j];

			if (cached->response && cached->expires_ns <= now_ns)
				drop_cached(cached);
			else if (cached->response && cached->expires_ns - now_ns < next_ns)
				next_ns = cached->expires_ns - now_ns;
		}
	}
	return next_ns == UINT64_MAX ? 0 : next_ns / NS_PER_MS + 1;
}

static size_t form_index(const struct form *form)
{
	return form->format * 2U + form->gzip;
}

/* A small answer gains nothing. */
static struct form wanted_form(struct MHD_Connection *connection, const struct http_route *route)
{
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept");
	const char *encoding =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept-Encoding");

	return (struct form){
		.format = metrics_negotiate(accept),
		.gzip = route->large && http_accept_weight(encoding, "gzip") > 0,
	};
}

/* Returns NULL when there is no memory. */
static struct MHD_Response *make_answer(struct http *http, const struct http_route *route,
					const struct form *form, struct http_answer *answer)
{
	struct MHD_Response *response;
	struct snapshot snapshot = {0};
	bool gzip;

	http->fill(http->context, &snapshot);
	if (route->answer(&snapshot, form->format, answer))
		return NULL;
	/* Without memory for it, it goes as it is. */
	gzip = form->gzip && !http_gzip(&answer->data, &answer->size);
	response = make_response(http, answer, NULL);
	if (response &&
	    ((route->large &&
	      MHD_add_response_header(response, "Vary", "Accept, Accept-Encoding") != MHD_YES) ||
	     (gzip && MHD_add_response_header(response, "Content-Encoding", "gzip") != MHD_YES))) {
		MHD_destroy_response(response);
		response = NULL;
	}
	return response;
}

/* Makes the answer of a route, to be given now and kept in 'cached' when making it took long. */
static enum MHD_Result send_fresh(struct http *http, struct MHD_Connection *connection,
				  const struct http_route *route, const struct form *form,
				  struct cached_answer *cached)
{
	uint64_t start_ns = clock_monotonic_ns();
	struct http_answer answer = {0};
	struct MHD_Response *response = make_answer(http, route, form, &answer);
	enum MHD_Result result;
	uint64_t cost_ns;

	if (!response)
		return send_text(http, connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
				 "out of memory\n", NULL);
	result = MHD_queue_response(connection, answer.status, response);
	cost_ns = (clock_monotonic_ns() - start_ns) * CACHE_FACTOR;
	if (route->large && cost_ns >= CACHE_MIN_NS)
		*cached = (struct cached_answer){response, clock_monotonic_ns() + cost_ns};
	else
		MHD_destroy_response(response);
	return result;
}

static enum MHD_Result send_route(struct http *http, struct MHD_Connection *connection,
				  const struct http_route *route)
{
	const struct form form = wanted_form(connection, route);
	struct cached_answer *cached = &http->cache[route->index][form_index(&form)];

	(void)drop_expired(http);
	if (cached->response)
		return MHD_queue_response(connection, MHD_HTTP_OK, cached->response);
	if (route->large && http->pending_bytes > PENDING_BYTES_MAX)
		return send_text(
			http, connection, MHD_HTTP_SERVICE_UNAVAILABLE,
			"too many unread answers are waiting for slow clients; try again\n", NULL);
	return send_fresh(http, connection, route, &form, cached);
}

/*
 * Called once the headers are in, and again when the request is complete. What is refused, is
 * refused at the first call: no body is ever read.
 */
static enum MHD_Result handle_request(void *context, struct MHD_Connection *connection,
				      const char *url, const char *method, const char *version,
				      const char *upload_data, size_t *upload_data_size,
				      void **request)
{
	static char headers_seen;
	struct http *http = context;
	const struct http_route *route = http_route_find(url);

	(void)version;
	(void)upload_data;
	if (*request) {
		if (!route || *upload_data_size)
			return MHD_NO;
		return send_route(http, connection, route);
	}
	*request = &headers_seen;
	if (!route)
		return send_text(http, connection, MHD_HTTP_NOT_FOUND,
				 "not found; GET / lists what there is\n", NULL);
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return send_text(http, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				 "only GET and HEAD are allowed\n", "GET, HEAD");
	if (has_body(connection))
		return send_text(http, connection, MHD_HTTP_CONTENT_TOO_LARGE,
				 "a request must have no body\n", NULL);
	return MHD_YES;
}

/* The descriptor is libmicrohttpd's to close: its next round finds the connection at its end. */
static void cut(struct connection *connection)
{
	connection->cut = true;
	(void)shutdown(connection->fd, SHUT_RDWR);
}

/* Cuts the oldest connection when there are more than 'limit'. Returns whether there were. */
static bool cut_oldest_beyond(struct http *http, unsigned int limit)
{
	struct connection *oldest = NULL;
	unsigned int count = 0;

	for (size_t i = 0; i < CONNECTION_SLOTS; i++) {
		struct connection *connection = &http->connections[i];

		if (!connection->used || connection->cut)
			continue;
		count++;
		if (!oldest || connection->since_ns < oldest->since_ns)
			oldest = connection;
	}
	if (count > limit)
		cut(oldest);
	return count > limit;
}

static void connection_started(struct http *http, struct MHD_Connection *connection,
			       void **socket_context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	for (size_t i = 0; info && i < CONNECTION_SLOTS; i++) {
		if (http->connections[i].used)
			continue;
		http->connections[i] = (struct connection){
			.used = true, .fd = info->connect_fd, .since_ns = clock_monotonic_ns()};
		*socket_context = &http->connections[i];
		break;
	}
	(void)cut_oldest_beyond(http, HTTP_CONNECTIONS_MAX);
}

static void notify_connection(void *context, struct MHD_Connection *connection,
			      void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	struct connection *slot = *socket_context;
	struct http *http = context;

	http->moves++;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		connection_started(http, connection, socket_context);
	else if (slot)
		*slot = (struct connection){0};
}

static void notify_completed(void *context, struct MHD_Connection *connection, void **request,
			     enum MHD_RequestTerminationCode code)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct connection *slot = info ? info->socket_context : NULL;

	(void)context;
	(void)request;
	(void)code;
	if (slot)
		slot->since_ns = clock_monotonic_ns();
}

/* Returns whether any connection is left. */
static bool cut_overdue(struct http *http)
{
	uint64_t now_ns = clock_monotonic_ns();
	bool any = false;

	for (size_t i = 0; i < CONNECTION_SLOTS; i++) {
		struct connection *connection = &http->connections[i];

		if (!connection->used)
			continue;
		any = true;
		if (!connection->cut && now_ns - connection->since_ns > REQUEST_TIMEOUT_NS)
			cut(connection);
	}
	return any;
}

static void on_timer(uv_timer_t *timer);
static void on_readable(uv_poll_t *poll, int status, int events);

/*
 * Whether a client waits that libmicrohttpd does not accept. When a descriptor is lacking it stops
 * listening until a connection ends, or, when it has none, tries again without a pause; either way
 * it tells nobody.
 */
static bool accept_fails(struct http *http)
{
	struct pollfd listener = {.fd = http->listener, .events = POLLIN};
	unsigned int moves = http->moves;

	if (poll(&listener, 1, 0) != 1)
		return false;
	/* Who came a moment ago, or was behind the first ten, is accepted in another round. */
	(void)MHD_run(http->daemon);
	return http->moves == moves;
}

/* Leaves the poll alone for a while, or takes it up again. */
static void pause_polling(struct http *http, bool pause)
{
	/* Starting fails only for a handle that is being closed, stopping never. */
	if (pause && !http->paused)
		(void)uv_poll_stop(&http->poll);
	else if (!pause && http->paused)
		(void)uv_poll_start(&http->poll, UV_READABLE, on_readable);
	http->paused = pause;
}

/* One round of libmicrohttpd, and the timer set to what it waits for. Nothing in here blocks. */
static void run(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG daemon_ms = 0;
	uint64_t timeout_ms = UINT64_MAX, cache_ms;
	unsigned int moves = http->moves;

	/* Fails only when epoll does: the timer below tries again. */
	(void)MHD_run(http->daemon);
	/* As beyond the limit, the oldest makes room; when there is none, time may bring some. */
	pause_polling(http, accept_fails(http) && !cut_oldest_beyond(http, 0));
	if (cut_overdue(http))
		timeout_ms = SWEEP_MS;
	if (http->paused)
		timeout_ms = ACCEPT_RETRY_MS;
	/*
	 * With the end of a connection libmicrohttpd listens again, but only from its next round
	 * on, for which it does not ask.
	 */
	if (http->moves != moves)
		timeout_ms = 0;
	if (MHD_get_timeout(http->daemon, &daemon_ms) == MHD_YES && daemon_ms < timeout_ms)
		timeout_ms = daemon_ms;
	cache_ms = drop_expired(http);
	if (cache_ms && cache_ms < timeout_ms)
		timeout_ms = cache_ms;
	/* Both fail only for a handle that is being closed. */
	if (timeout_ms < UINT64_MAX)
		(void)uv_timer_start(&http->timer, on_timer, timeout_ms, 0);
	else
		(void)uv_timer_stop(&http->timer);
}

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

static const char *listen_advice(int error)
{
	switch (-error) {
	case EADDRINUSE:
		return "another agent or program has it: stop that, or set http.listen to another "
		       "port";
	case EADDRNOTAVAIL:
		return "no interface of this machine has this address: set http.listen to one that "
		       "it has";
	case EACCES:
	case EPERM:
		return "ports below 1024 need CAP_NET_BIND_SERVICE: set http.listen to a higher "
		       "port";
	case EAFNOSUPPORT:
		return "this kernel does not do IPv6: set http.listen to an IPv4 address";
	}
	return "set http.listen to an address and port that this machine can listen on";
}

/* Returns a listening socket, or -errno. *ret_port is the port it got. */
static int open_listener(const struct address *address, uint16_t port, uint16_t *ret_port)
{
	struct sockaddr_storage name;
	socklen_t length = address_to_sockaddr(address, port, &name);
	struct address bound;
	const int on = 1, off = 0;
	int error = 0;
	int fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* Starting again at once must not wait for the old connections' TIME_WAIT. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    /* "::" is meant for IPv4, too, whatever net.ipv6.bindv6only says. */
	    (name.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off))) ||
	    bind(fd, (struct sockaddr *)&name, length) || listen(fd, LISTEN_BACKLOG))
		error = -errno;
	length = sizeof(name);
	if (!error && getsockname(fd, (struct sockaddr *)&name, &length))
		error = -errno;
	if (!error)
		error = address_from_sockaddr((struct sockaddr *)&name, &bound, ret_port);
	if (error) {
		close(fd);
		fd = error;
	}
	return fd;
}

static void describe_listen_error(const struct address *address, uint16_t port, int error,
				  struct text *text)
{
	char name[ADDRESS_TEXT_MAX];
	bool v4 = address_is_v4(address);

	text_printf(text, "HTTP server: cannot listen on %s%s%s:%u: %s; %s", v4 ? "" : "[",
		    address_format(address, name), v4 ? "" : "]", port, strerror(-error),
		    listen_advice(error));
}

static int start_daemon(struct http *http, int listener)
{
	http->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, handle_request, http, MHD_OPTION_LISTEN_SOCKET,
		listener, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTION_SLOTS,
		MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		CONNECTION_MEMORY_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_NOTIFY_CONNECTION, notify_connection, http, MHD_OPTION_NOTIFY_COMPLETED,
		notify_completed, http, MHD_OPTION_END);
	return http->daemon ? 0 : -ENOMEM;
}

static void on_closed(uv_handle_t *handle)
{
	struct http *http = handle->data;

	if (!--http->open_handles)
		free(http);
}

static int watch_daemon(struct http *http, uv_loop_t *loop)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int error;

	if (!info)
		return -ENOTSUP;
	error = uv_timer_init(loop, &http->timer);
	if (error)
		return error;
	http->timer.data = http;
	http->open_handles++;
	error = uv_poll_init(loop, &http->poll, info->epoll_fd);
	if (error)
		return error;
	http->poll.data = http;
	http->open_handles++;
	return uv_poll_start(&http->poll, UV_READABLE, on_readable);
}

int http_open(struct http **ret_http, uv_loop_t *loop, const struct address *address, uint16_t port,
	      http_snapshot_function fill, void *context, struct text *error)
{
	struct http *http = calloc(1, sizeof(*http));
	int listener, result;

	if (!http) {
		text_printf(error, "HTTP server: out of memory");
		return -ENOMEM;
	}
	http->fill = fill;
	http->context = context;
	listener = open_listener(address, port, &http->port);
	if (listener < 0) {
		describe_listen_error(address, port, listener, error);
		free(http);
		return listener;
	}
	http->listener = listener;
	result = start_daemon(http, listener);
	if (result) {
		/* Not known whether libmicrohttpd closed the socket; closing it twice would be
		 * worse. */
		text_printf(error, "HTTP server: libmicrohttpd refused to start; is it built with "
				   "epoll, and is there enough memory and file descriptors?");
		free(http);
		return result;
	}
	result = watch_daemon(http, loop);
	if (result) {
		text_printf(error, "HTTP server: the event loop cannot watch it: %s",
			    uv_strerror(result));
		http_close(http);
		return result;
	}
	*ret_http = http;
	return 0;
}

uint16_t http_port(const struct http *http)
{
	return http->port;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	/* libuv must let go of the descriptor before it is closed. */
	if (http->open_handles > 1)
		(void)uv_poll_stop(&http->poll);
	MHD_stop_daemon(http->daemon);
	http->daemon = NULL;
	for (size_t i = 0; i < HTTP_ROUTES; i++)
		for (size_t j = 0; j < FORMS; j++)
			drop_cached(&http->cache[i][j]);
	if (!http->open_handles)
		free(http);
	else if (http->open_handles == 1)
		uv_close((uv_handle_t *)&http->timer, on_closed);
	else {
		uv_close((uv_handle_t *)&http->timer, on_closed);
		uv_close((uv_handle_t *)&http->poll, on_closed);
	}
}
