// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "http/http_client.h"

#include "unit/fake_http.h"
#include "unit/loop.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES_MAX 4096
#define SHORT_MS  300

struct bench;

/* What was asked for and what came of it. */
struct asked {
	struct bench *bench;
	struct http_call *call;
	char lines[16384]; /* each with a '|' */
	unsigned int done;
	enum http_failure failure;
	unsigned int status;
	char body[BYTES_MAX + 1], message[256];
	bool cancel_in_line, close_in_line, close_in_done, ask_in_done;
};

struct bench {
	uv_loop_t loop;
	struct fake_http fake;
	struct http_client *client;
	struct fake_client *last;
	char request[FAKE_REQUEST_MAX]; /* as the server got it last */
	struct asked asked, second;
	const char *reply;     /* raw bytes; NULL: none yet */
	unsigned int limit_ms; /* of a request; SHORT_MS where it is to be reached */
};

static void on_request(void *context, struct fake_client *client, const char *path,
		       const char *body)
{
	struct bench *bench = context;

	(void)body;
	bench->last = client;
	strcpy(bench->request, client->request);
	if (!strcmp(path, "/chunks"))
		fake_begin_chunks(client);
	else if (bench->reply)
		fake_send(client, bench->reply, strlen(bench->reply));
}

static int setup(void **state)
{
	static const struct http_client_files none;
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	assert_int_equal(uv_loop_init(&bench->loop), 0);
	bench->limit_ms = LOOP_LIMIT_NS / NS_PER_MS;
	bench->fake.context = bench;
	bench->fake.request = on_request;
	fake_open(&bench->fake, &bench->loop);
	assert_int_equal(http_client_open(&bench->client, &bench->loop, &none), 0);
	bench->asked.bench = bench;
	bench->second.bench = bench;
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	http_client_close(bench->client);
	fake_close(&bench->fake);
	loop_end(&bench->loop);
	free(bench);
	return 0;
}

static void ask(struct bench *bench, struct asked *asked, const char *path, const char *body,
		bool lines);

static void on_line(void *context, const char *line, size_t length)
{
	struct asked *asked = context;

	assert_int_equal(strlen(line), length);
	assert_int_equal(asked->done, 0);
	strcat(asked->lines, line);
	strcat(asked->lines, "|");
	if (asked->cancel_in_line)
		http_call_cancel(asked->call);
	if (asked->close_in_line) {
		http_client_close(asked->bench->client);
		asked->bench->client = NULL;
	}
}

static void on_done(void *context, const struct http_result *result)
{
	struct asked *asked = context;

	asked->done++;
	asked->failure = result->failure;
	asked->status = result->status;
	assert_int_equal(strlen(result->body), result->body_bytes);
	assert_true(!!result->failure == !!*result->message);
	snprintf(asked->body, sizeof(asked->body), "%s", result->body);
	snprintf(asked->message, sizeof(asked->message), "%s", result->message);
	if (asked->ask_in_done) {
		http_client_drop_connections(asked->bench->client);
		ask(asked->bench, &asked->bench->second, "/", NULL, false);
	}
	if (asked->close_in_done) {
		http_client_close(asked->bench->client);
		asked->bench->client = NULL;
	}
}

static void ask_of(struct bench *bench, struct asked *asked, const char *url, const char *body,
		   bool lines)
{
	const struct http_request request = {
		.url = url,
		.body = body,
		.authorization = body ? "secret" : NULL,
		.limit_ms = bench->limit_ms,
		.bytes_max = BYTES_MAX,
		.context = asked,
		.line = lines ? on_line : NULL,
		.done = on_done,
	};

	asked->done = 0;
	*asked->lines = '\0';
	assert_int_equal(http_client_send(bench->client, &request, &asked->call), 0);
	/* Never from within. */
	assert_int_equal(asked->done, 0);
}

static void ask(struct bench *bench, struct asked *asked, const char *path, const char *body,
		bool lines)
{
	char url[128];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", bench->fake.port, path);
	ask_of(bench, asked, url, body, lines);
}

static void wait_done(struct bench *bench, const struct asked *asked)
{
	uint64_t limit_ns = clock_monotonic_ns() + LOOP_LIMIT_NS;

	while (!asked->done) {
		assert_true(clock_monotonic_ns() < limit_ns);
		loop_turn(&bench->loop);
	}
	assert_int_equal(asked->done, 1);
}

static void wait_lines(struct bench *bench, const struct asked *asked, const char *lines)
{
	uint64_t limit_ns = clock_monotonic_ns() + LOOP_LIMIT_NS;

	while (strcmp(asked->lines, lines)) {
		if (clock_monotonic_ns() > limit_ns)
			fail_msg("expected '%s', not '%s'", lines, asked->lines);
		loop_turn(&bench->loop);
	}
}

static void wait_request(struct bench *bench)
{
	uint64_t limit_ns = clock_monotonic_ns() + LOOP_LIMIT_NS;

	while (!bench->last) {
		assert_true(clock_monotonic_ns() < limit_ns);
		loop_turn(&bench->loop);
	}
}

