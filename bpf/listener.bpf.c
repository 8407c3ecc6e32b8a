// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP listeners and what waits in their queues. Nothing is done when a connection comes in or is
 * accepted: the queue itself is looked at once in a while. Its first entry is its oldest.
 *
 * Listeners are noted when they begin, so that a look goes through them alone, in all network
 * namespaces, and not through all open files. User space asks for a look at some of them by their
 * addresses. An iterator over a map would do that by itself, but kernels that are locked down
 * refuse such iterators as they refuse fentry. A look reads by helper, as the socket may end
 * meanwhile: what is read then is nonsense at worst, and mostly no listener.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/listener.h"

#include "filter.bpf.h"
#include "open_file.bpf.h"
#include "read_address.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LISTENERS_MAX);
	__type(key, __u64); /* the address of its socket */
	__type(value, struct listener_owner);
} listeners SEC(".maps");

/* Listeners for which there was no room. */
__u64 listeners_lost = 0;
struct listener_batch listener_batch = {};

/* When jiffies were first looked at: how long one lasts is what has passed since. */
__u64 first_jiffies = 0, first_ns = 0;

/* Long enough that one jiffy more or less makes no difference. */
#define MEASURED_JIFFIES 64

static __always_inline void note_listener(const struct sock *sk, struct task_struct *task)
{
	struct listener_owner owner = {.pid = BPF_CORE_READ(task, tgid)};
	__u64 address = (__u64)sk;

	BPF_CORE_READ_STR_INTO(&owner.comm, task, group_leader, comm);
	if (bpf_map_update_elem(&listeners, &address, &owner, BPF_ANY))
		__sync_fetch_and_add(&listeners_lost, 1);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(listener_begins, struct sock *sk, int old_state, int new_state)
{
	__u64 address = (__u64)sk;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (new_state == TCP_LISTEN && netns_wanted(sk->__sk_common.skc_net.net))
		note_listener(sk, (struct task_struct *)bpf_get_current_task());
	/* A connection comes from TCP_LISTEN, too, as it is made from its listener. */
	else if (old_state == TCP_LISTEN && new_state == TCP_CLOSE)
		bpf_map_delete_elem(&listeners, &address);
	return 0;
}

/* Those that were there before the programs: run once. */
SEC("iter/task_file")
int listener_is_found(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct sock *sk = tcp_socket_of(context);

	if (task && sk && sk->__sk_common.skc_state == TCP_LISTEN &&
	    netns_wanted(sk->__sk_common.skc_net.net))
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

/* What is to be said of a listener; of one of which there is nothing its socket is 0. */
static __always_inline void look_at(__u64 address, __u64 duration_ns, __u32 jiffies,
				    struct listener_record *record)
{
	const struct sock *sk = (const struct sock *)address;
	const struct tcp_sock *tp = (const struct tcp_sock *)address;

	record->socket = 0;
	record->drops = BPF_CORE_READ(sk, sk_drops.counter);
	record->queue = BPF_CORE_READ(sk, sk_ack_backlog);
	if ((!record->drops && !record->queue) ||
	    BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_LISTEN)
		return;
	record->local = read_local(sk);
	record->socket = address;
	record->netns_inode = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	record->port = BPF_CORE_READ(sk, __sk_common.skc_num);
	record->backlog = BPF_CORE_READ(sk, sk_max_ack_backlog);
	record->defers = !!BPF_CORE_READ(tp, inet_conn.icsk_accept_queue.rskq_defer_accept);
	record->oldest_ns = record->queue ? oldest_ns(tp, duration_ns, jiffies) : 0;
}

SEC("raw_tp")
int listener_is_read(void *context)
{
	__u64 jiffies = bpf_jiffies64();
	__u64 duration_ns = jiffy_ns(jiffies);

	for (__u32 i = 0; i < LISTENER_BATCH && i < listener_batch.count; i++)
		look_at(listener_batch.sockets[i], duration_ns, (__u32)jiffies,
			&listener_batch.records[i]);
	return 0;
}
