/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_SWITCH_H
#define TOCSIN_BPF_SWITCH_H

/* The arguments of sched_switch. */

/* Whether the state of the previous task comes before both tasks, as it did for a while in 5.18
 * (commit fa2c3254d7cf, undone by 9c2136be0878). */
const volatile bool switch_state_is_second = false;

/* The barriers keep the compiler from making one access at a computed place of two, which the
 * verifier refuses. */
static __always_inline struct task_struct *switch_from(__u64 *context)
{
	struct task_struct *task;

	if (!switch_state_is_second)
		return (struct task_struct *)context[1];
	task = (struct task_struct *)context[2];
	barrier_var(task);
	return task;
}

static __always_inline struct task_struct *switch_to(__u64 *context)
{
	struct task_struct *task;

	if (!switch_state_is_second)
		return (struct task_struct *)context[2];
	task = (struct task_struct *)context[3];
	barrier_var(task);
	return task;
}

#endif
