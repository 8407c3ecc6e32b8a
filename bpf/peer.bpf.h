/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_PEER_H
#define TOCSIN_BPF_PEER_H

/*
 * The table of peers: a hash from address to slot, and an array of records that the agent has
 * mapped. Nothing here is on the path of a segment of a known socket: a socket remembers its slot.
 *
 * A new peer takes a free slot, or, when there is none, that of the longest silent of a few picked
 * at random (the sampled LRU that Redis uses). Deleting its key decides between two CPUs that
 * picked the same one: exactly one of them succeeds. Only plain atomic additions are used, as Linux
 * before 5.12 has no others.
 */

#define PEER_EVICTION_SAMPLES 8

const volatile __u32 peer_table_slots = 4096;

struct tcp_counters tcp_counters = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct peer_key);
	__type(value, __u32);
} peer_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct peer_record);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4096);
	__type(value, __u32);
} peer_free SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} peer_wakeups SEC(".maps");

/* The agent is woken for one peer at most this often. */
#define PEER_WAKEUP_INTERVAL_NS 5000000ULL

#define count(counter)	       __sync_fetch_and_add(&(counter), 1)
#define count_many(counter, n) __sync_fetch_and_add(&(counter), (n))

/*
 * The time to a tick's precision. The clock itself is dear in virtual machines (70 to 140 ns), and
 * the kernel's coarse one is not for tracing programs, so it is read once a jiffy by whoever comes
 * first.
 */
struct {
	__u64 ns;
	__u64 jiffies;
} tick = {};

static __always_inline __u64 tick_ns(__u64 jiffies)
{
	__u64 ns;

	if (tick.jiffies == jiffies)
		return tick.ns;
	ns = bpf_ktime_get_ns();
	tick.ns = ns;
	/* Where stores are reordered a reader may take the time of the jiffy before: off by a tick.
	 */
	barrier();
	tick.jiffies = jiffies;
	return ns;
}

static __always_inline __u64 last_activity_ns(const struct peer_record *peer)
{
	__u64 newest = peer->heard_ns > peer->created_ns ? peer->heard_ns : peer->created_ns;

	return newest > peer->rto_ns ? newest : peer->rto_ns;
}

/* Takes the slot of the longest silent of a few peers. Returns false when all of them are pinned.
 */
static __noinline bool peer_evict(__u32 *ret_slot)
{
	__u64 oldest_ns = ~0ULL;
	struct peer_record *victim = NULL;
	struct peer_key key;

	for (int i = 0; i < PEER_EVICTION_SAMPLES; i++) {
		__u32 slot = bpf_get_prandom_u32() % peer_table_slots;
		struct peer_record *peer = bpf_map_lookup_elem(&peers, &slot);

		if (!peer || (peer->flags & (PEER_FLAG_USED | PEER_FLAG_PINNED)) != PEER_FLAG_USED)
			continue;
		if (last_activity_ns(peer) < oldest_ns) {
			oldest_ns = last_activity_ns(peer);
			victim = peer;
			*ret_slot = slot;
		}
	}
	if (!victim)
		return false;
	key = victim->key;
	if (bpf_map_delete_elem(&peer_slots, &key))
		return false;
	count(tcp_counters.peers_evicted);
	return true;
}

static __noinline struct peer_record *peer_create(const struct peer_key *key, __u32 *ret_slot)
{
	struct peer_record *peer;
	__u32 generation, slot = 0;

	if (!key || !ret_slot)
		return NULL;
	if (!bpf_map_pop_elem(&peer_free, &slot))
		count(tcp_counters.slots_taken);
	else if (!peer_evict(&slot))
		goto failed;
	peer = bpf_map_lookup_elem(&peers, &slot);
	if (!peer)
		goto failed;
	/* Whoever still holds the old generation finds out and looks the address up again. */
	generation = peer->generation + 1;
	__builtin_memset(peer, 0, sizeof(*peer));
	peer->generation = generation;
	peer->key = *key;
	peer->created_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&peer_slots, key, &slot, BPF_NOEXIST)) {
		/* Another CPU was first, or the hash had no room: the slot goes back. */
		__u32 *existing = bpf_map_lookup_elem(&peer_slots, key);

		bpf_map_push_elem(&peer_free, &slot, 0);
		if (!existing)
			goto failed;
		*ret_slot = *existing;
		return bpf_map_lookup_elem(&peers, existing);
	}
	peer->flags = PEER_FLAG_USED;
	count(tcp_counters.peers_created);
	*ret_slot = slot;
	return peer;

failed:
	count(tcp_counters.peer_failures);
	return NULL;
}

/* The record of an address, made when there is none; NULL (counted) when that fails. */
static __always_inline struct peer_record *peer_get(const struct peer_key *key, __u32 *ret_slot)
{
	__u32 *slot = bpf_map_lookup_elem(&peer_slots, key);

	if (!slot)
		return peer_create(key, ret_slot);
	*ret_slot = *slot;
	return bpf_map_lookup_elem(&peers, slot);
}

/* Has the agent look at this peer now. */
static __always_inline void peer_wake(struct peer_record *peer, __u32 slot, __u64 time_ns)
{
	struct peer_wakeup wakeup = {.slot = slot, .generation = peer->generation};

	if (time_ns - peer->woken_ns < PEER_WAKEUP_INTERVAL_NS)
		return;
	peer->woken_ns = time_ns;
	if (bpf_ringbuf_output(&peer_wakeups, &wakeup, sizeof(wakeup), 0))
		count(tcp_counters.wakeups_lost);
}

#endif