static void test_answer(void **state)
{
	struct bench *bench = *state;

	bench->reply = "HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nhello";
	for (unsigned int i = 0; i < 5; i++) {
		ask(bench, &bench->asked, "/a/b", "{\"x\":1}", false);
		wait_done(bench, &bench->asked);
		assert_int_equal(bench->asked.failure, HTTP_FAILURE_NONE);
		assert_int_equal(bench->asked.status, 503);
		assert_string_equal(bench->asked.body, "hello");
	}
	assert_int_equal(strncmp(bench->request, "POST /a/b HTTP/1.1\r\n", 20), 0);
	assert_non_null(strstr(bench->request, "\r\nAuthorization: secret\r\n"));
	assert_non_null(strstr(bench->request, "\r\nContent-Type: application/json\r\n"));
	assert_null(strstr(bench->request, "Expect"));
	assert_non_null(strstr(bench->request, "\r\n\r\n{\"x\":1}"));
	assert_int_equal(bench->fake.accepted, 1);
	http_client_drop_connections(bench->client);
	ask(bench, &bench->asked, "/", NULL, false);
	wait_done(bench, &bench->asked);
	assert_int_equal(strncmp(bench->request, "GET / HTTP/1.1\r\n", 16), 0);
	assert_int_equal(bench->fake.accepted, 2);
}

static void test_lines(void **state)
{
	struct bench *bench = *state;

	ask(bench, &bench->asked, "/chunks", "{}", true);
	wait_request(bench);
	fake_send_chunk(bench->last, "one\ntw");
	wait_lines(bench, &bench->asked, "one|");
	fake_send_chunk(bench->last, "o\n\nthree\nfo");
	wait_lines(bench, &bench->asked, "one|two|three|");
	fake_send(bench->last, "2\r\nur\r\n0\r\n\r\n", 12);
	wait_done(bench, &bench->asked);
	assert_string_equal(bench->asked.lines, "one|two|three|four|");
	assert_int_equal(bench->asked.failure, HTTP_FAILURE_NONE);
	assert_string_equal(bench->asked.body, "");

	/* No lines of anything but a good answer. */
	bench->reply = "HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\na\nb\nc";
	ask(bench, &bench->asked, "/", "{}", true);
	wait_done(bench, &bench->asked);
	assert_string_equal(bench->asked.lines, "");
	assert_string_equal(bench->asked.body, "a\nb\nc");
}

static void test_failures(void **state)
{
	static const struct {
		const char *reply;
		enum http_failure failure;
	} cases[] = {
		{"no HTTP at all\r\n\r\n", HTTP_FAILURE_BROKEN},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", HTTP_FAILURE_TIME},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
		 HTTP_FAILURE_BROKEN},
		{NULL, HTTP_FAILURE_TIME},
	};
	struct bench *bench = *state;
	uint64_t start_ns;
	char url[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bench->reply = cases[i].reply;
		bench->limit_ms = cases[i].failure == HTTP_FAILURE_TIME ? SHORT_MS
									: LOOP_LIMIT_NS / NS_PER_MS;
		start_ns = clock_monotonic_ns();
		ask(bench, &bench->asked, "/", "{}", false);
		wait_done(bench, &bench->asked);
		if (bench->asked.failure != cases[i].failure)
			fail_msg("case %zu: %d, '%s'", i, bench->asked.failure,
				 bench->asked.message);
		if (cases[i].failure == HTTP_FAILURE_TIME)
			assert_true(clock_monotonic_ns() - start_ns >= (SHORT_MS - 10) * NS_PER_MS);
	}
	bench->limit_ms = LOOP_LIMIT_NS / NS_PER_MS;
	bench->last = NULL;
	ask(bench, &bench->asked, "/", "{}", false);
	wait_request(bench);
	fake_hang_up(bench->last);
	wait_done(bench, &bench->asked);
	assert_int_equal(bench->asked.failure, HTTP_FAILURE_BROKEN);

	/* A resolver may take longer than any test waits. */
	bench->limit_ms = SHORT_MS;
	ask_of(bench, &bench->asked, "http://name.invalid:1/", "{}", false);
	wait_done(bench, &bench->asked);
	assert_true(bench->asked.failure == HTTP_FAILURE_NAME ||
		    bench->asked.failure == HTTP_FAILURE_TIME);
	/* A port that nobody listens on: this one's, after it. */
	bench->limit_ms = LOOP_LIMIT_NS / NS_PER_MS;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", bench->fake.port);
	fake_close(&bench->fake);
	loop_turn(&bench->loop);
	loop_turn(&bench->loop);
	ask_of(bench, &bench->asked, url, "{}", false);
	wait_done(bench, &bench->asked);
	assert_int_equal(bench->asked.failure, HTTP_FAILURE_CONNECT);
	fake_open(&bench->fake, &bench->loop);
}

