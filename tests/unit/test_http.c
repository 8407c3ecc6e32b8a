// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/http.h"

#include "base/clock.h"
#include "report/status.h"
#include "unit/http_server.h"
#include "unit/slowdown.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct reply *reply = context;

	(void)size;
	if (reply->length + count < sizeof(reply->body))
		memcpy(reply->body + reply->length, data, count);
	reply->length += count;
	return count;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
	struct reply *reply = context;

	(void)size;
	if (count > 7 && !strncasecmp(data, "Allow: ", 7))
		snprintf(reply->allow, sizeof(reply->allow), "%.*s", (int)(count - 9), data + 7);
	return count;
}

/* One request on a connection of its own. Returns libcurl's code; 'body' may be NULL. */
static CURLcode request(const struct server *server, const char *method, const char *path,
			const char *accept, const char *body, struct reply *reply)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = NULL;
	char url[256], header[128];
	char *content_type = NULL;
	CURLcode code;

	memset(reply, 0, sizeof(*reply));
	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", server->port, path);
	snprintf(header, sizeof(header), "Accept: %s", accept ?: "*/*");
	headers = curl_slist_append(headers, header);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 4000L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, reply);
	if (!strcmp(method, "HEAD"))
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	if (body)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &content_type);
	snprintf(reply->content_type, sizeof(reply->content_type), "%s", content_type ?: "");
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return code;
}

static int setup_blind(void **state)
{
	struct server *server = calloc(1, sizeof(*server));

	assert_non_null(server);
	server->blind = true;
	server_start(server, "127.0.0.1");
	*state = server;
	return 0;
}

#define TEXT_004    "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define PLAIN	    "text/plain; charset=utf-8"

static void test_routes(void **state)
{
	struct server *server = *state;
	static const struct {
		const char *method, *path, *accept, *body;
		long status;
		const char *content_type, *contains;
	} cases[] = {
		{"GET", "/metrics", NULL, NULL, 200, TEXT_004, "\ntocsin_build_info{"},
		{"GET", "/metrics?x=1", NULL, NULL, 200, TEXT_004, "\ntocsin_build_info{"},
		{"GET", "/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
		 NULL, 200, OPENMETRICS, "\n# EOF\n"},
		{"GET", "/healthz", NULL, NULL, 200, PLAIN, "ok\n"},
		{"GET", "/api/v1/status", NULL, NULL, 200, "application/json", "{\"node\":\"n1\","},
		{"GET", "/", NULL, NULL, 200, PLAIN, "/api/v1/status"},
		{"GET", "/metrics/", NULL, NULL, 404, PLAIN, "GET / lists"},
		{"GET", "/favicon.ico", NULL, NULL, 404, PLAIN, "GET / lists"},
		{"POST", "/metrics", NULL, "x=1", 405, PLAIN, "only GET and HEAD"},
		{"DELETE", "/", NULL, NULL, 405, PLAIN, "only GET and HEAD"},
		{"POST", "/nowhere", NULL, "x=1", 404, PLAIN, "GET / lists"},
		{"GET", "/metrics", NULL, "a body", 413, PLAIN, "no body"},
	};
	struct reply *reply = &server->reply;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CURLcode code = request(server, cases[i].method, cases[i].path, cases[i].accept,
					cases[i].body, reply);

		if (code || reply->status != cases[i].status ||
		    strcmp(reply->content_type, cases[i].content_type) ||
		    !strstr(reply->body, cases[i].contains) ||
		    strcmp(reply->allow, cases[i].status == 405 ? "GET, HEAD" : ""))
			fail_msg("%s %s: curl %d, status %ld, type '%s', allow '%s', body:\n%s",
				 cases[i].method, cases[i].path, code, reply->status,
				 reply->content_type, reply->allow, reply->body);
	}
}

