// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "http/http_client.h"

#include "base/clock.h"
#include "http/http_multi.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <uv.h>

#define BUFFER_BYTES_FIRST 2048
#define BUFFER_BYTES_KEPT  65536
/* A connection on which nothing comes is probed each second, and given up when SILENCE_MAX_MS have
 * passed without an answer: a watch must not wait on a peer that is gone. */
#define KEEPALIVE_S    1L
#define SILENCE_MAX_MS 3000
/* A limit that is found to be over for LATE_NS gets GRACE_NS more, once. */
#define LATE_NS	 (20 * NS_PER_MS)
#define GRACE_NS (10 * NS_PER_MS)

struct http_call {
	LIST_ENTRY(http_call) link;
	struct http_client *client;
	CURL *easy;
	struct curl_slist *headers;
	size_t bytes_max;
	uint64_t limit_ns; /* CLOCK_MONOTONIC; UINT64_MAX: none */
	unsigned int limit_ms;
	bool graced;
	void *context;
	void (*line)(void *context, const char *line, size_t length);
	void (*done)(void *context, const struct http_result *result);

	char *buffer; /* what came and was not told yet; there is room for a NUL behind it */
	size_t bytes, capacity;
	size_t searched;   /* holds no end of a line up to here */
	size_t unfinished; /* bytes since the last end of a line, or of all */
	bool news, ended;
	CURLcode code;
	enum http_failure failure; /* ours, when it was us who ended the transfer */
	char message[CURL_ERROR_SIZE];
};

LIST_HEAD(http_calls, http_call);

struct http_client {
	struct http_multi multi;
	uv_timer_t limit_timer; /* of the first limit */
	struct http_calls calls;
	struct http_calls retired; /* while handlers are being called; freed after that */
	bool telling, closing;
	unsigned int open_parts; /* of the loop's: multi and limit_timer */
	char *ca_file, *cert_file, *key_file;
};

static void free_call(struct http_call *call)
{
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	free(call->buffer);
	free(call);
}

static void free_client(struct http_client *client)
{
	free(client->ca_file);
	free(client->cert_file);
	free(client->key_file);
	free(client);
	curl_global_cleanup();
}

/* Sockets are not for the programs that the agent runs, and notice when their peer is gone. */
static int on_socket_made(void *context, curl_socket_t fd, curlsocktype purpose)
{
	const unsigned int silence_max_ms = SILENCE_MAX_MS;

	(void)context;
	(void)purpose;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC))
		return CURL_SOCKOPT_ERROR;
	/* Without it the connection works as well, and is only given up later. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_max_ms,
			 sizeof(silence_max_ms));
	return CURL_SOCKOPT_OK;
}

/* Makes room for so many bytes more and a NUL. Lines are told only when libcurl has done reading
 * for now, so that many of them may be waiting; what is bounded is the unfinished one. */
static enum http_failure reserve(struct http_call *call, size_t bytes)
{
	size_t capacity = call->capacity ?: BUFFER_BYTES_FIRST;
	char *buffer;

	if (call->unfinished > call->bytes_max || bytes > 2 * call->bytes_max ||
	    call->bytes > 2 * call->bytes_max - bytes)
		return HTTP_FAILURE_LENGTH;
	while (capacity <= call->bytes + bytes)
		capacity *= 2;
	if (capacity == call->capacity)
		return HTTP_FAILURE_NONE;
	buffer = realloc(call->buffer, capacity);
	if (!buffer)
		return HTTP_FAILURE_MEMORY;
	call->buffer = buffer;
	call->capacity = capacity;
	return HTTP_FAILURE_NONE;
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
	struct http_call *call = context;
	size_t bytes = size * count;
	const char *end = call->line ? memrchr(data, '\n', bytes) : NULL;

	call->unfinished = end ? (size_t)(data + bytes - end) - 1 : call->unfinished + bytes;
	call->failure = reserve(call, bytes);
	if (call->failure)
		return bytes + 1; /* which ends the transfer */
	memcpy(call->buffer + call->bytes, data, bytes);
	call->bytes += bytes;
	call->buffer[call->bytes] = '\0';
	call->news = true;
	return bytes;
}

/* What is told to the handlers. This happens outside of libcurl's callbacks, in which hardly
 * anything of libcurl may be called. */

static bool is_cancelled(const struct http_call *call)
{
	return !call->done;
}

static unsigned int status_of(const struct http_call *call)
{
	long status = 0;

	if (curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status))
		return 0;
	return (unsigned int)status;
}

static unsigned int retry_after_of(const struct http_call *call)
{
	curl_off_t seconds = 0;

	if (curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &seconds) || seconds < 0)
		return 0;
	return seconds > UINT16_MAX ? UINT16_MAX : (unsigned int)seconds;
}

