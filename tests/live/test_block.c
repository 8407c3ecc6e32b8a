// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The block probe on a live kernel: a loop device of the test's own, over a file in memory. What is
 * read and written is what is counted, to the request and the byte, and equals the kernel's own
 * statistics of the device.
 */
#include "base/clock.h"
#include "live/disk_worker.h"
#include "live/loop_disk.h"
#include "probe/block.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DISK_BYTES   (8 * 1024 * 1024)
#define BLOCK_BYTES  4096
#define READS	     500
#define WRITES	     300
#define LOOP_MAJOR   7U
#define FIRST_NUMBER 5000 /* of loop devices that nobody else makes */
#define UNSEEN_MAX   3
#define WAIT_NS	     (5 * NS_PER_S)
#define POLL_US	     10000

struct fixture {
	struct loop_disk disk, other_disk;
	struct block_probe *probe;
};

static const char *obstacle(void)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return "this kernel has no BTF";
	return loop_disk_obstacle();
}

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){0};
	*state = &fixture;
	if (!obstacle())
		loop_disk_up(&fixture.disk, DISK_BYTES);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	block_probe_close(fixture->probe);
	loop_disk_down(&fixture->disk);
	loop_disk_down(&fixture->other_disk);
	return 0;
}

static uint64_t total(const __u64 counts[static HISTOGRAM_BUCKETS])
{
	uint64_t sum = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum += counts[i];
	return sum;
}

static const struct block_disk *find_named(struct fixture *fixture, const char *name)
{
	const struct block_disk *disks;
	size_t count;

	assert_int_equal(block_probe_read(fixture->probe, &disks, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(disks[i].name, name))
			return &disks[i];
	return NULL;
}

struct made {
	uint64_t operations[BLOCK_OPERATIONS];
};

/*
 * Waits until all of it is seen, or found out to be what the kernel ran no program at the end of:
 * on the machine where this was written it runs none in interrupts of one of its threads, though
 * ftrace sees the tracepoint passed. Those are few.
 */
static const struct block_sum *expect_seen(struct fixture *fixture, const char *name,
					   const struct made *made)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS, missing, unseen;

	for (;;) {
		const struct block_disk *disk = find_named(fixture, name);

		missing = 0;
		for (int i = 0; disk && i < BLOCK_OPERATIONS; i++) {
			uint64_t seen = total(disk->operations[i].record.device);

			assert_in_range(seen, 0, made->operations[i]);
			missing += made->operations[i] - seen;
		}
		/* It counts those of other disks, too. */
		unseen = block_probe_counters(fixture->probe).completions_unseen;
		if (disk && missing <= unseen) {
			if (missing)
				print_message("%" PRIu64 " ended unseen\n", missing);
			assert_in_range(missing, 0, UNSEEN_MAX);
			return disk->operations;
		}
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("%s: %" PRIu64 " not seen, but %" PRIu64 " known to be unseen",
				 name, missing, unseen);
		usleep(POLL_US);
	}
}

static void test_counts(void **state)
{
	struct fixture *fixture = *state;
	struct disk_counts before, after;
	uint64_t start_ns, reads, writes;
	char reason[256] = "";
	struct text error = TEXT(reason);
	const struct block_sum *sums;
	void *buffer = NULL;

	if (obstacle()) {
		print_message("%s\n", obstacle());
		skip();
	}
	assert_int_equal(posix_memalign(&buffer, BLOCK_BYTES, 2 * BLOCK_BYTES), 0);
	memset(buffer, 'x', 2 * BLOCK_BYTES);
	if (block_probe_open(&fixture->probe, &error))
		fail_msg("%s", reason);
	start_ns = clock_monotonic_ns();
	before = disk_counts(fixture->disk.name);
	for (int i = 0; i < READS; i++)
		assert_int_equal(pread(fixture->disk.device, buffer, BLOCK_BYTES,
				       (off_t)(i * 7 % 2000) * BLOCK_BYTES),
				 BLOCK_BYTES);
	for (int i = 0; i < WRITES; i++)
		assert_int_equal(pwrite(fixture->disk.device, buffer, 2 * BLOCK_BYTES,
					(off_t)(i * 5 % 1000) * 2 * BLOCK_BYTES),
				 2 * BLOCK_BYTES);
	after = disk_counts(fixture->disk.name);
	assert_int_equal(after.reads - before.reads, READS);
	assert_int_equal(after.writes - before.writes, WRITES);
	sums = expect_seen(fixture, fixture->disk.name,
			   &(struct made){{[BLOCK_READ] = READS, [BLOCK_WRITE] = WRITES}});
	reads = total(sums[BLOCK_READ].record.device);
	writes = total(sums[BLOCK_WRITE].record.device);
	assert_int_equal(total(sums[BLOCK_READ].record.queue), reads);
	assert_int_equal(sums[BLOCK_READ].record.bytes, reads * BLOCK_BYTES);
	assert_int_equal(total(sums[BLOCK_WRITE].record.queue), writes);
	assert_int_equal(sums[BLOCK_WRITE].record.bytes, writes * 2 * BLOCK_BYTES);
	assert_int_equal(sums[BLOCK_READ].record.errors + sums[BLOCK_WRITE].record.errors, 0);
	assert_int_equal(sums[BLOCK_READ].oldest_start_ns, 0);
	assert_int_equal(sums[BLOCK_WRITE].oldest_start_ns, 0);
	assert_in_range(sums[BLOCK_WRITE].record.completed_ns, start_ns, clock_monotonic_ns());
	assert_in_range(sums[BLOCK_READ].record.device_sum_ns, reads,
			clock_monotonic_ns() - start_ns);
	free(buffer);
}

