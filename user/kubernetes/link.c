// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kubernetes/link.h"

#include "base/clock.h"
#include "base/log.h"
#include "kubernetes/object.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 2000
/* A page of a list: 500 objects of some KiB. */
#define ANSWER_BYTES_MAX (16UL << 20)
/* The kubelet renews a token when a fifth of its time is left, of an hour at the least; client-go
 * reads the file again each minute. */
#define TOKEN_AGE_MAX_NS (60 * NS_PER_S)

struct kubernetes_link {
	uv_timer_t timer; /* ends a pause */
	struct http_client *http;
	struct kubernetes_access access;
	LIST_HEAD(, kubernetes_call) calls;
	unsigned int limit_ms;
	void *context;
	void (*wake)(void *context);

	unsigned int failures; /* in a row */
	uint64_t failure_count;
	bool paused;
	bool closing;
	uint64_t token_ns; /* when it was read, CLOCK_MONOTONIC; 0: not yet, or it was refused */
	char authorization[sizeof("Bearer ") + KUBERNETES_TOKEN_MAX];
	char reason[512];
	char logged[512]; /* the reason that was logged last, since all worked */
	struct http_call *farewell;
};

static const char *const failure_words[] = {
	[HTTP_FAILURE_NAME] = "its host name is not known: check the kubeconfig and the resolver",
	[HTTP_FAILURE_CONNECT] = "cannot connect: is the API server running there?",
	[HTTP_FAILURE_TIME] = "no answer in time: check the API server, and the network",
	[HTTP_FAILURE_CERTIFICATE] =
		"a certificate is not accepted: check the CA's and the client's",
	[HTTP_FAILURE_TLS] = "no TLS: check the server's URL",
	[HTTP_FAILURE_LENGTH] = "its answer is too long",
	[HTTP_FAILURE_BROKEN] = "the connection broke",
	[HTTP_FAILURE_MEMORY] = "no memory",
};

static const char *const outcome_words[] = {
	[KUBERNETES_OK] = "",
	[KUBERNETES_UNAVAILABLE] = "the API server cannot answer now",
	[KUBERNETES_UNAUTHORIZED] = "it does not know this account: check its token or certificate",
	[KUBERNETES_FORBIDDEN] = "this account may not: bind it to the roles in deploy/kubernetes",
	[KUBERNETES_NOT_FOUND] = "there is no such object",
	[KUBERNETES_CONFLICT] = "somebody else has written it since",
	[KUBERNETES_EXISTS] = "it is there already",
	[KUBERNETES_EXPIRED] = "its past is not kept so long",
	[KUBERNETES_REFUSED] = "it refuses what is asked",
};

/* ---- pauses ---- */

bool kubernetes_link_ready(const struct kubernetes_link *link)
{
	return !link->paused && !link->closing;
}

static void on_pause_over(uv_timer_t *timer)
{
	struct kubernetes_link *link = timer->data;

	link->paused = false;
	link->wake(link->context);
}

/* Of several pauses at a time the one that ends last holds. */
static void pause_for(struct kubernetes_link *link, uint64_t pause_ms)
{
	if (link->closing || (link->paused && uv_timer_get_due_in(&link->timer) >= pause_ms))
		return;
	link->paused = true;
	/* Fails only for a timer that is being closed. */
	(void)uv_timer_start(&link->timer, on_pause_over, pause_ms, 0);
}

/* Twice as long with each failure; agents that lost the server together do not come back so. */
static void back_off(struct kubernetes_link *link, unsigned int retry_after_s)
{
	uint64_t pause_ms = PAUSE_MIN_MS << (link->failures < 5 ? link->failures : 5);

	link->failure_count++;
	if (strcmp(link->reason, link->logged) != 0)
		log_warning("Kubernetes API", log_string("reason", link->reason));
	memcpy(link->logged, link->reason, sizeof(link->logged));
	/* Calls that were under way together fail together; but what the server asks for holds. */
	if (link->paused && !retry_after_s)
		return;
	link->failures += !link->paused;
	if (pause_ms > PAUSE_MAX_MS)
		pause_ms = PAUSE_MAX_MS;
	pause_ms = pause_ms / 2 + randombytes_uniform((uint32_t)pause_ms);
	if (retry_after_s)
		pause_ms = retry_after_s * UINT64_C(1000) + randombytes_uniform(PAUSE_MIN_MS);
	pause_for(link, pause_ms);
}

void kubernetes_link_fail(struct kubernetes_link *link, const char *reason)
{
	struct text text = TEXT(link->reason);

	text_printf(&text, "%s", reason);
	back_off(link, 0);
}