static void test_head(void **state)
{
	struct server *server = *state;
	static const char *const paths[] = {"/metrics", "/healthz", "/api/v1/status", "/"};
	struct reply *reply = &server->reply;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		assert_int_equal(request(server, "HEAD", paths[i], NULL, NULL, reply), CURLE_OK);
		assert_int_equal(reply->status, 200);
		assert_int_equal(reply->length, 0);
		assert_true(*reply->content_type);
	}
}

static void test_blind(void **state)
{
	struct server *server = *state;
	struct reply *reply = &server->reply;

	assert_int_equal(request(server, "GET", "/healthz", NULL, NULL, reply), CURLE_OK);
	assert_int_equal(reply->status, 503);
	assert_string_equal(reply->body, "blind: tcp_probe is not attached\n");
	/* Blind is when metrics are needed most. */
	assert_int_equal(request(server, "GET", "/metrics", NULL, NULL, reply), CURLE_OK);
	assert_int_equal(reply->status, 200);
	assert_non_null(strstr(reply->body, "\ntocsin_agent_blind 1\n"));
}

/* Returns whether the connection came to an end, of whatever kind, before the timeout. */
static bool read_to_end(int fd, char *reply, size_t size)
{
	size_t length;
	int r = server_read_all(fd, reply, size, &length);

	return !r || r == -ECONNRESET;
}

#define SLOW_CLIENTS 100

/*
 * Clients that connect and then say nothing, or half a request: the next request is answered long
 * before any timeout, and those within the limit are not thrown out.
 */
static void test_slow_clients(void **state)
{
	struct server *server = *state;
	static const char *const beginnings[] = {
		"",
		"GET /healt",
		"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ",
	};
	static const char *const endings[] = {
		"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"hz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"1\r\nConnection: close\r\n\r\n",
	};
	struct reply *reply = &server->reply;
	int clients[SLOW_CLIENTS];
	unsigned int closed = 0;
	uint64_t start_ns;
	char text[1024];

	for (unsigned int i = 0; i < SLOW_CLIENTS; i++) {
		clients[i] = server_connect(server, 0);
		server_try_send(clients[i], beginnings[i % 3]);
	}
	start_ns = clock_monotonic_ns();
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(request(server, "GET", "/healthz", NULL, NULL, reply), CURLE_OK);
		assert_int_equal(reply->status, 200);
	}
	/* The timeouts are 5 and 10 s. */
	assert_true(clock_monotonic_ns() - start_ns < 2 * NS_PER_S);
	for (unsigned int i = 0; i < SLOW_CLIENTS; i++) {
		char byte;
		ssize_t got = recv(clients[i], &byte, 1, MSG_DONTWAIT);

		/* Closed or waiting, but not answered: none sent a whole request. */
		assert_true(got <= 0);
		if (got == 0 || errno == ECONNRESET)
			closed++;
		else
			assert_int_equal(errno, EAGAIN);
	}
	/* The oldest had to make room for what came after the first 64, and no others. */
	assert_in_range(closed, SLOW_CLIENTS - HTTP_CONNECTIONS_MAX,
			SLOW_CLIENTS - HTTP_CONNECTIONS_MAX + 20);
	/* The youngest are still served when they make up their minds. */
	for (unsigned int i = SLOW_CLIENTS - 3; i < SLOW_CLIENTS; i++) {
		server_try_send(clients[i], endings[i % 3]);
		assert_true(read_to_end(clients[i], text, sizeof(text)));
		assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
		assert_non_null(strstr(text, "\r\n\r\nok\n"));
	}
	for (unsigned int i = 0; i < SLOW_CLIENTS; i++)
		close(clients[i]);
}

#define MANY_PEERS 2000

static int setup_many_peers(void **state)
{
	struct server *server = calloc(1, sizeof(*server));

	assert_non_null(server);
	server->peers = calloc(MANY_PEERS, sizeof(*server->peers));
	server->peer_count = MANY_PEERS;
	assert_non_null(server->peers);
	for (size_t i = 0; i < MANY_PEERS; i++)
		server->peers[i].name = "n";
	server_start(server, "127.0.0.1");
	*state = server;
	return 0;
}

