// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The traces "tcplife" and "reset" on a live kernel: each connection, to the byte. */
#include "live/rig.h"
#include "live/tcp_bench.h"
#include "live/trace_run.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CONNECTIONS 20

struct bench {
	struct rig rig;
	struct trace_run run;
	char inodes[2][16];
};

static int set_up(void **state)
{
	static struct bench bench;

	bench = (struct bench){0};
	rig_up(&bench.rig);
	for (int side = 0; side < 2; side++)
		snprintf(bench.inodes[side], sizeof(bench.inodes[side]), "%u",
			 bench.rig.inodes[side]);
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	trace_run_discard(&bench->run);
	rig_down(&bench->rig);
	return 0;
}

/* One end after the other, each told of by the other before: no bytes are left on the way. */
static void finish(const int pair[2])
{
	char byte;

	shutdown(pair[SIDE_A], SHUT_WR);
	assert_int_equal(recv(pair[SIDE_B], &byte, 1, 0), 0);
	close(pair[SIDE_B]);
	assert_int_equal(recv(pair[SIDE_A], &byte, 1, 0), 0);
	close(pair[SIDE_A]);
}

static void live(struct bench *bench, enum side side, int family, const char *direction)
{
	const char *const arguments[] = {"tcplife", "-n", bench->inodes[side], "-o", "json", NULL};
	json_t *lines, *line;
	size_t index;

	trace_run_start(&bench->run, arguments);
	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		uint16_t port;
		int pair[2];

		rig_connect(&bench->rig, family, pair, &port);
		tcp_bench_exchange(pair, i);
		finish(pair);
	}
	trace_run_expect_lines(&bench->run, CONNECTIONS);
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), CONNECTIONS);
	json_array_foreach(lines, index, line)
	{
		int64_t requests = (int64_t)index * 10, answers = (int64_t)index * 20;

		assert_string_equal(trace_run_string(line, "direction"), direction);
		assert_int_equal(trace_run_number(line, "sent_bytes"),
				 side == SIDE_A ? requests : answers);
		assert_int_equal(trace_run_number(line, "received_bytes"),
				 side == SIDE_A ? answers : requests);
		assert_int_equal(trace_run_number(line, "retransmits"), 0);
		assert_int_equal(trace_run_number(line, "error"), 0);
		assert_in_range(trace_run_number(line, "duration_ns"), 1000, 10000000000);
		/* Who read from it is known; a connection that was never read from belongs, for all
		 * that is known, to whom connected. */
		if (side == SIDE_A || index)
			assert_int_equal(trace_run_number(line, "pid"), getpid());
	}
	json_decref(lines);
	trace_run_discard(&bench->run);
}

static void test_life_out(void **state)
{
	live(*state, SIDE_A, AF_INET, "out");
	live(*state, SIDE_A, AF_INET6, "out");
}

static void test_life_in(void **state)
{
	live(*state, SIDE_B, AF_INET, "in");
	live(*state, SIDE_B, AF_INET6, "in");
}

/* Older than the trace: its bytes are known, its age is not. A refused connect is no connection. */
static void test_life_older(void **state)
{
	struct bench *bench = *state;
	const char *const arguments[] = {"tcplife", "-n",   bench->inodes[SIDE_A],
					 "-o",	    "json", NULL};
	struct tcp_bench connector = {.rig = bench->rig};
	json_t *lines, *line;
	uint16_t port;
	int pair[2];

	rig_connect(&bench->rig, AF_INET, pair, &port);
	tcp_bench_exchange(pair, 3);
	trace_run_start(&bench->run, arguments);
	assert_int_equal(tcp_bench_connect(&connector, "10.99.0.2", 9), ECONNREFUSED);
	finish(pair);
	trace_run_expect_lines(&bench->run, 1);
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 1);
	line = json_array_get(lines, 0);
	assert_true(json_is_null(json_object_get(line, "direction")));
	assert_true(json_is_null(json_object_get(line, "duration_ns")));
	assert_int_equal(trace_run_number(line, "sent_bytes"), 30);
	assert_int_equal(trace_run_number(line, "received_bytes"), 60);
	assert_int_equal(trace_run_number(line, "remote_port"), port);
	assert_int_equal(trace_run_number(line, "pid"), getpid());
	json_decref(lines);
}

static void reset(int fd)
{
	const struct linger now = {.l_onoff = 1};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
}

/* What was sent and never acknowledged does not count: neither data, nor a FIN behind it. */
static void test_life_unacknowledged(void **state)
{
	struct bench *bench = *state;
	const char *const arguments[] = {"tcplife", "-n",   bench->inodes[SIDE_A],
					 "-o",	    "json", NULL};
	static const char data[500];

	trace_run_start(&bench->run, arguments);
	for (int finishes = 0; finishes < 2; finishes++) {
		json_t *lines, *line;
		uint16_t port;
		int pair[2];

		rig_connect(&bench->rig, AF_INET, pair, &port);
		tcp_bench_exchange(pair, 3);
		rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp", 1000);
		assert_int_equal(send(pair[SIDE_A], data, sizeof(data), 0), sizeof(data));
		if (finishes) {
			char byte;

			shutdown(pair[SIDE_A], SHUT_WR);
			reset(pair[SIDE_B]);
			assert_int_equal(recv(pair[SIDE_A], &byte, 1, 0), -1);
			assert_int_equal(errno, ECONNRESET);
			close(pair[SIDE_A]);
		} else {
			reset(pair[SIDE_A]);
			close(pair[SIDE_B]);
		}
		rig_pass(&bench->rig, SIDE_B);
		trace_run_expect_lines(&bench->run, (size_t)finishes + 1);
		lines = trace_run_lines(&bench->run);
		line = json_array_get(lines, (size_t)finishes);
		assert_int_equal(trace_run_number(line, "sent_bytes"), 30);
		assert_int_equal(trace_run_number(line, "received_bytes"), 60);
		assert_int_equal(trace_run_number(line, "remote_port"), port);
		json_decref(lines);
	}
	trace_run_stop(&bench->run, SIGTERM);
	assert_int_equal(bench->run.shown, 2);
}

