// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Block I/O by device and operation. A completion times its request from what the kernel keeps in
 * it; the start of a request is noted so that one that never completes is seen.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/block.h"

#include "request.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The bit of queue_flags that says that the kernel keeps io_start_time_ns, from the kernel's type
 * information (its enum has no name that the loader could look up); negative: not known. */
const volatile __s32 queue_keeps_issue_bit = -1;

struct block_counters block_counters = {};
/* Where that bit is not known: a request was completed whose issue the kernel had not kept. */
volatile __u32 issue_needs_clock = 0;
struct block_batch block_batch = {};
/* The address that numbers of requests count from, for who must find a request again. */
volatile __u64 request_origin = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BLOCK_SLOTS);
	__type(key, __u32);
	__type(value, struct block_slot);
} block_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BLOCK_SLOTS);
	__type(key, __u32);
	__type(value, struct block_key);
} block_slot_owners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	/* Most devices see few operations, and most machines few devices. */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BLOCK_DEVICES_MAX *BLOCK_OPERATIONS);
	__type(key, struct block_key);
	__type(value, struct block_record);
} block_records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BLOCK_DEVICES_MAX);
	__type(key, __u32);
	__type(value, struct block_name);
} block_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BLOCK_SETS);
	__type(key, __u32);
	__type(value, struct block_set);
} block_in_flight SEC(".maps");

/* A record that a new one starts from: too large for the stack. */
static const struct block_record no_record = {};

static __always_inline bool is_key(const struct block_key *key, const struct block_key *other)
{
	return key->device == other->device && key->operation == other->operation;
}

/* Returns 1 when the slot belongs to the key, for which there is a record in the hash otherwise. */
static __noinline int record_make(__u32 device, __u32 operation, __u32 index,
				  const struct block_name *name)
{
	struct block_key key = {.device = device, .operation = operation};
	const struct block_key *owner;

	if (!name)
		return 0;
	/* The bound is of devices: one whose name finds no room gets no record. */
	if (bpf_map_update_elem(&block_names, &key.device, name, BPF_ANY))
		return 0;
	/* The first is the owner, whatever CPUs do at the same time. */
	bpf_map_update_elem(&block_slot_owners, &index, &key, BPF_NOEXIST);
	owner = bpf_map_lookup_elem(&block_slot_owners, &index);
	if (owner && is_key(owner, &key))
		return 1;
	bpf_map_update_elem(&block_records, &key, &no_record, BPF_NOEXIST);
	return 0;
}

/* The slot is found without a call (since 6.10), which a hash is not. */
static __always_inline struct block_record *record_get(struct gendisk *disk, __u32 operation)
{
	struct block_key key = {.device = disk_device(disk), .operation = operation};
	__u32 index = block_slot_index(&key);
	struct block_slot *slot = bpf_map_lookup_elem(&block_slots, &index);
	struct block_record *record;
	struct block_name name = {};

	if (!slot)
		return NULL;
	if (is_key(&slot->key, &key))
		return &slot->record;
	record = bpf_map_lookup_elem(&block_records, &key);
	if (record)
		return record;
	bpf_core_read_str(name.name, sizeof(name.name), &disk->disk_name);
	if (record_make(key.device, operation, index, &name)) {
		slot->key = key;
		return &slot->record;
	}
	record = bpf_map_lookup_elem(&block_records, &key);
	if (!record)
		__sync_fetch_and_add(&block_counters.records_lost, 1);
	return record;
}

/* A number of the request. The verifier lets nobody calculate with its address, but the distance of
 * two pointers is a number, and one of them always the same. */
static __always_inline __u64 request_id(const struct request *rq)
{
	__u64 id = (__u64)rq;
	__u64 origin = (__u64)&block_counters;

	asm volatile("%0 -= %1" : "+r"(id) : "r"(origin));
	return id;
}

static __always_inline struct block_set *set_of(__u64 id)
{
	__u32 index = (id >> 6) * 0x9e3779b97f4a7c15ULL >> (64 - BLOCK_SET_BITS);

	return bpf_map_lookup_elem(&block_in_flight, &index);
}

static __always_inline bool issue_is_kept(const struct request *rq)
{
	if (queue_keeps_issue_bit >= 0)
		return rq->q->queue_flags >> queue_keeps_issue_bit & 1;
	return !issue_needs_clock;
}

static __always_inline int note_issue(struct request *rq)
{
	__u32 operation = request_operation(rq);
	struct block_request *way = NULL;
	struct gendisk *disk = request_disk(rq);
	__u64 id = request_id(rq), issue_ns = 0;
	struct block_set *set = set_of(id);

	if (operation == BLOCK_OPERATIONS || !disk || !set)
		return 0;
	if (!issue_is_kept(rq) || !rq->start_time_ns) {
		issue_ns = bpf_ktime_get_ns();
		block_counters.issue_clocked++;
	}
	/* Its own place from an earlier issue (a requeue), or a free one. Two CPUs may take the
	 * same one at the same time; then one request's age is not followed. */
	for (int i = BLOCK_WAYS - 1; i >= 0; i--)
		if (!set->ways[i].request)
			way = &set->ways[i];
	for (int i = 0; i < BLOCK_WAYS; i++)
		if (set->ways[i].request == id)
			way = &set->ways[i];
	if (!way) {
		__sync_fetch_and_add(&block_counters.in_flight_lost, 1);
		return 0;
	}
	/* The same request, and another I/O: a requeue keeps its start. */
	if (way->request && rq->start_time_ns && way->start_ns != rq->start_time_ns)
		__sync_fetch_and_add(&block_counters.completions_unseen, 1);
	way->start_ns = rq->start_time_ns ?: issue_ns;
	way->issue_ns = issue_ns;
	way->device = disk_device(disk);
	way->operation = operation;
	way->request = id;
	return 0;
}

