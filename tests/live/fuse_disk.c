// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#define FUSE_USE_VERSION 31

#include "live/fuse_disk.h"

#include "base/clock.h"
#include "live/child.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

/* In a mount namespace of the test's own there is no need of a new one. */
#define DIRECTORY   FUSE_DISK_DIRECTORY
#define IMAGE_BYTES (4 << 20)
#define IMAGE_PATH  "/image"
#define POLL_US	    2000
#define WAIT_NS	    (10 * NS_PER_S)

/* ---- the file system, in a process of its own ---- */

static char content[IMAGE_BYTES];
static struct fuse_orders *orders;

/* Returns 0 or a negative errno. */
static int obey(void)
{
	unsigned int delay_ms = atomic_load(&orders->delay_ms);

	if (delay_ms)
		usleep(delay_ms * 1000);
	if (atomic_load(&orders->hang_next) && atomic_exchange(&orders->hang_next, false)) {
		atomic_store(&orders->held, true);
		while (atomic_load(&orders->held))
			usleep(POLL_US);
	}
	while (atomic_load(&orders->hang))
		usleep(POLL_US);
	return -atomic_load(&orders->error);
}

static int get_attributes(const char *path, struct stat *status, struct fuse_file_info *file)
{
	(void)file;
	*status = (struct stat){.st_nlink = 1};
	if (!strcmp(path, "/")) {
		status->st_mode = S_IFDIR | 0700;
	} else if (!strcmp(path, IMAGE_PATH)) {
		status->st_mode = S_IFREG | 0600;
		status->st_size = IMAGE_BYTES;
	} else {
		return -ENOENT;
	}
	return 0;
}

static int open_file(const char *path, struct fuse_file_info *file)
{
	if (strcmp(path, IMAGE_PATH))
		return -ENOENT;
	/* No page cache: each read and write comes here. */
	file->direct_io = 1;
	return 0;
}

static size_t within(size_t size, off_t offset)
{
	if (offset >= IMAGE_BYTES)
		return 0;
	return size > (size_t)(IMAGE_BYTES - offset) ? (size_t)(IMAGE_BYTES - offset) : size;
}

static int read_file(const char *path, char *buffer, size_t size, off_t offset,
		     struct fuse_file_info *file)
{
	size_t bytes = within(size, offset), most = atomic_load(&orders->read_bytes_max);
	int r = obey();

	(void)path;
	(void)file;
	atomic_fetch_add(&orders->reads, 1);
	if (r)
		return r;
	if (most && bytes > most)
		bytes = most;
	memcpy(buffer, content + offset, bytes);
	return (int)bytes;
}

static int write_file(const char *path, const char *buffer, size_t size, off_t offset,
		      struct fuse_file_info *file)
{
	size_t bytes = within(size, offset);
	int r = obey();

	(void)path;
	(void)file;
	atomic_fetch_add(&orders->writes, 1);
	if (r)
		return r;
	memcpy(content + offset, buffer, bytes);
	return (int)bytes;
}

static int sync_file(const char *path, int data_only, struct fuse_file_info *file)
{
	(void)path;
	(void)data_only;
	(void)file;
	return 0;
}

static int tell_space(const char *path, struct statvfs *status)
{
	(void)path;
	while (atomic_load(&orders->hang_statvfs))
		usleep(POLL_US);
	*status = (struct statvfs){.f_bsize = 4096,
				   .f_frsize = 4096,
				   .f_blocks = IMAGE_BYTES / 4096,
				   .f_bfree = IMAGE_BYTES / 4096,
				   .f_bavail = IMAGE_BYTES / 4096,
				   .f_namemax = 255};
	return 0;
}

static void serve(void *unused)
{
	static const struct fuse_operations operations = {
		.getattr = get_attributes,
		.open = open_file,
		.read = read_file,
		.write = write_file,
		.fsync = sync_file,
		.statfs = tell_space,
	};
	char *words[] = {"tocsin-disk", "-o", "fsname=tocsin-disk", NULL};
	struct fuse_args arguments = FUSE_ARGS_INIT(3, words);
	struct fuse *fuse = fuse_new(&arguments, &operations, sizeof(operations), NULL);

	(void)unused;
	if (!fuse || fuse_mount(fuse, DIRECTORY))
		abort();
	/* With threads: what is slow does not keep others waiting. */
	(void)fuse_loop_mt(fuse, 0);
}

/* ---- the test's side ---- */

const char *fuse_disk_obstacle(void)
{
	if (access("/dev/fuse", R_OK | W_OK))
		return "no FUSE here (/dev/fuse)";
	return loop_disk_obstacle();
}

void fuse_disk_hide_mounts(void)
{
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

static int open_image(int flags)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	int image;

	while ((image = open(DIRECTORY IMAGE_PATH, O_RDWR | O_CLOEXEC | flags)) < 0) {
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("%s does not appear: %s", DIRECTORY IMAGE_PATH, strerror(errno));
		usleep(POLL_US);
	}
	return image;
}

static void bring_up(struct fuse_disk *disk, int image_flags)
{
	*disk = (struct fuse_disk){0};
	orders = mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_ptr_not_equal(orders, MAP_FAILED);
	disk->orders = orders;
	disk->server = child_start(serve, NULL);
	loop_disk_up_over(&disk->loop, open_image(image_flags), false);
}

void fuse_disk_up(struct fuse_disk *disk)
{
	bring_up(disk, 0);
}

void fuse_disk_up_parallel(struct fuse_disk *disk)
{
	bring_up(disk, O_DIRECT);
}

void fuse_disk_heal(struct fuse_disk *disk)
{
	if (!disk->orders)
		return;
	atomic_store(&disk->orders->hang_next, false);
	atomic_store(&disk->orders->held, false);
	atomic_store(&disk->orders->hang_statvfs, false);
	atomic_store(&disk->orders->hang, false);
}

void fuse_disk_down(struct fuse_disk *disk)
{
	if (!disk->orders)
		return;
	fuse_disk_heal(disk);
	child_kill(&disk->server);
	loop_disk_down(&disk->loop);
	(void)umount2(DIRECTORY, MNT_DETACH);
	munmap(disk->orders, sizeof(*disk->orders));
	*disk = (struct fuse_disk){0};
}
