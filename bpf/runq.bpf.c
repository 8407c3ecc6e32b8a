// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Run-queue delay, from the kernel's own account of it: task->sched_info has when a task was queued
 * and how long it has waited in all, kept at each queueing and switch whether anybody looks or not.
 * So that one program at the switch is enough: none at wakeups, no clock, no map of start times.
 *
 * A wait that the task spent on several queues is in several parts there. They are put together by
 * the difference in the sum of all waits, which is why the sum at the last switch is kept in the
 * task's storage. The storage is made when a task begins, and for all older ones by an iterator:
 * never at the switch, where memory may not be allocated on kernels before 6.4.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/runq.h"

#include "filter_owner.bpf.h"
#include "switch.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 trace_grouping = RUNQ_BY_NOTHING;
/* The trace itself: each of its own waits, told, would wake it again. */
const volatile __u32 runq_own_pid = 0;

struct waited {
	__u64 sum_ns; /* of all waits up to the last switch to the task */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct waited);
} waits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, struct runq_key);
	__type(value, struct trace_histogram);
} aggregates SEC(".maps");

static __always_inline void remember(struct task_struct *task)
{
	struct waited *waited =
		bpf_task_storage_get(&waits, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (waited)
		waited->sum_ns = task->sched_info.run_delay;
	else
		__sync_fetch_and_add(&trace_counters.updates_lost, 1);
}

/* Passed for every task and thread, those of io_uring included, before it is woken. */
SEC("tp_btf/task_newtask")
int task_begins(__u64 *context)
{
	remember((struct task_struct *)context[0]);
	return 0;
}

SEC("iter/task")
int task_is_there(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;

	if (task && !bpf_task_storage_get(&waits, task, NULL, 0))
		remember(task);
	return 0;
}

static __always_inline void count_delay(struct task_struct *task, __u64 delay_ns)
{
	struct runq_key key = {.epoch = trace_epoch, .cpu = bpf_get_smp_processor_id()};

	if (trace_grouping == RUNQ_BY_PID) {
		key.pid = task->tgid;
		BPF_CORE_READ_STR_INTO(&key.comm, task, group_leader, comm);
	} else if (trace_grouping == RUNQ_BY_CGROUP) {
		key.cgroup_id = cgroup_id_of(cgroup_of_task(task));
	}
	histogram_add(&aggregates, &key, delay_ns);
}

static __always_inline void tell(struct task_struct *before, struct task_struct *task,
				 __u64 delay_ns)
{
	struct runq_event *record;

	if (runq_own_pid && (__u32)task->tgid == runq_own_pid)
		return;
	record = event_reserve(struct runq_event, bpf_ktime_get_ns());
	if (!record)
		return;
	owner_of_task(task, &record->owner);
	record->delay_ns = delay_ns;
	record->tid = task->pid;
	record->cpu = bpf_get_smp_processor_id();
	record->before_pid = before->tgid;
	record->before_tid = before->pid;
	if (bpf_probe_read_kernel_str(record->before_comm, sizeof(record->before_comm),
				      before->comm) < 0)
		record->before_comm[0] = '\0';
	bpf_ringbuf_submit(record, 0);
}

/* The delay is what sched_info_arrive() adds a moment later, and since the last time that it did:
 * the queue's clock stands still in between. */
static __always_inline int arrive(struct task_struct *before, struct task_struct *task)
{
	__u64 sum_ns, delay_ns, queued_ns;
	struct waited *waited;
	struct rq *queue;

	/* The idle task. */
	if (!task->pid)
		return 0;
	queued_ns = task->sched_info.last_queued;
	if (!queued_ns)
		return 0;
	/* This CPU's, whatever the task's class is; its clock is the one that sched_info is kept
	 * in. By its symbol it is found only with CONFIG_KALLSYMS_ALL. */
	queue = task->se.cfs_rq->rq;
	delay_ns = queue->clock - queued_ns;
	sum_ns = task->sched_info.run_delay + delay_ns;
	waited = bpf_task_storage_get(&waits, task, NULL, 0);
	/* Without a storage (there was no memory, which was counted) it is the last queue alone. */
	if (waited) {
		delay_ns = sum_ns - waited->sum_ns;
		waited->sum_ns = sum_ns;
	}
	if (delay_ns < filter_min_ns || !task_wanted(task))
		return 0;
	if (trace_mode == TRACE_MODE_EVENTS)
		tell(before, task, delay_ns);
	else
		count_delay(task, delay_ns);
	return 0;
}

SEC("tp_btf/sched_switch")
int task_runs(__u64 *context)
{
	return arrive(switch_from(context), switch_to(context));
}
