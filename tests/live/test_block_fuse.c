// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The block probe and `tocsin trace io` on a disk that is slow, hangs, fails or answers in parts.
 */
#include "base/clock.h"
#include "live/child.h"
#include "live/fuse_disk.h"
#include "live/trace_run.h"
#include "probe/block.h"
#include "probe/program.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define POLL_US	     2000
#define WAIT_NS	     (10 * NS_PER_S)
#define STALL_MS     6000
#define STALL_NS     (STALL_MS * NS_PER_MS)
#define BLOCK_BYTES  LOOP_DISK_BLOCK_BYTES
#define PARTS	     20
#define FAILURES     20
#define FIO_READS    60
#define FIO_DELAY_MS 10
#define UNSEEN_READS 300

struct fixture {
	struct fuse_disk disk;
	struct block_probe *probe;
	struct trace_run run;
	pid_t reader;
};

static const char *obstacle(void)
{
	return trace_run_obstacle() ? trace_run_obstacle() : fuse_disk_obstacle();
}

static int set_up(void **state)
{
	static struct fixture fixture;
	char reason[256] = "";
	struct text error = TEXT(reason);

	fixture = (struct fixture){0};
	*state = &fixture;
	if (obstacle())
		return 0;
	fuse_disk_up(&fixture.disk);
	if (block_probe_open(&fixture.probe, &error))
		fail_msg("%s", reason);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	/* What hangs cannot be killed. */
	if (fixture->disk.orders)
		atomic_store(&fixture->disk.orders->hang, false);
	child_kill(&fixture->reader);
	trace_run_discard(&fixture->run);
	block_probe_close(fixture->probe);
	fuse_disk_down(&fixture->disk);
	return 0;
}

static void skip_where_impossible(void)
{
	if (!obstacle())
		return;
	print_message("%s\n", obstacle());
	skip();
}

static void start_trace(struct fixture *fixture, const char *least)
{
	trace_run_start(&fixture->run,
			(const char *const[]){"io", "-o", "json", "-d", fixture->disk.loop.name,
					      "-m", least, NULL});
}

static void read_once(void *path)
{
	disk_read(path, 1);
}

/* Without what the test has open, or it would keep the programs attached. */
static void read_once_alone(void *path)
{
	if (close_range(STDERR_FILENO + 1, ~0U, 0))
		abort();
	disk_read(path, 1);
}

static void wait_for_reader(struct fixture *fixture)
{
	int status = child_wait(fixture->reader);

	fixture->reader = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_RETURNED);
}

static const struct block_disk *find(const struct fixture *fixture)
{
	const struct block_disk *disks;
	size_t count;

	assert_int_equal(block_probe_read(fixture->probe, &disks, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(disks[i].name, fixture->disk.loop.name))
			return &disks[i];
	return NULL;
}

static uint64_t total(const __u64 counts[static HISTOGRAM_BUCKETS])
{
	uint64_t sum = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum += counts[i];
	return sum;
}

/* Waits until a read is in flight that is so old. Returns when it began. */
static uint64_t expect_in_flight(const struct fixture *fixture, uint64_t age_ns)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

	for (;;) {
		const struct block_disk *disk = find(fixture);
		uint64_t start_ns = disk ? disk->operations[BLOCK_READ].oldest_start_ns : 0;

		if (start_ns && clock_monotonic_ns() - start_ns >= age_ns) {
			assert_true(disk->in_flight_known);
			assert_int_equal(disk->in_flight[0], 1);
			assert_int_equal(total(disk->operations[BLOCK_READ].record.device), 0);
			return start_ns;
		}
		assert_true(clock_monotonic_ns() < deadline_ns);
		usleep(POLL_US);
	}
}

/* It is longer than 32 bits of nanoseconds, 4.3 s. */
static void test_stall_is_seen_while_it_lasts_and_recorded_after(void **state)
{
	struct fixture *fixture = *state;
	const struct block_sum *sum;
	uint64_t start_ns, seen_ns, now_ns;
	json_t *lines, *line;
	pid_t pid;

	skip_where_impossible();
	start_trace(fixture, "5s");
	atomic_store(&fixture->disk.orders->delay_ms, STALL_MS);
	start_ns = clock_monotonic_ns();
	pid = fixture->reader = child_start(read_once, fixture->disk.loop.path);
	seen_ns = expect_in_flight(fixture, 0);
	assert_in_range(seen_ns, start_ns, clock_monotonic_ns());
	assert_true(clock_monotonic_ns() - start_ns < STALL_NS / 6);
	/* Still the same one. */
	assert_int_equal(expect_in_flight(fixture, 5 * NS_PER_S), seen_ns);
	assert_int_equal(atomic_load(&fixture->disk.orders->reads), 0);
	wait_for_reader(fixture);
	now_ns = clock_monotonic_ns();
	sum = &find(fixture)->operations[BLOCK_READ];
	assert_int_equal(total(sum->record.device), 1);
	assert_in_range(sum->record.device_sum_ns, STALL_NS, now_ns - start_ns);
	assert_int_equal(sum->record.device[histogram_bucket_of_ns(sum->record.device_sum_ns)], 1);
	assert_int_equal(sum->oldest_start_ns, 0);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 1);
	line = json_array_get(lines, 0);
	assert_in_range(trace_run_number(line, "latency_ns"), STALL_NS, now_ns - start_ns);
	assert_in_range(trace_run_number(line, "device_ns"), STALL_NS, now_ns - start_ns);
	assert_int_equal(trace_run_number(line, "pid"), pid);
	json_decref(lines);
}

