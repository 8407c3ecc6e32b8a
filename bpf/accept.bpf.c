// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long TCP connections wait to be accepted, and what listeners drop.
 *
 * A connection waits from the moment its listener makes a socket of it. No tracepoint tells when it
 * is accepted: the descriptor that accept() returns does, or that io_uring completes with. Whatever
 * of the connections that wait is found in a table of descriptors was accepted, whoever put it
 * there: a lookup too many costs time, but is never wrong.
 *
 * What a listener drops it counts itself. It is read by going through all open files once an
 * interval, which knows no limits of namespaces, and when the listener ends.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/accept.h"

#include "cast.bpf.h"
#include "filter.bpf.h"
#include "filter_owner.bpf.h"
#include "open_file.bpf.h"
#include "read_address.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 trace_grouping = ACCEPT_OF_ALL;
/* The system calls accept, accept4 and accept4 of 32-bit programs, by their numbers. */
const volatile __u32 accept_numbers[3] = {~0U, ~0U, ~0U};
/* Where the tracepoint io_uring_complete has the result: in the third argument, a completion queue
 * entry (since 6.13), as the fourth (since 5.19, from when on the second is the request), or as the
 * third. The loader looks at the prototype. */
const volatile __u32 uring_result_argument = 0;
const volatile bool uring_result_in_entry = false;

/* Of the kernel's user interface (linux/io_uring.h). */
#define IORING_OP_ACCEPT 13

/* Since when a connection waits, by the address of its socket. The oldest give way to new ones:
 * they may have been accepted in a way that is not seen. What was pushed out shows when it is
 * accepted, without a delay. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u64);
} waiting SEC(".maps");

/* A listener at the last look. */
struct listener {
	__u64 look;
	__u32 drops;
	__u32 known;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct listener);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct accept_key);
	__type(value, union accept_aggregate);
} aggregates SEC(".maps");

static __always_inline struct accept_count *count_of(const struct accept_event *event,
						     const struct peer_key *listener)
{
	static const union accept_aggregate none = {};
	struct accept_key key = {
		.epoch = trace_epoch,
		.netns_inode = event->owner.netns_inode,
		.local = *listener,
		.local_port = event->local_port,
	};
	union accept_aggregate *aggregate = bpf_map_lookup_elem(&aggregates, &key);

	if (!aggregate) {
		bpf_map_update_elem(&aggregates, &key, &none, BPF_NOEXIST);
		aggregate = bpf_map_lookup_elem(&aggregates, &key);
	}
	if (!aggregate) {
		__sync_fetch_and_add(&trace_counters.updates_lost, 1);
		return NULL;
	}
	return &aggregate->count;
}

static __always_inline void add_up(const struct accept_event *event,
				   const struct peer_key *listener)
{
	struct accept_key key = {.epoch = trace_epoch};

	if (!event->delay_ns)
		return;
	if (trace_grouping == ACCEPT_BY_LISTENER) {
		key.local = *listener;
		key.netns_inode = event->owner.netns_inode;
	}
	if (trace_grouping == ACCEPT_BY_LISTENER || trace_grouping == ACCEPT_BY_PORT)
		key.local_port = event->local_port;
	if (trace_grouping == ACCEPT_BY_CGROUP)
		key.cgroup_id = event->owner.cgroup_id;
	histogram_add(&aggregates, &key, event->delay_ns);
}

static __always_inline void tell(const struct accept_event *event, __u64 now_ns)
{
	struct accept_event *record = event_reserve(struct accept_event, now_ns);

	if (!record)
		return;
	*record = *event;
	record->event.time_ns = now_ns;
	bpf_ringbuf_submit(record, 0);
}

/* ---- connections ---- */

static __always_inline struct sock *socket_of_file(struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);

	return BPF_CORE_READ(socket, sk);
}

/* What a descriptor of the running task stands for; anything when that is no socket. */
static __always_inline struct sock *socket_of_descriptor(__u64 descriptor)
{
	struct fdtable *table = BPF_CORE_READ(bpf_get_current_task_btf(), files, fdt);
	struct file *file = NULL;

	if (descriptor >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + descriptor);
	return socket_of_file(file);
}

static __always_inline void read_connection(struct sock *sk, struct accept_event *event)
{
	event->local = read_local(sk);
	event->remote = read_remote(sk);
	/* A closed socket has given its port back (skc_num), but still knows it. */
	event->local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	event->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	event->state = BPF_CORE_READ(sk, __sk_common.skc_state);
}

