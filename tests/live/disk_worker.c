// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/disk_worker.h"

#include "live/child.h"
#include "live/loop_disk.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

void disk_work(const char *path, unsigned int pause_ms)
{
	disk_read(path, WORKER_READS);
	usleep(1000 * pause_ms);
	disk_write(path, WORKER_WRITES);
	usleep(1000 * pause_ms);
	disk_discard(path, WORKER_DISCARDS);
	usleep(1000 * pause_ms);
	disk_flush(path, WORKER_FLUSHES);
}

static void work(void *context)
{
	const struct disk_worker *worker = context;
	char byte;

	if (worker->cgroup)
		cgroup_rig_enter(worker->cgroup);
	if (read(worker->gate[0], &byte, 1) != 1)
		abort();
	disk_work(worker->path, worker->pause_ms);
}

static void close_gate(struct disk_worker *worker)
{
	close(worker->gate[0]);
	close(worker->gate[1]);
}

void disk_worker_start(struct disk_worker *worker)
{
	assert_int_equal(pipe2(worker->gate, O_CLOEXEC), 0);
	worker->pid = child_start(work, worker);
}

void disk_worker_run(struct disk_worker *worker)
{
	int status;

	assert_int_equal(write(worker->gate[1], "", 1), 1);
	status = child_wait(worker->pid);
	worker->pid = 0;
	close_gate(worker);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_RETURNED);
}

void disk_worker_discard(struct disk_worker *worker)
{
	if (worker->pid <= 0)
		return;
	child_kill(&worker->pid);
	close_gate(worker);
}
