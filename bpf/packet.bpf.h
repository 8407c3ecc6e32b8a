/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_PACKET_H
#define TOCSIN_BPF_PACKET_H

/* Whose a packet is, read from the packet itself: for those that belong to no socket, or not yet.
 */

#include "maps/packet.h"

#include "filter.bpf.h"
#include "numbers.bpf.h"

static __always_inline void packet_map_v4(union address_words *words, __be32 address)
{
	words->words[2] = bpf_htonl(0xffff);
	words->words[3] = address;
}

/* The IP header, where the packet has got far enough to have one. */
static __always_inline void packet_read_addresses(struct sk_buff *skb, struct packet *packet)
{
	void *network = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
	union address_words source = {}, destination = {};

	if (packet->ethernet_protocol == ETH_P_IP) {
		packet_map_v4(&source, BPF_CORE_READ((struct iphdr *)network, saddr));
		packet_map_v4(&destination, BPF_CORE_READ((struct iphdr *)network, daddr));
		packet->protocol = BPF_CORE_READ((struct iphdr *)network, protocol);
	} else if (packet->ethernet_protocol == ETH_P_IPV6) {
		BPF_CORE_READ_INTO(&source.key.address, (struct ipv6hdr *)network,
				   saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&destination.key.address, (struct ipv6hdr *)network,
				   daddr.in6_u.u6_addr8);
		packet->protocol = BPF_CORE_READ((struct ipv6hdr *)network, nexthdr);
	}
	packet->source = source.key;
	packet->destination = destination.key;
}

/* Both TCP and UDP begin with the two ports. Before the transport header is set its offset is ~0
 * or lies on the network header. */
static __always_inline void packet_read_ports(struct sk_buff *skb, struct packet *packet)
{
	__u16 network = BPF_CORE_READ(skb, network_header);
	__u16 transport = BPF_CORE_READ(skb, transport_header);
	struct tcphdr *ports;

	packet->source_port = packet->destination_port = 0;
	if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP)
		return;
	/* Dropped before its protocol had it: taken to be without options. */
	if (transport == 0xffff || transport <= network)
		transport = network + (packet->ethernet_protocol == ETH_P_IP ? 20 : 40);
	ports = (struct tcphdr *)(BPF_CORE_READ(skb, head) + transport);
	packet->source_port = bpf_ntohs(BPF_CORE_READ(ports, source));
	packet->destination_port = bpf_ntohs(BPF_CORE_READ(ports, dest));
}

static __always_inline void packet_read(struct sk_buff *skb, struct packet *packet)
{
	packet->ethernet_protocol = bpf_ntohs(BPF_CORE_READ(skb, protocol));
	packet->protocol = 0;
	packet_read_addresses(skb, packet);
	packet_read_ports(skb, packet);
}

/* The network namespace of the packet's socket or device; 0 where it has neither. */
static __always_inline __u32 packet_netns(struct sk_buff *skb)
{
	struct net_device *device = BPF_CORE_READ(skb, dev);
	struct sock *sk = BPF_CORE_READ(skb, sk);

	if (sk)
		return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	return device ? BPF_CORE_READ(device, nd_net.net, ns.inum) : 0;
}

#endif
