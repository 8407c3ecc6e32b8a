// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/etcd_search.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define URL_MAX		 384
#define ANSWER_BYTES_MAX 65536

/* From one endpoint to the next: some round trips, so that a healthy one is not outrun by those
 * behind it, and the nodes of a cluster stay spread over the endpoints. */
#define STAGGER_NS (30 * NS_PER_MS)
/* From one question to the next, where few ask. Twice as long after each ASKED_EVENLY: an election
 * of etcd's, up to 2 s, is to be noticed when it is over; a long outage is not to be made worse. */
#define AGAIN_MIN_NS (125 * NS_PER_MS)
#define AGAIN_MAX_NS NS_PER_S
#define ASKED_EVENLY 8
/* Longer by as much as there are more clients: each question costs etcd a connection, and TLS. */
#define CLIENTS_FEW 50
/* Of the questions of one endpoint the oldest stands until it is answered or its limit is over, for
 * a slow store; the newest, for a member that has lost those before, gives way to the next. */
enum standing {
	STANDING_OLDEST,
	STANDING_NEWEST,
	STANDING_COUNT,
};

struct question {
	struct etcd_search *search;
	struct http_call *http; /* NULL: this place is free */
	unsigned int endpoint;
};

struct candidate {
	const char *url;
	uint64_t due_ns; /* of its next question, CLOCK_MONOTONIC */
	unsigned int asked;
	bool failed;
	struct question questions[STANDING_COUNT];
};

struct etcd_search {
	uv_loop_t *loop;
	uv_timer_t timer;
	struct http_client *http;
	struct etcd_search_handlers handlers;
	char *body;
	const char *token;
	unsigned int limit_ms;
	unsigned int clients;
	unsigned int count;
	struct candidate candidates[ETCD_ENDPOINTS_MAX];
};

static void arm_timer(struct etcd_search *search);

/* Half as long to as long, so that not all nodes of a cluster ask at once. */
static uint64_t again_ns(const struct etcd_search *search, unsigned int asked)
{
	uint64_t longest_ns = AGAIN_MIN_NS * (1 + search->clients / CLIENTS_FEW);

	for (; asked > ASKED_EVENLY && longest_ns < AGAIN_MAX_NS; asked -= ASKED_EVENLY)
		longest_ns *= 2;
	if (longest_ns > AGAIN_MAX_NS)
		longest_ns = AGAIN_MAX_NS;
	return longest_ns - randombytes_uniform((uint32_t)(longest_ns / 2));
}

/* It has a leader and says so, if only by refusing this user. */
static bool is_answer(enum etcd_error error)
{
	return error != ETCD_GARBAGE && error != ETCD_UNAVAILABLE && error != ETCD_REFUSED;
}

static void fail(struct etcd_search *search, unsigned int endpoint,
		 const struct http_result *result, enum etcd_error error, const char *words)
{
	search->candidates[endpoint].failed = true;
	/* Nothing is to be gained by staggering any more. */
	for (unsigned int i = 0; i < search->count; i++)
		if (!search->candidates[i].asked)
			search->candidates[i].due_ns = 0;
	arm_timer(search);
	search->handlers.failed(search->handlers.context, endpoint, result, error, words);
}

static void on_answer(void *context, const struct http_result *result)
{
	struct question *question = context;
	struct etcd_search *search = question->search;
	char words[256] = "";
	struct text text = TEXT(words);
	enum etcd_error error;
	json_t *root;

	question->http = NULL;
	if (result->failure) {
		fail(search, question->endpoint, result, ETCD_OK, "");
		return;
	}
	root = etcd_parse(result->body, result->body_bytes);
	error = etcd_decode_error(result->status, root, result->body, &text);
	json_decref(root);
	if (is_answer(error)) {
		search->candidates[question->endpoint].failed = false;
		etcd_search_end(search);
		search->handlers.found(search->handlers.context, question->endpoint);
	} else {
		fail(search, question->endpoint, NULL, error, words);
	}
}

static void withdraw(struct question *question)
{
	if (question->http)
		http_call_cancel(question->http);
	question->http = NULL;
}

