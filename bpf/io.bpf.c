// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Each block I/O as it ends, or histograms of their times. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "submission.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 trace_grouping = IO_BY_NOTHING;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct io_key);
	__type(value, struct trace_histogram);
} aggregates SEC(".maps");

static __always_inline void tell(const struct submission *io, __u64 now_ns)
{
	struct io_event *record = event_reserve(struct io_event, now_ns);

	if (!record)
		return;
	record->owner = io->owner;
	record->latency_ns = io_latency_ns(io, now_ns);
	record->queue_ns = io_queue_ns(io);
	record->device_ns = io_device_ns(io, now_ns);
	record->sector = io->sector;
	record->bytes = io->bytes;
	record->device = io->device;
	record->operation = io->operation;
	record->error = io->error;
	record->reserved = 0;
	bpf_ringbuf_submit(record, 0);
}

static __always_inline void count(const struct submission *io, __u64 now_ns)
{
	struct io_key key = {.epoch = trace_epoch, .cpu = bpf_get_smp_processor_id()};

	if (trace_grouping == IO_BY_DEVICE || trace_grouping == IO_BY_STAGE)
		key.device = io->device;
	if (trace_grouping == IO_BY_DEVICE || trace_grouping == IO_BY_STAGE ||
	    trace_grouping == IO_BY_OPERATION)
		key.operation = io->operation;
	if (trace_grouping == IO_BY_CGROUP)
		key.cgroup_id = io->owner.cgroup_id;
	if (trace_grouping == IO_BY_STAGE && io->issued_ns) {
		key.stage = IO_QUEUE;
		histogram_add(&aggregates, &key, io_queue_ns(io));
		key.stage = IO_DEVICE;
		histogram_add(&aggregates, &key, io_device_ns(io, now_ns));
	} else {
		histogram_add(&aggregates, &key, io_latency_ns(io, now_ns));
	}
}

static __always_inline void io_ended(const struct submission *io, __u64 now_ns)
{
	if (io_latency_ns(io, now_ns) < filter_min_ns)
		return;
	if (trace_mode == TRACE_MODE_EVENTS)
		tell(io, now_ns);
	else
		count(io, now_ns);
}
