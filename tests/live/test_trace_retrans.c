// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The traces "retrans" and "rtt" on a live kernel, and what their runner promises for all. */
#include "live/rig.h"
#include "live/tcp_bench.h"
#include "live/trace_run.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
	struct rig rig;
	struct trace_run run;
	char inode[16]; /* of host a's namespace */
};

static int set_up(void **state)
{
	static struct bench bench;

	bench = (struct bench){0};
	rig_up(&bench.rig);
	snprintf(bench.inode, sizeof(bench.inode), "%u", bench.rig.inodes[SIDE_A]);
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

static unsigned int count_kind(json_t *lines, const char *kind)
{
	unsigned int count = 0;
	json_t *line;
	size_t index;

	json_array_foreach(lines, index, line) count +=
		!strcmp(trace_run_string(line, "kind"), kind);
	return count;
}

/* One segment, dropped three times, on a connection older than the trace: a probe and two timeouts,
 * as the kernel counts them, with their owner: this process. */
static void drop_and_trace(struct bench *bench, int family, const char *local, const char *remote)
{
	const char *const arguments[] = {"retrans", "-n", bench->inode, "-o", "json", NULL};
	json_t *lines, *line;
	size_t index;
	uint16_t port;
	int pair[2];

	rig_connect(&bench->rig, family, pair, &port);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	trace_run_start(&bench->run, arguments);
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp meta length > 100", 3);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	trace_run_stop(&bench->run, SIGINT);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(count_kind(lines, "tlp"),
			 rig_counter(&bench->rig, SIDE_A, "TcpExt", "TCPLossProbes"));
	assert_int_equal(count_kind(lines, "rto"),
			 rig_counter(&bench->rig, SIDE_A, "TcpExt", "TCPTimeouts"));
	assert_int_equal(json_array_size(lines), 3);
	assert_int_equal(bench->run.shown, 3);
	assert_int_equal(bench->run.events_lost, 0);
	json_array_foreach(lines, index, line)
	{
		assert_string_equal(trace_run_string(line, "local_address"), local);
		assert_string_equal(trace_run_string(line, "remote_address"), remote);
		assert_int_equal(trace_run_number(line, "remote_port"), port);
		assert_string_equal(trace_run_string(line, "state"), "established");
		assert_int_equal(trace_run_number(line, "error"), 0);
		assert_int_equal(trace_run_number(line, "pid"), getpid());
		assert_int_equal(trace_run_number(line, "netns_inode"), bench->rig.inodes[SIDE_A]);
	}
	json_decref(lines);
	tcp_bench_close_pair(pair);
}

static void test_retrans_ipv4(void **state)
{
	drop_and_trace(*state, AF_INET, "10.99.0.1", "10.99.0.2");
}

static void test_retrans_ipv6(void **state)
{
	drop_and_trace(*state, AF_INET6, "fd99::1", "fd99::2");
}

/* In intervals: what one shows, the next does not, and nothing is between them. */
static void test_counts(void **state)
{
	struct bench *bench = *state;
	const char *const arguments[] = {"retrans", "-n", bench->inode, "-o", "json", "0.2", NULL};
	json_t *lines, *line;
	int64_t all = 0, tlp = 0;
	size_t index;
	uint16_t port;
	int pair[2];

	rig_connect(&bench->rig, AF_INET, pair, &port);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	trace_run_start(&bench->run, arguments);
	for (int i = 0; i < 20; i++) {
		rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp meta length > 100", 1);
		rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	}
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	json_array_foreach(lines, index, line)
	{
		all += trace_run_number(line, "all");
		tlp += trace_run_number(line, "tlp");
	}
	assert_true(json_array_size(lines) > 1);
	assert_int_equal(all, rig_counter(&bench->rig, SIDE_A, "Tcp", "RetransSegs"));
	assert_int_equal(tlp, rig_counter(&bench->rig, SIDE_A, "TcpExt", "TCPLossProbes"));
	json_decref(lines);
	tcp_bench_close_pair(pair);
}

/* One sample an acknowledged advance, whatever they are grouped by. */
static void test_rtt(void **state)
{
	static const char *const groupings[] = {"all", "remote", "port", "cgroup"};
	struct bench *bench = *state;
	uint16_t port;
	int pair[2];

	rig_connect(&bench->rig, AF_INET, pair, &port);
	tcp_bench_exchange(pair, 10);
	for (size_t i = 0; i < sizeof(groupings) / sizeof(*groupings); i++) {
		const char *const arguments[] = {"rtt",	 "-n",	 bench->inode, "-o",
						 "json", "--by", groupings[i], NULL};
		json_t *lines;

		trace_run_start(&bench->run, arguments);
		tcp_bench_exchange(pair, 500);
		trace_run_stop(&bench->run, SIGINT);
		lines = trace_run_lines(&bench->run);
		assert_int_equal(json_array_size(lines), 1);
		assert_int_equal(trace_run_number(json_array_get(lines, 0), "count"), 500);
		if (i == 1)
			assert_string_equal(
				trace_run_string(json_array_get(lines, 0), "remote_address"),
				"10.99.0.2");
		json_decref(lines);
		trace_run_discard(&bench->run);
	}
	tcp_bench_close_pair(pair);
}

/* Runs the binary with its stdout going where the test says; returns its exit code. */
static int run_to(int output, const char *const arguments[])
{
	char path[512];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/tocsin", getenv("BUILD") ? getenv("BUILD") : "build");
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int null = open("/dev/null", O_WRONLY);

		dup2(output, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		alarm(20);
		execv(path, (char *const *)arguments);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* `| head`: the reader is gone, no event ever comes, and it ends all the same, quietly. */
static void test_closed_pipe(void **state)
{
	const char *const arguments[] = {"tocsin", "trace", "retrans", "-n", "1", NULL};
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(run_to(ends[1], arguments), 0);
	close(ends[1]);
}

static void test_full_disk(void **state)
{
	const char *const arguments[] = {"tocsin", "trace", "retrans", "-n", "1", NULL};
	int full = open("/dev/full", O_WRONLY);

	(void)state;
	assert_true(full >= 0);
	assert_int_equal(run_to(full, arguments), 1);
	close(full);
}

static void test_exit_codes(void **state)
{
	static const struct {
		const char *arguments[8];
		int code;
	} cases[] = {
		{{"tocsin", "trace", "nosuch"}, 2},
		{{"tocsin", "trace", "retrans", "-r", "10.0.0.1/8"}, 2},
		{{"tocsin", "trace", "retrans", "-g", "/no/such/cgroup"}, 2},
		{{"tocsin", "trace", "retrans", "-n", "nosuch"}, 2},
		{{"tocsin", "trace", "retrans", "-D", "0.05"}, 0},
		{{"tocsin", "trace", "rtt", "0.05", "2"}, 0},
		{{"tocsin", "trace", "--list"}, 0},
		{{"tocsin", "trace", "--help"}, 0},
	};
	int null = open("/dev/null", O_WRONLY);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(run_to(null, cases[i].arguments), cases[i].code);
	close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_retrans_ipv4, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_retrans_ipv6, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rtt, set_up, tear_down),
		cmocka_unit_test(test_closed_pipe),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_exit_codes),
	};

	return tcp_bench_run_tests("trace_retrans", tests);
}
