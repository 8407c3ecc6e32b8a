/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_TALLY_H
#define TOCSIN_BPF_TALLY_H

/*
 * Each CPU's tallies of the peers that it hears (maps/tally.h). Nobody else writes them: programs
 * do not migrate, and one that interrupts itself is left out by the kernel (since 6.2, commit
 * 05b24ff9b2cf; before that, an interrupted update may lose a count).
 */

#include "maps/tally.h"

/* Set by the loader: tallies of one CPU, a power of two. */
const volatile __u32 tallies_per_cpu = 64;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct peer_tally);
} peer_tallies SEC(".maps");

static __always_inline bool key_equal(const struct peer_key *a, const struct peer_key *b)
{
	const union address_words *left = (const void *)a, *right = (const void *)b;

	return left->halves[0] == right->halves[0] && left->halves[1] == right->halves[1];
}

/* Where an address belongs among the tallies of this CPU. */
static __always_inline __u32 tally_index(const struct peer_key *key)
{
	const union address_words *address = (const void *)key;
	__u64 mixed = address->halves[0] * 31 + address->halves[1];

	/* Multiplicative hashing, by the golden ratio. Bits of the product depend on lower bits of
	 * the address alone: so what tells v4 addresses apart, its highest bits, is folded down. */
	mixed = (mixed ^ mixed >> 32) * 0x9E3779B97F4A7C15ULL;
	return bpf_get_smp_processor_id() * tallies_per_cpu +
	       ((__u32)(mixed >> 32) & (tallies_per_cpu - 1));
}

static __always_inline void tally_publish_rtt(struct peer_tally *tally, struct peer_record *peer)
{
	__u32 base = tally->rtt_base;

	if (!tally->rtt_sum_us || base > HISTOGRAM_BUCKETS - TALLY_RTT_WINDOW)
		return;
	for (int i = 0; i < TALLY_RTT_WINDOW; i++) {
		if (!tally->rtt[i])
			continue;
		count_many(peer->rtt[base + i], tally->rtt[i]);
		tally->rtt[i] = 0;
	}
	count_many(peer->rtt_sum_us, tally->rtt_sum_us);
	tally->rtt_sum_us = 0;
}

/* The peer's record, or NULL when its slot has changed hands since, or there is none. */
static __always_inline struct peer_record *tally_peer(const struct peer_tally *tally)
{
	__u32 slot = tally->slot - 1;
	struct peer_record *peer;

	if (!tally->slot)
		return NULL;
	peer = bpf_map_lookup_elem(&peers, &slot);
	return peer && peer->generation == tally->generation ? peer : NULL;
}

static __noinline int tally_publish(struct peer_tally *tally)
{
	struct peer_record *peer;

	if (!tally)
		return 0;
	tally->published_jiffies = bpf_jiffies64();
	peer = tally_peer(tally);
	if (!peer)
		return 0;
	count_many(peer->segments, tally->segments);
	tally->segments = 0;
	if (tally->advances) {
		count_many(peer->advances, tally->advances);
		count_many(peer->acked_bytes, tally->acked_bytes);
		tally->advances = 0;
		tally->acked_bytes = 0;
		tally_publish_rtt(tally, peer);
	}
	return 0;
}

/*
 * Gives a tally the record of its address, with nothing counted yet.
 *
 * No pointer into a caller's stack is handed on here. Linux 7.2 tells the callers of a function
 * apart by call site and depth alone: where two ways lead to one site, it takes what lies on one
 * caller's stack for unused and refuses the program ("slot poisoned by dead code elimination").
 */
static __noinline int tally_tie(struct peer_tally *tally)
{
	struct peer_record *peer;
	struct peer_key key;
	__u32 slot;

	if (!tally)
		return 0;
	key = tally->key;
	__builtin_memset(tally, 0, sizeof(*tally));
	tally->key = key;
	tally->heard_jiffies = tally->progress_jiffies = (__u32)bpf_jiffies64() - 1;
	tally->published_jiffies = tally->heard_jiffies;
	peer = peer_get(&tally->key, &slot);
	if (!peer) {
		/* Not counted, and tried again with the next segment. */
		tally->key = (struct peer_key){};
		return 0;
	}
	tally->slot = slot + 1;
	tally->generation = peer->generation;
	return 0;
}

/* This CPU's tally of an address, or NULL when it has none. */
static __always_inline struct peer_tally *tally_find(const struct peer_key *key)
{
	__u32 index = tally_index(key);
	struct peer_tally *tally = bpf_map_lookup_elem(&peer_tallies, &index);

	if (tally && key_equal(&tally->key, key))
		return tally;
	index ^= 1;
	tally = bpf_map_lookup_elem(&peer_tallies, &index);
	return tally && key_equal(&tally->key, key) ? tally : NULL;
}

/* Finds one for the address among the two that it may have: the one unused for longer. NULL when
 * the filters leave the address out. */
static __noinline struct peer_tally *tally_make(const struct peer_key *key)
{
	struct peer_tally *first, *second;
	__u32 index;

	if (!key || !address_wanted(key))
		return NULL;
	index = tally_index(key);
	first = bpf_map_lookup_elem(&peer_tallies, &index);
	index ^= 1;
	second = bpf_map_lookup_elem(&peer_tallies, &index);
	if (!first || !second)
		return NULL;
	if (first->slot &&
	    (!second->slot || (__s32)(second->heard_jiffies - first->heard_jiffies) < 0))
		first = second;
	if (first->segments)
		tally_publish(first);
	first->key = *key;
	tally_tie(first);
	return first;
}

#endif