static void tell_lines(struct http_call *call, bool last)
{
	size_t start = 0;

	while (!is_cancelled(call) && start < call->bytes) {
		size_t from = call->searched > start ? call->searched : start;
		char *end = memchr(call->buffer + from, '\n', call->bytes - from);
		size_t length;

		if (!end && !last)
			break;
		length = end ? (size_t)(end - call->buffer) - start : call->bytes - start;
		call->buffer[start + length] = '\0';
		if (length)
			call->line(call->context, call->buffer + start, length);
		start += length + !!end;
	}
	call->searched = call->bytes - start;
	if (!start)
		return;
	memmove(call->buffer, call->buffer + start, call->bytes - start);
	call->bytes -= start;
	call->buffer[call->bytes] = '\0';
	if (!call->bytes && call->capacity > BUFFER_BYTES_KEPT) {
		free(call->buffer);
		call->buffer = NULL;
		call->capacity = 0;
	}
}

static enum http_failure failure_of(const struct http_call *call)
{
	if (call->failure)
		return call->failure;
	switch (call->code) {
	case CURLE_OK:
		return HTTP_FAILURE_NONE;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_URL_MALFORMAT:
		return HTTP_FAILURE_NAME;
	case CURLE_COULDNT_CONNECT:
		return HTTP_FAILURE_CONNECT;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_FAILURE_TIME;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
		return HTTP_FAILURE_CERTIFICATE;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_USE_SSL_FAILED:
		return HTTP_FAILURE_TLS;
	case CURLE_OUT_OF_MEMORY:
		return HTTP_FAILURE_MEMORY;
	default:
		return HTTP_FAILURE_BROKEN;
	}
}

static void tell_end(struct http_call *call)
{
	struct http_result result = {
		.failure = failure_of(call),
		.status = status_of(call),
		.retry_after_s = retry_after_of(call),
		.body = call->buffer ?: "",
		.body_bytes = call->bytes,
	};

	result.message = "";
	if (result.failure)
		result.message = *call->message ? call->message : curl_easy_strerror(call->code);
	call->done(call->context, &result);
}

static void take_ends(struct http_client *client)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi.curl, &left))) {
		struct http_call *call = NULL;

		if (message->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call))
			continue;
		call->ended = true;
		call->code = message->data.result;
	}
}

static struct http_call *next_to_tell(struct http_client *client)
{
	struct http_call *call;

	LIST_FOREACH(call, &client->calls, link)
	if (call->ended || (call->news && call->line))
		return call;
	return NULL;
}

/* Takes it out of everything; it is freed when no handler is running any more. */
static void retire(struct http_call *call)
{
	struct http_client *client = call->client;

	/* Fails only for a handle that is not in it. */
	(void)curl_multi_remove_handle(client->multi.curl, call->easy);
	LIST_REMOVE(call, link);
	if (client->telling)
		LIST_INSERT_HEAD(&client->retired, call, link);
	else
		free_call(call);
}

static void tell(struct http_client *client)
{
	struct http_call *call, *next;

	/* A handler that starts or ends something else gets here again. */
	if (client->telling || client->closing)
		return;
	client->telling = true;
	take_ends(client);
	while (!client->closing && (call = next_to_tell(client))) {
		call->news = false;
		if (call->line && status_of(call) == 200)
			tell_lines(call, call->ended);
		if (call->ended && !is_cancelled(call)) {
			retire(call);
			tell_end(call);
		}
	}
	client->telling = false;
	for (call = LIST_FIRST(&client->retired); call; call = next) {
		next = LIST_NEXT(call, link);
		free_call(call);
	}
	LIST_INIT(&client->retired);
}

static void on_progress(void *context)
{
	tell(context);
}

/* Limits. They are not libcurl's, which does not look at the socket before it gives up. */

static void on_limit(uv_timer_t *timer);

static void arm_limit(struct http_client *client)
{
	uint64_t next_ns = UINT64_MAX, now_ns = clock_monotonic_ns();
	const struct http_call *call;

	LIST_FOREACH(call, &client->calls, link)
	if (call->limit_ns < next_ns)
		next_ns = call->limit_ns;
	/* Both only fail for a timer that is being closed. */
	if (next_ns == UINT64_MAX) {
		(void)uv_timer_stop(&client->limit_timer);
		return;
	}
	uv_update_time(client->multi.loop);
	(void)uv_timer_start(&client->limit_timer, on_limit,
			     next_ns > now_ns ? (next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0,
			     0);
}

static void on_limit(uv_timer_t *timer)
{
	struct http_client *client = timer->data;
	uint64_t now_ns = clock_monotonic_ns();
	struct http_call *call;

	LIST_FOREACH(call, &client->calls, link)
	{
		if (call->limit_ns > now_ns || call->ended)
			continue;
		if (!call->graced && now_ns - call->limit_ns > LATE_NS) {
			call->graced = true;
			call->limit_ns = now_ns + GRACE_NS;
			continue;
		}
		call->ended = true;
		call->failure = HTTP_FAILURE_TIME;
		snprintf(call->message, sizeof(call->message), "%u ms", call->limit_ms);
	}
	tell(client);
	if (!client->closing)
		arm_limit(client);
}

void http_call_cancel(struct http_call *call)
{
	call->done = NULL;
	retire(call);
}

/* Requests */

#define SET(option, value)                                                  \
	do {                                                                \
		if (!code)                                                  \
			code = curl_easy_setopt(call->easy, option, value); \
	} while (0)

static int add_header(struct http_call *call, const char *name, const char *value)
{
	struct curl_slist *headers;
	char *line;
	size_t size = strlen(name) + strlen(value) + 3;

	line = malloc(size);
	if (!line)
		return -ENOMEM;
	snprintf(line, size, "%s: %s", name, value);
	headers = curl_slist_append(call->headers, line);
	free(line);
	if (!headers)
		return -ENOMEM;
	call->headers = headers;
	return 0;
}

static CURLcode set_files(const struct http_client *client, struct http_call *call)
{
	CURLcode code = CURLE_OK;

	/* Else the system's would be trusted beside it, and kept in memory: 15 MB. */
	if (client->ca_file) {
		SET(CURLOPT_CAINFO, client->ca_file);
		SET(CURLOPT_CAPATH, NULL);
	}
	if (client->cert_file)
		SET(CURLOPT_SSLCERT, client->cert_file);
	if (client->key_file)
		SET(CURLOPT_SSLKEY, client->key_file);
	return code;
}

static CURLcode set_request(struct http_call *call, const struct http_request *request)
{
	CURLcode code = CURLE_OK;

	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_HTTPHEADER, call->headers);
	if (request->body)
		SET(CURLOPT_COPYPOSTFIELDS, request->body);
	if (request->method)
		SET(CURLOPT_CUSTOMREQUEST, request->method);
	if (request->connect_limit_ms)
		SET(CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_limit_ms);
	return code;
}

