// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets that the kernel drops, by its own reason and the place in its code. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/drop.h"

#include "drop_reason.bpf.h"
#include "filter.bpf.h"
#include "packet.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct drop_key);
	__type(value, struct drop_count);
} aggregates SEC(".maps");

/* Filters by address and port hold for either end: who is remote is not known of a dropped packet.
 */
static __always_inline bool packet_wanted(const struct drop_event *event)
{
	if (filter_netns_inode && event->netns_inode != filter_netns_inode)
		return false;
	if ((filter_family || filter_remote) && !event->packet.protocol)
		return false;
	if (!address_wanted(&event->packet.source) && !address_wanted(&event->packet.destination))
		return false;
	return port_wanted(event->packet.source_port, event->packet.destination_port);
}

static __always_inline void count_drop(const struct drop_event *event)
{
	static const struct drop_count none = {};
	struct drop_key key = {
		.epoch = trace_epoch,
		.reason = event->reason,
		.location = event->location,
		.ethernet_protocol = event->packet.ethernet_protocol,
		.protocol = event->packet.protocol,
	};
	struct drop_count *counts = bpf_map_lookup_elem(&aggregates, &key);

	if (!counts) {
		bpf_map_update_elem(&aggregates, &key, &none, BPF_NOEXIST);
		counts = bpf_map_lookup_elem(&aggregates, &key);
	}
	if (!counts) {
		__sync_fetch_and_add(&trace_counters.updates_lost, 1);
		return;
	}
	__sync_fetch_and_add(&counts->packets, 1);
	__sync_fetch_and_add(&counts->bytes, event->length_bytes);
}

SEC("tp_btf/kfree_skb")
int packet_drops(__u64 *context)
{
	struct sk_buff *skb = (struct sk_buff *)context[0];
	struct drop_event event = {}, *record;

	if (!drop_reason_of(context, &event.reason))
		return 0;
	event.location = context[1];
	event.length_bytes = BPF_CORE_READ(skb, len);
	event.netns_inode = packet_netns(skb);
	packet_read(skb, &event.packet);
	if (!packet_wanted(&event))
		return 0;
	if (trace_mode == TRACE_MODE_COUNTS) {
		count_drop(&event);
		return 0;
	}
	event.event.time_ns = bpf_ktime_get_ns();
	record = event_reserve(struct drop_event, 0);
	if (!record)
		return 0;
	*record = event;
	bpf_ringbuf_submit(record, 0);
	return 0;
}
