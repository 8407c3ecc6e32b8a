// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* TCP resets, sent and received: whose connection they end, and the kernel's reason. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/reset.h"

#include "cast.bpf.h"
#include "filter.bpf.h"
#include "packet.bpf.h"
#include "socket_owner.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* tcp_send_reset has a third argument, the reason, since 6.10 (commit b533fb9cf4f7); the loader
 * looks at the prototype. */
const volatile bool reset_has_reason = false;

static __always_inline int tell(struct sock *sk, const struct reset_event *event)
{
	struct reset_event *record = event_reserve(struct reset_event, bpf_ktime_get_ns());
	struct event head;

	if (!record)
		return 0;
	head = record->event;
	*record = *event;
	record->event = head;
	if (sk)
		owner_of_socket(sk, &record->owner);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

static __always_inline int tell_socket(struct sock *sk, struct reset_event *event)
{
	const struct sock_common *common = &sk->__sk_common;
	const struct tcp_sock *tp = tcp_sock_of(sk);

	if (!tp)
		return 0;
	/* A closed socket has given its port back (skc_num), but still knows it. */
	event->local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	if (!socket_wanted(common, event->local_port) || !remote_of(common, &event->remote) ||
	    !address_wanted(&event->remote) || !local_of(common, &event->local) ||
	    !socket_owner_wanted(sk))
		return 0;
	event->remote_port = bpf_ntohs(common->skc_dport);
	event->state = common->skc_state;
	return tell(sk, event);
}

/* The answer to a segment that no socket wants (seen since 6.10, commit 19822a980e19). */
static __always_inline int tell_packet(struct sk_buff *skb, struct reset_event *event)
{
	struct packet packet;

	/* It belongs to nobody. */
	if (filter_pid || filter_cgroup_id)
		return 0;
	packet_read(skb, &packet);
	event->owner.netns_inode = packet_netns(skb);
	if ((filter_netns_inode && event->owner.netns_inode != filter_netns_inode) ||
	    !port_wanted(packet.destination_port, packet.source_port) ||
	    !address_wanted(&packet.source))
		return 0;
	event->local = packet.destination;
	event->remote = packet.source;
	event->local_port = packet.destination_port;
	event->remote_port = packet.source_port;
	return tell(NULL, event);
}

SEC("tp_btf/tcp_send_reset")
int resets_sent(__u64 *context)
{
	struct sock *sk = (struct sock *)context[0];
	struct sk_buff *skb = (struct sk_buff *)context[1];
	struct reset_event event = {
		.sent = 1,
		.reason = reset_has_reason ? (__u32)context[2] + 1 : 0,
	};

	/* A request or a socket in TIME_WAIT is none that could be asked. */
	if (sk && sk->__sk_common.skc_state != TCP_NEW_SYN_RECV &&
	    sk->__sk_common.skc_state != TCP_TIME_WAIT)
		return tell_socket(sk, &event);
	return skb ? tell_packet(skb, &event) : 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(resets_received, struct sock *sk)
{
	struct reset_event event = {};

	return tell_socket(sk, &event);
}
