// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/etcd_link.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/etcd_limits.h"
#include "cluster/etcd_search.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define URL_MAX	     320
#define PASSWORD_MAX 1024
#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 1000
/* A pause is as long for so many failures. */
#define PAUSE_FAILURES 4

/* A page of a ranged read, or a message of a watch: etcd itself takes no request above 1.5 MiB. */
#define ANSWER_BYTES_MAX (4U << 20)

/* After one that has worked for so long the next is looked for without a pause. */
#define STABLE_NS (5 * NS_PER_S)
/* Tokens are refused when etcd has forgotten them, but not again and again. */
#define TOKENS_MAX	 3
#define TOKEN_AGE_MIN_NS NS_PER_S

struct endpoint {
	char url[URL_MAX];
	int reported; /* what was logged of it last: a kind of failure, 0 for none */
};

struct etcd_link {
	uv_loop_t *loop;
	uv_timer_t timer; /* ends a pause */
	struct http_client *http;
	struct etcd_search *search;
	struct etcd_link_handlers handlers;
	LIST_HEAD(, etcd_call) calls;

	struct endpoint endpoints[ETCD_ENDPOINTS_MAX];
	unsigned int endpoint_count, current;
	unsigned int failures; /* in a row, of endpoints that were found to work */
	uint64_t settled_ns;   /* CLOCK_MONOTONIC; 0: not by this endpoint */
	bool searching;	       /* or pausing before that: no endpoint is in use */
	bool closing;
	struct etcd_limits limits;
	char reason[256];

	char *user, *password_file;
	char token[ETCD_TOKEN_MAX];
	uint64_t token_ns;
	unsigned int tokens_refused; /* that were young */
	bool tokenless;		     /* authentication is not switched on */
	struct http_call *authentication;
	struct http_call *farewell;
};

/* Kinds of failure of an endpoint, for reported: etcd's errors, then those of HTTP. */
#define KIND_OF_HTTP(failure) (1000 + (int)(failure))
#define KIND_OF_ETCD(error)   (1 + (int)(error))

static const char *const failure_words[] = {
	[HTTP_FAILURE_NAME] = "its host name is not known: check etcd.endpoints and the resolver",
	[HTTP_FAILURE_CONNECT] = "cannot connect: is etcd running there?",
	[HTTP_FAILURE_TIME] = "no answer in time: check etcd there, and the network",
	[HTTP_FAILURE_CERTIFICATE] = "a certificate is not accepted: check etcd.ca_file, "
				     "etcd.cert_file and etcd.key_file",
	[HTTP_FAILURE_TLS] =
		"no TLS: check etcd's certificates, and http or https in etcd.endpoints",
	[HTTP_FAILURE_LENGTH] = "its answer is too long: does something else use etcd.prefix?",
	[HTTP_FAILURE_BROKEN] = "the connection broke: is etcd ending there, or does it want https "
				"or a certificate (etcd.cert_file)?",
	[HTTP_FAILURE_MEMORY] = "no memory",
};

static const char *const error_words[] = {
	[ETCD_GARBAGE] = "not an answer of etcd's: check etcd.endpoints, and http or https there",
	[ETCD_UNAVAILABLE] = "etcd does not work there: a majority of its members must be up",
	[ETCD_TOKEN] = "it wants a user: check etcd.user and etcd.password_file",
	[ETCD_NO_AUTH] = "authentication is not switched on there",
	[ETCD_CREDENTIALS] = "it refuses the user: check etcd.user and etcd.password_file",
	[ETCD_PERMISSION] = "the user may not: grant its role readwrite on etcd.prefix",
	[ETCD_LEASE_GONE] = "the lease has ended",
	[ETCD_COMPACTED] = "the revision was compacted",
	[ETCD_FULL] = "its database is full: compact and defragment it, disarm its alarm",
	[ETCD_REFUSED] = "it refuses what is asked",
};

