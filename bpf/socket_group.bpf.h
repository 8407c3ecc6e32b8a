/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_SOCKET_GROUP_H
#define TOCSIN_BPF_SOCKET_GROUP_H

/* The control group of a socket, in the v2 tree: that of the task that made it, or of the listener
 * that accepted it. Whose task happens to run says nothing. */

/* NULL where the kernel does not keep it. */
static __always_inline struct cgroup *cgroup_of_socket(struct sock *sk)
{
	struct sock_cgroup_data *data = &sk->sk_cgrp_data;
	__u64 value;

	if (bpf_core_field_exists(((struct sock_cgroup_data___v515 *)0)->cgroup))
		return BPF_CORE_READ((struct sock_cgroup_data___v515 *)data, cgroup);
	if (!bpf_core_field_exists(((struct sock_cgroup_data___v514 *)0)->val))
		return NULL;
	/* Before 5.15 (commit 8520e224f547) a word with the numbers of v1 controllers instead, when
	 * one of the lowest two bits is set. */
	value = BPF_CORE_READ((struct sock_cgroup_data___v514 *)data, val);
	return value & 3 ? NULL : (struct cgroup *)value;
}

#endif
