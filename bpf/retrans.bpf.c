// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Each TCP retransmit with its kind and the socket's owner, or counts of them by connection. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/retrans.h"

#include "cast.bpf.h"
#include "filter.bpf.h"
#include "retransmit.bpf.h"
#include "socket_owner.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, struct retrans_key);
	__type(value, struct retrans_count);
} aggregates SEC(".maps");

static __always_inline void count_retransmit(const struct retrans_event *event)
{
	static const struct retrans_count none = {};
	struct retrans_key key = {
		.epoch = trace_epoch,
		.local_port = event->local_port,
		.remote_port = event->remote_port,
		.local = event->local,
		.remote = event->remote,
	};
	struct retrans_count *counts = bpf_map_lookup_elem(&aggregates, &key);

	if (!counts) {
		bpf_map_update_elem(&aggregates, &key, &none, BPF_NOEXIST);
		counts = bpf_map_lookup_elem(&aggregates, &key);
	}
	if (!counts) {
		__sync_fetch_and_add(&trace_counters.updates_lost, 1);
		return;
	}
	__sync_fetch_and_add(&counts->all, 1);
	if (event->kind < PEER_RETRANSMIT_KINDS)
		__sync_fetch_and_add(&counts->kinds[event->kind], 1);
}

/* 'event' holds all but the owner and the time. */
static __always_inline int tell(struct sock *owner, const struct retrans_event *event)
{
	struct retrans_event *record;

	if (trace_mode == TRACE_MODE_COUNTS) {
		count_retransmit(event);
		return 0;
	}
	record = event_reserve(struct retrans_event, 0);
	if (!record)
		return 0;
	*record = *event;
	record->event.time_ns = bpf_ktime_get_ns();
	owner_of_socket(owner, &record->owner);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

/* Fills in the ends; false when the filters leave the socket or request out. */
static __always_inline bool ends_of(const struct sock_common *common, __u16 local_port,
				    struct retrans_event *event)
{
	if (!socket_wanted(common, local_port) || !remote_of(common, &event->remote) ||
	    !address_wanted(&event->remote) || !local_of(common, &event->local))
		return false;
	event->local_port = local_port;
	event->remote_port = bpf_ntohs(common->skc_dport);
	return true;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(retransmits, struct sock *sk, struct sk_buff *skb)
{
	int error = retransmit_has_error ? (int)ctx[2] : 0;
	const struct sock_common *common = &sk->__sk_common;
	const struct tcp_sock *tp = tcp_sock_of(sk);
	struct retrans_event event = {};

	if (!tp || error == -EBUSY || error == -EAGAIN ||
	    !ends_of(common, common->skc_num, &event) || !socket_owner_wanted(sk))
		return 0;
	event.kind = error ? PEER_RETRANSMIT_FAILED : retransmit_kind(sk, tp);
	event.state = common->skc_state;
	event.error = error;
	event.sequence = segment_sequence(skb);
	return tell(sk, &event);
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(synack_retransmits, struct sock *sk, struct request_sock *req)
{
	const struct sock_common *common = &req->__req_common;
	struct retrans_event event = {.kind = PEER_RETRANSMIT_SYNACK, .state = TCP_NEW_SYN_RECV};

	if (filter_netns_inode && !netns_wanted(sk->__sk_common.skc_net.net))
		return 0;
	if (!ends_of(common, sk->__sk_common.skc_num, &event) || !socket_owner_wanted(sk))
		return 0;
	return tell(sk, &event);
}
