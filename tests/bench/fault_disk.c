// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A disk that fails to order, for the bench. Says the name of its disk, then takes one order a line
 * and answers each with a line, "done" or why not; ends with its input.
 *
 *	stall	everything hangs, and somebody reads
 *	hold	one read hangs, and others are completed
 *	fail	reads fail, and somebody reads
 *	read	somebody reads all the time
 *	slow	each read takes its time
 *	fast	and does so no more
 *	heal	all is well again, and nobody reads any more
 */
#include "live/child.h"
#include "live/fuse_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POLL_US	 1000
#define POLLS	 5000
#define PAUSE_US 2000
#define READERS	 2
#define READS	 100000000
#define SLOW_MS	 50

static struct fuse_disk disk;
static pid_t readers[READERS];

/* Goes on when a read fails. */
static void read_often(const char *path, unsigned int count)
{
	static _Alignas(LOOP_DISK_BLOCK_BYTES) char block[LOOP_DISK_BLOCK_BYTES];
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	for (unsigned int i = 0; fd >= 0 && i < count; i++) {
		ssize_t bytes = pread(fd, block, sizeof(block), 0);

		if (bytes < 0 && errno != EIO)
			break;
		usleep(PAUSE_US);
	}
}

static void read_once(void *path)
{
	read_often(path, 1);
}

static void read_for_long(void *path)
{
	read_often(path, READS);
}

static const char *stall(void)
{
	atomic_store(&disk.orders->hang, true);
	readers[0] = child_start(read_once, disk.loop.path);
	return "done";
}

static const char *hold(void)
{
	atomic_store(&disk.orders->hang_next, true);
	readers[0] = child_start(read_once, disk.loop.path);
	for (int i = 0; i < POLLS && !atomic_load(&disk.orders->held); i++)
		usleep(POLL_US);
	if (!atomic_load(&disk.orders->held))
		return "no read has come to the disk";
	readers[1] = child_start(read_for_long, disk.loop.path);
	return "done";
}

static const char *fail_reads(void)
{
	atomic_store(&disk.orders->error, EIO);
	readers[0] = child_start(read_once, disk.loop.path);
	return "done";
}

static const char *keep_reading(void)
{
	readers[0] = child_start(read_for_long, disk.loop.path);
	return "done";
}

static const char *slow_down(void)
{
	atomic_store(&disk.orders->delay_ms, SLOW_MS);
	return "done";
}

static const char *speed_up(void)
{
	atomic_store(&disk.orders->delay_ms, 0);
	return "done";
}

static const char *heal(void)
{
	fuse_disk_heal(&disk);
	atomic_store(&disk.orders->error, 0);
	atomic_store(&disk.orders->delay_ms, 0);
	for (size_t i = 0; i < READERS; i++)
		child_kill(&readers[i]);
	return "done";
}

static const struct {
	const char *name;
	const char *(*obey)(void);
} orders[] = {
	{"stall", stall},    {"hold", hold},	 {"fail", fail_reads}, {"read", keep_reading},
	{"slow", slow_down}, {"fast", speed_up}, {"heal", heal},
};

static const char *obey(const char *order)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++)
		if (!strcmp(orders[i].name, order))
			return orders[i].obey();
	return "expected one of: stall, hold, fail, read, slow, fast, heal";
}

int main(void)
{
	char line[64];

	if (fuse_disk_obstacle()) {
		printf("%s\n", fuse_disk_obstacle());
		return 1;
	}
	fuse_disk_hide_mounts();
	fuse_disk_up_parallel(&disk);
	printf("%s\n", disk.loop.name);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		printf("%s\n", obey(line));
		fflush(stdout);
	}
	(void)heal();
	fuse_disk_down(&disk);
	return 0;
}
