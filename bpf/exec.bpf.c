// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Each execve() and execveat() that succeeded, with its arguments. They are read from the new
 * program's stack, where the kernel has just put them: all that it was given, and none of what only
 * a failed call had.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/exec.h"

#include "filter_owner.bpf.h"
#include "task.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline void read_arguments(struct task_struct *task, struct trace_words *words)
{
	__u64 start = BPF_CORE_READ(task, mm, arg_start);
	__u64 bytes = BPF_CORE_READ(task, mm, arg_end) - start;

	words->bytes = bytes;
	/* The verifier must see the bound in the register that is used. */
	barrier_var(bytes);
	if (bytes > sizeof(words->text))
		bytes = sizeof(words->text);
	barrier_var(bytes);
	words->unreadable = false;
	if (bpf_probe_read_user(words->text, bytes, (const void *)start)) {
		/* Swapped out in this very moment. */
		words->bytes = 0;
		words->unreadable = true;
	}
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_execs, struct task_struct *task, int old_pid, struct linux_binprm *binary)
{
	struct task_struct *parent;
	struct exec_event *record;

	if (!task_wanted(task))
		return 0;
	record = event_reserve(struct exec_event, bpf_ktime_get_ns());
	if (!record)
		return 0;
	owner_of_task(task, &record->owner);
	record->uid = effective_uid_of_task(task);
	parent = BPF_CORE_READ(task, real_parent);
	record->parent_pid = BPF_CORE_READ(parent, tgid);
	BPF_CORE_READ_STR_INTO(&record->parent_comm, parent, group_leader, comm);
	if (bpf_probe_read_kernel_str(record->file, sizeof(record->file), binary->filename) < 0)
		record->file[0] = '\0';
	__builtin_memset(record->arguments.reserved, 0, sizeof(record->arguments.reserved));
	read_arguments(task, &record->arguments);
	bpf_ringbuf_submit(record, 0);
	return 0;
}
