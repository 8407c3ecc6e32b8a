/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_FILTER_H
#define TOCSIN_BPF_FILTER_H

/*
 * Which sockets count. The filters are constants by the time the program is verified, so one that
 * is not used leaves no instruction behind.
 */

#include "maps/peer.h"

#include "numbers.bpf.h"

const volatile __u32 filter_netns_inode = 0; /* 0: all network namespaces */
const volatile __u16 filter_port = 0;	     /* either end, host order; 0: all */
const volatile __u16 filter_family = 0;	     /* of the addresses: AF_INET, AF_INET6; 0: both */
const volatile bool filter_remote = false;   /* with the network and mask below */
const volatile __u32 filter_remote_network[4] = {};
const volatile __u32 filter_remote_mask[4] = {};
const volatile bool filter_loopback = false; /* true: leave out 127.0.0.0/8 and ::1 */

union address_words {
	struct peer_key key;
	__u32 words[4];
	__u64 halves[2];
};

static __always_inline bool is_v4(const union address_words *address)
{
	return !address->halves[0] && address->words[2] == bpf_htonl(0xffff);
}

static __always_inline bool address_wanted(const struct peer_key *key)
{
	union address_words address = {.key = *key};

	if (filter_family && is_v4(&address) != (filter_family == AF_INET))
		return false;
	if (filter_remote) {
		for (int i = 0; i < 4; i++)
			if ((address.words[i] & filter_remote_mask[i]) != filter_remote_network[i])
				return false;
	}
	if (filter_loopback) {
		if (is_v4(&address) && key->address[12] == 127)
			return false;
		if (!address.words[0] && !address.words[1] && !address.words[2] &&
		    address.words[3] == bpf_htonl(1))
			return false;
	}
	return true;
}

static __always_inline bool port_wanted(__u16 local_port, __u16 remote_port)
{
	return !filter_port || local_port == filter_port || remote_port == filter_port;
}

static __always_inline bool netns_wanted(const struct net *net)
{
	return !filter_netns_inode || net->ns.inum == filter_netns_inode;
}

/* The remote end of a socket or request; false for families other than IP. */
static __always_inline bool remote_of(const struct sock_common *common, struct peer_key *key)
{
	union address_words address = {};

	if (common->skc_family == AF_INET) {
		address.words[2] = bpf_htonl(0xffff);
		address.words[3] = common->skc_daddr;
	} else if (common->skc_family == AF_INET6) {
		/* A v4 peer of a v6 socket is in its mapped form here already. */
		for (int i = 0; i < 4; i++)
			address.words[i] = common->skc_v6_daddr.in6_u.u6_addr32[i];
	} else {
		return false;
	}
	*key = address.key;
	return true;
}

/* The local end, likewise. */
static __always_inline bool local_of(const struct sock_common *common, struct peer_key *key)
{
	union address_words address = {};

	if (common->skc_family == AF_INET) {
		address.words[2] = bpf_htonl(0xffff);
		address.words[3] = common->skc_rcv_saddr;
	} else if (common->skc_family == AF_INET6) {
		for (int i = 0; i < 4; i++)
			address.words[i] = common->skc_v6_rcv_saddr.in6_u.u6_addr32[i];
	} else {
		return false;
	}
	*key = address.key;
	return true;
}

/* Whether the filters by namespace and port let a socket through; its address is looked at once a
 * peer. */
static __always_inline bool socket_wanted(const struct sock_common *common, __u16 local_port)
{
	if (filter_netns_inode && !netns_wanted(common->skc_net.net))
		return false;
	return port_wanted(local_port, bpf_ntohs(common->skc_dport));
}

#endif