void etcd_explain_failure(struct text *text, const char *endpoint, const struct http_result *result)
{
	text_printf(text, "%s: %s (%s)", endpoint, failure_words[result->failure], result->message);
}

void etcd_explain_error(struct text *text, const char *endpoint, enum etcd_error error,
			const char *words)
{
	text_printf(text, "%s: %s (%s)", endpoint, error_words[error], words);
}

static struct endpoint *current(struct etcd_link *link)
{
	return &link->endpoints[link->current];
}

bool etcd_link_is_down(const struct etcd_link *link)
{
	return link->endpoint_count > 1 && etcd_search_is_vain(link->search);
}

unsigned int etcd_link_limit_ms(const struct etcd_link *link, enum etcd_patience patience)
{
	return etcd_limits_call_ms(&link->limits, patience);
}

static bool needs_token(const struct etcd_link *link)
{
	return link->user && !*link->token && !link->tokenless;
}

bool etcd_link_ready(const struct etcd_link *link)
{
	return !link->searching && !link->closing && !needs_token(link);
}

void etcd_link_cancel(struct etcd_link *link, struct etcd_call *call)
{
	(void)link;
	if (!call->http)
		return;
	LIST_REMOVE(call, list);
	http_call_cancel(call->http);
	call->http = NULL;
}

static void drop_calls(struct etcd_link *link)
{
	struct etcd_call *call;

	while ((call = LIST_FIRST(&link->calls)))
		etcd_link_cancel(link, call);
	if (link->authentication)
		http_call_cancel(link->authentication);
	link->authentication = NULL;
}

/* Before the next search, when what the last one found did not work for long: growing, and of
 * random length, so that not all nodes of a cluster come back at once. */
static unsigned int pause_ms(const struct etcd_link *link)
{
	unsigned int longest = PAUSE_MIN_MS;

	if (!link->failures)
		return 0;
	for (unsigned int failures = link->failures;
	     failures > PAUSE_FAILURES && longest < PAUSE_MAX_MS; failures -= PAUSE_FAILURES)
		longest *= 2;
	if (longest > PAUSE_MAX_MS)
		longest = PAUSE_MAX_MS;
	return longest - randombytes_uniform(longest / 2);
}

static void on_pause_over(uv_timer_t *timer);

/* link->reason says why. */
static void report(struct etcd_link *link, unsigned int endpoint, int kind)
{
	if (link->endpoints[endpoint].reported != kind)
		log_warning("etcd endpoint fails", log_string("reason", link->reason));
	link->endpoints[endpoint].reported = kind;
}

/* Of the endpoint in use. */
static void fail(struct etcd_link *link, int kind)
{
	bool stable = link->settled_ns && clock_monotonic_ns() - link->settled_ns > STABLE_NS;

	if (link->searching || link->closing)
		return;
	report(link, link->current, kind);
	drop_calls(link);
	/* Whatever is open may be as dead. */
	http_client_drop_connections(link->http);
	if (stable)
		link->failures = 0;
	else if (link->failures < UINT_MAX)
		link->failures++;
	if (!link->settled_ns && link->limits.lost < UINT_MAX)
		link->limits.lost++;
	link->settled_ns = 0;
	link->current = (link->current + 1) % link->endpoint_count;
	link->searching = true;
	uv_update_time(link->loop);
	/* Only fails for a timer that is being closed. */
	(void)uv_timer_start(&link->timer, on_pause_over, pause_ms(link), 0);
	link->handlers.failed(link->handlers.context);
}

static void fail_http(struct etcd_link *link, const struct http_result *result)
{
	struct text reason = TEXT(link->reason);

	etcd_explain_failure(&reason, current(link)->url, result);
	fail(link, KIND_OF_HTTP(result->failure));
}

void etcd_link_fail(struct etcd_link *link, enum etcd_error error, const char *words)
{
	struct text reason = TEXT(link->reason);

	etcd_explain_error(&reason, current(link)->url, error, words);
	if (error == ETCD_TOKEN) {
		link->token[0] = '\0';
		link->tokenless = false;
	}
	fail(link, KIND_OF_ETCD(error));
}