/* For which there is no memory waits for its next turn. */
static void ask(struct etcd_search *search, unsigned int endpoint)
{
	struct candidate *candidate = &search->candidates[endpoint];
	bool first = !candidate->questions[STANDING_OLDEST].http;
	struct question *question =
		&candidate->questions[first ? STANDING_OLDEST : STANDING_NEWEST];
	char url[URL_MAX];
	struct http_request request = {
		.url = url,
		.body = search->body,
		.authorization = *search->token ? search->token : NULL,
		.limit_ms = search->limit_ms,
		.connect_limit_ms = search->limit_ms,
		.bytes_max = ANSWER_BYTES_MAX,
		.context = question,
		.done = on_answer,
	};

	candidate->due_ns = clock_monotonic_ns() + again_ns(search, ++candidate->asked);
	withdraw(question);
	question->search = search;
	question->endpoint = endpoint;
	snprintf(url, sizeof(url), "%s/v3/kv/deleterange", candidate->url);
	if (http_client_send(search->http, &request, &question->http))
		question->http = NULL;
}

static void on_timer(uv_timer_t *timer)
{
	struct etcd_search *search = timer->data;
	uint64_t now_ns = clock_monotonic_ns();

	for (unsigned int i = 0; i < search->count; i++)
		if (search->candidates[i].due_ns <= now_ns)
			ask(search, i);
	arm_timer(search);
}

static void arm_timer(struct etcd_search *search)
{
	uint64_t now_ns = clock_monotonic_ns(), due_ns = UINT64_MAX, wait_ns;

	for (unsigned int i = 0; i < search->count; i++)
		if (search->candidates[i].due_ns < due_ns)
			due_ns = search->candidates[i].due_ns;
	wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
	uv_update_time(search->loop);
	/* Only fails for a timer that is being closed. */
	(void)uv_timer_start(&search->timer, on_timer, (wait_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
}

void etcd_search_begin(struct etcd_search *search, unsigned int first, const char *token,
		       unsigned int limit_ms)
{
	uint64_t now_ns = clock_monotonic_ns();

	etcd_search_end(search);
	for (unsigned int i = 0; i < search->count; i++) {
		struct candidate *candidate = &search->candidates[(first + i) % search->count];

		candidate->due_ns = now_ns + i * STAGGER_NS;
		candidate->asked = 0;
		candidate->failed = false;
	}
	search->token = token;
	search->limit_ms = limit_ms;
	arm_timer(search);
}

bool etcd_search_is_vain(const struct etcd_search *search)
{
	for (unsigned int i = 0; i < search->count; i++)
		if (!search->candidates[i].failed)
			return false;
	return true;
}

void etcd_search_end(struct etcd_search *search)
{
	(void)uv_timer_stop(&search->timer);
	for (unsigned int i = 0; i < search->count; i++)
		for (unsigned int j = 0; j < STANDING_COUNT; j++)
			withdraw(&search->candidates[i].questions[j]);
}

void etcd_search_add(struct etcd_search *search, const char *url)
{
	if (search->count < ETCD_ENDPOINTS_MAX)
		search->candidates[search->count++].url = url;
}

int etcd_search_open(struct etcd_search **ret_search, struct uv_loop_s *loop,
		     struct http_client *http, const char *prefix, unsigned int clients,
		     const struct etcd_search_handlers *handlers)
{
	struct etcd_search *search = calloc(1, sizeof(*search));

	if (!search)
		return -ENOMEM;
	search->body = etcd_encode_delete(prefix);
	if (!search->body) {
		free(search);
		return -ENOMEM;
	}
	search->loop = loop;
	search->http = http;
	search->clients = clients;
	search->handlers = *handlers;
	(void)uv_timer_init(loop, &search->timer);
	search->timer.data = search;
	*ret_search = search;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct etcd_search *search = handle->data;

	free(search->body);
	free(search);
}

void etcd_search_close(struct etcd_search *search)
{
	if (!search)
		return;
	etcd_search_end(search);
	uv_close((uv_handle_t *)&search->timer, on_closed);
}
