// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Block I/O by process, cgroup and device. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "submission.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct iotop_key);
	__type(value, struct iotop_count);
} aggregates SEC(".maps");

static __always_inline struct iotop_count *count_of(const struct submission *io)
{
	static const struct iotop_count none = {};
	struct iotop_key key = {
		.epoch = trace_epoch,
		.pid = io->owner.pid,
		.cgroup_id = io->owner.cgroup_id,
		.device = io->device,
		.cpu = bpf_get_smp_processor_id(),
	};
	struct iotop_count *count;

	__builtin_memcpy(key.comm, io->owner.comm, sizeof(key.comm));
	count = bpf_map_lookup_elem(&aggregates, &key);
	if (!count) {
		bpf_map_update_elem(&aggregates, &key, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&aggregates, &key);
	}
	if (!count)
		__sync_fetch_and_add(&trace_counters.updates_lost, 1);
	return count;
}

static __always_inline void io_ended(const struct submission *io, __u64 now_ns)
{
	__u64 latency_ns = io_latency_ns(io, now_ns);
	struct iotop_count *count;

	if (latency_ns < filter_min_ns)
		return;
	count = count_of(io);
	if (!count)
		return;
	if (io->operation == BLOCK_READ) {
		count->reads++;
		count->read_bytes += io->bytes;
		count->bytes += io->bytes;
	} else if (io->operation == BLOCK_WRITE) {
		count->writes++;
		count->write_bytes += io->bytes;
		count->bytes += io->bytes;
	} else {
		count->others++;
	}
	if (io->error)
		count->errors++;
	count->latency_sum_ns += latency_ns;
	if (latency_ns > count->latency_max_ns)
		count->latency_max_ns = latency_ns;
}
