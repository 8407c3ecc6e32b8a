// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Fresh round-trip times, one a segment that acknowledges something new. As the tracepoint comes
 * before the acknowledgement is worked in, each is that of the connection's advance before.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/rtt.h"

#include "cast.bpf.h"
#include "filter.bpf.h"
#include "socket_owner.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 trace_grouping = RTT_OF_ALL;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct rtt_key);
	__type(value, struct trace_histogram);
} aggregates SEC(".maps");

SEC("tp_btf/tcp_probe")
int BPF_PROG(round_trips, struct sock *sk, struct sk_buff *skb)
{
	const struct sock_common *common = &sk->__sk_common;
	const struct tcp_sock *tp = tcp_sock_of(sk);
	struct rtt_key key = {};
	__u32 rtt_us;

	if (!tp || !segment_advances(skb, tp))
		return 0;
	rtt_us = tp->rack.rtt_us;
	if (!rtt_us || !socket_wanted(common, common->skc_num) || !remote_of(common, &key.remote) ||
	    !address_wanted(&key.remote) || !socket_owner_wanted(sk))
		return 0;
	key.epoch = trace_epoch;
	if (trace_grouping == RTT_BY_PORT)
		key.local_port = common->skc_num;
	if (trace_grouping == RTT_BY_CGROUP)
		key.cgroup_id = cgroup_id_of(cgroup_of_socket(sk));
	if (trace_grouping != RTT_BY_REMOTE)
		key.remote = (struct peer_key){};
	histogram_add(&aggregates, &key, rtt_us * 1000ULL);
	return 0;
}