/* An answer that has come while the loop stood still counts. */
static void test_loop_stood_still(void **state)
{
	struct bench *bench = *state;

	/* By a connection that is there: for a new one libcurl has timers of its own. */
	bench->reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	ask(bench, &bench->asked, "/", "{}", false);
	wait_done(bench, &bench->asked);
	bench->reply = NULL;
	bench->last = NULL;
	bench->limit_ms = SHORT_MS;
	ask(bench, &bench->asked, "/", "{}", false);
	wait_request(bench);
	fake_answer(bench->last, 200, "late");
	poll(NULL, 0, SHORT_MS + 100);
	wait_done(bench, &bench->asked);
	assert_int_equal(bench->asked.failure, HTTP_FAILURE_NONE);
	assert_string_equal(bench->asked.body, "late");
}

static void test_too_long(void **state)
{
	static char body[BYTES_MAX + 2];
	struct bench *bench = *state;

	memset(body, 'x', sizeof(body) - 1);
	ask(bench, &bench->asked, "/chunks", "{}", false);
	wait_request(bench);
	fake_send_chunk(bench->last, body);
	wait_done(bench, &bench->asked);
	assert_int_equal(bench->asked.failure, HTTP_FAILURE_LENGTH);
	/* As much as is allowed. */
	body[BYTES_MAX] = '\0';
	bench->last = NULL;
	ask(bench, &bench->asked, "/chunks", "{}", false);
	wait_request(bench);
	fake_send_chunk(bench->last, body);
	fake_send(bench->last, "0\r\n\r\n", 5);
	wait_done(bench, &bench->asked);
	assert_int_equal(bench->asked.failure, HTTP_FAILURE_NONE);
	assert_string_equal(bench->asked.body, body);
	/* A stream may last as long as its lines are short. */
	bench->last = NULL;
	body[0] = '\0';
	ask(bench, &bench->asked, "/chunks", "{}", true);
	wait_request(bench);
	for (unsigned int i = 0; i < 40; i++) {
		memset(body, 'y', 200);
		body[200] = '\n';
		body[201] = '\0';
		fake_send_chunk(bench->last, body);
		loop_turn(&bench->loop);
		*bench->asked.lines = '\0';
	}
	if (bench->asked.done)
		fail_msg("%d: %s", bench->asked.failure, bench->asked.message);
	memset(body, 'z', BYTES_MAX + 1);
	fake_send_chunk(bench->last, body);
	wait_done(bench, &bench->asked);
	assert_int_equal(bench->asked.failure, HTTP_FAILURE_LENGTH);
}

static void test_cancel(void **state)
{
	struct bench *bench = *state;

	bench->reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	ask(bench, &bench->asked, "/", "{}", false);
	http_call_cancel(bench->asked.call);
	bench->asked.cancel_in_line = true;
	bench->limit_ms = SHORT_MS;
	ask(bench, &bench->second, "/chunks", "{}", false);
	bench->limit_ms = LOOP_LIMIT_NS / NS_PER_MS;
	ask(bench, &bench->asked, "/chunks", "{}", true);
	wait_request(bench);
	loop_turn_for(&bench->loop, 20 * NS_PER_MS);
	for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++)
		fake_send_chunk(&bench->fake.clients[i], "one\ntwo\n");
	wait_lines(bench, &bench->asked, "one|");
	loop_turn_for(&bench->loop, 20 * NS_PER_MS);
	assert_string_equal(bench->asked.lines, "one|");
	assert_int_equal(bench->asked.done, 0);
	/* The other one goes on, here to its limit. */
	wait_done(bench, &bench->second);
	assert_int_equal(bench->second.failure, HTTP_FAILURE_TIME);
}

/* A handler may do anything. */
static void test_from_handlers(void **state)
{
	struct bench *bench = *state;

	bench->reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	bench->asked.ask_in_done = true;
	ask(bench, &bench->asked, "/", "{}", false);
	wait_done(bench, &bench->second);
	assert_int_equal(bench->second.failure, HTTP_FAILURE_NONE);
	assert_int_equal(bench->fake.accepted, 2);
	bench->asked.ask_in_done = false;
	bench->asked.close_in_done = true;
	ask(bench, &bench->second, "/chunks", "{}", true);
	ask(bench, &bench->asked, "/", "{}", false);
	wait_done(bench, &bench->asked);
	assert_int_equal(bench->second.done, 0);
}

static void test_close_in_line(void **state)
{
	struct bench *bench = *state;

	bench->asked.close_in_line = true;
	ask(bench, &bench->asked, "/chunks", "{}", true);
	wait_request(bench);
	fake_send_chunk(bench->last, "one\ntwo\n");
	wait_lines(bench, &bench->asked, "one|");
	loop_turn_for(&bench->loop, 20 * NS_PER_MS);
	assert_int_equal(bench->asked.done, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loop_stood_still, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from_handlers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_in_line, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
