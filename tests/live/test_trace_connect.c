// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The trace "connect" on a live kernel: each connect once, from either side, with what became of
 * it. */
#include "live/cgroup_rig.h"
#include "live/rig.h"
#include "live/tcp_bench.h"
#include "live/trace_run.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
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

#define TIMES	10
#define WAIT_MS 10000

struct bench {
	struct rig rig;
	struct trace_run run;
	struct cgroup_rig cgroup;
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
	cgroup_rig_down(&bench->cgroup);
	rig_down(&bench->rig);
	return 0;
}

/* All lines must say the same of all connects. */
static void assert_lines(struct bench *bench, const char *direction, const char *outcome,
			 size_t count)
{
	json_t *lines = trace_run_lines(&bench->run), *line;
	size_t index;

	assert_int_equal(json_array_size(lines), count);
	json_array_foreach(lines, index, line)
	{
		assert_string_equal(trace_run_string(line, "direction"), direction);
		assert_string_equal(trace_run_string(line, "outcome"), outcome);
		assert_true(trace_run_number(line, "latency_ns") > 0);
		if (!strcmp(direction, "out"))
			assert_int_equal(trace_run_number(line, "pid"), getpid());
	}
	json_decref(lines);
}

static void start(struct bench *bench, enum side side, const char *option, const char *value)
{
	const char *const arguments[] = {"connect", "-n", bench->inodes[side], "-o", "json", option,
					 value,	    NULL};

	trace_run_start(&bench->run, arguments);
}

/* Stops the trace, which has shown nothing but this. */
static void stop_and_assert(struct bench *bench, const char *direction, const char *outcome,
			    size_t count)
{
	trace_run_stop(&bench->run, SIGTERM);
	assert_lines(bench, direction, outcome, count);
	trace_run_discard(&bench->run);
}

/* Host b answers connects to a port so. */
static void answer(struct bench *bench, uint16_t port, const char *rule)
{
	rig_run(&bench->rig, SIDE_B,
		"nft 'add table inet rig; add chain inet rig in { type filter hook input priority "
		"0; }; add rule inet rig in tcp dport %u %s'",
		port, rule);
}

/* A socket of host a that is about to connect to host b. */
static int begin_connect(struct bench *bench, int family, uint16_t port)
{
	struct address address = rig_address(SIDE_B, family);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, port, &target);
	int fd = rig_socket(&bench->rig, SIDE_A, family, SOCK_STREAM | SOCK_NONBLOCK);

	/* What comes at once is for getsockopt(). */
	if (connect(fd, (struct sockaddr *)&target, length))
		assert_true(errno == EINPROGRESS || errno == ECONNREFUSED);
	return fd;
}

static int error_of(int fd)
{
	struct pollfd item = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t length = sizeof(error);

	assert_int_equal(poll(&item, 1, WAIT_MS), 1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
	return error;
}

/* All at once: what an ICMP message says is known after a second, when a SYN would be sent again.
 */
static void test_failures(void **state)
{
	static const struct {
		int family;
		uint16_t port;
		const char *rule;
		int error;
		const char *outcome;
	} cases[] = {
		{AF_INET, 10, "accept", ECONNREFUSED, "refused"},
		{AF_INET6, 11, "accept", ECONNREFUSED, "refused"},
		{AF_INET, 12, "reject with icmp type host-unreachable", EHOSTUNREACH,
		 "host_unreachable"},
		{AF_INET6, 13, "reject with icmpv6 type addr-unreachable", EHOSTUNREACH,
		 "host_unreachable"},
		{AF_INET, 14, "reject with icmp type net-unreachable", ENETUNREACH,
		 "net_unreachable"},
		{AF_INET6, 15, "reject with icmpv6 type no-route", ENETUNREACH, "net_unreachable"},
		{AF_INET6, 16, "reject with icmpv6 type admin-prohibited", EACCES, "other"},
		{AF_INET, 17, "drop", ETIMEDOUT, "timed_out"},
		{AF_INET6, 18, "drop", ETIMEDOUT, "timed_out"},
	};
	enum { CASES = sizeof(cases) / sizeof(*cases) };
	const unsigned int timeout_ms = 100;
	struct bench *bench = *state;
	int fds[CASES][TIMES], rows[CASES] = {0};
	json_t *lines, *line;
	size_t index;

	/* Or it sends but one ICMP message a second. */
	rig_run(&bench->rig, SIDE_B,
		"echo 0 | tee /proc/sys/net/ipv4/icmp_ratelimit /proc/sys/net/ipv6/icmp/ratelimit "
		">/dev/null");
	for (size_t i = 0; i < CASES; i++)
		answer(bench, cases[i].port, cases[i].rule);
	start(bench, SIDE_A, NULL, NULL);
	for (size_t i = 0; i < CASES; i++)
		for (int time = 0; time < TIMES; time++) {
			int fd = begin_connect(bench, cases[i].family, cases[i].port);

			fds[i][time] = fd;
			if (cases[i].error == ETIMEDOUT)
				assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
							    &timeout_ms, sizeof(timeout_ms)),
						 0);
		}
	for (size_t i = 0; i < CASES; i++)
		for (int time = 0; time < TIMES; time++) {
			assert_int_equal(error_of(fds[i][time]), cases[i].error);
			close(fds[i][time]);
		}
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), CASES * TIMES);
	json_array_foreach(lines, index, line)
	{
		size_t i = (size_t)trace_run_number(line, "remote_port") - cases[0].port;

		assert_true(i < CASES);
		assert_string_equal(trace_run_string(line, "direction"), "out");
		assert_string_equal(trace_run_string(line, "outcome"), cases[i].outcome);
		assert_string_equal(trace_run_string(line, "remote_address"),
				    cases[i].family == AF_INET ? "10.99.0.2" : "fd99::2");
		assert_true(trace_run_number(line, "latency_ns") > 0);
		assert_int_equal(trace_run_number(line, "pid"), getpid());
		rows[i]++;
	}
	for (size_t i = 0; i < CASES; i++)
		assert_int_equal(rows[i], TIMES);
	json_decref(lines);
}