static __always_inline bool is_tcp(struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return (family == AF_INET || family == AF_INET6) &&
	       BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP;
}

static __always_inline bool defers(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = (const struct inet_connection_sock *)sk;

	return BPF_CORE_READ(icsk, icsk_accept_queue.rskq_defer_accept);
}

/* 'sk' was accepted; unless that is certain, only if it has waited. */
static __always_inline int accepted(struct sock *sk, struct sock *listener_sk, bool certain)
{
	struct accept_event event = {.kind = ACCEPT_ACCEPTED};
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 key = (__u64)sk, now_ns = bpf_ktime_get_ns();
	__u64 *since_ns = bpf_map_lookup_elem(&waiting, &key);
	struct accept_count *count;
	struct peer_key listener;
	__u32 netns_inode;

	if (!since_ns && (!certain || !sk || !is_tcp(sk)))
		return 0;
	if (since_ns) {
		event.delay_ns = now_ns - *since_ns;
		bpf_map_delete_elem(&waiting, &key);
	}
	read_connection(sk, &event);
	netns_inode = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if ((filter_netns_inode && netns_inode != filter_netns_inode) ||
	    !port_wanted(event.local_port, event.remote_port) || !address_wanted(&event.remote) ||
	    !task_wanted(task) || event.delay_ns < filter_min_ns)
		return 0;
	owner_of_task(task, &event.owner);
	event.owner.netns_inode = netns_inode;
	/* Where the listener is not known, by the address that was connected to. */
	listener = event.local;
	if (listener_sk) {
		listener = read_local(listener_sk);
		event.queue = BPF_CORE_READ(listener_sk, sk_ack_backlog);
		event.backlog = BPF_CORE_READ(listener_sk, sk_max_ack_backlog);
		event.defers = defers(listener_sk);
	}
	if (trace_mode == TRACE_MODE_EVENTS) {
		tell(&event, now_ns);
	} else if (trace_mode == TRACE_MODE_HISTOGRAM) {
		add_up(&event, &listener);
	} else {
		count = count_of(&event, &listener);
		if (!count)
			return 0;
		__sync_fetch_and_add(&count->accepted, 1);
		__sync_fetch_and_add(&count->delay_sum_ns, event.delay_ns);
		count->defers |= event.defers;
		count->owner = event.owner;
	}
	return 0;
}

/* Passed by every system call, so that nearly all must end at the first comparison. Where the
 * number cannot be read, each result is looked up. */
SEC("tp_btf/sys_exit")
int accept_returns(__u64 *context)
{
	struct sock *listener = NULL;
	long result = (long)context[1];
	__u32 number = ~0U;
	__u64 descriptor = ~0ULL;

	if (bpf_core_field_exists(((struct pt_regs___x86 *)0)->orig_ax)) {
		struct pt_regs___x86 *registers = (struct pt_regs___x86 *)context[0];

		number = registers->orig_ax;
		descriptor = registers->di;
	} else if (bpf_core_field_exists(((struct pt_regs___arm64 *)0)->syscallno)) {
		struct pt_regs___arm64 *registers = (struct pt_regs___arm64 *)context[0];

		number = registers->syscallno;
		descriptor = registers->orig_x0;
	}
	if (number != ~0U && number != accept_numbers[0] && number != accept_numbers[1] &&
	    number != accept_numbers[2])
		return 0;
	if (result < 0)
		return 0;
	/* A 32-bit program has its arguments elsewhere. */
	if (number == accept_numbers[0] || number == accept_numbers[1])
		listener = socket_of_descriptor(descriptor);
	return accepted(socket_of_descriptor(result), listener, number != ~0U);
}

SEC("tp_btf/io_uring_complete")
int uring_completes(__u64 *context)
{
	struct io_kiocb *request = NULL;
	struct sock *listener = NULL;
	int result;

	/* Or the compiler would make one access at a computed place of them, which the verifier
	 * refuses. */
	if (uring_result_in_entry) {
		result = BPF_CORE_READ((struct io_uring_cqe *)context[2], res);
		barrier_var(result);
	} else if (uring_result_argument == 3) {
		result = context[3];
		barrier_var(result);
	} else {
		result = context[2];
		barrier_var(result);
	}
	if (result < 0)
		return 0;
	if (uring_result_in_entry || uring_result_argument == 3)
		request = (struct io_kiocb *)context[1];
	/* There is none for results of a multishot request but the last. */
	if (request) {
		if (BPF_CORE_READ(request, opcode) != IORING_OP_ACCEPT)
			return 0;
		listener = socket_of_file(BPF_CORE_READ(request, file));
	}
	/* With direct descriptors it is no number of the table. */
	return accepted(socket_of_descriptor(result), listener, false);
}

