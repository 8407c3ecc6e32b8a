/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_PROCESS_END_H
#define TOCSIN_BPF_PROCESS_END_H

/*
 * The end of each process, once, for programs on sched_process_exit. The tracepoint is passed by
 * each thread, after it has been taken off signal->live: the end of the process is the end of its
 * last thread, whichever that is. How it ended is known to the signal structure that the threads
 * share, and not to the thread that happens to be the last.
 */

#include "task.bpf.h"

/* Whether the tracepoint says itself that the process is dead (since 6.16, "exit: move and extend
 * sched_process_exit() tracepoint"). */
const volatile bool exit_has_group_dead = false;

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
static __always_inline bool is_first_to_find_none_left(struct task_struct *task, __u64 *unsure)
{
	struct process_key key;
	__u8 told = 1;
	/* What the kernel's own function returns is an int before 6.4 (commit d7ba4cc900bf): the
	 * upper half of the register is not its sign. */
	int r;

	if (BPF_CORE_READ(task, signal, live.counter))
		return false;
	key = process_key_of(task);
	r = bpf_map_update_elem(&ended, &key, &told, BPF_NOEXIST);
	if (r == -EEXIST)
		return false;
	/* Rather twice than never, and counted. */
	if (r)
		__sync_fetch_and_add(unsure, 1);
	return true;
}

/* Whether the task of the tracepoint's context is the last of its process. 'unsure' counts how
 * often that could not be found out. */
static __always_inline bool process_is_over(__u64 *context, __u64 *unsure)
{
	if (exit_has_group_dead)
		return (bool)context[1];
	return is_first_to_find_none_left((struct task_struct *)context[0], unsure);
}

/* How it ended, as wait() reports it and as wait_task_zombie() puts it together (kernel/exit.c). */
static __always_inline __u32 process_status(struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);

	if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		return BPF_CORE_READ(signal, group_exit_code);
	return BPF_CORE_READ(task, group_leader, exit_code);
}

#endif
