// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "probe/kernel_types.h"
#include "probe/program.h"
#include "trace/options.h"
#include "trace/task.h"

#include "maps/oom.h"

#include "bpf/oom.skel.h"

#include <unistd.h>

OBJECT_SOURCE(oom);

static const struct program programs[] = {
	{"victim_is_marked", "tp_btf/mark_victim", "OOM kills", true},
};

#define BYTES_COLUMN(title, key, member) \
	COLUMN(title, key, COLUMN_UNSIGNED, struct oom_event, member, 11, )

static const struct column event_columns[] = {
	PROCESS_COLUMNS(struct oom_event),
	BYTES_COLUMN("ANON(B)", "anonymous_bytes", anonymous_bytes),
	BYTES_COLUMN("FILE(B)", "file_bytes", file_bytes),
	BYTES_COLUMN("SHMEM(B)", "shared_bytes", shared_bytes),
	BYTES_COLUMN("SWAP(B)", "swap_bytes", swap_bytes),
	COLUMN("ADJ", "score_adjustment", COLUMN_SIGNED, struct oom_event, score_adjustment, 5, ),
	COLUMN("UID", "uid", COLUMN_UNSIGNED, struct oom_event, uid, 6, ),
	COLUMN("TPID", "trigger_pid", COLUMN_UNSIGNED, struct oom_event, trigger_pid, 7, ),
	COLUMN("TCOMM", "trigger_comm", COLUMN_STRING, struct oom_event, trigger_comm, 15, ),
	COLUMN(NULL, "trigger_cgroup", COLUMN_CGROUP, struct oom_event, trigger_cgroup_id, 1, ),
	COLUMN("MEMCG", "memory_cgroup", COLUMN_STRING, struct oom_event, memory_group, 16,
	       .zero_is_unknown = true),
	CGROUP_COLUMNS(struct oom_event, owner.cgroup_id),
};

static int configure(const struct trace_options *options, struct object_constant *constants,
		     size_t *count, struct text *error)
{
	static uint32_t page_bytes;
	static bool has_task;

	(void)options;
	(void)error;
	page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	has_task = kernel_tracepoint_arguments("mark_victim") >= 2;
	constants[(*count)++] =
		(struct object_constant){"oom_page_bytes", &page_bytes, sizeof(page_bytes)};
	constants[(*count)++] =
		(struct object_constant){"oom_has_task", &has_task, sizeof(has_task)};
	return 0;
}

const struct trace trace_oom = {
	.name = "oom",
	.summary = "each process that is killed because memory has run out",
	.options = "pg",
	.source = &oom_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(event_columns),
	.event_bytes = sizeof(struct oom_event),
	.mode = TRACE_MODE_EVENTS,
	.interval_mode = TRACE_MODE_EVENTS,
	.configure = configure,
};
