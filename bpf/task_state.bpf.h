/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_TASK_STATE_H
#define TOCSIN_BPF_TASK_STATE_H

/* Whether and how a task sleeps. */

/* include/linux/sched.h, the same since 4.14. */
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_WAKEKILL	     0x100
#define TASK_NOLOAD	     0x400 /* kernel threads that idle */
/* In the freezer, before it had a state of its own (6.1, commit f5d39b020809). */
#define PF_FROZEN 0x10000

static __always_inline __u32 state_of_task(struct task_struct *task)
{
	/* Renamed and narrowed in 5.14 (commit 2f064a59a11f). */
	if (bpf_core_field_exists(((struct task_struct___v514 *)0)->__state))
		return BPF_CORE_READ((struct task_struct___v514 *)task, __state);
	return BPF_CORE_READ((struct task_struct___v513 *)task, state);
}

/* In a sleep that nothing but its end is to end, or a fatal signal. */
static __always_inline bool sleeps_uninterruptibly(struct task_struct *task, __u32 state)
{
	return state & TASK_UNINTERRUPTIBLE && !(state & TASK_NOLOAD) && !(task->flags & PF_FROZEN);
}

#endif
