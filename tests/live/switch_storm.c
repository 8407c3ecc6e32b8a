// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/switch_storm.h"

#include "live/child.h"
#include "live/waiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void pass_on(const struct switch_storm *storm, int end)
{
	char byte = 0;

	waiter_pin(0, storm->cpu);
	close(storm->ends[!end]);
	while (read(storm->ends[end], &byte, 1) == 1)
		if (send(storm->ends[end], &byte, 1, MSG_NOSIGNAL) != 1)
			break;
}

static void be_first(void *storm)
{
	pass_on(storm, 0);
}

static void be_second(void *storm)
{
	pass_on(storm, 1);
}

void switch_storm_start(struct switch_storm *storm, int cpu)
{
	storm->cpu = cpu;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, storm->ends), 0);
	storm->pids[0] = child_start(be_first, storm);
	storm->pids[1] = child_start(be_second, storm);
	assert_int_equal(write(storm->ends[0], "", 1), 1);
	close(storm->ends[0]);
	close(storm->ends[1]);
}

void switch_storm_end(struct switch_storm *storm)
{
	child_kill(&storm->pids[0]);
	child_kill(&storm->pids[1]);
}
