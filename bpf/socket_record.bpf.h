/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_SOCKET_RECORD_H
#define TOCSIN_BPF_SOCKET_RECORD_H

/*
 * A record of a socket lies in the socket's own storage or, where tracing programs may not touch
 * that, in a hash by the socket's address. Whoever uses this counts what finds no room.
 */

/* Whether tracing programs may use the storage of sockets (since 5.11, commit 8e4597c627fb): the
 * loader looks for the kernel's function, so that the other branch of each reader is pruned. */
const volatile bool sockets_have_storage = true;

/*
 * Records of a type, in the maps NAMEs and NAMEs_by_address, of which one is used and the other
 * holds nothing. NAME_find() gives a socket's record or NULL, NAME_find_or_make() makes it when
 * there is none (NULL: no room). NAME_forget() is for the end of a socket, after which its address
 * may be another's.
 */
#define SOCKET_RECORDS(name, record_type, max)                                          \
	struct {                                                                        \
		__uint(type, BPF_MAP_TYPE_SK_STORAGE);                                  \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                   \
		__type(key, int);                                                       \
		__type(value, record_type);                                             \
	} name##s SEC(".maps");                                                         \
                                                                                        \
	struct {                                                                        \
		__uint(type, BPF_MAP_TYPE_HASH);                                        \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                   \
		__uint(max_entries, max);                                               \
		__type(key, __u64);                                                     \
		__type(value, record_type);                                             \
	} name##s_by_address SEC(".maps");                                              \
                                                                                        \
	static __always_inline record_type *name##_find(struct sock *sk)                \
	{                                                                               \
		__u64 address = (__u64)sk;                                              \
                                                                                        \
		if (sockets_have_storage)                                               \
			return bpf_sk_storage_get(&name##s, sk, NULL, 0);               \
		return bpf_map_lookup_elem(&name##s_by_address, &address);              \
	}                                                                               \
                                                                                        \
	static __always_inline record_type *name##_find_or_make(struct sock *sk)        \
	{                                                                               \
		static const record_type none = {0};                                    \
		__u64 address = (__u64)sk;                                              \
		record_type *found;                                                     \
                                                                                        \
		if (sockets_have_storage)                                               \
			return bpf_sk_storage_get(&name##s, sk, NULL,                   \
						  BPF_SK_STORAGE_GET_F_CREATE);         \
		found = bpf_map_lookup_elem(&name##s_by_address, &address);             \
		if (found)                                                              \
			return found;                                                   \
		bpf_map_update_elem(&name##s_by_address, &address, &none, BPF_NOEXIST); \
		return bpf_map_lookup_elem(&name##s_by_address, &address);              \
	}                                                                               \
                                                                                        \
	static __always_inline void name##_forget(struct sock *sk)                      \
	{                                                                               \
		__u64 address = (__u64)sk;                                              \
                                                                                        \
		if (!sockets_have_storage)                                              \
			bpf_map_delete_elem(&name##s_by_address, &address);             \
	}

/* How many sockets of a trace may have a record at once, where they have no storage. */
#define SOCKETS_BY_ADDRESS_MAX 16384

#endif
