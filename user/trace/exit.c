// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Two traces of one family: all ends of processes, and those by a signal. */
#include "trace/catalog.h"

#include "base/signal_name.h"
#include "probe/kernel_types.h"
#include "probe/program.h"
#include "trace/options.h"
#include "trace/task.h"

#include "maps/exit.h"

#include "bpf/exit.skel.h"

OBJECT_SOURCE(exit);

static const struct program programs[] = {
	{"process_ends", "tp_btf/sched_process_exit", "ends of processes", true},
};

#define SIGNAL_COLUMN                                                          \
	COLUMN("SIGNAL", "signal", COLUMN_NAMED, struct exit_event, signal, 9, \
	       .zero_is_unknown = true, .name = signal_name)
#define CORE_COLUMN COLUMN("CORE", "core", COLUMN_BOOLEAN, struct exit_event, core, 4, )
#define AGE_COLUMN  COLUMN("AGE(us)", "age_ns", COLUMN_DURATION, struct exit_event, age_ns, 14, )
#define UID_COLUMN  COLUMN("UID", "uid", COLUMN_UNSIGNED, struct exit_event, uid, 6, )

static const struct column crash_columns[] = {
	PROCESS_COLUMNS(struct exit_event),
	SIGNAL_COLUMN,
	CORE_COLUMN,
	AGE_COLUMN,
	PARENT_COLUMNS(struct exit_event),
	UID_COLUMN,
	CGROUP_COLUMNS(struct exit_event, owner.cgroup_id),
};

static const struct column exit_columns[] = {
	PROCESS_COLUMNS(struct exit_event),
	COLUMN("CODE", "exit_code", COLUMN_UNSIGNED, struct exit_event, exit_code, 4, ),
	SIGNAL_COLUMN,
	CORE_COLUMN,
	AGE_COLUMN,
	PARENT_COLUMNS(struct exit_event),
	UID_COLUMN,
	CGROUP_COLUMNS(struct exit_event, owner.cgroup_id),
};

static int configure_exit(const struct trace_options *options, struct object_constant *constants,
			  size_t *count, struct text *error)
{
	static bool has_group_dead;

	(void)options;
	(void)error;
	has_group_dead = kernel_tracepoint_arguments("sched_process_exit") >= 2;
	constants[(*count)++] = (struct object_constant){"exit_has_group_dead", &has_group_dead,
							 sizeof(has_group_dead)};
	return 0;
}

static int configure_crash(const struct trace_options *options, struct object_constant *constants,
			   size_t *count, struct text *error)
{
	static const bool by_signal = true;

	constants[(*count)++] =
		(struct object_constant){"exit_by_signal", &by_signal, sizeof(by_signal)};
	return configure_exit(options, constants, count, error);
}

const struct trace trace_exit = {
	.name = "exit",
	.summary = "each process that ends, with its code or signal",
	.options = "pgm",
	.source = &exit_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(exit_columns),
	.event_bytes = sizeof(struct exit_event),
	.mode = TRACE_MODE_EVENTS,
	.interval_mode = TRACE_MODE_EVENTS,
	.configure = configure_exit,
};

const struct trace trace_crash = {
	.name = "crash",
	.summary = "each process that a signal kills",
	.options = "pgm",
	.source = &exit_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(crash_columns),
	.event_bytes = sizeof(struct exit_event),
	.mode = TRACE_MODE_EVENTS,
	.interval_mode = TRACE_MODE_EVENTS,
	.configure = configure_crash,
};