static void test_abandoned(void **state)
{
	struct bench *bench = *state;

	answer(bench, 9, "drop");
	start(bench, SIDE_A, NULL, NULL);
	close(begin_connect(bench, AF_INET, 9));
	close(begin_connect(bench, AF_INET6, 9));
	stop_and_assert(bench, "out", "abandoned", 2);
}

/* No port is left: nobody gave it up, and the peer has no part in it. */
static void test_no_port(void **state)
{
	struct bench *bench = *state;
	struct tcp_bench connector = {.rig = bench->rig};
	uint16_t port;
	int pair[2];

	rig_run(&bench->rig, SIDE_A, "echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range");
	rig_connect(&bench->rig, AF_INET, pair, &port);
	start(bench, SIDE_A, NULL, NULL);
	assert_int_equal(tcp_bench_connect(&connector, "10.99.0.2", port), EADDRNOTAVAIL);
	stop_and_assert(bench, "out", "other", 1);
	tcp_bench_close_pair(pair);
}

/* ---- both ends connect to each other at once ---- */

static void bind_to(int fd, enum side side, uint16_t port)
{
	struct address address = rig_address(side, AF_INET);
	struct sockaddr_storage bound;
	socklen_t length = address_to_sockaddr(&address, port, &bound);

	assert_int_equal(bind(fd, (struct sockaddr *)&bound, length), 0);
}

