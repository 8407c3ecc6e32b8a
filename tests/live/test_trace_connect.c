// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The trace "connect" on a live kernel: each connect once, from either side, with what became of
 * it. */
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

#define TIMES 10

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

static void test_failures(void **state)
{
	static const struct {
		const char *rule; /* at host b */
		int error;
		const char *outcome;
		int times; /* once where the kernel sends but one ICMP message a second */
	} cases[] = {
		{"", ECONNREFUSED, "refused", TIMES},
		{"reject with icmp type host-unreachable", EHOSTUNREACH, "host_unreachable", 1},
		{"reject with icmp type net-unreachable", ENETUNREACH, "net_unreachable", 1},
		{"drop", ETIMEDOUT, "timed_out", 1},
	};
	struct bench *bench = *state;
	const char *const arguments[] = {"connect", "-n",   bench->inodes[SIDE_A],
					 "-o",	    "json", NULL};
	struct tcp_bench connector = {.rig = bench->rig};

	rig_run(&bench->rig, SIDE_A, "echo 1 > /proc/sys/net/ipv4/tcp_syn_retries");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		rig_pass(&bench->rig, SIDE_B);
		if (cases[i].rule[0])
			rig_run(&bench->rig, SIDE_B,
				"nft 'add table inet rig; add chain inet rig in { type filter hook "
				"input priority 0; }; add rule inet rig in tcp dport 9 %s'",
				cases[i].rule);
		trace_run_start(&bench->run, arguments);
		for (int time = 0; time < cases[i].times; time++)
			assert_int_equal(tcp_bench_connect(&connector, "10.99.0.2", 9),
					 cases[i].error);
		trace_run_stop(&bench->run, SIGTERM);
		assert_lines(bench, "out", cases[i].outcome, (size_t)cases[i].times);
		trace_run_discard(&bench->run);
	}
	rig_pass(&bench->rig, SIDE_B);
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
	struct bench *bench = *state;
	const char *const arguments[] = {
		"connect", "-n", bench->inodes[SIDE_A], "-o", "json", "--by", "remote", NULL};
	json_t *lines;

	trace_run_start(&bench->run, arguments);
	for (int i = 0; i < TIMES; i++) {
		uint16_t port;
		int pair[2];

		rig_connect(&bench->rig, AF_INET, pair, &port);
		tcp_bench_close_pair(pair);
	}
	trace_run_stop(&bench->run, SIGINT);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 1);
	assert_int_equal(trace_run_number(json_array_get(lines, 0), "count"), TIMES);
	assert_string_equal(trace_run_string(json_array_get(lines, 0), "remote_address"),
			    "10.99.0.2");
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
		cmocka_unit_test_setup_teardown(test_established, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_histogram, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_minimum, set_up, tear_down),
	};

	return tcp_bench_run_tests("trace_connect", tests);
}