void kubernetes_link_wake(struct kubernetes_link *link)
{
	link->wake(link->context);
}

void kubernetes_link_settled(struct kubernetes_link *link)
{
	link->failures = 0;
	link->reason[0] = link->logged[0] = '\0';
}

/* ---- the token ---- */

static void read_token(struct kubernetes_link *link)
{
	char token[KUBERNETES_TOKEN_MAX];
	char reason[512] = "";
	struct text error = TEXT(reason);

	link->token_ns = clock_monotonic_ns();
	if (kubernetes_access_read_token(&link->access, token, &error))
		/* The one before may still be good. */
		log_warning("Kubernetes token not read", log_string("reason", reason));
	else if (*token)
		snprintf(link->authorization, sizeof(link->authorization), "Bearer %s", token);
	sodium_memzero(token, sizeof(token));
}

static const char *authorization(struct kubernetes_link *link)
{
	if (!link->token_ns || clock_monotonic_ns() > link->token_ns + TOKEN_AGE_MAX_NS)
		read_token(link);
	return *link->authorization ? link->authorization : NULL;
}

/* ---- answers ---- */

static enum kubernetes_outcome outcome_of(unsigned int status, const json_t *root)
{
	const char *reason = kubernetes_text(root, "reason");

	switch (status) {
	case 200 ... 299:
		return KUBERNETES_OK;
	case 401:
		return KUBERNETES_UNAUTHORIZED;
	case 403:
		return KUBERNETES_FORBIDDEN;
	case 404:
		return KUBERNETES_NOT_FOUND;
	case 409:
		return strcmp(reason, "AlreadyExists") ? KUBERNETES_CONFLICT : KUBERNETES_EXISTS;
	case 410:
		return KUBERNETES_EXPIRED;
	case 429:
	case 500 ... 599:
		return KUBERNETES_UNAVAILABLE;
	default:
		return KUBERNETES_REFUSED;
	}
}

static void explain(const struct kubernetes_call *call, enum kubernetes_outcome outcome,
		    const struct http_result *result, const json_t *root, struct text *text)
{
	const char *words = kubernetes_text(root, "message");

	if (!outcome)
		return;
	text_printf(text, "%s: %s %s: ", call->link->access.server, call->method, call->what);
	if (result->failure)
		text_printf(text, "%s (%s)", failure_words[result->failure], result->message);
	else
		text_printf(text, "%s (%u%s%.200s)", outcome_words[outcome], result->status,
			    *words ? ": " : "", words);
	text_make_printable(text->data);
}

static void on_done(void *context, const struct http_result *result)
{
	struct kubernetes_call *call = context;
	struct kubernetes_link *link = call->link;
	char message[512] = "";
	struct text text = TEXT(message);
	json_t *root = json_loadb(result->body, result->body_bytes, JSON_REJECT_DUPLICATES, NULL);
	struct kubernetes_answer answer = {
		.root = root,
		.message = message,
		.sent_ns = call->sent_ns,
	};

	call->http = NULL;
	LIST_REMOVE(call, list);
	answer.outcome =
		result->failure ? KUBERNETES_UNAVAILABLE : outcome_of(result->status, root);
	/* Whatever lies between may answer for the server, and not in JSON. */
	if (!answer.outcome && !root && !call->line)
		answer.outcome = KUBERNETES_REFUSED;
	explain(call, answer.outcome, result, root, &text);
	switch (answer.outcome) {
	case KUBERNETES_UNAUTHORIZED:
		link->token_ns = 0;
		/* fallthrough */
	case KUBERNETES_UNAVAILABLE:
		(void)text_copy(link->reason, sizeof(link->reason), message);
		back_off(link, result->retry_after_s);
		break;
	default:
		break;
	}
	call->answered(call->context, &answer);
	json_decref(root);
	if (!link->closing)
		link->wake(link->context);
}

static void on_line(void *context, const char *line, size_t length)
{
	struct kubernetes_call *call = context;

	call->line(call->context, line, length);
}

/* ---- calls ---- */

/* Fills in what all requests have, and sends it. */
static int send_request(struct kubernetes_link *link, const struct kubernetes_request *request,
			struct http_request http, struct http_call **ret_call)
{
	char url[KUBERNETES_URL_MAX + KUBERNETES_PATH_MAX], content_type[64];
	int length = snprintf(url, sizeof(url), "%s%s", link->access.server, request->path);
	char *body = request->body ? json_dumps(request->body, JSON_COMPACT) : NULL;
	int err = -EINVAL;

