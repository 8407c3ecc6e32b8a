/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_FLOW_H
#define TOCSIN_BPF_FLOW_H

/*
 * Where the record of a socket in trouble lies (maps/flow.h): in the socket's own storage, or,
 * where tracing programs may not touch that, in a hash by the socket's address. Whoever includes
 * this counts what finds no room.
 */

#include "maps/flow.h"

/* Whether tracing programs may use the storage of sockets (since 5.11, commit 8e4597c627fb): the
 * loader looks for the kernel's function, so that the other branch of each reader is pruned. */
const volatile bool sockets_have_storage = true;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tcp_flow);
} tcp_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FLOWS_BY_ADDRESS_MAX);
	__type(key, __u64);
	__type(value, struct tcp_flow);
} flows_by_address SEC(".maps");

/* Of those that user space wants left out it knows the cookie, not the address. The end of one is
 * not always seen: the oldest make room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FLOWS_IGNORED_MAX);
	__type(key, __u64);
	__type(value, __u8);
} ignored_cookies SEC(".maps");

static __always_inline struct tcp_flow *flow_find(struct sock *sk)
{
	__u64 address = (__u64)sk;

	if (sockets_have_storage)
		return bpf_sk_storage_get(&tcp_flows, sk, NULL, 0);
	return bpf_map_lookup_elem(&flows_by_address, &address);
}

/* Made when there is none; NULL when there is no room. */
static __always_inline struct tcp_flow *flow_find_or_make(struct sock *sk)
{
	static const struct tcp_flow none = {};
	__u64 address = (__u64)sk;
	struct tcp_flow *flow;

	if (sockets_have_storage)
		return bpf_sk_storage_get(&tcp_flows, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	flow = bpf_map_lookup_elem(&flows_by_address, &address);
	if (flow)
		return flow;
	bpf_map_update_elem(&flows_by_address, &address, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&flows_by_address, &address);
}

/* At the end of a socket, after which its address may be another's. */
static __always_inline void flow_forget(struct sock *sk)
{
	__u64 address = (__u64)sk;

	if (!sockets_have_storage)
		bpf_map_delete_elem(&flows_by_address, &address);
}

/* Whether user space wants the socket left out; 'flow' is its record, or NULL. */
static __always_inline bool flow_ignored(struct sock *sk, const struct tcp_flow *flow)
{
	__u64 cookie;

	if (sockets_have_storage)
		return flow && flow->flags & FLOW_FLAG_IGNORED;
	cookie = sk->__sk_common.skc_cookie.counter;
	return cookie && bpf_map_lookup_elem(&ignored_cookies, &cookie);
}

#endif
