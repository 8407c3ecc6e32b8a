// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `tocsin trace io` on disks of the test's own: each I/O once, as the kernel counts it, with the
 * one who submitted it. Loop devices complete in a thread of the kernel's, so that a filter that
 * looked at who runs then would find nobody.
 */
#include "base/clock.h"
#include "live/cgroup_rig.h"
#include "live/disk_worker.h"
#include "live/loop_disk.h"
#include "live/trace_run.h"

#include <inttypes.h>
#include <linux/blkpg.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DISK_BYTES  (8 << 20)
#define OTHERS	    25
#define UNSEEN	    3
#define FLOOD	    20000 /* the ring of 1 MiB holds 10,082 records of 104 bytes */
#define BLOCK_BYTES LOOP_DISK_BLOCK_BYTES

struct fixture {
	struct trace_run run;
	struct loop_disk disk, other_disk;
	struct cgroup_rig cgroup;
	struct disk_worker worker, other;
	int zram; /* its number and 1; 0: none */
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	return fixture ? 0 : -1;
}

static void zram_down(struct fixture *fixture);

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	disk_worker_discard(&fixture->worker);
	disk_worker_discard(&fixture->other);
	trace_run_discard(&fixture->run);
	loop_disk_down(&fixture->disk);
	loop_disk_down(&fixture->other_disk);
	cgroup_rig_down(&fixture->cgroup);
	zram_down(fixture);
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

static void prepare(struct fixture *fixture)
{
	skip_because(trace_run_obstacle());
	skip_because(loop_disk_obstacle());
	loop_disk_up(&fixture->disk, DISK_BYTES);
}

/* ---- what was seen ---- */

struct seen {
	int64_t reads, writes, discards, flushes;
};

/*
 * So many were made, and so many seen: all, but for those whose end is known to be missing. On the
 * machine where this was written the kernel runs no program in interrupts of one of its threads,
 * though ftrace sees the tracepoint passed; a few I/Os in a hundred thousand end there.
 */
static void assert_seen(const struct fixture *fixture, int64_t seen, int64_t made)
{
	int64_t unseen = (int64_t)(fixture->run.events_lost + fixture->run.not_ended);

	assert_true(seen <= made && seen + unseen >= made);
	assert_true(unseen <= UNSEEN);
	assert_int_equal(fixture->run.updates_lost, 0);
}

/* Events of one disk; each must be whole and without error. */
static struct seen count_events(json_t *lines, const char *disk, pid_t pid, const char *cgroup)
{
	struct seen seen = {0};
	json_t *line;
	size_t index;

	json_array_foreach(lines, index, line)
	{
		const char *operation = trace_run_string(line, "operation");
		int64_t latency_ns = trace_run_number(line, "latency_ns");

		if (strcmp(trace_run_string(line, "device"), disk))
			continue;
		seen.reads += !strcmp(operation, "read");
		seen.writes += !strcmp(operation, "write");
		seen.discards += !strcmp(operation, "discard");
		seen.flushes += !strcmp(operation, "flush");
		assert_int_equal(trace_run_number(line, "bytes"),
				 strcmp(operation, "flush") ? BLOCK_BYTES : 0);
		assert_true(json_is_null(json_object_get(line, "error")));
		assert_int_equal(trace_run_number(line, "pid"), pid);
		assert_string_equal(trace_run_string(line, "comm"), "test_trace_io");
		if (cgroup)
			assert_string_equal(trace_run_string(line, "cgroup"), cgroup);
		if (strcmp(operation, "flush") && strncmp(disk, "zram", 4))
			assert_int_equal(trace_run_number(line, "queue_ns") +
						 trace_run_number(line, "device_ns"),
					 latency_ns);
		assert_in_range(latency_ns, 100, 30 * NS_PER_S);
	}
	return seen;
}

