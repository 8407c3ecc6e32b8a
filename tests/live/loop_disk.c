// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/loop_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define TRIES	    16
#define BLOCKS	    100 /* of a disk that are used */
#define BLOCK_BYTES LOOP_DISK_BLOCK_BYTES

const char *loop_disk_obstacle(void)
{
	int control;

	if (geteuid())
		return "needs root, to make a loop device";
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return "this kernel has no loop devices";
	close(control);
	return NULL;
}

/* Returns false when another process has taken it. */
static bool configure(struct loop_disk *disk, int number, int image, bool partitions)
{
	const struct loop_config config = {
		.fd = (__u32)image,
		/* Gone with its last user, however the test ends. */
		.info.lo_flags = (__u32)LO_FLAGS_AUTOCLEAR | (partitions ? LO_FLAGS_PARTSCAN : 0U),
	};

	snprintf(disk->name, sizeof(disk->name), "loop%d", number);
	snprintf(disk->path, sizeof(disk->path), "/dev/loop%d", number);
	disk->image = image;
	disk->device = open(disk->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	assert_true(disk->device >= 0);
	if (!ioctl(disk->device, LOOP_CONFIGURE, &config))
		return true;
	if (errno != EBUSY)
		fail_msg("LOOP_CONFIGURE of %s: %s", disk->name, strerror(errno));
	close(disk->device);
	disk->device = 0;
	return false;
}

static int open_control(void)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	assert_true(control >= 0);
	return control;
}

static int open_memory(size_t bytes)
{
	int image = memfd_create("tocsin-disk", MFD_CLOEXEC);

	assert_true(image >= 0);
	assert_int_equal(ftruncate(image, (off_t)bytes), 0);
	return image;
}

void loop_disk_up_over(struct loop_disk *disk, int image, bool partitions)
{
	int control = open_control();

	*disk = (struct loop_disk){0};
	for (int try = 0; try < TRIES && !disk->device; try++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		assert_true(number >= 0);
		(void)configure(disk, number, image, partitions);
	}
	close(control);
	assert_true(disk->device > 0);
}

void loop_disk_up(struct loop_disk *disk, size_t bytes)
{
	loop_disk_up_over(disk, open_memory(bytes), false);
}

void loop_disk_up_as(struct loop_disk *disk, int number, size_t bytes)
{
	int control = open_control();

	*disk = (struct loop_disk){0};
	assert_int_equal(ioctl(control, LOOP_CTL_ADD, number), number);
	close(control);
	disk->number = number;
	assert_true(configure(disk, number, open_memory(bytes), false));
}

/* Whoever has looked at it may have it open for a moment yet. */
static void remove_device(int number)
{
	int control = open_control();

	for (int i = 0; i < 500 && ioctl(control, LOOP_CTL_REMOVE, number); i++)
		usleep(2000);
	close(control);
}

void loop_disk_down(struct loop_disk *disk)
{
	if (disk->device > 0) {
		(void)ioctl(disk->device, LOOP_CLR_FD, 0);
		close(disk->device);
	}
	if (disk->number > 0)
		remove_device(disk->number);
	if (disk->image > 0)
		close(disk->image);
	*disk = (struct loop_disk){0};
}

void loop_disk_remove(struct loop_disk *disk)
{
	int number;

	assert_int_equal(sscanf(disk->name, "loop%d", &number), 1);
	loop_disk_down(disk);
	remove_device(number);
}

struct disk_counts disk_counts(const char *name)
{
	struct disk_counts counts;
	char line[512], found[64];
	FILE *file = fopen("/proc/diskstats", "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		int fields =
			sscanf(line,
			       "%*u %*u %63s %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64
			       " %*u %" SCNu64 " %*u %*u %*u %*u %" SCNu64 " %*u %*u %*u %" SCNu64,
			       found, &counts.reads, &counts.read_sectors, &counts.writes,
			       &counts.write_sectors, &counts.discards, &counts.flushes);

		if (fields >= 1 && !strcmp(found, name)) {
			fclose(file);
			/* Flushes since 5.5. */
			assert_int_equal(fields, 7);
			return counts;
		}
	}
	fclose(file);
	fail_msg("no %s in /proc/diskstats", name);
	return (struct disk_counts){0};
}

/* Called in children, too, where an assertion would go on in the wrong process. */
static void insist(int true_thing, const char *what)
{
	if (true_thing)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	abort();
}

static int open_disk(const char *path)
{
	int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);

	insist(fd >= 0, path);
	return fd;
}

static off_t place(unsigned int number)
{
	return (off_t)(number * 7 % BLOCKS) * BLOCK_BYTES;
}

void disk_read(const char *path, unsigned int count)
{
	static _Alignas(BLOCK_BYTES) char block[BLOCK_BYTES];
	int fd = open_disk(path);

	for (unsigned int i = 0; i < count; i++)
		insist(pread(fd, block, sizeof(block), place(i)) == sizeof(block), "read");
	close(fd);
}

void disk_write(const char *path, unsigned int count)
{
	static const _Alignas(BLOCK_BYTES) char block[BLOCK_BYTES] = "written";
	int fd = open_disk(path);

	for (unsigned int i = 0; i < count; i++)
		insist(pwrite(fd, block, sizeof(block), place(i)) == sizeof(block), "write");
	close(fd);
}

void disk_discard(const char *path, unsigned int count)
{
	int fd = open_disk(path);

	for (unsigned int i = 0; i < count; i++) {
		uint64_t range[2] = {(uint64_t)place(i), BLOCK_BYTES};

		insist(!ioctl(fd, BLKDISCARD, range), "discard");
	}
	close(fd);
}

void disk_flush(const char *path, unsigned int count)
{
	int fd = open_disk(path);

	for (unsigned int i = 0; i < count; i++)
		insist(!fsync(fd), "flush");
	close(fd);
}
