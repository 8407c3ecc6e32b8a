// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "trace/options.h"
#include "trace/task.h"

#include "maps/exec.h"

#include "bpf/exec.skel.h"

OBJECT_SOURCE(exec);

static const struct program programs[] = {
	{"process_execs", "tp_btf/sched_process_exec", "new programs", true},
};

static const struct column event_columns[] = {
	PROCESS_COLUMNS(struct exec_event),
	PARENT_COLUMNS(struct exec_event),
	COLUMN("UID", "uid", COLUMN_UNSIGNED, struct exec_event, uid, 6, ),
	CGROUP_COLUMNS(struct exec_event, owner.cgroup_id),
	COLUMN(NULL, "file", COLUMN_STRING, struct exec_event, file, 0, ),
	COLUMN(NULL, "arguments_bytes", COLUMN_UNSIGNED, struct exec_event, arguments.bytes, 0, ),
	COLUMN("ARGS", "arguments", COLUMN_WORDS, struct exec_event, arguments, 1, ),
};

const struct trace trace_exec = {
	.name = "exec",
	.summary = "each program that is executed, with its arguments",
	.options = "pg",
	.source = &exec_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(event_columns),
	.event_bytes = sizeof(struct exec_event),
	.mode = TRACE_MODE_EVENTS,
	.interval_mode = TRACE_MODE_EVENTS,
};
