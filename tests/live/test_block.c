// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The block probe on a live kernel: a loop device of the test's own, over a file in memory. What is
 * read and written is what is counted, to the request and the byte, and equals the kernel's own
 * statistics of the device.
 */
#include "base/clock.h"
#include "probe/block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define DISK_BYTES  (8 * 1024 * 1024)
#define BLOCK_BYTES 4096
#define READS	    500
#define WRITES	    300

struct fixture {
	int memory, loop;
	char name[32];
	struct block_probe *probe;
};

static const char *obstacle(void)
{
	int control;

	if (geteuid())
		return "needs root, to make a loop device and load programs";
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return "this kernel has no BTF";
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return "this kernel has no loop devices";
	close(control);
	return NULL;
}

static int set_up(void **state)
{
	static struct fixture fixture;
	char path[64];
	int control, number = -1;

	fixture = (struct fixture){.memory = -1, .loop = -1};
	*state = &fixture;
	if (obstacle())
		return 0;
	fixture.memory = memfd_create("tocsin-disk", MFD_CLOEXEC);
	assert_true(fixture.memory >= 0);
	assert_int_equal(ftruncate(fixture.memory, DISK_BYTES), 0);
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	assert_true(control >= 0);
	/* Another process may take a free one before us. */
	for (int try = 0; try < 16 && fixture.loop < 0; try++) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		assert_true(number >= 0);
		snprintf(path, sizeof(path), "/dev/loop%d", number);
		fixture.loop = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		assert_true(fixture.loop >= 0);
		if (ioctl(fixture.loop, LOOP_SET_FD, fixture.memory)) {
			assert_int_equal(errno, EBUSY);
			close(fixture.loop);
			fixture.loop = -1;
		}
	}
	close(control);
	assert_true(fixture.loop >= 0);
	snprintf(fixture.name, sizeof(fixture.name), "loop%d", number);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	block_probe_close(fixture->probe);
	if (fixture->loop >= 0) {
		(void)ioctl(fixture->loop, LOOP_CLR_FD, 0);
		close(fixture->loop);
	}
	if (fixture->memory >= 0)
		close(fixture->memory);
	return 0;
}

/* Requests that the kernel has completed by its own count (/sys/block/NAME/stat). */
static void kernel_counts(const struct fixture *fixture, uint64_t *ret_reads, uint64_t *ret_writes)
{
	uint64_t fields[5];
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", fixture->name);
	file = fopen(path, "re");
	assert_non_null(file);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(fscanf(file, "%" SCNu64, &fields[i]), 1);
	fclose(file);
	*ret_reads = fields[0];
	*ret_writes = fields[4];
}

static uint64_t total(const __u64 counts[static HISTOGRAM_BUCKETS])
{
	uint64_t sum = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum += counts[i];
	return sum;
}

static const struct block_disk *find(struct fixture *fixture)
{
	const struct block_disk *disks;
	size_t count;

	assert_int_equal(block_probe_read(fixture->probe, &disks, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(disks[i].name, fixture->name))
			return &disks[i];
	return NULL;
}

static void test_counts(void **state)
{
	struct fixture *fixture = *state;
	uint64_t reads, writes, reads_before, writes_before, start_ns;
	char reason[256] = "";
	struct text error = TEXT(reason);
	const struct block_sum *sums;
	const struct block_disk *disk;
	void *buffer;

	if (obstacle()) {
		print_message("%s\n", obstacle());
		skip();
	}
	assert_int_equal(posix_memalign(&buffer, BLOCK_BYTES, 2 * BLOCK_BYTES), 0);
	memset(buffer, 'x', 2 * BLOCK_BYTES);
	if (block_probe_open(&fixture->probe, &error))
		fail_msg("%s", reason);
	start_ns = clock_monotonic_ns();
	kernel_counts(fixture, &reads_before, &writes_before);
	for (int i = 0; i < READS; i++)
		assert_int_equal(pread(fixture->loop, buffer, BLOCK_BYTES,
				       (off_t)(i * 7 % 2000) * BLOCK_BYTES),
				 BLOCK_BYTES);
	for (int i = 0; i < WRITES; i++)
		assert_int_equal(pwrite(fixture->loop, buffer, 2 * BLOCK_BYTES,
					(off_t)(i * 5 % 1000) * 2 * BLOCK_BYTES),
				 2 * BLOCK_BYTES);
	kernel_counts(fixture, &reads, &writes);
	assert_int_equal(reads - reads_before, READS);
	assert_int_equal(writes - writes_before, WRITES);
	disk = find(fixture);
	assert_non_null(disk);
	sums = disk->operations;
	assert_int_equal(total(sums[BLOCK_READ].record.device), READS);
	assert_int_equal(total(sums[BLOCK_READ].record.queue), READS);
	assert_int_equal(sums[BLOCK_READ].record.bytes, READS * BLOCK_BYTES);
	assert_int_equal(total(sums[BLOCK_WRITE].record.device), WRITES);
	assert_int_equal(sums[BLOCK_WRITE].record.bytes, WRITES * 2 * BLOCK_BYTES);
	assert_int_equal(sums[BLOCK_READ].record.errors + sums[BLOCK_WRITE].record.errors, 0);
	assert_int_equal(sums[BLOCK_READ].oldest_start_ns, 0);
	assert_int_equal(sums[BLOCK_WRITE].oldest_start_ns, 0);
	assert_in_range(sums[BLOCK_WRITE].record.completed_ns, start_ns, clock_monotonic_ns());
	assert_in_range(sums[BLOCK_READ].record.device_sum_ns, READS,
			clock_monotonic_ns() - start_ns);
	free(buffer);
}

/* Beyond the file behind the device: each read fails, and is an error and no bytes. */
static void test_errors(void **state)
{
	struct fixture *fixture = *state;
	char reason[256] = "";
	struct text error = TEXT(reason);
	const struct block_disk *disk;
	void *buffer;
	int failed = 0;

	if (obstacle()) {
		print_message("%s\n", obstacle());
		skip();
	}
	assert_int_equal(posix_memalign(&buffer, BLOCK_BYTES, BLOCK_BYTES), 0);
	if (block_probe_open(&fixture->probe, &error))
		fail_msg("%s", reason);
	assert_int_equal(ftruncate(fixture->memory, 0), 0);
	for (int i = 0; i < 20; i++)
		failed += pread(fixture->loop, buffer, BLOCK_BYTES, (off_t)i * BLOCK_BYTES) < 0;
	assert_int_equal(failed, 20);
	disk = find(fixture);
	assert_non_null(disk);
	assert_int_equal(disk->operations[BLOCK_READ].record.errors, 20);
	assert_int_equal(disk->operations[BLOCK_READ].record.bytes, 0);
	free(buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
