// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "trace/block_io.h"
#include "trace/task.h"

#include "maps/io.h"

#include "bpf/io.skel.h"

OBJECT_SOURCE(io);

static const struct program programs[] = {SUBMISSION_PROGRAMS};

static const char *stage_name(uint64_t stage)
{
	static const char *const names[IO_STAGES] = {
		[IO_WHOLE] = "whole",
		[IO_QUEUE] = "queue",
		[IO_DEVICE] = "device",
	};

	return stage < IO_STAGES ? names[stage] : NULL;
}

#define DEVICE_COLUMN(record) \
	COLUMN("DISK", "device", COLUMN_DEVICE, record, device, 9, .zero_is_unknown = true)
#define OPERATION_COLUMN(record) \
	COLUMN("OP", "operation", COLUMN_NAMED, record, operation, 7, .name = block_operation_name)

static const struct column event_columns[] = {
	DEVICE_COLUMN(struct io_event),
	OPERATION_COLUMN(struct io_event),
	COLUMN("SECTOR", "sector", COLUMN_UNSIGNED, struct io_event, sector, 11, ),
	COLUMN("BYTES", "bytes", COLUMN_UNSIGNED, struct io_event, bytes, 8, ),
	COLUMN("LAT(us)", "latency_ns", COLUMN_DURATION, struct io_event, latency_ns, 11, ),
	COLUMN("QUEUE(us)", "queue_ns", COLUMN_DURATION, struct io_event, queue_ns, 11,
	       .zero_is_unknown = true),
	COLUMN("DEVICE(us)", "device_ns", COLUMN_DURATION, struct io_event, device_ns, 11,
	       .zero_is_unknown = true),
	COLUMN("ERROR", "error", COLUMN_NAMED, struct io_event, error, 6, .zero_is_unknown = true,
	       .name = block_error_name),
	PROCESS_COLUMNS(struct io_event),
	CGROUP_COLUMNS(struct io_event, owner.cgroup_id),
};

static const struct column device_columns[] = {
	DEVICE_COLUMN(struct io_key),
	OPERATION_COLUMN(struct io_key),
};

static const struct column operation_columns[] = {
	OPERATION_COLUMN(struct io_key),
};

static const struct column stage_columns[] = {
	DEVICE_COLUMN(struct io_key),
	OPERATION_COLUMN(struct io_key),
	COLUMN("STAGE", "stage", COLUMN_NAMED, struct io_key, stage, 6, .name = stage_name),
};

static const struct column cgroup_columns[] = {
	CGROUP_COLUMNS(struct io_key, cgroup_id),
};

const struct trace trace_io = {
	.name = "io",
	.summary = "each block I/O: its times, size, error, and who submitted it",
	.options = "pgdm",
	.source = &io_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(event_columns),
	.event_bytes = sizeof(struct io_event),
	.groupings =
		{
			{"all", IO_BY_NOTHING, {0}},
			{"device", IO_BY_DEVICE, LAYOUT(device_columns)},
			{"operation", IO_BY_OPERATION, LAYOUT(operation_columns)},
			{"stage", IO_BY_STAGE, LAYOUT(stage_columns)},
			{"cgroup", IO_BY_CGROUP, LAYOUT(cgroup_columns)},
		},
	.mode = TRACE_MODE_EVENTS,
	.interval_mode = TRACE_MODE_HISTOGRAM,
	.count_pending = block_io_count_pending,
	.configure = block_io_configure,
};
