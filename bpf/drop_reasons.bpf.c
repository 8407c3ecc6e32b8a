// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets that the kernel drops, by its own reason. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/drop_reasons.h"

#include "drop_reason.bpf.h"
#include "filter.bpf.h"
#include "packet.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* By CPU. Mapped or not, this flag has each record begin on a page of its own. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct drop_reasons);
} drop_records SEC(".maps");

SEC("tp_btf/kfree_skb")
int packet_is_dropped(__u64 *context)
{
	__u32 cpu = bpf_get_smp_processor_id(), reason, slot;
	struct drop_reasons *record;

	if (!drop_reason_of(context, &reason))
		return 0;
	if (filter_netns_inode && packet_netns((struct sk_buff *)context[0]) != filter_netns_inode)
		return 0;
	record = bpf_map_lookup_elem(&drop_records, &cpu);
	slot = drop_slot(reason);
	/* The program does not interrupt itself: nobody else writes here. */
	if (record && slot < DROP_SLOTS)
		record->packets[slot]++;
	return 0;
}
