// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `tocsin trace iotop`: the rows of all intervals together are what was read and written. */
#include "base/clock.h"
#include "live/cgroup_rig.h"
#include "live/disk_worker.h"
#include "live/loop_disk.h"
#include "live/trace_run.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DISK_BYTES  (8 << 20)
#define PAUSE_MS    120
#define UNSEEN	    3 /* see test_trace_io.c */
#define ERRORS	    10
#define BLOCK_BYTES LOOP_DISK_BLOCK_BYTES

struct fixture {
	struct trace_run run;
	struct loop_disk disk;
	struct cgroup_rig cgroup;
	struct disk_worker worker, other;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	return fixture ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	disk_worker_discard(&fixture->worker);
	disk_worker_discard(&fixture->other);
	trace_run_discard(&fixture->run);
	loop_disk_down(&fixture->disk);
	cgroup_rig_down(&fixture->cgroup);
	free(fixture);
	return 0;
}

static void skip_because(const char *obstacle)
{
	if (!obstacle)
		return;
	print_message("%s\n", obstacle);
	skip();
}

/* A disk, and two processes on it, one of them in a cgroup of its own. */
static void prepare(struct fixture *fixture, unsigned int pause_ms)
{
	skip_because(trace_run_obstacle());
	skip_because(loop_disk_obstacle());
	skip_because(cgroup_rig_obstacle());
	loop_disk_up(&fixture->disk, DISK_BYTES);
	cgroup_rig_up(&fixture->cgroup, "iotop");
	fixture->worker = (struct disk_worker){
		.path = fixture->disk.path, .cgroup = &fixture->cgroup, .pause_ms = pause_ms};
	fixture->other = (struct disk_worker){.path = fixture->disk.path};
	disk_worker_start(&fixture->worker);
	disk_worker_start(&fixture->other);
}

struct sums {
	int64_t rows, reads, writes, others, read_bytes, write_bytes, errors, latency_ns;
};

/* The rows of one process. */
static struct sums add_up(json_t *lines, const struct fixture *fixture, pid_t pid,
			  const char *cgroup)
{
	struct sums sums = {0};
	json_t *line;
	size_t index;

	json_array_foreach(lines, index, line)
	{
		int64_t max_ns = trace_run_number(line, "latency_max_ns");
		int64_t mean_ns = trace_run_number(line, "latency_mean_ns");
		int64_t count = trace_run_number(line, "reads") + trace_run_number(line, "writes") +
				trace_run_number(line, "others");

		if (trace_run_number(line, "pid") != pid)
			continue;
		assert_string_equal(trace_run_string(line, "comm"), "test_trace_ioto");
		assert_string_equal(trace_run_string(line, "device"), fixture->disk.name);
		if (cgroup)
			assert_string_equal(trace_run_string(line, "cgroup"), cgroup);
		assert_int_equal(trace_run_number(line, "bytes"),
				 trace_run_number(line, "read_bytes") +
					 trace_run_number(line, "write_bytes"));
		assert_true(mean_ns > 0 && mean_ns <= max_ns && max_ns < (int64_t)(30 * NS_PER_S));
		assert_int_equal(trace_run_number(line, "latency_sum_ns") / count, mean_ns);
		sums.rows++;
		sums.reads += trace_run_number(line, "reads");
		sums.writes += trace_run_number(line, "writes");
		sums.others += trace_run_number(line, "others");
		sums.read_bytes += trace_run_number(line, "read_bytes");
		sums.write_bytes += trace_run_number(line, "write_bytes");
		sums.errors += trace_run_number(line, "errors");
	}
	return sums;
}

static void assert_seen(const struct fixture *fixture, int64_t seen, int64_t made)
{
	int64_t unseen = (int64_t)(fixture->run.events_lost + fixture->run.not_ended);

	assert_true(seen <= made && seen + unseen >= made);
	assert_true(unseen <= UNSEEN);
	assert_int_equal(fixture->run.updates_lost, 0);
}

