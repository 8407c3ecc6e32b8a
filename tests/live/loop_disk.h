/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_LOOP_DISK_H
#define TOCSIN_TESTS_LIVE_LOOP_DISK_H

/* A disk of the test's own: a loop device over a file. What cannot be done fails the running test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOOP_DISK_BLOCK_BYTES 4096

struct loop_disk {
	int device; /* opened with O_DIRECT; 0: not up */
	int image;
	int number;    /* of a device that was made; 0: none */
	char name[32]; /* "loop3" */
	char path[40]; /* "/dev/loop3" */
};

/* What the kernel has counted of a disk or partition (/proc/diskstats). */
struct disk_counts {
	uint64_t reads, read_sectors, writes, write_sectors, discards, flushes;
};

/* Why there can be none, or NULL. */
const char *loop_disk_obstacle(void);

/* Over a file that is open already, which it takes over; with 'partitions' it may have some. */
void loop_disk_up_over(struct loop_disk *disk, int image, bool partitions);

/* Over a file of so many bytes in memory. */
void loop_disk_up(struct loop_disk *disk, size_t bytes);

/* The same, as the device of this number, which is made; it is gone when the disk is down. */
void loop_disk_up_as(struct loop_disk *disk, int number, size_t bytes);

/* One that is not up is fine. */
void loop_disk_down(struct loop_disk *disk);

/* Takes it down, and the device away: for the kernel there is no such disk any more. */
void loop_disk_remove(struct loop_disk *disk);

struct disk_counts disk_counts(const char *name);

/* So many I/Os of one block, one after the other. */
void disk_read(const char *path, unsigned int count);
void disk_write(const char *path, unsigned int count);
void disk_discard(const char *path, unsigned int count);
void disk_flush(const char *path, unsigned int count);

#endif