static void assert_all_kinds(const struct fixture *fixture, struct seen seen)
{
	assert_seen(fixture, seen.reads, WORKER_READS);
	assert_seen(fixture, seen.writes, WORKER_WRITES);
	assert_seen(fixture, seen.discards, WORKER_DISCARDS);
	assert_seen(fixture, seen.flushes, WORKER_FLUSHES);
	assert_seen(fixture, seen.reads + seen.writes + seen.discards + seen.flushes, WORKER_IOS);
}

static void assert_kernel_counts(struct disk_counts before, struct disk_counts after)
{
	assert_int_equal(after.reads - before.reads, WORKER_READS);
	assert_int_equal(after.read_sectors - before.read_sectors,
			 WORKER_READS * BLOCK_BYTES / 512);
	/* A flush without data is a write of no sectors there, too. */
	assert_int_equal(after.writes - before.writes, WORKER_WRITES + WORKER_FLUSHES);
	assert_int_equal(after.write_sectors - before.write_sectors,
			 WORKER_WRITES * BLOCK_BYTES / 512);
	assert_int_equal(after.discards - before.discards, WORKER_DISCARDS);
	assert_int_equal(after.flushes - before.flushes, WORKER_FLUSHES);
}

/* ---- tests ---- */

static void test_each_io_once(void **state)
{
	struct fixture *fixture = *state;
	struct disk_counts before;
	json_t *lines;

	prepare(fixture);
	trace_run_start(&fixture->run, (const char *const[]){"io", "-o", "json", NULL});
	before = disk_counts(fixture->disk.name);
	disk_work(fixture->disk.path, 0);
	assert_kernel_counts(before, disk_counts(fixture->disk.name));
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_all_kinds(fixture, count_events(lines, fixture->disk.name, getpid(), NULL));
	json_decref(lines);
}

/* Two processes on two disks: with a filter only what passes it is there, and all of it. */
static void test_filters(void **state)
{
	enum { BY_DEVICE, BY_PATH, BY_PID, BY_CGROUP, BY_ALL, CASES };
	struct fixture *fixture = *state;
	struct disk_worker *worker = &fixture->worker, *other = &fixture->other;

	for (int i = 0; i < CASES; i++) {
		const char *arguments[TRACE_RUN_ARGUMENTS_MAX] = {"io", "-o", "json"};
		size_t count = 3;
		pid_t pid;
		char number[16];
		json_t *lines;

		prepare(fixture);
		skip_because(cgroup_rig_obstacle());
		loop_disk_up(&fixture->other_disk, DISK_BYTES);
		cgroup_rig_up(&fixture->cgroup, "io");
		/* By device alone its disk is another one, else it is not. */
		*worker = (struct disk_worker){.path = fixture->disk.path,
					       .cgroup = &fixture->cgroup};
		*other = (struct disk_worker){.path = i == BY_DEVICE || i == BY_PATH
							      ? fixture->other_disk.path
							      : fixture->disk.path};
		disk_worker_start(worker);
		disk_worker_start(other);
		pid = worker->pid;
		snprintf(number, sizeof(number), "%d", (int)pid);
		if (i == BY_DEVICE || i == BY_PATH || i == BY_ALL) {
			arguments[count++] = "-d";
			arguments[count++] = i == BY_PATH ? fixture->disk.path : fixture->disk.name;
		}
		if (i == BY_PID || i == BY_ALL) {
			arguments[count++] = "-p";
			arguments[count++] = number;
		}
		if (i == BY_CGROUP || i == BY_ALL) {
			arguments[count++] = "-g";
			arguments[count++] = fixture->cgroup.path;
		}
		trace_run_start(&fixture->run, arguments);
		disk_worker_run(other);
		disk_worker_run(worker);
		trace_run_stop(&fixture->run, SIGTERM);
		lines = trace_run_lines(&fixture->run);
		assert_int_equal(json_array_size(lines), fixture->run.shown);
		assert_seen(fixture, (int64_t)fixture->run.shown, WORKER_IOS);
		assert_all_kinds(fixture, count_events(lines, fixture->disk.name, pid,
						       fixture->cgroup.path));
		json_decref(lines);
		trace_run_discard(&fixture->run);
		loop_disk_down(&fixture->disk);
		loop_disk_down(&fixture->other_disk);
		cgroup_rig_down(&fixture->cgroup);
	}
}