	snprintf(content_type, sizeof(content_type), "application/%s%sjson", request->patch ?: "",
		 request->patch ? "+" : "");
	http.method = request->method;
	http.url = url;
	http.body = body;
	http.content_type = content_type;
	http.authorization = authorization(link);
	http.connect_limit_ms = link->limit_ms;
	http.bytes_max = ANSWER_BYTES_MAX;
	if (request->body && !body)
		err = -ENOMEM;
	else if (length > 0 && (size_t)length < sizeof(url))
		err = http_client_send(link->http, &http, ret_call);
	free(body);
	return err;
}

void kubernetes_link_call(struct kubernetes_link *link, struct kubernetes_call *call,
			  const struct kubernetes_request *request)
{
	struct http_request http = {
		.limit_ms = call->line ? 0 : link->limit_ms,
		.context = call,
		.line = call->line ? on_line : NULL,
		.done = on_done,
	};
	int err = -ENOMEM;

	if (call->http || !kubernetes_link_ready(link))
		goto out;
	call->link = link;
	call->method = request->method;
	snprintf(call->what, sizeof(call->what), "%.*s", (int)strcspn(request->path, "?"),
		 request->path);
	call->sent_ns = clock_boottime_ns();
	if (request->body || !strcmp(request->method, "GET") || !strcmp(request->method, "DELETE"))
		err = send_request(link, request, http, &call->http);
	if (err)
		kubernetes_link_fail(link, err == -ENOMEM ? "no memory" : "a URL is too long");
	else
		LIST_INSERT_HEAD(&link->calls, call, list);
out:
	json_decref(request->body);
}

void kubernetes_call_cancel(struct kubernetes_call *call)
{
	if (!call->http)
		return;
	http_call_cancel(call->http);
	call->http = NULL;
	LIST_REMOVE(call, list);
}

uint64_t kubernetes_link_failures(const struct kubernetes_link *link)
{
	return link->failure_count;
}

const char *kubernetes_link_reason(const struct kubernetes_link *link)
{
	return link->reason;
}

const char *kubernetes_link_server(const struct kubernetes_link *link)
{
	return link->access.server;
}

const char *kubernetes_link_namespace(const struct kubernetes_link *link)
{
	return link->access.namespace;
}

/* ---- opening and closing ---- */

static void on_timer_closed(uv_handle_t *handle)
{
	struct kubernetes_link *link = handle->data;

	kubernetes_access_close(&link->access);
	sodium_memzero(link->authorization, sizeof(link->authorization));
	free(link);
}

static void finish(struct kubernetes_link *link)
{
	http_client_close(link->http);
	uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}

static void on_farewell(void *context, const struct http_result *result)
{
	(void)result;
	finish(context);
}

void kubernetes_link_close(struct kubernetes_link *link, const struct kubernetes_request *last)
{
	struct http_request http = {
		.limit_ms = link->limit_ms,
		.context = link,
		.done = on_farewell,
	};
	bool ready = kubernetes_link_ready(link);

	while (!LIST_EMPTY(&link->calls))
		kubernetes_call_cancel(LIST_FIRST(&link->calls));
	link->closing = true;
	if (!last || !ready || send_request(link, last, http, &link->farewell))
		finish(link);
	if (last)
		json_decref(last->body);
}

int kubernetes_link_open(struct kubernetes_link **ret_link, struct uv_loop_s *loop,
			 const char *kubeconfig, unsigned int limit_ms, void *context,
			 void (*wake)(void *context), struct text *error)
{
	struct kubernetes_link *link = calloc(1, sizeof(*link));
	struct http_client_files files;
	int err = -ENOMEM;

	if (!link)
		goto failed;
	link->limit_ms = limit_ms;
	link->context = context;
	link->wake = wake;
	LIST_INIT(&link->calls);
	err = kubernetes_access_open(&link->access, kubeconfig, error);
	if (err)
		goto failed;
	files = (struct http_client_files){
		.ca_file = link->access.ca_file,
		.cert_file = link->access.cert_file,
		.key_file = link->access.key_file,
	};
	err = http_client_open(&link->http, loop, &files);
	if (err)
		goto failed;
	/* Cannot fail. */
	(void)uv_timer_init(loop, &link->timer);
	link->timer.data = link;
	*ret_link = link;
	return 0;

failed:
	if (err == -ENOMEM)
		text_printf(error, "no memory for the Kubernetes API");
	if (link)
		kubernetes_access_close(&link->access);
	free(link);
	return err;
}