static void test_hang_is_seen_until_it_ends(void **state)
{
	struct fixture *fixture = *state;
	const struct block_sum *sum;

	skip_where_impossible();
	start_trace(fixture, "1ns");
	atomic_store(&fixture->disk.orders->hang, true);
	fixture->reader = child_start(read_once, fixture->disk.loop.path);
	expect_in_flight(fixture, 300 * NS_PER_MS);
	/* The trace does not see it end. */
	trace_run_stop(&fixture->run, SIGINT);
	assert_int_equal(fixture->run.shown, 0);
	assert_int_equal(fixture->run.not_ended, 1);
	atomic_store(&fixture->disk.orders->hang, false);
	wait_for_reader(fixture);
	sum = &find(fixture)->operations[BLOCK_READ];
	assert_int_equal(total(sum->record.device), 1);
	assert_int_equal(sum->oldest_start_ns, 0);
}

static void test_what_ends_while_it_is_shed_is_not_in_flight_after(void **state)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	struct fixture *fixture = *state;

	skip_where_impossible();
	atomic_store(&fixture->disk.orders->hang, true);
	fixture->reader = child_start(read_once_alone, fixture->disk.loop.path);
	expect_in_flight(fixture, 0);
	block_probe_shed(fixture->probe, "on purpose");
	atomic_store(&fixture->disk.orders->hang, false);
	wait_for_reader(fixture);
	assert_int_not_equal(block_probe_oldest_ns(fixture->probe), 0);
	assert_int_equal(block_probe_restore(fixture->probe), 0);
	/* Of other disks something may be in flight for a moment. */
	while (block_probe_oldest_ns(fixture->probe)) {
		assert_true(clock_monotonic_ns() < deadline_ns);
		usleep(POLL_US);
	}
	disk_read(fixture->disk.loop.path, 1);
	assert_int_equal(total(find(fixture)->operations[BLOCK_READ].record.device), 1);
}

/* None of its I/O is noted any more, and none was ever counted. */
static void wait_until_forgotten(const struct fixture *fixture)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

	while (find(fixture)) {
		assert_true(clock_monotonic_ns() < deadline_ns);
		usleep(POLL_US);
	}
}

/* The program at the end of I/O alone is taken away: what then ends, is not seen to. */
static void test_ends_that_are_not_seen_are_found_out(void **state)
{
	uint64_t start_ns, before;
	struct fixture *fixture = *state;
	struct program_status *ends;
	size_t count;

	skip_where_impossible();
	ends = (struct program_status *)block_probe_programs(fixture->probe, &count);
	assert_string_equal(ends->program->name, "block_rq_complete");
	atomic_store(&fixture->disk.orders->hang, true);
	fixture->reader = child_start(read_once_alone, fixture->disk.loop.path);
	/* It is looked at, and is one that hangs. */
	start_ns = expect_in_flight(fixture, NS_PER_S);
	before = block_probe_counters(fixture->probe).completions_unseen;
	program_shed(ends, 1, "on purpose");
	atomic_store(&fixture->disk.orders->hang, false);
	wait_for_reader(fixture);
	assert_in_range(block_probe_oldest_ns(fixture->probe), 1, start_ns);
	wait_until_forgotten(fixture);
	assert_int_not_equal(block_probe_oldest_ns(fixture->probe), start_ns);
	/* Others are noted again before they are found out. Those of other disks count, too. */
	disk_read(fixture->disk.loop.path, UNSEEN_READS);
	wait_until_forgotten(fixture);
	assert_true(block_probe_counters(fixture->probe).completions_unseen >=
		    before + 1 + UNSEEN_READS);
}

static void test_failures_are_errors(void **state)
{
	static _Alignas(BLOCK_BYTES) char block[BLOCK_BYTES];
	struct fixture *fixture = *state;
	const struct block_sum *sums;
	json_t *lines, *line;
	size_t index;

	skip_where_impossible();
	start_trace(fixture, "1ns");
	atomic_store(&fixture->disk.orders->error, EIO);
	for (int i = 0; i < FAILURES; i++) {
		assert_int_equal(pread(fixture->disk.loop.device, block, BLOCK_BYTES, 0), -1);
		assert_int_equal(pwrite(fixture->disk.loop.device, block, BLOCK_BYTES, 0), -1);
	}
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 2 * FAILURES);
	json_array_foreach(lines, index, line)
		assert_string_equal(trace_run_string(line, "error"), "io");
	json_decref(lines);
	sums = find(fixture)->operations;
	assert_int_equal(sums[BLOCK_READ].record.errors, FAILURES);
	assert_int_equal(sums[BLOCK_WRITE].record.errors, FAILURES);
	assert_int_equal(sums[BLOCK_READ].record.bytes + sums[BLOCK_WRITE].record.bytes, 0);
}