static void assert_all(const struct fixture *fixture, struct sums sums)
{
	assert_seen(fixture, sums.reads, WORKER_READS);
	assert_seen(fixture, sums.writes, WORKER_WRITES);
	assert_seen(fixture, sums.others, WORKER_DISCARDS + WORKER_FLUSHES);
	assert_seen(fixture, sums.reads + sums.writes + sums.others, WORKER_IOS);
	assert_int_equal(sums.read_bytes, sums.reads * BLOCK_BYTES);
	assert_int_equal(sums.write_bytes, sums.writes * BLOCK_BYTES);
	assert_int_equal(sums.errors, 0);
}

static void test_intervals(void **state)
{
	struct fixture *fixture = *state;
	struct sums sums;
	json_t *lines;
	pid_t pid, other;

	prepare(fixture, PAUSE_MS);
	pid = fixture->worker.pid;
	other = fixture->other.pid;
	trace_run_start(&fixture->run, (const char *const[]){"iotop", "-o", "json", "-d",
							     fixture->disk.name, "0.1", NULL});
	disk_worker_run(&fixture->worker);
	disk_worker_run(&fixture->other);
	trace_run_stop(&fixture->run, SIGTERM);
	lines = trace_run_lines(&fixture->run);
	sums = add_up(lines, fixture, pid, fixture->cgroup.path);
	assert_all(fixture, sums);
	assert_true(sums.rows >= 3);
	assert_all(fixture, add_up(lines, fixture, other, NULL));
	assert_int_equal(json_array_size(lines), fixture->run.shown);
	json_decref(lines);
}

static void test_filters(void **state)
{
	struct fixture *fixture = *state;

	for (int by_pid = 0; by_pid < 2; by_pid++) {
		char number[16];
		json_t *lines;
		pid_t pid;

		prepare(fixture, 0);
		pid = fixture->worker.pid;
		snprintf(number, sizeof(number), "%d", (int)pid);
		trace_run_start(&fixture->run,
				(const char *const[]){"iotop", "-o", "json", by_pid ? "-p" : "-g",
						      by_pid ? number : fixture->cgroup.path,
						      NULL});
		disk_worker_run(&fixture->other);
		disk_worker_run(&fixture->worker);
		trace_run_stop(&fixture->run, SIGINT);
		lines = trace_run_lines(&fixture->run);
		assert_all(fixture, add_up(lines, fixture, pid, fixture->cgroup.path));
		assert_true(json_array_size(lines) > 0);
		for (size_t i = 0; i < json_array_size(lines); i++)
			assert_int_equal(trace_run_number(json_array_get(lines, i), "pid"), pid);
		json_decref(lines);
		trace_run_discard(&fixture->run);
		loop_disk_down(&fixture->disk);
		cgroup_rig_down(&fixture->cgroup);
	}
}

static void test_errors_and_minimum(void **state)
{
	static _Alignas(BLOCK_BYTES) char block[BLOCK_BYTES];
	struct fixture *fixture = *state;
	struct sums sums;
	json_t *lines;

	for (int least = 0; least < 2; least++) {
		prepare(fixture, 0);
		assert_int_equal(ftruncate(fixture->disk.image, 0), 0);
		trace_run_start(&fixture->run, (const char *const[]){"iotop", "-o", "json", "-d",
								     fixture->disk.name, "-m",
								     least ? "60s" : "1ns", NULL});
		for (int i = 0; i < ERRORS; i++)
			assert_true(pread(fixture->disk.device, block, BLOCK_BYTES,
					  i * BLOCK_BYTES) < 0);
		trace_run_stop(&fixture->run, SIGINT);
		lines = trace_run_lines(&fixture->run);
		sums = add_up(lines, fixture, getpid(), NULL);
		assert_seen(fixture, sums.errors, least ? 0 : ERRORS);
		assert_int_equal(sums.reads, sums.errors);
		json_decref(lines);
		trace_run_discard(&fixture->run);
		disk_worker_discard(&fixture->worker);
		disk_worker_discard(&fixture->other);
		loop_disk_down(&fixture->disk);
		cgroup_rig_down(&fixture->cgroup);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_intervals),
		TEST(test_filters),
		TEST(test_errors_and_minimum),
	};

	return cmocka_run_group_tests_name("trace_iotop", tests, NULL, NULL);
}
