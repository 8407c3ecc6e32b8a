// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The end of each process, once. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/exit.h"

#include "filter_owner.bpf.h"
#include "numbers.bpf.h"
#include "process_end.bpf.h"
#include "task.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* true: leave out processes that ended by themselves. */
const volatile bool exit_by_signal = false;

SEC("tp_btf/sched_process_exit")
int process_ends(__u64 *context)
{
	struct task_struct *task = (struct task_struct *)context[0];
	struct task_struct *parent;
	struct exit_event *record;
	__u32 status;
	__u64 age_ns;

	if (!process_is_over(context, &trace_counters.updates_lost) || !task_wanted(task))
		return 0;
	status = process_status(task);
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
