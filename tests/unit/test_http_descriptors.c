// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The HTTP server when there is no descriptor for the next client. */
#include "report/http.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FILES	    128
#define FREE	    4 /* descriptors that the server gets */
#define CLIENTS	    16
#define TICK_MS	    2
#define DEADLINE_NS (4 * NS_PER_S)

/* Server and clients share this process and its descriptors; the test decides when the loop runs.
 */
struct bench {
	uv_loop_t loop;
	uv_timer_t tick; /* ends each wait of the loop */
	struct http *http;
	struct rlimit limit; /* as it was */
	int clients[CLIENTS];
	int fillers[FILES];
	size_t filler_count;
};

static void fill(void *context, struct snapshot *snapshot)
{
	(void)context;
	*snapshot = (struct snapshot){.node = "n1", .version = "0.1.0", .blind_reason = ""};
}

static void on_tick(uv_timer_t *tick)
{
	(void)tick;
}

static void open_clients(struct bench *bench)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		bench->clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(bench->clients[i] >= 0);
	}
}

static void close_clients(struct bench *bench)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		if (bench->clients[i] >= 0)
			close(bench->clients[i]);
		bench->clients[i] = -1;
	}
}

/* Gives back what leave_descriptors() took. */
static void release_descriptors(struct bench *bench)
{
	while (bench->filler_count)
		close(bench->fillers[--bench->filler_count]);
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	char reason[256] = "";
	struct text error = TEXT(reason);
	struct address loopback;
	struct rlimit limit;

	assert_non_null(bench);
	assert_int_equal(uv_loop_init(&bench->loop), 0);
	assert_int_equal(uv_timer_init(&bench->loop, &bench->tick), 0);
	assert_int_equal(uv_timer_start(&bench->tick, on_tick, TICK_MS, TICK_MS), 0);
	assert_int_equal(address_parse("127.0.0.1", &loopback), 0);
	if (http_open(&bench->http, &bench->loop, &loopback, 0, fill, NULL, &error))
		fail_msg("%s", reason);
	open_clients(bench);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &bench->limit), 0);
	limit = bench->limit;
	limit.rlim_cur = FILES;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	release_descriptors(bench);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &bench->limit), 0);
	close_clients(bench);
	http_close(bench->http);
	uv_close((uv_handle_t *)&bench->tick, NULL);
	assert_int_equal(uv_run(&bench->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&bench->loop), 0);
	free(bench);
	return 0;
}

/* Uses up all descriptors but 'free_count'. */
static void leave_descriptors(struct bench *bench, size_t free_count)
{
	int fd;

	while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
		assert_true(bench->filler_count < FILES);
		bench->fillers[bench->filler_count++] = fd;
	}
	assert_int_equal(errno, EMFILE);
	assert_true(bench->filler_count >= free_count);
	while (free_count--)
		close(bench->fillers[--bench->filler_count]);
}

/* On loopback the kernel completes it at once, without the server. */
static void connect_client(struct bench *bench, size_t index)
{
	struct sockaddr_storage name;
	struct address loopback;
	socklen_t length;

	assert_int_equal(address_parse("127.0.0.1", &loopback), 0);
	length = address_to_sockaddr(&loopback, http_port(bench->http), &name);
	if (connect(bench->clients[index], (struct sockaddr *)&name, length))
		assert_int_equal(errno, EINPROGRESS);
}

/* Each turn ends after TICK_MS at the latest. */
static void turn(struct bench *bench, size_t turns)
{
	while (turns--)
		assert_true(uv_run(&bench->loop, UV_RUN_ONCE));
}

/* Runs the loop until this client has its answer. */
static void assert_served(struct bench *bench, size_t index)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char expected[] = "HTTP/1.1 200 OK\r\n";
	uint64_t deadline_ns = clock_monotonic_ns() + DEADLINE_NS;
	char reply[1024] = "";
	ssize_t got = -1;

	assert_int_equal(send(bench->clients[index], request, sizeof(request) - 1, MSG_NOSIGNAL),
			 sizeof(request) - 1);
	while (got < 0 && clock_monotonic_ns() < deadline_ns) {
		turn(bench, 1);
		got = recv(bench->clients[index], reply, sizeof(reply) - 1, 0);
		if (got < 0)
			assert_int_equal(errno, EAGAIN);
	}
	if (got < (ssize_t)strlen(expected) || memcmp(reply, expected, strlen(expected)))
		fail_msg("client %zu was not served: %zd bytes, '%s'", index, got, reply);
}

static bool is_open(const struct bench *bench, size_t index)
{
	char byte;

	return recv(bench->clients[index], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* Who is idle longest makes room, and no one else. */
static void test_displaces_oldest(void **state)
{
	struct bench *bench = *state;

	leave_descriptors(bench, FREE);
	for (size_t i = 0; i < CLIENTS; i++) {
		connect_client(bench, i);
		turn(bench, 2);
	}
	assert_served(bench, CLIENTS - 1);
	for (size_t i = 0; i < CLIENTS; i++)
		assert_int_equal(is_open(bench, i), i >= CLIENTS - FREE);
	for (size_t i = CLIENTS - FREE; i < CLIENTS; i++)
		assert_served(bench, i);
}

/* Whoever comes after all have left at once is served, also when some never were accepted. */
static void test_all_leave(void **state)
{
	struct bench *bench = *state;

	for (size_t turns = 0; turns < 5; turns++) {
		leave_descriptors(bench, FREE);
		for (size_t i = 0; i < CLIENTS; i++)
			connect_client(bench, i);
		turn(bench, turns);
		close_clients(bench);
		turn(bench, 20);
		open_clients(bench);
		connect_client(bench, 0);
		assert_served(bench, 0);
		release_descriptors(bench);
	}
}

/* Not one descriptor: the loop is left to others, and the client is served once there is one. */
static void test_none(void **state)
{
	struct bench *bench = *state;
	const uint64_t duration_ms = 300;
	uint64_t end_ns = clock_monotonic_ns() + duration_ms * NS_PER_MS;
	unsigned int turns = 0;

	leave_descriptors(bench, 0);
	connect_client(bench, 0);
	for (; clock_monotonic_ns() < end_ns; turns++)
		turn(bench, 1);
	/* Each tick and each try ends one. */
	assert_true(turns < 3 * duration_ms / TICK_MS);
	close(bench->fillers[--bench->filler_count]);
	assert_served(bench, 0);
	connect_client(bench, 1);
	assert_served(bench, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_displaces_oldest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