/* With TCP Fast Open a connection may be used before it is established. One that is reset before is
 * none, and no older one either. */
static void test_life_fast_open(void **state)
{
	struct bench *bench = *state;
	const char *const arguments[] = {"tcplife", "-n",   bench->inodes[SIDE_B],
					 "-o",	    "json", NULL};
	struct address address = rig_address(SIDE_B, AF_INET);
	int listener, client, server, pair[2];
	struct sockaddr_storage target;
	json_t *lines, *line;
	socklen_t length;
	uint16_t port;
	char byte;

	/* Client and server, without cookies, for all listeners. */
	for (int side = 0; side < 2; side++)
		rig_run(&bench->rig, side, "echo 1543 > /proc/sys/net/ipv4/tcp_fastopen");
	listener = rig_listen(&bench->rig, SIDE_B, AF_INET, &port);
	length = address_to_sockaddr(&address, port, &target);
	client = rig_socket(&bench->rig, SIDE_A, AF_INET, SOCK_STREAM);
	trace_run_start(&bench->run, arguments);
	rig_drop(&bench->rig, SIDE_B, "tcp flags & (syn | rst | ack) == ack", 1000);
	assert_int_equal(sendto(client, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&target, length),
			 1);
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server >= 0);
	assert_int_equal(recv(server, &byte, 1, 0), 1);
	reset(client);
	assert_int_equal(recv(server, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(server);
	close(listener);
	rig_pass(&bench->rig, SIDE_B);
	rig_connect(&bench->rig, AF_INET, pair, &port);
	tcp_bench_exchange(pair, 1);
	finish(pair);
	trace_run_expect_lines(&bench->run, 1);
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 1);
	line = json_array_get(lines, 0);
	assert_string_equal(trace_run_string(line, "direction"), "in");
	assert_int_equal(trace_run_number(line, "local_port"), port);
	json_decref(lines);
}

static unsigned int count_lines(json_t *lines, const char *direction, const char *remote)
{
	unsigned int count = 0;
	json_t *line;
	size_t index;

	json_array_foreach(lines, index, line) count +=
		!strcmp(trace_run_string(line, "direction"), direction) &&
		!strcmp(trace_run_string(line, "remote_address"), remote);
	return count;
}

/* Host b resets connections of host a, and refuses some: each is sent once and received once. */
static void reset_and_trace(struct bench *bench, int family, const char *network, const char *a,
			    const char *b)
{
	const char *const arguments[] = {"reset", "-r", network, "-o", "json", NULL};
	struct tcp_bench connector = {.rig = bench->rig};
	json_t *lines, *line;
	unsigned int sent;
	size_t index;

	trace_run_start(&bench->run, arguments);
	for (int i = 0; i < CONNECTIONS; i++) {
		uint16_t port;
		char byte;
		int pair[2];

		rig_connect(&bench->rig, family, pair, &port);
		reset(pair[SIDE_B]);
		assert_int_equal(recv(pair[SIDE_A], &byte, 1, 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(pair[SIDE_A]);
	}
	for (int i = 0; i < CONNECTIONS / 2; i++)
		assert_int_equal(tcp_bench_connect(&connector, b, 9), ECONNREFUSED);
	trace_run_stop(&bench->run, SIGINT);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(count_lines(lines, "received", b), CONNECTIONS + CONNECTIONS / 2);
	sent = count_lines(lines, "sent", a);
	/* Those for no socket are told since Linux 6.10. */
	assert_true(sent == CONNECTIONS + CONNECTIONS / 2 || sent == CONNECTIONS);
	assert_int_equal(json_array_size(lines), CONNECTIONS + CONNECTIONS / 2 + sent);
	json_array_foreach(lines, index, line)
	{
		assert_true(trace_run_number(line, "local_port") > 0);
		assert_true(trace_run_number(line, "remote_port") > 0);
		if (strcmp(trace_run_string(line, "direction"), "sent") ||
		    !json_is_string(json_object_get(line, "reason")))
			continue;
		if (trace_run_number(line, "local_port") == 9)
			assert_string_equal(trace_run_string(line, "reason"), "no_socket");
		else
			/* Its name has changed since there are reasons ("tcp_state" today). */
			assert_string_not_equal(trace_run_string(line, "reason"), "no_socket");
	}
	json_decref(lines);
	trace_run_discard(&bench->run);
}

static void test_resets(void **state)
{
	reset_and_trace(*state, AF_INET, "10.99.0.0/24", "10.99.0.1", "10.99.0.2");
	reset_and_trace(*state, AF_INET6, "fd99::/64", "fd99::1", "fd99::2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_life_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_life_older, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_life_unacknowledged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_life_fast_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_resets, set_up, tear_down),
	};

	return tcp_bench_run_tests("trace_connections", tests);
}