/* The loop driver completes what it has of a short read, and asks for the rest. */
static void test_io_in_parts_counts_once(void **state)
{
	static _Alignas(BLOCK_BYTES) char blocks[2 * BLOCK_BYTES];
	struct fixture *fixture = *state;
	const struct block_sum *sum;
	json_t *lines, *line;
	size_t index;

	skip_where_impossible();
	start_trace(fixture, "1ns");
	atomic_store(&fixture->disk.orders->read_bytes_max, BLOCK_BYTES);
	for (int i = 0; i < PARTS; i++)
		assert_int_equal(pread(fixture->disk.loop.device, blocks, sizeof(blocks), 0),
				 sizeof(blocks));
	assert_int_equal(atomic_load(&fixture->disk.orders->reads), 2 * PARTS);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), PARTS);
	json_array_foreach(lines, index, line)
		assert_int_equal(trace_run_number(line, "bytes"), sizeof(blocks));
	json_decref(lines);
	sum = &find(fixture)->operations[BLOCK_READ];
	assert_int_equal(total(sum->record.device), PARTS);
	assert_int_equal(sum->record.bytes, PARTS * sizeof(blocks));
}

/* fio's own mean completion latency of so many reads. */
static double run_fio(const struct fixture *fixture)
{
	char command[512];
	json_error_t error;
	double mean_ns = 0;
	json_int_t reads = 0;
	json_t *report;
	FILE *stream;

	snprintf(command, sizeof(command),
		 "fio --name=tocsin --filename=%s --rw=randread --bs=4k --direct=1 "
		 "--ioengine=psync --number_ios=%d --output-format=json",
		 fixture->disk.loop.path, FIO_READS);
	stream = popen(command, "r");
	assert_non_null(stream);
	report = json_loadf(stream, JSON_DISABLE_EOF_CHECK, &error);
	if (!report)
		fail_msg("what fio says is no JSON: %s", error.text);
	assert_int_equal(pclose(stream), 0);
	assert_int_equal(json_unpack(report, "{s:[{s:{s:I, s:{s:F}}}]}", "jobs", "read",
				     "total_ios", &reads, "clat_ns", "mean", &mean_ns),
			 0);
	json_decref(report);
	assert_int_equal(reads, FIO_READS);
	return mean_ns;
}

static void test_latency_is_that_of_fio(void **state)
{
	struct fixture *fixture = *state;
	double fio_ns, trace_ns, probe_ns;
	const struct block_sum *sum;
	json_t *lines;

	skip_where_impossible();
	if (system("command -v fio >/dev/null")) {
		print_message("fio is not installed; scripts/install-deps test installs it\n");
		skip();
	}
	atomic_store(&fixture->disk.orders->delay_ms, FIO_DELAY_MS);
	trace_run_start(&fixture->run, (const char *const[]){"io", "-o", "json", "-H", "-d",
							     fixture->disk.loop.name, NULL});
	fio_ns = run_fio(fixture);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 1);
	assert_int_equal(trace_run_number(json_array_get(lines, 0), "count"), FIO_READS);
	trace_ns = (double)trace_run_number(json_array_get(lines, 0), "sum_ns") / FIO_READS;
	json_decref(lines);
	sum = &find(fixture)->operations[BLOCK_READ];
	assert_int_equal(total(sum->record.device), FIO_READS);
	probe_ns = (double)(sum->record.queue_sum_ns + sum->record.device_sum_ns) / FIO_READS;
	print_message("mean of a read: fio %.0f ns, trace %.0f ns, probe %.0f ns\n", fio_ns,
		      trace_ns, probe_ns);
	assert_true(trace_ns > 0.9 * fio_ns && trace_ns <= 1.1 * fio_ns);
	assert_true(probe_ns > 0.9 * fio_ns && probe_ns <= 1.1 * fio_ns);
}

static int set_up_mounts(void **state)
{
	(void)state;
	if (!obstacle())
		fuse_disk_hide_mounts();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stall_is_seen_while_it_lasts_and_recorded_after),
		TEST(test_hang_is_seen_until_it_ends),
		TEST(test_what_ends_while_it_is_shed_is_not_in_flight_after),
		TEST(test_ends_that_are_not_seen_are_found_out),
		TEST(test_failures_are_errors),
		TEST(test_io_in_parts_counts_once),
		TEST(test_latency_is_that_of_fio),
	};

	return cmocka_run_group_tests_name("block_fuse", tests, set_up_mounts, NULL);
}