/* What the kernel's buffers take, does not wait in the server: the client's is made small. */
static int open_unread_client(const struct server *server, struct reply *reply)
{
	static const char expected[] = "HTTP/1.1 200 ";
	int fd = server_connect(server, 4096);

	server_try_send(fd, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	/* The first bytes of the answer: this one is being served. */
	for (size_t length = 0; length < strlen(expected);) {
		ssize_t got = server_receive(fd, reply->body + length, strlen(expected) - length);

		assert_true(got > 0);
		length += (size_t)got;
	}
	assert_memory_equal(reply->body, expected, strlen(expected));
	return fd;
}

/* Many clients at once get one and the same answer: the loop is not kept from its other work. */
static void test_flood(void **state)
{
	struct server *server = *state;
	struct reply *reply = &server->reply;
	int clients[60];
	const unsigned int count = sizeof(clients) / sizeof(*clients);

	for (unsigned int i = 0; i < count; i++)
		clients[i] = open_unread_client(server, reply);
	assert_true(server->fills < count / 2);
	assert_int_equal(request(server, "GET", "/healthz", NULL, NULL, reply), CURLE_OK);
	assert_int_equal(reply->status, 200);
	for (unsigned int i = 0; i < count; i++)
		close(clients[i]);
}

/*
 * Clients that each hold an answer of their own of some megabytes: at 16 MiB there is no more, but
 * the health check goes on, and all is well again when they are gone.
 */
static void test_unread_answers(void **state)
{
	struct server *server = *state;
	struct reply *reply = &server->reply;
	int clients[16];
	unsigned int count = 0;
	/* The server cuts off after 10 s who does not read. */
	uint64_t deadline_ns = clock_monotonic_ns() + 9 * NS_PER_S;

	if (slowdown() > 1) {
		print_message("the answers cannot be asked for within 10 s at this speed\n");
		skip();
	}
	assert_int_equal(request(server, "GET", "/metrics", NULL, NULL, reply), CURLE_OK);
	assert_int_equal(reply->status, 200);
	/* So that all of them would go beyond the limit. */
	assert_in_range(reply->length, 3 << 20, 20 << 20);
	while (reply->status == 200) {
		unsigned int fills = server->fills;

		assert_true(count < sizeof(clients) / sizeof(*clients));
		clients[count++] = open_unread_client(server, reply);
		/* Until the answer that this one holds has been replaced. */
		do {
			assert_true(clock_monotonic_ns() < deadline_ns);
			assert_int_equal(request(server, "HEAD", "/metrics", NULL, NULL, reply),
					 CURLE_OK);
		} while (reply->status == 200 && server->fills == fills);
	}
	assert_int_equal(reply->status, 503);
	assert_true(count > 1);
	assert_int_equal(request(server, "GET", "/healthz", NULL, NULL, reply), CURLE_OK);
	assert_int_equal(reply->status, 200);
	for (unsigned int i = 0; i < count; i++)
		close(clients[i]);
	/* The server learns of it within a round or two. */
	reply->status = 0;
	for (unsigned int i = 0; i < 100 && reply->status != 200; i++)
		assert_int_equal(request(server, "HEAD", "/metrics", NULL, NULL, reply), CURLE_OK);
	assert_int_equal(reply->status, 200);
}

/* Whatever a client sends, it gets an error or is dropped, and the next one is served. */
static void test_hostile_requests(void **state)
{
	struct server *server = *state;
	static const struct {
		const char *start, *filler;
		size_t repeat;
		const char *end, *expected; /* NULL: dropped without a word is fine, too */
	} cases[] = {
		{"GET /", "a", 100000, " HTTP/1.1\r\n\r\n", "HTTP/1.1 414 "},
		{"GET / HTTP/1.1\r\nHost: a\r\n", "X-Header: 0123456789\r\n", 5000, "\r\n",
		 "HTTP/1.1 431 "},
		{"GET / HTTP/1.1\r\n\r\n", "", 0, "", "HTTP/1.1 400 "},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", "x", 65536,
		 "", "HTTP/1.1 405 "},
		{"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "ffff\r\n", 100,
		 "", "HTTP/1.1 413 "},
		{"\x16\x03\x01\x02", "\x01\x80\xff", 100, "\r\n\r\n", NULL},
		{"", "\r\n", 10000, "x", NULL},
	};
	struct reply *reply = &server->reply;
	char text[1024];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int fd = server_connect(server, 0);

		server_try_send(fd, cases[i].start);
		for (size_t r = 0; r < cases[i].repeat; r++)
			server_try_send(fd, cases[i].filler);
		server_try_send(fd, cases[i].end);
		shutdown(fd, SHUT_WR);
		assert_true(read_to_end(fd, text, sizeof(text)));
		/* A reset may overtake the answer when data was left unread: then it is empty. */
		if (cases[i].expected && *text && strncmp(text, cases[i].expected, 13))
			fail_msg("case %zu: expected %s, got %s", i, cases[i].expected, text);
		if (!strncmp(text, "HTTP/1.1 2", 10))
			fail_msg("case %zu: was served: %s", i, text);
		close(fd);
		assert_int_equal(request(server, "GET", "/healthz", NULL, NULL, reply), CURLE_OK);
		assert_int_equal(reply->status, 200);
	}
}