/* One that ends without having been accepted. */
SEC("tp_btf/tcp_destroy_sock")
int connection_ends(__u64 *context)
{
	__u64 key = context[0];

	bpf_map_delete_elem(&waiting, &key);
	return 0;
}

/* ---- listeners ---- */

/* What it has dropped since the last look; 'look' is 0 when it ends. */
static __always_inline void look_at(struct sock *sk, struct task_struct *task, __u64 look)
{
	const struct sock_common *common = &sk->__sk_common;
	struct accept_event event = {.kind = ACCEPT_DROPPED};
	const struct tcp_sock *tp = tcp_sock_of(sk);
	struct listener *listener;
	struct accept_count *count;
	__u32 drops;
	bool again;

	if (!tp || !local_of(common, &event.local))
		return;
	event.local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	if (!socket_wanted(common, event.local_port) || !address_wanted(&event.local))
		return;
	listener = bpf_sk_storage_get(&listeners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!listener) {
		__sync_fetch_and_add(&trace_counters.updates_lost, 1);
		return;
	}
	drops = sk->sk_drops.counter;
	if (!listener->known) {
		listener->drops = drops;
		listener->known = true;
		return;
	}
	if (!task_wanted(task))
		return;
	event.drops = drops - listener->drops;
	/* Several processes may have it open. */
	again = listener->look == look;
	listener->drops = drops;
	listener->look = look;
	event.queue = sk->sk_ack_backlog;
	event.backlog = sk->sk_max_ack_backlog;
	event.defers = defers(sk);
	if (!event.drops && (again || !event.queue))
		return;
	owner_of_task(task, &event.owner);
	event.owner.netns_inode = common->skc_net.net->ns.inum;
	if (trace_mode == TRACE_MODE_EVENTS) {
		if (event.drops)
			tell(&event, bpf_ktime_get_ns());
		return;
	}
	count = count_of(&event, &event.local);
	if (!count)
		return;
	__sync_fetch_and_add(&count->drops, event.drops);
	count->defers |= event.defers;
	if (!count->owner.pid)
		count->owner = event.owner;
	if (!look || again)
		return;
	/* Several listeners may share a port. */
	if (count->look != look)
		count->queue = count->backlog = 0;
	count->look = look;
	count->queue += event.queue;
	count->backlog += event.backlog;
}

SEC("iter/task_file")
int listener_iterate(struct bpf_iter__task_file *context)
{
	struct sock *sk = trace_mode == TRACE_MODE_HISTOGRAM ? NULL : tcp_socket_of(context);
	struct task_struct *task = context->task;

	if (task && sk && sk->__sk_common.skc_state == TCP_LISTEN)
		look_at(sk, task, context->meta->session_id);
	return 0;
}

static __always_inline void listener_begins(struct sock *sk)
{
	struct listener *listener =
		bpf_sk_storage_get(&listeners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!listener) {
		__sync_fetch_and_add(&trace_counters.updates_lost, 1);
		return;
	}
	listener->drops = sk->sk_drops.counter;
	listener->known = true;
}

/* Listeners begin and end, and make sockets of connections. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(listener_acts, struct sock *sk, int old_state, int new_state)
{
	__u64 key = (__u64)sk, now_ns;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	/* With TCP Fast Open it can be accepted before it is established. */
	if (old_state == TCP_LISTEN && new_state == TCP_SYN_RECV) {
		now_ns = bpf_ktime_get_ns();
		if (bpf_map_update_elem(&waiting, &key, &now_ns, BPF_ANY))
			__sync_fetch_and_add(&trace_counters.updates_lost, 1);
		return 0;
	}
	if (trace_mode == TRACE_MODE_HISTOGRAM)
		return 0;
	if (new_state == TCP_LISTEN)
		listener_begins(sk);
	else if (old_state == TCP_LISTEN)
		look_at(sk, bpf_get_current_task_btf(), 0);
	return 0;
}