static void test_minimum(void **state)
{
	static const struct {
		const char *least;
		int64_t count;
	} cases[] = {{"1ns", WORKER_IOS}, {"60s", 0}};
	struct fixture *fixture = *state;

	prepare(fixture);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		trace_run_start(&fixture->run, (const char *const[]){"io", "-d", fixture->disk.name,
								     "-m", cases[i].least, NULL});
		disk_work(fixture->disk.path, 0);
		trace_run_stop(&fixture->run, SIGINT);
		assert_seen(fixture, (int64_t)fixture->run.shown, cases[i].count);
		trace_run_discard(&fixture->run);
	}
}

static void test_partition(void **state)
{
	struct fixture *fixture = *state;
	struct blkpg_partition partition = {.start = 1 << 20, .length = 4 << 20, .pno = 1};
	struct blkpg_ioctl_arg argument = {
		.op = BLKPG_ADD_PARTITION, .datalen = sizeof(partition), .data = &partition};
	char name[40], path[48];
	int image = memfd_create("tocsin-disk", MFD_CLOEXEC);

	skip_because(trace_run_obstacle());
	skip_because(loop_disk_obstacle());
	assert_int_equal(ftruncate(image, DISK_BYTES), 0);
	loop_disk_up_over(&fixture->disk, image, true);
	assert_int_equal(ioctl(fixture->disk.device, BLKPG, &argument), 0);
	snprintf(name, sizeof(name), "%sp1", fixture->disk.name);
	snprintf(path, sizeof(path), "/dev/%s", name);
	for (int whole = 0; whole < 2; whole++) {
		struct disk_counts before;
		json_t *lines;

		trace_run_start(&fixture->run,
				(const char *const[]){"io", "-o", "json", "-d",
						      whole ? fixture->disk.name : name, NULL});
		before = disk_counts(name);
		disk_read(fixture->disk.path, OTHERS);
		disk_work(path, 0);
		assert_int_equal(disk_counts(name).reads - before.reads, WORKER_READS);
		trace_run_stop(&fixture->run, SIGINT);
		lines = trace_run_lines(&fixture->run);
		assert_all_kinds(fixture, count_events(lines, name, getpid(), NULL));
		assert_seen(fixture, count_events(lines, fixture->disk.name, getpid(), NULL).reads,
			    whole ? OTHERS : 0);
		assert_seen(fixture, (int64_t)json_array_size(lines),
			    WORKER_IOS + (whole ? OTHERS : 0));
		json_decref(lines);
		trace_run_discard(&fixture->run);
	}
	argument.op = BLKPG_DEL_PARTITION;
	assert_int_equal(ioctl(fixture->disk.device, BLKPG, &argument), 0);
}

/* ---- a device without requests, as device mapper's are ---- */

static void zram_write(int number, const char *file, const char *text)
{
	char path[64];
	FILE *stream;

	snprintf(path, sizeof(path), "/sys/block/zram%d/%s", number, file);
	stream = fopen(path, "we");
	assert_non_null(stream);
	fputs(text, stream);
	assert_int_equal(fclose(stream), 0);
}

static void zram_down(struct fixture *fixture)
{
	FILE *stream;

	if (!fixture->zram)
		return;
	zram_write(fixture->zram - 1, "reset", "1");
	stream = fopen("/sys/class/zram-control/hot_remove", "we");
	if (stream) {
		fprintf(stream, "%d", fixture->zram - 1);
		fclose(stream);
	}
	fixture->zram = 0;
}

