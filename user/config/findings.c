// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config/findings.h"

static const char *const names[FINDING_KINDS] = {
	[FINDING_DISK_SLOW] = "disk-slow",
	[FINDING_DISK_STALLED] = "disk-stalled",
	[FINDING_DISK_HUNG_REQUEST] = "disk-hung-request",
	[FINDING_DISK_ERRORS] = "disk-errors",
	[FINDING_CPU_OVERLOAD] = "cpu-overload",
	[FINDING_MEMORY_PRESSURE] = "memory-pressure",
	[FINDING_IO_PRESSURE] = "io-pressure",
	[FINDING_ACCEPT_OVERFLOW] = "accept-overflow",
	[FINDING_RECEIVE_DROPS] = "receive-drops",
	[FINDING_PEER_OVERLOADED] = "peer-overloaded",
	[FINDING_CRASH_LOOP] = "crash-loop",
	[FINDING_WATCHED_PROCESS_DIED] = "watched-process-died",
	[FINDING_TASK_HUNG] = "task-hung",
	[FINDING_CLOCK_SKEW] = "clock-skew",
	[FINDING_CAPACITY] = "capacity",
	[FINDING_FILESYSTEM] = "filesystem",
};

const char *finding_kind_name(enum finding_kind kind)
{
	return names[kind];
}