void etcd_link_settled(struct etcd_link *link)
{
	if (!link->settled_ns)
		link->settled_ns = clock_monotonic_ns();
	link->limits.lost = 0;
	current(link)->reported = 0;
}

/* Authentication */

static int read_password(const char *path, char password[static PASSWORD_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t bytes;
	int err = 0;

	if (fd < 0)
		return -errno;
	bytes = read(fd, password, PASSWORD_MAX);
	if (bytes < 0)
		err = -errno;
	else if (bytes == PASSWORD_MAX)
		err = -E2BIG;
	close(fd);
	if (err)
		return err;
	password[bytes] = '\0';
	password[strcspn(password, "\r\n")] = '\0';
	return 0;
}

static void on_authenticated(void *context, const struct http_result *result)
{
	struct etcd_link *link = context;
	char words[256] = "";
	struct text text = TEXT(words);
	json_t *root = etcd_parse(result->body, result->body_bytes);
	enum etcd_error error;

	link->authentication = NULL;
	if (result->failure) {
		fail_http(link, result);
		goto out;
	}
	error = etcd_decode_error(result->status, root, result->body, &text);
	if (error == ETCD_NO_AUTH) {
		/* The user was configured before authentication is switched on. */
		link->tokenless = true;
	} else if (error) {
		etcd_link_fail(link, error, words);
		goto out;
	} else if (etcd_decode_token(root, link->token)) {
		etcd_link_fail(link, ETCD_GARBAGE, "no token");
		goto out;
	} else {
		link->token_ns = clock_monotonic_ns();
	}
	link->handlers.ready(link->handlers.context);
out:
	json_decref(root);
}

static int post(struct etcd_link *link, const char *path, const char *body,
		struct http_request *request, struct http_call **ret_call)
{
	char url[URL_MAX + 64];

	snprintf(url, sizeof(url), "%s%s", current(link)->url, path);
	request->url = url;
	request->body = body;
	request->authorization = *link->token ? link->token : NULL;
	request->bytes_max = ANSWER_BYTES_MAX;
	request->connect_limit_ms = etcd_limits_connect_ms(&link->limits);
	return http_client_send(link->http, request, ret_call);
}

static void authenticate(struct etcd_link *link)
{
	struct http_request request = {
		.limit_ms = etcd_link_limit_ms(link, ETCD_PATIENCE_WORK),
		.context = link,
		.done = on_authenticated,
	};
	char password[PASSWORD_MAX] = "", words[256];
	char *body = NULL;
	int err;

	if (link->authentication)
		return;
	err = link->password_file ? read_password(link->password_file, password) : 0;
	if (err) {
		snprintf(words, sizeof(words), "%s: %s", link->password_file, strerror(-err));
		etcd_link_fail(link, ETCD_CREDENTIALS, words);
		return;
	}
	body = etcd_encode_authenticate(link->user, password);
	sodium_memzero(password, sizeof(password));
	if (!body)
		/* Nor can it be when it is no UTF-8, which JSON is. */
		etcd_link_fail(link, ETCD_CREDENTIALS, "user or password cannot be sent");
	else if (post(link, "/v3/auth/authenticate", body, &request, &link->authentication))
		etcd_link_fail(link, ETCD_REFUSED, "no memory");
	if (body)
		sodium_memzero(body, strlen(body));
	free(body);
}

/* Looking for an endpoint */

static void on_found(void *context, unsigned int endpoint)
{
	struct etcd_link *link = context;

	link->searching = false;
	link->current = endpoint;
	if (needs_token(link))
		authenticate(link);
	else
		link->handlers.ready(link->handlers.context);
}

static void on_not_found(void *context, unsigned int endpoint, const struct http_result *result,
			 enum etcd_error error, const char *words)
{
	struct etcd_link *link = context;
	const char *url = link->endpoints[endpoint].url;
	struct text reason = TEXT(link->reason);

	if (result)
		etcd_explain_failure(&reason, url, result);
	else
		etcd_explain_error(&reason, url, error, words);
	report(link, endpoint, result ? KIND_OF_HTTP(result->failure) : KIND_OF_ETCD(error));
	link->handlers.failed(link->handlers.context);
}

static void on_pause_over(uv_timer_t *timer)
{
	struct etcd_link *link = timer->data;

	etcd_search_begin(link->search, link->current, link->token,
			  etcd_limits_most_ms(&link->limits));
}

/* Calls */

/* Whether the caller is to hear of it; else it is dealt with. */
static bool is_for_caller(struct etcd_link *link, enum etcd_error error, const char *words)
{
	switch (error) {
	case ETCD_OK:
	case ETCD_LEASE_GONE:
	case ETCD_COMPACTED:
		return true;
	case ETCD_TOKEN:
		if (clock_monotonic_ns() - link->token_ns > TOKEN_AGE_MIN_NS)
			link->tokens_refused = 0;
		if (!link->user || ++link->tokens_refused > TOKENS_MAX)
			break;
		*link->token = '\0';
		link->tokenless = false;
		authenticate(link);
		return true;
	default:
		break;
	}
	etcd_link_fail(link, error, words);
	return false;
}

/* Anything that is said: an answer or a message of a stream. */
static void take(struct etcd_call *call, unsigned int status, const char *body, size_t bytes)
{
	char words[256] = "";
	struct text text = TEXT(words);
	json_t *root = etcd_parse(body, bytes);
	enum etcd_error error = etcd_decode_error(status, root, body, &text);
	struct etcd_answer answer = {.root = root, .sent_ns = call->sent_ns};

	answer.error = error;
	if (is_for_caller(call->link, error, words))
		call->answered(call->context, &answer);
	json_decref(root);
}

static void on_line(void *context, const char *line, size_t length)
{
	take(context, 200, line, length);
}

static void on_done(void *context, const struct http_result *result)
{
	struct etcd_call *call = context;
	struct etcd_link *link = call->link;

	LIST_REMOVE(call, list);
	call->http = NULL;
	if (result->failure) {
		fail_http(link, result);
	} else if (call->patience == ETCD_PATIENCE_STREAM && result->status == 200) {
		etcd_link_fail(link, ETCD_UNAVAILABLE, "it ended the watch");
	} else {
		if (call->patience != ETCD_PATIENCE_STREAM)
			etcd_limits_note(&link->limits, call->patience,
					 clock_boottime_ns() - call->sent_ns);
		take(call, result->status, result->body, result->body_bytes);
	}
}

void etcd_link_call(struct etcd_link *link, struct etcd_call *call, const char *path, char *body,
		    enum etcd_patience patience)
{
	bool stream = patience == ETCD_PATIENCE_STREAM;
	struct http_request request = {
		.limit_ms = stream ? 0 : etcd_link_limit_ms(link, patience),
		.context = call,
		.line = stream ? on_line : NULL,
		.done = on_done,
	};

	if (call->http || !etcd_link_ready(link))
		goto out;
	call->link = link;
	call->patience = patience;
	call->sent_ns = clock_boottime_ns();
	if (!body || post(link, path, body, &request, &call->http))
		etcd_link_fail(link, ETCD_REFUSED, "no memory");
	else
		LIST_INSERT_HEAD(&link->calls, call, list);
out:
	free(body);
}

const char *etcd_link_reason(const struct etcd_link *link)
{
	return link->reason;
}

const char *etcd_link_endpoint(const struct etcd_link *link)
{
	return link->endpoints[link->current].url;
}

struct http_client *etcd_link_http(struct etcd_link *link)
{
	return link->http;
}

/* Opening and closing */

static void on_closed(uv_handle_t *handle)
{
	struct etcd_link *link = handle->data;

	sodium_memzero(link->token, sizeof(link->token));
	free(link->user);
	free(link->password_file);
	free(link);
}

static void finish(struct etcd_link *link)
{
	http_client_close(link->http);
	uv_close((uv_handle_t *)&link->timer, on_closed);
}

static void on_farewell(void *context, const struct http_result *result)
{
	(void)result;
	finish(context);
}

void etcd_link_close(struct etcd_link *link, uint64_t lease)
{
	struct http_request request = {
		.limit_ms = link->limits.request_limit_ms,
		.context = link,
		.done = on_farewell,
	};
	char *body = lease && etcd_link_ready(link) ? etcd_encode_lease(lease) : NULL;

	link->closing = true;
	etcd_search_close(link->search);
	drop_calls(link);
	if (!body || post(link, "/v3/lease/revoke", body, &request, &link->farewell))
		finish(link);
	free(body);
}

static int copy_string(char **target, const char *source)
{
	if (!source || !*source)
		return 0;
	*target = strdup(source);
	return *target ? 0 : -ENOMEM;
}

static int copy_endpoints(struct etcd_link *link, const struct etcd_settings *settings,
			  struct text *error)
{
	if (!settings->endpoint_count || settings->endpoint_count > ETCD_ENDPOINTS_MAX) {
		text_printf(error, "etcd.endpoints has %u endpoints, expected 1 to %u",
			    settings->endpoint_count, ETCD_ENDPOINTS_MAX);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < settings->endpoint_count; i++) {
		char *url = link->endpoints[i].url;

		if ((strncmp(settings->endpoints[i], "http://", 7) &&
		     strncmp(settings->endpoints[i], "https://", 8)) ||
		    text_copy(url, URL_MAX, settings->endpoints[i])) {
			text_printf(error,
				    "etcd.endpoints has '%.64s', expected http://HOST:PORT or "
				    "https://HOST:PORT",
				    settings->endpoints[i]);
			return -EINVAL;
		}
		for (size_t length = strlen(url); url[length - 1] == '/'; length--)
			url[length - 1] = '\0';
	}
	link->endpoint_count = settings->endpoint_count;
	/* Not all nodes by the same one. */
	link->current = randombytes_uniform(link->endpoint_count);
	return 0;
}

int etcd_link_open(struct etcd_link **ret_link, struct uv_loop_s *loop,
		   const struct etcd_settings *settings, const struct etcd_link_handlers *handlers,
		   struct text *error)
{
	const struct http_client_files files = {settings->ca_file, settings->cert_file,
						settings->key_file};
	struct etcd_link *link = calloc(1, sizeof(*link));
	const struct etcd_search_handlers search_handlers = {link, on_found, on_not_found};
	int err = -ENOMEM;

	if (!link)
		goto out;
	link->loop = loop;
	link->handlers = *handlers;
	link->limits.request_limit_ms = settings->request_limit_ms ?: ETCD_REQUEST_LIMIT_MS_DEFAULT;
	LIST_INIT(&link->calls);
	err = copy_endpoints(link, settings, error);
	if (!err)
		err = copy_string(&link->user, settings->user);
	if (!err)
		err = copy_string(&link->password_file, settings->password_file);
	if (!err)
		err = http_client_open(&link->http, loop, &files);
	if (err)
		goto out;
	err = etcd_search_open(&link->search, loop, link->http, settings->prefix, settings->clients,
			       &search_handlers);
	if (err)
		goto out;
	for (unsigned int i = 0; i < link->endpoint_count; i++)
		etcd_search_add(link->search, link->endpoints[i].url);
	(void)uv_timer_init(loop, &link->timer);
	link->timer.data = link;
	link->searching = true;
	(void)uv_timer_start(&link->timer, on_pause_over, 0, 0);
	*ret_link = link;
	return 0;
out:
	if (err == -ENOMEM)
		text_printf(error, "no memory for the store");
	if (link) {
		if (link->http)
			http_client_close(link->http);
		free(link->user);
		free(link->password_file);
	}
	free(link);
	return err;
}
