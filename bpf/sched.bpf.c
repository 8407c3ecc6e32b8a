// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Run-queue delay, as a histogram. The kernel keeps for each task the sum of all its waits
 * (sched_info.run_delay), also where one wait was on several queues. A task that leaves the CPU has
 * waited once since it last left it, and how long is the difference of the two sums. So the program
 * reads no clock and asks no other task: only the one that has just run, which the cache has.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/sched.h"

#include "switch.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Only the waits of this process; 0: all. */
const volatile __u32 filter_pid = 0;

/* Mapped or not, this flag has the first record begin on a page: none shares a line with others. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sched_record);
} sched_records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SCHED_SETS);
	__type(key, __u32);
	__type(value, struct sched_set);
} sched_waited SEC(".maps");

static __always_inline struct sched_set *set_of(__u64 number)
{
	__u32 index = (number % SCHED_LINES) * 4 + number / SCHED_LINES % 4;

	return bpf_map_lookup_elem(&sched_waited, &index);
}

/* Notes the sum of a task's waits. Returns false when the one before is not known. */
static __always_inline bool replace_sum(__u64 number, __u64 sum_ns, __u64 *before_ns)
{
	__u64 word = number << SCHED_SUM_BITS | (sum_ns & SCHED_SUM_MASK);
	struct sched_set *set = set_of(number);

	if (!set)
		return false;
	for (int i = 0; i < SCHED_WAYS; i++) {
		__u64 known = set->ways[i];

		if (known >> SCHED_SUM_BITS != number)
			continue;
		set->ways[i] = word;
		*before_ns = known & SCHED_SUM_MASK;
		return true;
	}
	set->ways[1] = set->ways[0];
	set->ways[0] = word;
	return false;
}

SEC("tp_btf/sched_switch")
int task_leaves(__u64 *context)
{
	struct task_struct *task = switch_from(context);
	__u32 cpu = bpf_get_smp_processor_id(), number = task->pid, bucket;
	__u64 sum_ns, delay_ns, before_ns = 0;
	struct sched_record *record;
	bool known;

	/* The idle task. */
	if (!number)
		return 0;
	if (filter_pid && (__u32)task->tgid != filter_pid)
		return 0;
	record = bpf_map_lookup_elem(&sched_records, &cpu);
	if (!record)
		return 0;
	sum_ns = task->sched_info.run_delay;
	known = replace_sum(number, sum_ns, &before_ns);
	/* It ran for the first time; what is known is of another that had the same number. */
	if (task->sched_info.pcount == 1) {
		before_ns = 0;
		known = true;
	}
	delay_ns = (sum_ns - before_ns) & SCHED_SUM_MASK;
	/* Negative: the first switch of a new task of that number was not seen. */
	if (!known || delay_ns > SCHED_SUM_MASK / 2) {
		record->unknown++;
		return 0;
	}
	bucket = histogram_bucket_of_ns(delay_ns);
	if (bucket < HISTOGRAM_BUCKETS)
		record->counts[bucket]++;
	record->sum_ns += delay_ns;
	return 0;
}
