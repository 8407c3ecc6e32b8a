// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "probe/kernel_types.h"
#include "probe/program.h"
#include "trace/options.h"
#include "trace/task.h"

#include "maps/runq.h"

#include "bpf/runq.skel.h"

#include <unistd.h>

OBJECT_SOURCE(runq);

static const struct program programs[] = {
	{"task_runs", "tp_btf/sched_switch", "switches to a task that waited", true},
	{"task_begins", "tp_btf/task_newtask", "whole waits of new tasks across CPUs", false},
	{"task_is_there", "iter/task", "whole waits of older tasks across CPUs", false},
};

static const struct column event_columns[] = {
	PROCESS_COLUMNS(struct runq_event),
	COLUMN("TID", "tid", COLUMN_UNSIGNED, struct runq_event, tid, 7, ),
	COLUMN("DELAY(us)", "delay_ns", COLUMN_DURATION, struct runq_event, delay_ns, 10, ),
	COLUMN("CPU", "cpu", COLUMN_UNSIGNED, struct runq_event, cpu, 4, ),
	COLUMN("BPID", "before_pid", COLUMN_UNSIGNED, struct runq_event, before_pid, 7,
	       .zero_is_unknown = true),
	COLUMN("BCOMM", "before_comm", COLUMN_STRING, struct runq_event, before_comm, 15, ),
	CGROUP_COLUMNS(struct runq_event, owner.cgroup_id),
};

static const struct column cpu_columns[] = {
	COLUMN("CPU", "cpu", COLUMN_UNSIGNED, struct runq_key, cpu, 4, ),
};

static const struct column pid_columns[] = {
	COLUMN("PID", "pid", COLUMN_UNSIGNED, struct runq_key, pid, 7, ),
	COLUMN("COMM", "comm", COLUMN_STRING, struct runq_key, comm, 15, ),
};

static const struct column cgroup_columns[] = {
	CGROUP_COLUMNS(struct runq_key, cgroup_id),
};

static int configure(const struct trace_options *options, struct object_constant *constants,
		     size_t *count, struct text *error)
{
	static bool state_is_second;
	static uint32_t own_pid;

	(void)options;
	(void)error;
	state_is_second = kernel_tracepoint_is_pointer("sched_switch", 1) == 0;
	own_pid = (uint32_t)getpid();
	constants[(*count)++] = (struct object_constant){"switch_state_is_second", &state_is_second,
							 sizeof(state_is_second)};
	constants[(*count)++] = (struct object_constant){"runq_own_pid", &own_pid, sizeof(own_pid)};
	return 0;
}

const struct trace trace_runq = {
	.name = "runq",
	.summary = "how long tasks that could run wait for a CPU",
	.options = "pgm",
	.source = &runq_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(event_columns),
	.event_bytes = sizeof(struct runq_event),
	.groupings =
		{
			{"all", RUNQ_BY_NOTHING, {0}},
			{"cpu", RUNQ_BY_CPU, LAYOUT(cpu_columns)},
			{"pid", RUNQ_BY_PID, LAYOUT(pid_columns)},
			{"cgroup", RUNQ_BY_CGROUP, LAYOUT(cgroup_columns)},
		},
	.mode = TRACE_MODE_HISTOGRAM,
	.interval_mode = TRACE_MODE_HISTOGRAM,
	.configure = configure,
};