/* Closing with clients in every state leaks nothing (the sanitizer looks) and ends the loop. */
static void test_close_with_clients(void **state)
{
	static struct server server;
	struct reply *reply = &server.reply;
	int idle, half;

	(void)state;
	server_start(&server, "127.0.0.1");
	idle = server_connect(&server, 0);
	half = server_connect(&server, 0);
	server_try_send(half, "GET /metr");
	assert_int_equal(request(&server, "GET", "/", NULL, NULL, reply), CURLE_OK);
	server_stop(&server);
	assert_true(request(&server, "GET", "/", NULL, NULL, reply) != CURLE_OK);
	close(idle);
	close(half);
}

static void test_listen_errors(void **state)
{
	const struct server *server = *state;
	const struct {
		const char *address;
		uint16_t port;
		int error;
		const char *words[2];
	} cases[] = {
		{"127.0.0.1", (uint16_t)server->port, -EADDRINUSE, {"127.0.0.1:", "another agent"}},
		{"192.0.2.1", 0, -EADDRNOTAVAIL, {"192.0.2.1:0", "no interface"}},
		{"2001:db8::1", 0, -EADDRNOTAVAIL, {"[2001:db8::1]:0", "set http.listen"}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char reason[256] = "";
		struct text error = TEXT(reason);
		struct address address;
		struct http *http = NULL;
		uv_loop_t loop;

		assert_int_equal(uv_loop_init(&loop), 0);
		assert_int_equal(address_parse(cases[i].address, &address), 0);
		assert_int_equal(
			http_open(&http, &loop, &address, cases[i].port, server_fill, NULL, &error),
			cases[i].error);
		assert_null(http);
		if (!strstr(reason, cases[i].words[0]) || !strstr(reason, cases[i].words[1]))
			fail_msg("%s", reason);
		assert_int_equal(uv_loop_close(&loop), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_routes, server_set_up, server_tear_down),
		cmocka_unit_test_setup_teardown(test_head, server_set_up, server_tear_down),
		cmocka_unit_test_setup_teardown(test_blind, setup_blind, server_tear_down),
		cmocka_unit_test_setup_teardown(test_slow_clients, server_set_up, server_tear_down),
		cmocka_unit_test_setup_teardown(test_flood, setup_many_peers, server_tear_down),
		cmocka_unit_test_setup_teardown(test_unread_answers, setup_many_peers,
						server_tear_down),
		cmocka_unit_test_setup_teardown(test_hostile_requests, server_set_up,
						server_tear_down),
		cmocka_unit_test_setup_teardown(test_listen_errors, server_set_up,
						server_tear_down),
		cmocka_unit_test(test_close_with_clients),
	};
	int failed;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return failed;
}
