/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_FUSE_DISK_H
#define TOCSIN_TESTS_LIVE_FUSE_DISK_H

/*
 * A disk that is slow, fails or hangs when it is told to: a loop device over the only file of a
 * FUSE file system of the test's own. What cannot be done fails the running test.
 */

#include "live/loop_disk.h"

#include <stdatomic.h>
#include <sys/types.h>

/* Followed by the file system from the next read or write on; zero: all is well. */
struct fuse_orders {
	atomic_uint delay_ms;
	atomic_int error;	    /* errno to fail with */
	atomic_bool hang;	    /* for as long as this is so */
	atomic_bool hang_next;	    /* only the next one, which takes this back and sets 'held' */
	atomic_bool held;	    /* it hangs for as long as this is so */
	atomic_bool hang_statvfs;   /* not its reads and writes, but who asks for its space */
	atomic_uint read_bytes_max; /* of one read: more is read in part */
	atomic_uint reads, writes;  /* how many the file system has answered */
};

struct fuse_disk {
	struct loop_disk loop;
	struct fuse_orders *orders; /* shared with the file system's process; NULL: not up */
	pid_t server;
};

/* Why there can be none, or NULL. */
const char *fuse_disk_obstacle(void);

/* Mounts are the test's own from here on, and end with it. Once, before the first disk. */
void fuse_disk_hide_mounts(void);

void fuse_disk_up(struct fuse_disk *disk);

/* Where its file system is mounted. */
#define FUSE_DISK_DIRECTORY "/mnt"

/* One whose requests do not wait for each other: the loop device does direct I/O. */
void fuse_disk_up_parallel(struct fuse_disk *disk);

/* Lets go whatever hangs, which cannot be killed; one that is not up is fine. */
void fuse_disk_heal(struct fuse_disk *disk);

/* One that is not up is fine. */
void fuse_disk_down(struct fuse_disk *disk);

#endif
