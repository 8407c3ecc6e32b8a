// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets that the kernel drops, by its own reason and the place in its code. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/drop.h"

#include "filter.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The reason is an argument since 5.17 (commit c504e5c2f964); the loader looks at the prototype. */
const volatile bool drop_has_reason = false;
/* A packet that was used up is freed with this reason since 6.1, and is no drop. */
const volatile __u32 drop_reason_consumed = 0xffffffff;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct drop_key);
	__type(value, struct drop_count);
} aggregates SEC(".maps");

static __always_inline void mapped(union address_words *words, __be32 address)
{
	words->words[2] = bpf_htonl(0xffff);
	words->words[3] = address;
}

/* The IP header, where the packet has got far enough to have one. */
static __always_inline void read_addresses(struct sk_buff *skb, struct drop_event *event)
{
	unsigned char *head = BPF_CORE_READ(skb, head);
	void *network = head + BPF_CORE_READ(skb, network_header);
	union address_words source = {}, destination = {};

	if (event->ethernet_protocol == ETH_P_IP) {
		mapped(&source, BPF_CORE_READ((struct iphdr *)network, saddr));
		mapped(&destination, BPF_CORE_READ((struct iphdr *)network, daddr));
		event->protocol = BPF_CORE_READ((struct iphdr *)network, protocol);
	} else if (event->ethernet_protocol == ETH_P_IPV6) {
		BPF_CORE_READ_INTO(&source.key.address, (struct ipv6hdr *)network,
				   saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&destination.key.address, (struct ipv6hdr *)network,
				   daddr.in6_u.u6_addr8);
		event->protocol = BPF_CORE_READ((struct ipv6hdr *)network, nexthdr);
	} else {
		return;
	}
	event->source = source.key;
	event->destination = destination.key;
}

/* Both TCP and UDP begin with the two ports. Before the transport header is set its offset is ~0
 * or lies on the network header. */
static __always_inline void read_ports(struct sk_buff *skb, struct drop_event *event)
{
	__u16 network = BPF_CORE_READ(skb, network_header);
	__u16 transport = BPF_CORE_READ(skb, transport_header);
	struct tcphdr *ports;

	if (event->protocol != IPPROTO_TCP && event->protocol != IPPROTO_UDP)
		return;
	/* Received packets that are dropped before their protocol has them: no options assumed. */
	if (transport == 0xffff || transport <= network)
		transport = network + (event->ethernet_protocol == ETH_P_IP ? 20 : 40);
	ports = (struct tcphdr *)(BPF_CORE_READ(skb, head) + transport);
	event->source_port = bpf_ntohs(BPF_CORE_READ(ports, source));
	event->destination_port = bpf_ntohs(BPF_CORE_READ(ports, dest));
}

static __always_inline __u32 netns_of_packet(struct sk_buff *skb)
{
	struct net_device *device = BPF_CORE_READ(skb, dev);
	struct sock *sk = BPF_CORE_READ(skb, sk);

	if (sk)
		return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	return device ? BPF_CORE_READ(device, nd_net.net, ns.inum) : 0;
}

/* Filters by address and port hold for either end: who is remote is not known of a dropped packet.
 */
static __always_inline bool packet_wanted(const struct drop_event *event)
{
	if (filter_netns_inode && event->netns_inode != filter_netns_inode)
		return false;
	if ((filter_family || filter_remote) && !event->protocol)
		return false;
	if (!address_wanted(&event->source) && !address_wanted(&event->destination))
		return false;
	return port_wanted(event->source_port, event->destination_port);
}

static __always_inline void count_drop(const struct drop_event *event)
{
	static const struct drop_count none = {};
	struct drop_key key = {
		.epoch = trace_epoch,
		.reason = event->reason,
		.location = event->location,
		.ethernet_protocol = event->ethernet_protocol,
		.protocol = event->protocol,
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
	__u32 reason = drop_has_reason ? (__u32)context[2] : 0;
	struct drop_event event = {}, *record;

	if (drop_has_reason && reason == drop_reason_consumed)
		return 0;
	event.reason = reason;
	event.location = context[1];
	event.length_bytes = BPF_CORE_READ(skb, len);
	event.ethernet_protocol = bpf_ntohs(BPF_CORE_READ(skb, protocol));
	event.netns_inode = netns_of_packet(skb);
	read_addresses(skb, &event);
	read_ports(skb, &event);
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