/* Host a's SYN is lost, host b's arrives. */
static void cross(struct bench *bench, int pair[2])
{
	rig_drop(&bench->rig, SIDE_B, "tcp flags & (syn | ack) == syn", 1);
	for (int side = 0; side < 2; side++) {
		struct address address = rig_address(!side, AF_INET);
		struct sockaddr_storage target;
		socklen_t length = address_to_sockaddr(&address, 6001, &target);

		pair[side] = rig_socket(&bench->rig, side, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
		bind_to(pair[side], side, 6001);
		assert_int_equal(connect(pair[side], (struct sockaddr *)&target, length), -1);
		assert_int_equal(errno, EINPROGRESS);
	}
}

static void test_crossed(void **state)
{
	const struct linger now = {.l_onoff = 1};
	struct bench *bench = *state;
	int pair[2];

	start(bench, SIDE_A, NULL, NULL);
	cross(bench, pair);
	assert_int_equal(error_of(pair[SIDE_A]), 0);
	assert_int_equal(error_of(pair[SIDE_B]), 0);
	/* Nothing of it is to be left: the ports are used again. */
	assert_int_equal(setsockopt(pair[SIDE_B], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	tcp_bench_close_pair((int[]){pair[SIDE_B], pair[SIDE_A]});
	stop_and_assert(bench, "out", "established", 1);

	/* The answer to host a's SYN-ACK is lost, and host b gives up: the one way to be reset
	 * while connecting. */
	start(bench, SIDE_A, NULL, NULL);
	rig_drop(&bench->rig, SIDE_A, "tcp flags & (syn | rst | ack) == ack", 100);
	cross(bench, pair);
	assert_int_equal(error_of(pair[SIDE_B]), 0);
	assert_int_equal(setsockopt(pair[SIDE_B], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(pair[SIDE_B]);
	assert_int_equal(error_of(pair[SIDE_A]), ECONNRESET);
	close(pair[SIDE_A]);
	stop_and_assert(bench, "out", "reset", 1);
}

static void connect_and_trace(struct bench *bench, enum side side, int family)
{
	const char *const arguments[] = {"connect", "-n", bench->inodes[side], "-o", "json", NULL};

	trace_run_start(&bench->run, arguments);
	for (int i = 0; i < TIMES; i++) {
		uint16_t port;
		int pair[2];

		rig_connect(&bench->rig, family, pair, &port);
		/* Host b is established by the first that it hears after its SYN-ACK. */
		tcp_bench_exchange(pair, 1);
		tcp_bench_close_pair(pair);
	}
	trace_run_stop(&bench->run, SIGINT);
	assert_lines(bench, side == SIDE_A ? "out" : "in", "established", TIMES);
	trace_run_discard(&bench->run);
}

static void test_established(void **state)
{
	for (int side = SIDE_A; side <= SIDE_B; side++) {
		connect_and_trace(*state, side, AF_INET);
		connect_and_trace(*state, side, AF_INET6);
	}
}

/* The same, added up: each answered connect is one sample. */
static void test_histogram(void **state)
{
	static const char *const groupings[] = {"all", "remote", "port", "cgroup"};
	struct bench *bench = *state;
	struct tcp_bench connector = {.rig = bench->rig};
	uint16_t port;
	int listener = rig_listen(&bench->rig, SIDE_B, AF_INET, &port);

	cgroup_rig_up(&bench->cgroup, "connect");
	for (size_t i = 0; i < sizeof(groupings) / sizeof(*groupings); i++) {
		json_t *lines, *line;

		start(bench, SIDE_A, "--by", groupings[i]);
		cgroup_rig_enter(&bench->cgroup);
		for (int time = 0; time < TIMES; time++)
			assert_int_equal(tcp_bench_connect(&connector, "10.99.0.2", port), 0);
		cgroup_rig_leave(&bench->cgroup);
		/* No sample. */
		assert_int_equal(tcp_bench_connect(&connector, "10.99.0.2", 9), ECONNREFUSED);
		trace_run_stop(&bench->run, SIGINT);
		lines = trace_run_lines(&bench->run);
		assert_int_equal(json_array_size(lines), 1);
		line = json_array_get(lines, 0);
		assert_int_equal(trace_run_number(line, "count"), TIMES);
		assert_string_equal(trace_run_string(line, "direction"), "out");
		if (!strcmp(groupings[i], "remote"))
			assert_string_equal(trace_run_string(line, "remote_address"), "10.99.0.2");
		if (!strcmp(groupings[i], "port"))
			assert_int_equal(trace_run_number(line, "service_port"), port);
		if (!strcmp(groupings[i], "cgroup"))
			assert_string_equal(trace_run_string(line, "cgroup"), bench->cgroup.path);
		json_decref(lines);
		trace_run_discard(&bench->run);
	}
	close(listener);
}

/* Of those that come in the service's port is the local one. */
static void test_histogram_in(void **state)
{
	struct bench *bench = *state;
	json_t *lines, *line;
	uint16_t port;
	int pair[2];

	start(bench, SIDE_B, "--by", "port");
	rig_connect(&bench->rig, AF_INET, pair, &port);
	tcp_bench_exchange(pair, 1);
	tcp_bench_close_pair(pair);
	trace_run_stop(&bench->run, SIGINT);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 1);
	line = json_array_get(lines, 0);
	assert_string_equal(trace_run_string(line, "direction"), "in");
	assert_int_equal(trace_run_number(line, "service_port"), port);
	assert_int_equal(trace_run_number(line, "count"), 1);
	json_decref(lines);
}

/* A SYN that is lost once is answered after a second; -m lets only that one through. */
static void test_minimum(void **state)
{
	struct bench *bench = *state;
	const char *const arguments[] = {"connect", "-n", bench->inodes[SIDE_A], "-o", "json", "-m",
					 "500ms",   NULL};
	json_t *lines;
	int64_t latency_ns;

	trace_run_start(&bench->run, arguments);
	for (int lost = 0; lost < 2; lost++) {
		uint16_t port;
		int pair[2];

		if (lost)
			rig_drop(&bench->rig, SIDE_B, "tcp flags & (syn | ack) == syn", 1);
		rig_connect(&bench->rig, AF_INET, pair, &port);
		tcp_bench_close_pair(pair);
	}
	trace_run_stop(&bench->run, SIGINT);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 1);
	latency_ns = trace_run_number(json_array_get(lines, 0), "latency_ns");
	assert_in_range(latency_ns, 900000000, 3000000000);
	json_decref(lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_abandoned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_port, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_crossed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_established, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_histogram, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_histogram_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_minimum, set_up, tear_down),
	};

	return tcp_bench_run_tests("trace_connect", tests);
}
