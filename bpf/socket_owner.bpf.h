/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_SOCKET_OWNER_H
#define TOCSIN_BPF_SOCKET_OWNER_H

/*
 * Who owns a TCP socket. The kernel keeps its cgroup and network namespace, but not its process:
 * that is noted in the socket's storage when the process is known to be the one that runs (it
 * connects, or reads what was received), and, for sockets older than the trace, by going through
 * all open files once (`iter/task_file`, run by the runner).
 *
 * A trace that includes this lists SOCKET_OWNER_PROGRAMS among its programs.
 */

#include "maps/trace.h"

#include "filter_owner.bpf.h"
#include "numbers.bpf.h"
#include "open_file.bpf.h"
#include "socket_group.bpf.h"
#include "socket_record.bpf.h"

struct socket_owner {
	__u32 pid;
	char comm[TRACE_COMM_BYTES];
};

SOCKET_RECORDS(socket_owner, struct socket_owner, SOCKETS_BY_ADDRESS_MAX)

static __always_inline void socket_owner_note(struct sock *sk, struct task_struct *task)
{
	struct socket_owner *owner = socket_owner_find_or_make(sk);

	if (!owner || owner->pid)
		return;
	owner->pid = BPF_CORE_READ(task, tgid);
	BPF_CORE_READ_STR_INTO(&owner->comm, task, group_leader, comm);
}

/* connect() runs in its process; later changes of state mostly do not. The trace's own program at
 * this tracepoint comes before it in the table, so that it finds the owner of one that ends. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(owner_connects, struct sock *sk, int old_state, int new_state)
{
	if (old_state == TCP_CLOSE && new_state == TCP_SYN_SENT)
		socket_owner_note(sk, (struct task_struct *)bpf_get_current_task());
	else if (new_state == TCP_CLOSE)
		socket_owner_forget(sk);
	return 0;
}

/* Passed when a process has read from the socket. */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(owner_reads, struct sock *sk)
{
	socket_owner_note(sk, (struct task_struct *)bpf_get_current_task());
	return 0;
}

/* Sockets that are older than the trace. */
SEC("iter/task_file")
int owner_iterate(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct sock *sk = tcp_socket_of(context);

	if (task && sk)
		socket_owner_note(sk, task);
	return 0;
}

static __always_inline void owner_of_socket(struct sock *sk, struct owner *owner)
{
	struct socket_owner *known = socket_owner_find(sk);

	owner->cgroup_id = cgroup_id_of(cgroup_of_socket(sk));
	owner->netns_inode = sk->__sk_common.skc_net.net->ns.inum;
	owner->pid = known ? known->pid : 0;
	__builtin_memset(owner->comm, 0, sizeof(owner->comm));
	if (known)
		__builtin_memcpy(owner->comm, known->comm, sizeof(owner->comm));
}

/* Whether the filters by owner let a socket through. */
static __always_inline bool socket_owner_wanted(struct sock *sk)
{
	if (filter_cgroup_id && !cgroup_wanted(cgroup_of_socket(sk)))
		return false;
	if (filter_pid) {
		struct socket_owner *known = socket_owner_find(sk);

		return known && known->pid == filter_pid;
	}
	return true;
}

#endif