static CURLcode set_fixed(struct http_call *call)
{
	CURLcode code = CURLE_OK;

	SET(CURLOPT_PRIVATE, call);
	SET(CURLOPT_ERRORBUFFER, call->message);
	SET(CURLOPT_WRITEFUNCTION, on_data);
	SET(CURLOPT_WRITEDATA, call);
	SET(CURLOPT_SOCKOPTFUNCTION, on_socket_made);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S);
	SET(CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S);
	return code;
}

int http_client_send(struct http_client *client, const struct http_request *request,
		     struct http_call **ret_call)
{
	struct http_call *call = calloc(1, sizeof(*call));
	int err = -ENOMEM;

	if (!call)
		return -ENOMEM;
	call->client = client;
	call->bytes_max = request->bytes_max;
	call->limit_ms = request->limit_ms;
	call->limit_ns = UINT64_MAX;
	if (request->limit_ms)
		call->limit_ns = clock_monotonic_ns() + request->limit_ms * NS_PER_MS;
	call->context = request->context;
	call->line = request->line;
	call->done = request->done;
	call->easy = curl_easy_init();
	if (!call->easy)
		goto out;
	/* A body is sent with its header; nobody is asked first whether it is welcome. */
	if (add_header(call, "Content-Type", request->content_type ?: "application/json") ||
	    !curl_slist_append(call->headers, "Expect:"))
		goto out;
	if (request->authorization && add_header(call, "Authorization", request->authorization))
		goto out;
	if (set_fixed(call) || set_files(client, call) || set_request(call, request) ||
	    curl_multi_add_handle(client->multi.curl, call->easy))
		goto out;
	LIST_INSERT_HEAD(&client->calls, call, link);
	arm_limit(client);
	*ret_call = call;
	call = NULL;
	err = 0;
out:
	if (call)
		free_call(call);
	return err;
}

/* The client */

void http_client_drop_connections(struct http_client *client)
{
	if (LIST_EMPTY(&client->calls))
		http_multi_drop_connections(&client->multi);
}

static void end_part(struct http_client *client)
{
	if (!--client->open_parts)
		free_client(client);
}

static void on_multi_closed(void *context)
{
	end_part(context);
}

static void on_timer_closed(uv_handle_t *handle)
{
	end_part(handle->data);
}

void http_client_close(struct http_client *client)
{
	struct http_call *call, *next;

	if (!client || client->closing)
		return;
	for (call = LIST_FIRST(&client->calls); call; call = next) {
		next = LIST_NEXT(call, link);
		http_call_cancel(call);
	}
	client->closing = true;
	http_multi_close(&client->multi, on_multi_closed);
	uv_close((uv_handle_t *)&client->limit_timer, on_timer_closed);
}

static int copy_path(char **target, const char *path)
{
	if (!path || !*path)
		return 0;
	*target = strdup(path);
	return *target ? 0 : -ENOMEM;
}

int http_client_open(struct http_client **ret_client, struct uv_loop_s *loop,
		     const struct http_client_files *files)
{
	struct http_client *client = calloc(1, sizeof(*client));

	if (!client)
		return -ENOMEM;
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(client);
		return -ENOMEM;
	}
	LIST_INIT(&client->calls);
	LIST_INIT(&client->retired);
	if (copy_path(&client->ca_file, files->ca_file) ||
	    copy_path(&client->cert_file, files->cert_file) ||
	    copy_path(&client->key_file, files->key_file) ||
	    http_multi_open(&client->multi, loop, client, on_progress)) {
		free_client(client);
		return -ENOMEM;
	}
	(void)uv_timer_init(loop, &client->limit_timer);
	client->limit_timer.data = client;
	client->open_parts = 2;
	*ret_client = client;
	return 0;
}
