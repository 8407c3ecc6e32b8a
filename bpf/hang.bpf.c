// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tasks that hang, found by looking at all of them once an interval, as the kernel's own detector
 * does: a task that is in uninterruptible sleep and has not been switched to since the last look
 * has slept all the time in between. Nothing is paid while tasks come and go; a sleep is known only
 * from the first look that finds it.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/hang.h"

#include "filter_owner.bpf.h"
#include "task_state.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct task_key {
	__u64 start_ns;
	__u32 tid;
	__u32 reserved;
};

struct sleeper {
	__u64 switches, since_ns;
	__u32 told, killable;
};

/* Those that slept at the last look. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct task_key);
	__type(value, struct sleeper);
} sleepers SEC(".maps");

static __always_inline struct task_key task_key_of(struct task_struct *task)
{
	return (struct task_key){.start_ns = task->start_boottime, .tid = task->pid};
}

static __always_inline void tell(struct task_struct *task, const struct sleeper *sleeper,
				 __u64 now_ns, enum hang_phase phase)
{
	struct hang_event *record = event_reserve(struct hang_event, now_ns);

	if (!record)
		return;
	owner_of_task(task, &record->owner);
	record->slept_ns = now_ns - sleeper->since_ns;
	record->tid = task->pid;
	record->phase = phase;
	record->killable = sleeper->killable;
	record->reserved[0] = record->reserved[1] = 0;
	BPF_CORE_READ_STR_INTO(&record->thread_comm, task, comm);
	if (phase != HANG_BEGINS ||
	    bpf_get_task_stack(task, record->stack, sizeof(record->stack), 0) < 0)
		__builtin_memset(record->stack, 0, sizeof(record->stack));
	bpf_ringbuf_submit(record, 0);
}

static __always_inline void end(struct task_struct *task, const struct task_key *key,
				const struct sleeper *sleeper)
{
	struct sleeper last = *sleeper;

	/* A look and the task's own exit may both come here: who takes it out tells. */
	if (!bpf_map_delete_elem(&sleepers, key) && last.told)
		tell(task, &last, bpf_ktime_get_ns(), HANG_ENDS);
}

SEC("iter/task")
int look_at_task(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct sleeper *sleeper;
	struct task_key key;
	__u64 switches, now_ns;
	__u32 state;

	if (!task)
		return 0;
	state = state_of_task(task);
	key = task_key_of(task);
	sleeper = bpf_map_lookup_elem(&sleepers, &key);
	switches = task->nvcsw + task->nivcsw;
	if (sleeper && (!(state & TASK_UNINTERRUPTIBLE) || sleeper->switches != switches)) {
		end(task, &key, sleeper);
		sleeper = NULL;
	}
	if (!sleeps_uninterruptibly(task, state) || !task_wanted(task))
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (!sleeper) {
		struct sleeper fresh = {
			.switches = switches,
			.since_ns = now_ns,
			.killable = !!(state & TASK_WAKEKILL),
		};

		if (bpf_map_update_elem(&sleepers, &key, &fresh, BPF_ANY))
			__sync_fetch_and_add(&trace_counters.updates_lost, 1);
		return 0;
	}
	if (sleeper->told || now_ns - sleeper->since_ns < (filter_min_ns ?: HANG_LIMIT_NS))
		return 0;
	sleeper->told = true;
	tell(task, sleeper, now_ns, HANG_BEGINS);
	return 0;
}

/* One that is gone is seen by no further look. */
SEC("tp_btf/sched_process_exit")
int task_ends(__u64 *context)
{
	struct task_struct *task = (struct task_struct *)context[0];
	struct task_key key = task_key_of(task);
	struct sleeper *sleeper = bpf_map_lookup_elem(&sleepers, &key);

	if (sleeper)
		end(task, &key, sleeper);
	return 0;
}