static void test_device_without_requests(void **state)
{
	struct fixture *fixture = *state;
	FILE *stream = fopen("/sys/class/zram-control/hot_add", "re");
	char name[16], path[24];
	struct seen seen;
	json_t *lines;
	int number;

	skip_because(trace_run_obstacle());
	skip_because(stream ? NULL : "no zram here (/sys/class/zram-control/hot_add)");
	assert_int_equal(fscanf(stream, "%d", &number), 1);
	fclose(stream);
	fixture->zram = number + 1;
	zram_write(number, "disksize", "8M");
	snprintf(name, sizeof(name), "zram%d", number);
	snprintf(path, sizeof(path), "/dev/%s", name);
	trace_run_start(&fixture->run, (const char *const[]){"io", "-o", "json", "-d", name, NULL});
	disk_read(path, WORKER_READS);
	disk_write(path, WORKER_WRITES);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), WORKER_READS + WORKER_WRITES);
	seen = count_events(lines, name, getpid(), NULL);
	assert_int_equal(seen.reads, WORKER_READS);
	assert_int_equal(seen.writes, WORKER_WRITES);
	assert_true(json_is_null(json_object_get(json_array_get(lines, 0), "queue_ns")));
	json_decref(lines);
}

/* ---- histograms ---- */

static int64_t count_of(json_t *lines, const char *operation, const char *stage)
{
	int64_t count = 0;
	json_t *line;
	size_t index;

	json_array_foreach(lines, index, line)
	{
		if (operation && strcmp(trace_run_string(line, "operation"), operation))
			continue;
		if (stage && strcmp(trace_run_string(line, "stage"), stage))
			continue;
		count += trace_run_number(line, "count");
	}
	return count;
}

static void test_histograms(void **state)
{
	static const char *const keys[] = {"all", "device", "operation", "stage", "cgroup"};
	static const size_t rows[] = {1, 4, 4, 7, 1};
	struct fixture *fixture = *state;

	prepare(fixture);
	for (int i = 0; i < 5; i++) {
		const char *stage = i == 3 ? "device" : NULL;
		json_t *lines;

		trace_run_start(&fixture->run,
				(const char *const[]){"io", "-o", "json", "--by", keys[i], "-d",
						      fixture->disk.name, NULL});
		disk_work(fixture->disk.path, 0);
		trace_run_stop(&fixture->run, SIGINT);
		lines = trace_run_lines(&fixture->run);
		assert_int_equal(json_array_size(lines), rows[i]);
		if (i == 3)
			assert_seen(fixture, count_of(lines, NULL, "device"),
				    WORKER_IOS - WORKER_FLUSHES);
		if (i == 3)
			assert_seen(fixture, count_of(lines, NULL, "queue"),
				    WORKER_IOS - WORKER_FLUSHES);
		if (i != 3)
			assert_seen(fixture, count_of(lines, NULL, NULL), WORKER_IOS);
		if (rows[i] > 1) {
			assert_seen(fixture, count_of(lines, "read", stage), WORKER_READS);
			assert_seen(fixture, count_of(lines, "write", stage), WORKER_WRITES);
			assert_seen(fixture, count_of(lines, "discard", stage), WORKER_DISCARDS);
			assert_seen(fixture, count_of(lines, "flush", NULL), WORKER_FLUSHES);
		}
		json_decref(lines);
		trace_run_discard(&fixture->run);
	}
}

/* ---- what goes wrong ---- */

/* Beyond the file behind the device. */
static void test_errors(void **state)
{
	static _Alignas(BLOCK_BYTES) char block[2 * BLOCK_BYTES];
	struct fixture *fixture = *state;
	json_t *lines, *line;
	size_t index;

	prepare(fixture);
	assert_int_equal(ftruncate(fixture->disk.image, BLOCK_BYTES), 0);
	trace_run_start(&fixture->run,
			(const char *const[]){"io", "-o", "json", "-d", fixture->disk.name, NULL});
	/* The first half is there: the driver completes it in two parts. */
	assert_true(pread(fixture->disk.device, block, sizeof(block), 0) <= BLOCK_BYTES);
	for (int i = 1; i <= 20; i++)
		assert_true(pread(fixture->disk.device, block, BLOCK_BYTES, i * BLOCK_BYTES) < 0);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_seen(fixture, (int64_t)json_array_size(lines), 21);
	json_array_foreach(lines, index, line)
	{
		assert_string_equal(trace_run_string(line, "error"), "io");
		assert_string_equal(trace_run_string(line, "operation"), "read");
		assert_int_equal(trace_run_number(line, "bytes"),
				 trace_run_number(line, "sector") ? BLOCK_BYTES : 2 * BLOCK_BYTES);
	}
	json_decref(lines);
}

