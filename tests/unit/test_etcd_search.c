// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which endpoint is taken, when some are silent, refuse, or lose a question. */
#include "cluster/etcd_search.h"

#include "unit/fake_http.h"
#include "unit/loop.h"
#include "unit/slowdown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ENDPOINTS 3
#define LIMIT_MS  8000 /* nothing here may need as long */
#define NOTHING	  UINT_MAX

struct endpoint {
	struct bench *bench;
	struct fake_http fake;
	char url[64];
	unsigned int lost; /* so many of the first questions are never answered */
	unsigned int asked;
	unsigned int status;
	const char *body;
};

struct bench {
	uv_loop_t loop;
	struct http_client *http;
	struct etcd_search *search;
	struct endpoint endpoints[ENDPOINTS];
	unsigned int found, failures[ENDPOINTS];
	enum etcd_error error; /* the last; OK: of HTTP */
};

static void on_request(void *context, struct fake_client *client, const char *path,
		       const char *body)
{
	struct endpoint *endpoint = context;

	assert_string_equal(path, "/v3/kv/deleterange");
	/* "/t/", where there is no key. */
	assert_string_equal(body, "{\"key\":\"L3Qv\"}");
	if (++endpoint->asked > endpoint->lost)
		fake_answer(client, endpoint->status, endpoint->body);
}

static void on_found(void *context, unsigned int endpoint)
{
	struct bench *bench = context;

	assert_int_equal(bench->found, NOTHING);
	bench->found = endpoint;
}

static void on_failed(void *context, unsigned int endpoint, const struct http_result *result,
		      enum etcd_error error, const char *words)
{
	struct bench *bench = context;

	assert_int_equal(bench->found, NOTHING);
	bench->failures[endpoint]++;
	bench->error = error;
	assert_true(result ? result->failure && !error : error && *words);
}

/* All answer well. */
static int setup(void **state)
{
	static const struct http_client_files none = {0};
	struct bench *bench = calloc(1, sizeof(*bench));
	const struct etcd_search_handlers handlers = {bench, on_found, on_failed};

	assert_non_null(bench);
	bench->found = NOTHING;
	assert_int_equal(uv_loop_init(&bench->loop), 0);
	assert_int_equal(http_client_open(&bench->http, &bench->loop, &none), 0);
	assert_int_equal(
		etcd_search_open(&bench->search, &bench->loop, bench->http, "/t/", 0, &handlers),
		0);
	for (unsigned int i = 0; i < ENDPOINTS; i++) {
		struct endpoint *endpoint = &bench->endpoints[i];

		endpoint->status = 200;
		endpoint->body = "{\"header\":{\"revision\":\"5\"}}";
		endpoint->fake.context = endpoint;
		endpoint->fake.request = on_request;
		fake_open(&endpoint->fake, &bench->loop);
		snprintf(endpoint->url, sizeof(endpoint->url), "http://127.0.0.1:%u",
			 endpoint->fake.port);
		etcd_search_add(bench->search, endpoint->url);
	}
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	etcd_search_close(bench->search);
	http_client_close(bench->http);
	for (unsigned int i = 0; i < ENDPOINTS; i++)
		fake_close(&bench->endpoints[i].fake);
	loop_end(&bench->loop);
	free(bench);
	return 0;
}

static void begin(struct bench *bench, unsigned int first)
{
	bench->found = NOTHING;
	memset(bench->failures, 0, sizeof(bench->failures));
	for (unsigned int i = 0; i < ENDPOINTS; i++)
		bench->endpoints[i].asked = 0;
	etcd_search_begin(bench->search, first, "", LIMIT_MS);
}

