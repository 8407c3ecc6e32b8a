// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The end of each process, once. The tracepoint is passed by each thread, after it has been taken
 * off signal->live: the end of the process is the end of its last thread, whichever that is. How it
 * ended is known to the signal structure that the threads share, and not to the thread that happens
 * to be the last.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/exit.h"

#include "filter_owner.bpf.h"
#include "numbers.bpf.h"
#include "task.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Whether the tracepoint says itself that the process is dead (since 6.16, "exit: move and extend
 * sched_process_exit() tracepoint"). */
const volatile bool exit_has_group_dead = false;
/* true: leave out processes that ended by themselves. */
const volatile bool exit_by_signal = false;

/* include/linux/sched/signal.h */
#define SIGNAL_GROUP_EXIT 4
/* The parts of a status as wait() reports it. */
#define STATUS_SIGNAL 0x7f
#define STATUS_CORE   0x80

/* Processes whose end has been told, where the kernel does not say which thread is the last. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct process_key);
	__type(value, __u8);
} ended SEC(".maps");

/* Several threads may find that none is left: those that were taken off the count, but had not yet
 * come here when the last one was. */
static __always_inline bool is_end(struct task_struct *task)
{
	struct process_key key;
	__u8 told = 1;
	long r;

	if (BPF_CORE_READ(task, signal, live.counter))
		return false;
	key = process_key_of(task);
	r = bpf_map_update_elem(&ended, &key, &told, BPF_NOEXIST);
	if (r == -EEXIST)
		return false;
	/* Rather twice than never, and counted. */
	if (r)
		__sync_fetch_and_add(&trace_counters.updates_lost, 1);
	return true;
}

SEC("tp_btf/sched_process_exit")
int process_ends(__u64 *context)
{
	struct task_struct *task = (struct task_struct *)context[0];
	struct task_struct *parent;
	struct signal_struct *signal;
	struct exit_event *record;
	__u32 status;
	__u64 age_ns;

	if (exit_has_group_dead) {
		if (!(bool)context[1])
			return 0;
	} else if (!is_end(task)) {
		return 0;
	}
	if (!task_wanted(task))
		return 0;
	/* As wait_task_zombie() puts it together (kernel/exit.c). */
	signal = BPF_CORE_READ(task, signal);
	if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		status = BPF_CORE_READ(signal, group_exit_code);
	else
		status = BPF_CORE_READ(task, group_leader, exit_code);
	if (exit_by_signal && !(status & STATUS_SIGNAL))
		return 0;
	age_ns = bpf_ktime_get_boot_ns() - BPF_CORE_READ(task, group_leader, start_boottime);
	if (age_ns < filter_min_ns)
		return 0;

	record = event_reserve(struct exit_event, bpf_ktime_get_ns());
	if (!record)
		return 0;
	__builtin_memset(record->reserved, 0, sizeof(record->reserved));
	owner_of_task(task, &record->owner);
	record->age_ns = age_ns;
	record->uid = uid_of_task(task);
	parent = BPF_CORE_READ(task, real_parent);
	record->parent_pid = BPF_CORE_READ(parent, tgid);
	BPF_CORE_READ_STR_INTO(&record->parent_comm, parent, group_leader, comm);
	record->signal = status & STATUS_SIGNAL;
	record->core = !!(status & STATUS_CORE);
	record->exit_code = record->signal ? 0 : status >> 8;
	bpf_ringbuf_submit(record, 0);
	return 0;
}
