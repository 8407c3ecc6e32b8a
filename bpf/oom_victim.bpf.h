/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_OOM_VICTIM_H
#define TOCSIN_BPF_OOM_VICTIM_H

/*
 * The victim of each OOM kill, once, for programs on mark_victim. Whoever asks for memory when
 * there is none runs the killer; the victim is mostly another, in another group maybe.
 */

#include "task.bpf.h"

/* Whether the tracepoint hands over the victim's task; before 6.9 (commit 72ba14deb40a) it is the
 * number of its thread. */
const volatile bool oom_has_task = false;

/* Since 6.2. */
extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;

/* Processes that have been told. A thread of a victim that runs out of memory on its way out is
 * marked, too, so that it may use the reserves. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct process_key);
	__type(value, __u8);
} victims SEC(".maps");

/* 'unsure' counts how often it could not be noted: then a process may be told twice. */
static __always_inline bool victim_is_new(struct task_struct *task, __u64 *unsure)
{
	struct process_key key = process_key_of(task);
	__u8 told = 1;
	/* An int, as in is_first_to_find_none_left(). */
	int r = bpf_map_update_elem(&victims, &key, &told, BPF_NOEXIST);

	if (r && r != -EEXIST)
		__sync_fetch_and_add(unsure, 1);
	return r != -EEXIST;
}

static __always_inline bool was_oom_victim(struct task_struct *task)
{
	struct process_key key = process_key_of(task);

	return bpf_map_lookup_elem(&victims, &key);
}

/* To be written by whoever includes this: what to do with a victim, and with one of which nothing
 * but its number can be known. */
static __always_inline void on_victim(struct task_struct *task);
static __always_inline void on_victim_number(__u32 pid);

static __always_inline int find_victim(__u64 *context)
{
	struct task_struct *task;

	if (oom_has_task) {
		on_victim((struct task_struct *)context[0]);
		return 0;
	}
	if (!&bpf_task_from_pid || !&bpf_task_release) {
		on_victim_number(context[0]);
		return 0;
	}
	task = bpf_task_from_pid(context[0]);
	if (!task)
		return 0;
	on_victim(task);
	bpf_task_release(task);
	return 0;
}

#endif
