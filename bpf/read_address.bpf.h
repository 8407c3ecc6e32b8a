/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_READ_ADDRESS_H
#define TOCSIN_BPF_READ_ADDRESS_H

#include "filter.bpf.h"

static __always_inline struct peer_key address_of(__u16 family, __be32 v4,
						  const struct in6_addr *v6)
{
	union address_words address = {};

	if (family == AF_INET) {
		address.words[2] = bpf_htonl(0xffff);
		address.words[3] = v4;
	} else {
		for (int i = 0; i < 4; i++)
			address.words[i] = v6->in6_u.u6_addr32[i];
	}
	return address.key;
}

/* As local_of() and remote_of() do, of sockets that the verifier does not know as such: each field
 * is read by helper. */
static __always_inline struct peer_key read_local(const struct sock *sk)
{
	struct in6_addr address;

	BPF_CORE_READ_INTO(&address, sk, __sk_common.skc_v6_rcv_saddr);
	return address_of(BPF_CORE_READ(sk, __sk_common.skc_family),
			  BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr), &address);
}

static __always_inline struct peer_key read_remote(const struct sock *sk)
{
	struct in6_addr address;

	BPF_CORE_READ_INTO(&address, sk, __sk_common.skc_v6_daddr);
	return address_of(BPF_CORE_READ(sk, __sk_common.skc_family),
			  BPF_CORE_READ(sk, __sk_common.skc_daddr), &address);
}

#endif
