// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "trace/task.h"

#include "maps/hang.h"

#include "bpf/hang.skel.h"

OBJECT_SOURCE(hang);

static const struct program programs[] = {
	{"look_at_task", "iter/task", "looks at all tasks", true},
	{"task_ends", "tp_btf/sched_process_exit", "ends of tasks that hung", false},
};

static const char *phase_name(uint64_t phase)
{
	static const char *const names[HANG_PHASES] = {
		[HANG_BEGINS] = "hangs",
		[HANG_ENDS] = "ended",
	};

	return phase < HANG_PHASES ? names[phase] : NULL;
}

static const struct column event_columns[] = {
	COLUMN("EVENT", "event", COLUMN_NAMED, struct hang_event, phase, 5, .name = phase_name),
	COLUMN("SLEPT(us)", "slept_ns", COLUMN_DURATION, struct hang_event, slept_ns, 13, ),
	PROCESS_COLUMNS(struct hang_event),
	COLUMN("TID", "tid", COLUMN_UNSIGNED, struct hang_event, tid, 7, ),
	COLUMN("TCOMM", "thread_comm", COLUMN_STRING, struct hang_event, thread_comm, 15, ),
	COLUMN("KILLABLE", "killable", COLUMN_BOOLEAN, struct hang_event, killable, 8, ),
	CGROUP_COLUMNS(struct hang_event, owner.cgroup_id),
	COLUMN("STACK", "stack", COLUMN_STACK, struct hang_event, stack, 1, ),
};

const struct trace trace_hang = {
	.name = "hang",
	.summary = "tasks in uninterruptible sleep for 10 s, or as long as -m says",
	.options = "pgm",
	.source = &hang_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(event_columns),
	.event_bytes = sizeof(struct hang_event),
	.mode = TRACE_MODE_EVENTS,
	.interval_mode = TRACE_MODE_EVENTS,
	.polls = true,
	.default_interval_s = 1,
};
