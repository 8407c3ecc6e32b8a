// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP listeners and what waits in their queues. Nothing is done when a connection comes in or is
 * accepted: the queue itself is looked at once in a while. Its first entry is its oldest.
 *
 * Listeners are marked when they begin, so that a look goes through them alone, in all network
 * namespaces, and not through all open files.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/listener.h"

#include "cast.bpf.h"
#include "filter.bpf.h"
#include "open_file.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct listener_owner);
} listeners SEC(".maps");

/* When jiffies were first looked at: how long one lasts is what has passed since. */
__u64 first_jiffies = 0, first_ns = 0;
/* Listeners for which there was no memory. */
__u64 listeners_lost = 0;

/* Long enough that one jiffy more or less makes no difference. */
#define MEASURED_JIFFIES 64

static __always_inline void note_listener(struct sock *sk, struct task_struct *task)
{
	struct listener_owner *owner =
		bpf_sk_storage_get(&listeners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!owner) {
		__sync_fetch_and_add(&listeners_lost, 1);
		return;
	}
	owner->pid = BPF_CORE_READ(task, tgid);
	BPF_CORE_READ_STR_INTO(&owner->comm, task, group_leader, comm);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(listener_begins, struct sock *sk, int old_state, int new_state)
{
	if (new_state != TCP_LISTEN || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (!filter_netns_inode || netns_wanted(sk->__sk_common.skc_net.net))
		note_listener(sk, bpf_get_current_task_btf());
	return 0;
}

/* Those that were there before the programs: run once. */
SEC("iter/task_file")
int listener_is_found(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct sock *sk = tcp_socket_of(context);

	if (task && sk && sk->__sk_common.skc_state == TCP_LISTEN &&
	    (!filter_netns_inode || netns_wanted(sk->__sk_common.skc_net.net)))
		note_listener(sk, task);
	return 0;
}

/* 0 as long as it is not known. */
static __always_inline __u64 jiffy_ns(__u64 jiffies)
{
	__u64 now_ns = bpf_ktime_get_ns();

	if (!first_jiffies) {
		first_jiffies = jiffies;
		first_ns = now_ns;
	}
	if (jiffies < first_jiffies + MEASURED_JIFFIES)
		return 0;
	return (now_ns - first_ns) / (jiffies - first_jiffies);
}

/* A connection sends nothing before it is accepted, so that it last sent when it was made: the
 * kernel sets that then, in jiffies. What is read of one that is just being taken out is nonsense,
 * and no older than the clock. */
static __always_inline __u64 oldest_ns(const struct tcp_sock *listener, __u64 duration_ns,
				       __u32 jiffies)
{
	struct request_sock *request =
		BPF_CORE_READ(listener, inet_conn.icsk_accept_queue.rskq_accept_head);
	struct sock *child = request ? BPF_CORE_READ(request, sk) : NULL;
	__u32 age;

	if (!child)
		return 0;
	age = jiffies - BPF_CORE_READ((struct tcp_sock *)child, lsndtime);
	return (__s32)age > 0 ? age * duration_ns : 0;
}

SEC("iter/bpf_sk_storage_map")
int listener_is_read(struct bpf_iter__bpf_sk_storage_map *context)
{
	const struct listener_owner *owner = context->value;
	struct listener_record record = {};
	struct sock *sk = context->sk;
	const struct tcp_sock *tp;
	__u64 jiffies, duration_ns;

	if (!sk || !owner || sk->__sk_common.skc_state != TCP_LISTEN)
		return 0;
	jiffies = bpf_jiffies64();
	duration_ns = jiffy_ns(jiffies);
	record.drops = sk->sk_drops.counter;
	record.queue = sk->sk_ack_backlog;
	if (!record.drops && !record.queue)
		return 0;
	tp = tcp_sock_of(sk);
	if (!tp || !local_of(&sk->__sk_common, &record.local))
		return 0;
	record.socket = (__u64)sk;
	record.netns_inode = sk->__sk_common.skc_net.net->ns.inum;
	record.port = sk->__sk_common.skc_num;
	record.backlog = sk->sk_max_ack_backlog;
	record.defers = !!tp->inet_conn.icsk_accept_queue.rskq_defer_accept;
	record.owner = *owner;
	if (record.queue)
		record.oldest_ns = oldest_ns(tp, duration_ns, (__u32)jiffies);
	/* Where the reader's buffer is full, the kernel comes back to this listener. */
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
	return 0;
}