static void test_unknown_device(void **state)
{
	const char *build = getenv("BUILD");
	char command[512], said[512] = "", more[8];
	FILE *stream;

	(void)state;
	skip_because(trace_run_obstacle());
	snprintf(command, sizeof(command), "%s/tocsin trace io -d nosuch 2>&1",
		 build ? build : "build");
	stream = popen(command, "r");
	assert_non_null(stream);
	assert_non_null(fgets(said, sizeof(said), stream));
	assert_null(fgets(more, sizeof(more), stream));
	assert_int_equal(WEXITSTATUS(pclose(stream)), 2);
	assert_non_null(strstr(said, "no block device 'nosuch'"));
}

static void test_flood_is_shown_or_counted_as_lost(void **state)
{
	struct fixture *fixture = *state;
	struct disk_counts before;

	prepare(fixture);
	trace_run_start(&fixture->run,
			(const char *const[]){"io", "-o", "csv", "-d", fixture->disk.name, NULL});
	before = disk_counts(fixture->disk.name);
	assert_int_equal(kill(fixture->run.pid, SIGSTOP), 0);
	disk_read(fixture->disk.path, FLOOD);
	assert_int_equal(disk_counts(fixture->disk.name).reads - before.reads, FLOOD);
	assert_int_equal(kill(fixture->run.pid, SIGCONT), 0);
	trace_run_stop(&fixture->run, SIGINT);
	assert_true(fixture->run.events_lost > 0);
	assert_int_equal(fixture->run.updates_lost, 0);
	assert_int_equal(fixture->run.shown + fixture->run.events_lost + fixture->run.not_ended,
			 FLOOD);
}

/* By Python's reader of CSV. */
static void test_csv(void **state)
{
	struct fixture *fixture = *state;
	char command[512];

	prepare(fixture);
	trace_run_start(&fixture->run,
			(const char *const[]){"io", "-o", "csv", "-d", fixture->disk.name, NULL});
	disk_work(fixture->disk.path, 0);
	trace_run_stop(&fixture->run, SIGINT);
	snprintf(command, sizeof(command),
		 "python3 -c 'import csv, sys; "
		 "rows = list(csv.DictReader(open(sys.argv[1]), strict=True)); "
		 "sys.exit(not (len(rows) == %" PRIu64
		 " and %d <= sum(r[\"operation\"] == \"read\" and "
		 "r[\"bytes\"] == \"%d\" and r[\"pid\"] == \"%d\" and int(r[\"latency_ns\"]) > 0 "
		 "and None not in r for r in rows) <= %d))' /proc/%d/fd/%d",
		 fixture->run.shown, WORKER_READS - UNSEEN, BLOCK_BYTES, (int)getpid(),
		 WORKER_READS, (int)getpid(), fixture->run.output);
	assert_seen(fixture, (int64_t)fixture->run.shown, WORKER_IOS);
	assert_int_equal(system(command), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_io_once),
		TEST(test_filters),
		TEST(test_minimum),
		TEST(test_partition),
		TEST(test_device_without_requests),
		TEST(test_histograms),
		TEST(test_errors),
		TEST(test_unknown_device),
		TEST(test_flood_is_shown_or_counted_as_lost),
		TEST(test_csv),
	};

	return cmocka_run_group_tests_name("trace_io", tests, NULL, NULL);
}
