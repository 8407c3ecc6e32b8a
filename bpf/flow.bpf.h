/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_FLOW_H
#define TOCSIN_BPF_FLOW_H

/* The record of a socket in trouble (maps/flow.h), and which sockets are left out. */

#include "maps/flow.h"

#include "socket_record.bpf.h"

SOCKET_RECORDS(flow, struct tcp_flow, FLOWS_BY_ADDRESS_MAX)

/* Of those that user space wants left out it knows the cookie, not the address. The end of one is
 * not always seen: the oldest make room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FLOWS_IGNORED_MAX);
	__type(key, __u64);
	__type(value, __u8);
} ignored_cookies SEC(".maps");

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