static void test_all_kinds(void **state)
{
	struct fixture *fixture = *state;
	struct disk_counts before, after;
	char reason[256] = "";
	struct text error = TEXT(reason);
	struct made made;

	if (obstacle()) {
		print_message("%s\n", obstacle());
		skip();
	}
	if (block_probe_open(&fixture->probe, &error))
		fail_msg("%s", reason);
	before = disk_counts(fixture->disk.name);
	disk_work(fixture->disk.path, 0);
	after = disk_counts(fixture->disk.name);
	made = (struct made){{
		[BLOCK_READ] = after.reads - before.reads,
		/* Each flush is a write of no bytes there, too. */
		[BLOCK_WRITE] = after.writes - before.writes - WORKER_FLUSHES,
		[BLOCK_DISCARD] = after.discards - before.discards,
		[BLOCK_FLUSH] = after.flushes - before.flushes,
	}};
	(void)expect_seen(fixture, fixture->disk.name, &made);
	assert_int_equal(after.reads - before.reads, WORKER_READS);
	assert_int_equal(after.writes - before.writes, WORKER_WRITES + WORKER_FLUSHES);
	assert_int_equal(after.discards - before.discards, WORKER_DISCARDS);
	assert_int_equal(after.flushes - before.flushes, WORKER_FLUSHES);
}

static uint32_t read_slot(int number)
{
	const struct block_key key = {.device = LOOP_MAJOR << BLOCK_MINOR_BITS | (uint32_t)number,
				      .operation = BLOCK_READ};

	return block_slot_index(&key);
}

/* Two devices whose reads lead to the same slot, and one that comes back under its number. */
static void test_devices_that_share_a_slot_and_a_number(void **state)
{
	struct fixture *fixture = *state;
	char reason[256] = "";
	struct text error = TEXT(reason);
	int number = FIRST_NUMBER + (int)getpid() % 10000, other = number + 1;

	if (obstacle()) {
		print_message("%s\n", obstacle());
		skip();
	}
	while (read_slot(other) != read_slot(number))
		other++;
	loop_disk_down(&fixture->disk);
	if (block_probe_open(&fixture->probe, &error))
		fail_msg("%s", reason);
	for (int round = 0; round < 2; round++) {
		char name[32], other_name[32];

		loop_disk_up_as(&fixture->disk, number, DISK_BYTES);
		loop_disk_up_as(&fixture->other_disk, other, DISK_BYTES);
		snprintf(name, sizeof(name), "%s", fixture->disk.name);
		snprintf(other_name, sizeof(other_name), "%s", fixture->other_disk.name);
		disk_read(fixture->disk.path, 40);
		disk_read(fixture->other_disk.path, 30);
		(void)expect_seen(fixture, name, &(struct made){{[BLOCK_READ] = 40}});
		(void)expect_seen(fixture, other_name, &(struct made){{[BLOCK_READ] = 30}});
		loop_disk_down(&fixture->disk);
		loop_disk_down(&fixture->other_disk);
		assert_null(find_named(fixture, name));
		assert_null(find_named(fixture, other_name));
	}
	assert_int_equal(block_probe_counters(fixture->probe).records_lost, 0);
}

/* Beyond the file behind the device: each read fails, and is an error and no bytes. */
static void test_errors(void **state)
{
	struct fixture *fixture = *state;
	char reason[256] = "";
	struct text error = TEXT(reason);
	const struct block_sum *sums;
	void *buffer = NULL;
	int failed = 0;

	if (obstacle()) {
		print_message("%s\n", obstacle());
		skip();
	}
	assert_int_equal(posix_memalign(&buffer, BLOCK_BYTES, BLOCK_BYTES), 0);
	if (block_probe_open(&fixture->probe, &error))
		fail_msg("%s", reason);
	assert_int_equal(ftruncate(fixture->disk.image, 0), 0);
	for (int i = 0; i < 20; i++)
		failed += pread(fixture->disk.device, buffer, BLOCK_BYTES, (off_t)i * BLOCK_BYTES) <
			  0;
	if (!failed) {
		free(buffer);
		print_message("reads beyond the file behind a loop device do not fail here; "
			      "block_fuse has errors of another kind\n");
		skip();
	}
	assert_int_equal(failed, 20);
	sums = expect_seen(fixture, fixture->disk.name, &(struct made){{[BLOCK_READ] = 20}});
	assert_int_equal(sums[BLOCK_READ].record.errors, total(sums[BLOCK_READ].record.device));
	assert_int_equal(sums[BLOCK_READ].record.bytes, 0);
	free(buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_kinds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_devices_that_share_a_slot_and_a_number, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