SEC("tp_btf/block_rq_issue")
int block_rq_issue(__u64 *ctx)
{
	return note_issue(request_argument(ctx));
}

/* Frees the place of a request. Returns when it was issued, 0 where that was not noted. */
static __always_inline __u64 forget_issue(const struct request *rq)
{
	__u64 id = request_id(rq);
	struct block_set *set = set_of(id);

	if (!set)
		return 0;
	for (int i = 0; i < BLOCK_WAYS; i++)
		if (set->ways[i].request == id) {
			set->ways[i].request = 0;
			return set->ways[i].issue_ns;
		}
	return 0;
}

static __always_inline void add_time(__u64 *buckets, __u64 *sum_ns, __u64 time_ns)
{
	__u32 bucket = histogram_bucket_of_ns(time_ns);

	if (bucket < HISTOGRAM_BUCKETS)
		buckets[bucket]++;
	*sum_ns += time_ns;
}

static __always_inline void add_times(struct block_record *record, struct request *rq,
				      __u64 issue_noted_ns, __u64 now_ns)
{
	__u64 start_ns = rq->start_time_ns;
	__u64 issue_ns = rq->io_start_time_ns ?: issue_noted_ns;

	if (!rq->io_start_time_ns && !issue_noted_ns) {
		issue_needs_clock = 1;
		if (!start_ns) {
			__sync_fetch_and_add(&block_counters.start_unknown, 1);
			return;
		}
		__sync_fetch_and_add(&block_counters.issue_unknown, 1);
		issue_ns = start_ns;
	} else if (start_ns) {
		add_time(record->queue, &record->queue_sum_ns, time_between(start_ns, issue_ns));
	}
	add_time(record->device, &record->device_sum_ns, time_between(issue_ns, now_ns));
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_rq_complete, struct request *rq, int error, unsigned int bytes)
{
	__u32 operation = request_operation(rq);
	__u32 remaining = rq->__data_len;
	__u64 now_ns, issue_noted_ns = 0;
	struct block_record *record;
	struct gendisk *disk;

	/* In parts: all but the last leave it with its driver. */
	if (bytes >= remaining)
		issue_noted_ns = forget_issue(rq);
	disk = request_disk(rq);
	if (operation == BLOCK_OPERATIONS || !disk || request_is_shell(operation, bytes))
		return 0;
	record = record_get(disk, operation);
	if (!record)
		return 0;
	now_ns = bpf_ktime_get_ns();
	record->completed_ns = now_ns;
	/* blk_status_t is of one byte. */
	if (error == REQUEST_NOT_SUPPORTED || error == REQUEST_EOPNOTSUPP)
		record->unsupported++;
	else if (error) {
		record->errors++;
		__sync_fetch_and_add(&block_counters.errors, 1);
	} else
		record->bytes += bytes;
	if (bytes >= remaining)
		add_times(record, rq, issue_noted_ns, now_ns);
	return 0;
}

/*
 * Whether a request is still what was noted. The kernel runs no program that interrupts itself, and
 * some kernels run none in some interrupts; without this an I/O that ended then would grow old.
 * Read by helper, as what was a request may be anything by now.
 */
static __always_inline bool is_in_use(const struct request *rq, __u64 start_ns)
{
	__u64 rq_start_ns = BPF_CORE_READ(rq, start_time_ns);
	__u32 references = 0;

	bpf_core_read(&references, sizeof(references), &((struct request___v517 *)rq)->ref);
	/* The start is not kept of all. */
	return references && (!rq_start_ns || rq_start_ns == start_ns);
}

static __always_inline void check(__u32 place)
{
	__u32 index = place / BLOCK_WAYS;
	struct block_set *set = bpf_map_lookup_elem(&block_in_flight, &index);
	struct block_request *way;
	__u64 id;

	if (!set)
		return;
	way = &set->ways[place % BLOCK_WAYS];
	id = way->request;
	if (!id || is_in_use((const struct request *)(id + request_origin), way->start_ns))
		return;
	/* Its end may just be seen, or its next use noted; then one request's age is not followed.
	 */
	if (way->request != id)
		return;
	way->request = 0;
	__sync_fetch_and_add(&block_counters.completions_unseen, 1);
}

SEC("raw_tp")
int block_requests_are_checked(void *context)
{
	request_origin = (__u64)&block_counters;
	for (__u32 i = 0; i < BLOCK_BATCH && i < block_batch.count; i++)
		check(block_batch.places[i]);
	return 0;
}
