// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Crashes of processes and OOM kills, by control group; ends of watched processes; tasks that sleep
 * where they cannot be woken. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/task.h"

#include "group.bpf.h"
#include "numbers.bpf.h"
#include "oom_victim.bpf.h"
#include "process_end.bpf.h"
#include "task.bpf.h"
#include "task_state.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct task_counters task_counters = {};
struct task_record task_other = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 256);
	__type(key, struct group_key);
	__type(value, struct task_record);
} task_records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} task_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TASK_WATCHED_MAX);
	__type(key, __u32);
	__type(value, __u8);
} task_watched SEC(".maps");

__u32 task_watching = 0;

static const struct task_record no_record = {};

/*
 * Its group in the v2 tree, unless the tree in which the memory controller counts it is another and
 * tells more: of an OOM kill, or of a process that is in no group in the v2 tree.
 */
static __always_inline struct group_key group_of_task(struct task_struct *task, bool of_memory)
{
	struct cgroup *cgroup = cgroup_of_task(task);
	struct cgroup *memory = memory_group_of_task(task);
	struct group_key group = {.tree = GROUP_TREE_V2};

	if (memory && BPF_CORE_READ(memory, level) &&
	    BPF_CORE_READ(memory, root) != BPF_CORE_READ(cgroup, root) &&
	    (of_memory || !BPF_CORE_READ(cgroup, level))) {
		cgroup = memory;
		group.tree = GROUP_TREE_MEMORY;
	}
	group.cgroup_id = cgroup_id_of(cgroup);
	return group;
}

static __always_inline struct task_record *record_of(const struct group_key *group)
{
	struct task_record *record =
		group_record_find_or_make(&task_records, group, &no_record, NULL);

	if (record)
		return record;
	__sync_fetch_and_add(&task_counters.records_lost, 1);
	return &task_other;
}

static __always_inline void tell(struct task_struct *task, const struct group_key *group,
				 __u32 status)
{
	struct task_event *event = bpf_ringbuf_reserve(&task_events, sizeof(*event), 0);

	if (!event) {
		__sync_fetch_and_add(&task_counters.events_lost, 1);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time_ns = bpf_ktime_get_ns();
	event->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	event->group = *group;
	event->pid = BPF_CORE_READ(task, tgid);
	event->status = status;
	BPF_CORE_READ_STR_INTO(&event->comm, task, group_leader, comm);
	event->oom_killed = was_oom_victim(task);
	bpf_ringbuf_submit(event, 0);
}

static __always_inline bool is_watched(struct task_struct *task)
{
	__u32 pid = task->tgid;

	return task_watching && bpf_map_lookup_elem(&task_watched, &pid);
}

SEC("tp_btf/sched_process_exit")
int process_crashes(__u64 *context)
{
	struct task_struct *task = (struct task_struct *)context[0];
	struct group_key group;
	__u32 status, signal;

	if (!process_is_over(context, &task_counters.repeats_unsure))
		return 0;
	status = process_status(task);
	signal = status & STATUS_SIGNAL;
	if (!signal) {
		if (is_watched(task)) {
			group = group_of_task(task, false);
			tell(task, &group, status);
		}
		return 0;
	}
	if (signal > TASK_SIGNAL_REALTIME)
		signal = TASK_SIGNAL_REALTIME;
	group = group_of_task(task, false);
	__sync_fetch_and_add(&record_of(&group)->crashes[signal], 1);
	tell(task, &group, status);
	return 0;
}

static __always_inline void on_victim(struct task_struct *task)
{
	struct group_key group;

	if (!victim_is_new(task, &task_counters.repeats_unsure))
		return;
	group = group_of_task(task, true);
	__sync_fetch_and_add(&record_of(&group)->oom_kills, 1);
}

/* Its group is not known. */
static __always_inline void on_victim_number(__u32 pid)
{
	__sync_fetch_and_add(&task_other.oom_kills, 1);
}

SEC("tp_btf/mark_victim")
int victim_is_killed(__u64 *context)
{
	return find_victim(context);
}

SEC("iter/task")
int sleeping_tasks(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct task_sleeper sleeper = {};
	__u32 state;

	if (!task)
		return 0;
	state = state_of_task(task);
	if (!sleeps_uninterruptibly(task, state))
		return 0;
	sleeper.start_ns = task->start_boottime;
	sleeper.switches = task->nvcsw + task->nivcsw;
	sleeper.group = group_of_task(task, false);
	sleeper.pid = task->tgid;
	sleeper.tid = task->pid;
	sleeper.killable = !!(state & TASK_WAKEKILL);
	BPF_CORE_READ_STR_INTO(&sleeper.comm, task, group_leader, comm);
	/* Where the reader's buffer is full, the kernel comes back to this task. */
	bpf_seq_write(context->meta->seq, &sleeper, sizeof(sleeper));
	return 0;
}
