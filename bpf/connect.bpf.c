// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* TCP connects, in both directions: how long the answer took, or why there was none. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/connect.h"

#include "cast.bpf.h"
#include "error_reason.bpf.h"
#include "filter.bpf.h"
#include "socket_owner.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 trace_grouping = CONNECT_OF_ALL;

/* When a connect began. */
SOCKET_RECORDS(connect_begin, __u64, SOCKETS_BY_ADDRESS_MAX)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct connect_key);
	__type(value, struct trace_histogram);
} aggregates SEC(".maps");

static __always_inline void add_up(struct sock *sk, const struct connect_event *event)
{
	struct connect_key key = {.epoch = trace_epoch, .direction = event->direction};

	/* Of failures there are events. */
	if (event->outcome || !event->latency_ns)
		return;
	if (trace_grouping == CONNECT_BY_REMOTE)
		key.remote = event->remote;
	if (trace_grouping == CONNECT_BY_PORT)
		key.service_port =
			event->direction == CONNECT_OUT ? event->remote_port : event->local_port;
	if (trace_grouping == CONNECT_BY_CGROUP)
		key.cgroup_id = cgroup_id_of(cgroup_of_socket(sk));
	histogram_add(&aggregates, &key, event->latency_ns);
}

static __always_inline int tell(struct sock *sk, struct connect_event *event, __u64 now_ns)
{
	const struct sock_common *common = &sk->__sk_common;
	struct connect_event *record;

	if (!socket_wanted(common, event->local_port) || !remote_of(common, &event->remote) ||
	    !address_wanted(&event->remote) || !local_of(common, &event->local) ||
	    !socket_owner_wanted(sk))
		return 0;
	event->remote_port = bpf_ntohs(common->skc_dport);
	if (trace_mode == TRACE_MODE_HISTOGRAM) {
		add_up(sk, event);
		return 0;
	}
	if (event->latency_ns < filter_min_ns)
		return 0;
	record = event_reserve(struct connect_event, now_ns);
	if (!record)
		return 0;
	event->event.time_ns = now_ns;
	*record = *event;
	owner_of_socket(sk, &record->owner);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(connects, struct sock *sk, int old_state, int new_state)
{
	bool established = new_state == TCP_ESTABLISHED, outgoing;
	struct connect_event event = {};
	const struct tcp_sock *tp;
	__u64 now_ns, *begun_ns;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (old_state == TCP_CLOSE && new_state == TCP_SYN_SENT) {
		begun_ns = connect_begin_find_or_make(sk);
		if (begun_ns)
			*begun_ns = bpf_ktime_get_ns();
		else
			__sync_fetch_and_add(&trace_counters.updates_lost, 1);
		/* Its program notes it, too, but may come later. */
		socket_owner_note(sk, (struct task_struct *)bpf_get_current_task());
		return 0;
	}
	if ((old_state != TCP_SYN_SENT && old_state != TCP_SYN_RECV) ||
	    (!established && new_state != TCP_CLOSE))
		return 0;
	/* Where both ends connect at once, it goes through SYN_RECV, too. */
	begun_ns = connect_begin_find(sk);
	outgoing = begun_ns || old_state == TCP_SYN_SENT;
	if (!outgoing && !established)
		return 0;
	tp = tcp_sock_of(sk);
	if (!tp)
		return 0;
	now_ns = bpf_ktime_get_ns();
	/* A closed socket has given its port back (skc_num), but still knows it. */
	event.local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	if (outgoing) {
		event.direction = CONNECT_OUT;
		event.outcome = established ? 0 : connect_error_reason(sk) + 1;
		event.latency_ns = begun_ns ? now_ns - *begun_ns : 0;
		connect_begin_forget(sk);
	} else {
		/* The kernel has just taken the time since its SYN-ACK as the first round trip, in
		 * eighths of a microsecond; it has none when SYN cookies were used. */
		event.direction = CONNECT_IN;
		event.latency_ns = tp->srtt_us * 125ULL;
	}
	return tell(sk, &event, now_ns);
}