#define wait_for(bench, condition)                                                         \
	do {                                                                               \
		uint64_t limit_ns_ = clock_monotonic_ns() + LIMIT_MS / 2 * NS_PER_MS;      \
		while (!(condition)) {                                                     \
			if (clock_monotonic_ns() > limit_ns_)                              \
				fail_msg("line %d: never came: %s", __LINE__, #condition); \
			loop_turn(&(bench)->loop);                                         \
		}                                                                          \
	} while (0)

static unsigned int asked(const struct bench *bench)
{
	unsigned int sum = 0;

	for (unsigned int i = 0; i < ENDPOINTS; i++)
		sum += bench->endpoints[i].asked;
	return sum;
}

/* One that works is asked alone, and once. */
static void test_first(void **state)
{
	struct bench *bench = *state;

	if (slowdown() > 1) {
		print_message("at this speed the next are asked before the first has answered\n");
		skip();
	}
	for (unsigned int first = 0; first < ENDPOINTS; first++) {
		begin(bench, first);
		wait_for(bench, bench->found != NOTHING);
		loop_turn_for(&bench->loop, 100 * NS_PER_MS);
		assert_false(etcd_search_is_vain(bench->search));
		/* A slow machine may have found the second faster. */
		if (bench->found == first)
			assert_int_equal(bench->endpoints[first].asked, 1);
		assert_true(asked(bench) <= ENDPOINTS);
	}
}

/* The silent ones cost nothing but the stagger, and nobody calls them bad. */
static void test_silent(void **state)
{
	struct bench *bench = *state;

	bench->endpoints[0].lost = bench->endpoints[1].lost = UINT_MAX;
	begin(bench, 0);
	wait_for(bench, bench->found != NOTHING);
	assert_int_equal(bench->found, 2);
	for (unsigned int i = 0; i < ENDPOINTS; i++)
		assert_int_equal(bench->failures[i], 0);
}

/* A member may lose a question for ever: the next one is answered, long before the limit. */
static void test_lost_question(void **state)
{
	struct bench *bench = *state;

	bench->endpoints[0].lost = bench->endpoints[2].lost = UINT_MAX;
	bench->endpoints[1].lost = 3;
	begin(bench, 0);
	wait_for(bench, bench->found != NOTHING);
	assert_int_equal(bench->found, 1);
	assert_int_equal(bench->endpoints[1].asked, 4);
}

/* What is an answer, if only a refusal, and what is none. */
static void test_answers(void **state)
{
	static const struct {
		unsigned int status;
		const char *body;
		enum etcd_error error;
	} answers[] = {
		{503, "{\"error\":\"etcdserver: no leader\",\"code\":14}", ETCD_UNAVAILABLE},
		{200, "<html>hello</html>", ETCD_GARBAGE},
		{501, "{\"error\":\"what is that\",\"code\":12}", ETCD_REFUSED},
		{403, "{\"error\":\"etcdserver: permission denied\",\"code\":7}", ETCD_OK},
		{401, "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}", ETCD_OK},
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		for (unsigned int j = 0; j < ENDPOINTS; j++) {
			bench->endpoints[j].status = answers[i].status;
			bench->endpoints[j].body = answers[i].body;
		}
		begin(bench, 0);
		if (!answers[i].error) {
			wait_for(bench, bench->found != NOTHING);
			continue;
		}
		wait_for(bench, etcd_search_is_vain(bench->search));
		assert_int_equal(bench->error, answers[i].error);
		assert_int_equal(bench->found, NOTHING);
	}
}

/* Where nothing listens, all are called bad, and asked again until one works. */
static void test_vain(void **state)
{
	struct bench *bench = *state;
	const char *well = bench->endpoints[1].body;

	fake_close(&bench->endpoints[0].fake);
	fake_close(&bench->endpoints[2].fake);
	bench->endpoints[1].status = 503;
	bench->endpoints[1].body = "oops";
	begin(bench, 2);
	wait_for(bench, bench->failures[0] > 1 && bench->failures[1] > 1 && bench->failures[2] > 1);
	assert_true(etcd_search_is_vain(bench->search));
	bench->endpoints[1].status = 200;
	bench->endpoints[1].body = well;
	wait_for(bench, bench->found != NOTHING);
	assert_int_equal(bench->found, 1);
	assert_false(etcd_search_is_vain(bench->search));
	/* For teardown. */
	fake_open(&bench->endpoints[0].fake, &bench->loop);
	fake_open(&bench->endpoints[2].fake, &bench->loop);
}

static void test_end(void **state)
{
	struct bench *bench = *state;
	unsigned int before;

	for (unsigned int i = 0; i < ENDPOINTS; i++)
		bench->endpoints[i].lost = UINT_MAX;
	begin(bench, 0);
	wait_for(bench, asked(bench) > ENDPOINTS);
	etcd_search_end(bench->search);
	/* What was sent before may lie unread at the endpoints, which are of the same loop. */
	loop_turn_for(&bench->loop, 50 * NS_PER_MS);
	before = asked(bench);
	loop_turn_for(&bench->loop, 300 * NS_PER_MS);
	assert_int_equal(asked(bench), before);
	assert_int_equal(bench->found, NOTHING);
}

/* Less and less often, and of the questions of an endpoint no more than two stand. */
static void test_bounds(void **state)
{
	struct bench *bench = *state;

	for (unsigned int i = 0; i < ENDPOINTS; i++)
		bench->endpoints[i].lost = UINT_MAX;
	begin(bench, 0);
	loop_turn_for(&bench->loop, 3 * NS_PER_S);
	for (unsigned int i = 0; i < ENDPOINTS; i++) {
		unsigned int open = 0;

		for (unsigned int j = 0; j < FAKE_CLIENTS_MAX; j++)
			open += bench->endpoints[i].fake.clients[j].open;
		assert_int_equal(open, 2);
		/* 8 times after 62 to 125 ms, 8 times after 125 to 250, then after 250 to 500. */
		assert_in_range(bench->endpoints[i].asked, 14, 28);
		assert_int_equal(bench->failures[i], 0);
	}
}

/* Slower than questions follow each other: the oldest one is waited for. */
static void test_slow(void **state)
{
	struct bench *bench = *state;
	struct fake_client *slow = &bench->endpoints[0].fake.clients[0];

	for (unsigned int i = 0; i < ENDPOINTS; i++)
		bench->endpoints[i].lost = UINT_MAX;
	begin(bench, 0);
	loop_turn_for(&bench->loop, NS_PER_S);
	assert_int_equal(bench->found, NOTHING);
	assert_true(slow->open);
	fake_answer(slow, 200, bench->endpoints[0].body);
	wait_for(bench, bench->found != NOTHING);
	assert_int_equal(bench->found, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_question, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
