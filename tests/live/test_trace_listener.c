// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The trace "accept" on a live kernel: what listeners drop, as the kernel itself counts it, and the
 * filters. */
#include "live/accept_bench.h"
#include "live/tcp_bench.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static bool has_dropped(void *context)
{
	struct accept_bench *bench = context;

	return rig_counter(&bench->rig, SIDE_B, "TcpExt", "ListenDrops") - bench->drops_before >=
	       bench->drops_wanted;
}

/* Has so many SYNs dropped by a listener whose queue is full. Each is given up before it would be
 * sent again. */
static void drop_syns(struct accept_bench *bench, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		bench->drops_wanted++;
		close(accept_bench_connect(bench));
		bench->client_count--;
		rig_wait(has_dropped, bench, "a SYN to be dropped");
	}
}

/* Fills the queue (it takes one more than its backlog) and has so many SYNs dropped. */
static void overflow(struct accept_bench *bench, unsigned int count)
{
	accept_bench_listen(bench, AF_INET, 2);
	accept_bench_fill(bench, 3);
	bench->drops_before = rig_counter(&bench->rig, SIDE_B, "TcpExt", "ListenDrops");
	bench->drops_wanted = 0;
	drop_syns(bench, count);
	assert_int_equal(rig_counter(&bench->rig, SIDE_B, "TcpExt", "ListenDrops") -
				 bench->drops_before,
			 count);
}

static int64_t sum(json_t *lines, const char *key)
{
	int64_t all = 0;
	json_t *line;
	size_t index;

	json_array_foreach(lines, index, line) all += trace_run_number(line, key);
	return all;
}

static void test_drops(void **state)
{
	struct accept_bench *bench = *state;
	json_t *lines, *line;

	accept_bench_start(bench, "--events", "0.05");
	overflow(bench, 4);
	trace_run_expect_lines(&bench->run, 1);
	drop_syns(bench, 2);
	trace_run_expect_lines(&bench->run, 2);
	drop_syns(bench, 1);
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	assert_true(json_array_size(lines) >= 1);
	assert_int_equal(sum(lines, "drops"), 7);
	line = json_array_get(lines, 0);
	assert_string_equal(trace_run_string(line, "event"), "dropped");
	assert_string_equal(trace_run_string(line, "local_address"), "0.0.0.0");
	assert_int_equal(trace_run_number(line, "local_port"), bench->port);
	assert_int_equal(trace_run_number(line, "queue"), 3);
	assert_int_equal(trace_run_number(line, "backlog"), 2);
	assert_int_equal(trace_run_number(line, "pid"), getpid());
	assert_true(json_is_null(json_object_get(line, "remote_address")));
	assert_true(json_is_null(json_object_get(line, "delay_ns")));
	json_decref(lines);
}

/* Drops of before the trace do not count; those of a listener that is gone before a look do. */
static void test_drops_of_a_life(void **state)
{
	struct accept_bench *bench = *state;
	json_t *lines;

	overflow(bench, 2);
	accept_bench_start(bench, "--events", "1000");
	drop_syns(bench, 3);
	accept_bench_hang_up(bench);
	overflow(bench, 4);
	accept_bench_hang_up(bench);
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 2);
	assert_int_equal(trace_run_number(json_array_get(lines, 0), "drops"), 3);
	assert_int_equal(trace_run_number(json_array_get(lines, 1), "drops"), 4);
	json_decref(lines);
}

/* A line a listener: what it dropped, what was accepted, what waits now. */
static void test_counts(void **state)
{
	struct accept_bench *bench = *state;
	json_t *lines, *line;

	accept_bench_start(bench, "1000", NULL);
	overflow(bench, 4);
	accept_bench_accept(bench, 2);
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 1);
	line = json_array_get(lines, 0);
	assert_string_equal(trace_run_string(line, "local_address"), "0.0.0.0");
	assert_int_equal(trace_run_number(line, "local_port"), bench->port);
	assert_int_equal(trace_run_number(line, "netns_inode"), bench->rig.inodes[SIDE_B]);
	assert_int_equal(trace_run_number(line, "drops"), 4);
	assert_int_equal(trace_run_number(line, "accepted"), 2);
	assert_in_range(trace_run_number(line, "delay_sum_ns"), 1,
			2 * (bench->accepted_ns - bench->connecting_ns));
	assert_int_equal(trace_run_number(line, "queue"), 1);
	assert_int_equal(trace_run_number(line, "backlog"), 2);
	assert_int_equal(trace_run_number(line, "pid"), getpid());
	json_decref(lines);
}

static void test_filters(void **state)
{
	struct accept_bench *bench = *state;
	char own_pid[16], own_port[16], other_port[16];

	cgroup_rig_up(&bench->cgroup, "accept");
	accept_bench_listen(bench, AF_INET, 2);
	snprintf(own_pid, sizeof(own_pid), "%d", getpid());
	snprintf(own_port, sizeof(own_port), "%u", bench->port);
	snprintf(other_port, sizeof(other_port), "%u", bench->port - 1U);
	{
		const struct {
			const char *option, *value;
			bool inside; /* the test is in its own group */
			size_t accepted, dropped;
		} cases[] = {
			{"-p", own_pid, false, 3, 1},
			{"-p", "1", false, 0, 0},
			{"-P", own_port, false, 3, 1},
			{"-P", other_port, false, 0, 0},
			{"-4", NULL, false, 3, 1},
			{"-6", NULL, false, 0, 0},
			{"-n", bench->inodes[SIDE_B], false, 3, 1},
			{"-n", bench->inodes[SIDE_A], false, 0, 0},
			{"-g", "/", false, 3, 1},
			{"-g", bench->cgroup.path, true, 3, 1},
			{"-g", bench->cgroup.path, false, 0, 0},
			/* A time is one of accepts alone. */
			{"-m", "10s", false, 0, 1},
			{"-m", "1ns", false, 3, 1},
		};

		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			size_t accepted = 0, dropped = 0, index;
			json_t *lines, *line;

			/* The last -n holds. */
			accept_bench_start(bench, cases[i].option, cases[i].value);
			accept_bench_fill(bench, 3);
			bench->drops_before =
				rig_counter(&bench->rig, SIDE_B, "TcpExt", "ListenDrops");
			bench->drops_wanted = 0;
			drop_syns(bench, 1);
			if (cases[i].inside)
				cgroup_rig_enter(&bench->cgroup);
			accept_bench_accept(bench, 3);
			trace_run_stop(&bench->run, SIGTERM);
			cgroup_rig_leave(&bench->cgroup);
			lines = trace_run_lines(&bench->run);
			json_array_foreach(lines, index, line)
			{
				if (!strcmp(trace_run_string(line, "event"), "accepted"))
					accepted++;
				dropped += (size_t)trace_run_number(line, "drops");
			}
			json_decref(lines);
			if (accepted != cases[i].accepted || dropped != cases[i].dropped)
				fail_msg("%s %s: %zu accepted, %zu dropped", cases[i].option,
					 cases[i].value ? cases[i].value : "", accepted, dropped);
			trace_run_discard(&bench->run);
			for (size_t j = 0; j < 3; j++) {
				close(bench->clients[j]);
				close(bench->servers[j]);
			}
			bench->client_count = bench->server_count = 0;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		accept_bench_test(test_drops),
		accept_bench_test(test_drops_of_a_life),
		accept_bench_test(test_counts),
		accept_bench_test(test_filters),
	};

	return tcp_bench_run_tests("trace_listener", tests);
}
