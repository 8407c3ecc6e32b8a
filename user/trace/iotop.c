// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "trace/block_io.h"

#include "maps/io.h"

#include "bpf/iotop.skel.h"

OBJECT_SOURCE(iotop);

static const struct program programs[] = {SUBMISSION_PROGRAMS};

static const struct column key_columns[] = {
	COLUMN("PID", "pid", COLUMN_UNSIGNED, struct iotop_key, pid, 7, .zero_is_unknown = true),
	COLUMN("COMM", "comm", COLUMN_STRING, struct iotop_key, comm, 15, .zero_is_unknown = true),
	COLUMN("DISK", "device", COLUMN_DEVICE, struct iotop_key, device, 9, ),
	COLUMN("CGROUP", "cgroup", COLUMN_CGROUP, struct iotop_key, cgroup_id, 32,
	       .zero_is_unknown = true),
};

#define NUMBER_COLUMN(title, member, width) \
	COLUMN(title, #member, COLUMN_UNSIGNED, struct iotop_count, member, width, )

static const struct column count_columns[] = {
	NUMBER_COLUMN("BYTES", bytes, 12),
	NUMBER_COLUMN("READS", reads, 8),
	NUMBER_COLUMN("WRITES", writes, 8),
	NUMBER_COLUMN("OTHERS", others, 7),
	NUMBER_COLUMN("RBYTES", read_bytes, 12),
	NUMBER_COLUMN("WBYTES", write_bytes, 12),
	NUMBER_COLUMN("ERRORS", errors, 6),
	COLUMN(NULL, "latency_sum_ns", COLUMN_UNSIGNED, struct iotop_count, latency_sum_ns, 0, ),
	COLUMN("MEAN(us)", "latency_mean_ns", COLUMN_DURATION, struct iotop_count, latency_mean_ns,
	       10, ),
	COLUMN("MAX(us)", "latency_max_ns", COLUMN_DURATION, struct iotop_count, latency_max_ns,
	       10, ),
};

static void add(void *into, const void *more)
{
	struct iotop_count *sum = into;
	const struct iotop_count *count = more;

	sum->bytes += count->bytes;
	sum->reads += count->reads;
	sum->writes += count->writes;
	sum->others += count->others;
	sum->read_bytes += count->read_bytes;
	sum->write_bytes += count->write_bytes;
	sum->errors += count->errors;
	sum->latency_sum_ns += count->latency_sum_ns;
	if (count->latency_max_ns > sum->latency_max_ns)
		sum->latency_max_ns = count->latency_max_ns;
}

static void finish(void *value)
{
	struct iotop_count *count = value;
	uint64_t all = count->reads + count->writes + count->others;

	count->latency_mean_ns = all ? count->latency_sum_ns / all : 0;
}

const struct trace trace_iotop = {
	.name = "iotop",
	.summary = "block I/O by process, cgroup and device",
	.options = "pgdm",
	.source = &iotop_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.count_key = LAYOUT(key_columns),
	.count_value = LAYOUT(count_columns),
	.count_value_bytes = sizeof(struct iotop_count),
	.count_add = add,
	.count_finish = finish,
	.count_pending = block_io_count_pending,
	.mode = TRACE_MODE_COUNTS,
	.interval_mode = TRACE_MODE_COUNTS,
	.default_interval_s = 1,
	.configure = block_io_configure,
};
