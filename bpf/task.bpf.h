/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_TASK_H
#define TOCSIN_BPF_TASK_H

/* What is asked of a task. */

/* One process among all that ever had its number. */
struct process_key {
	__u64 start_ns; /* CLOCK_BOOTTIME */
	__u32 pid;
	__u32 reserved;
};

/* The leader's fields are those of the process; all threads have the same leader. */
static __always_inline struct process_key process_key_of(struct task_struct *task)
{
	return (struct process_key){
		.start_ns = BPF_CORE_READ(task, group_leader, start_boottime),
		.pid = BPF_CORE_READ(task, tgid),
	};
}

static __always_inline __u32 uid_of_task(struct task_struct *task)
{
	return BPF_CORE_READ(task, cred, uid.val);
}

static __always_inline __u32 effective_uid_of_task(struct task_struct *task)
{
	return BPF_CORE_READ(task, cred, euid.val);
}

static __always_inline __u64 cgroup_id_of(const struct cgroup *cgroup)
{
	return BPF_CORE_READ(cgroup, kn, id);
}

/* In the v2 tree. */
static __always_inline struct cgroup *cgroup_of_task(struct task_struct *task)
{
	return BPF_CORE_READ(task, cgroups, dfl_cgrp);
}

/* The group that the memory controller counts it in, in whatever tree that is; NULL without one. */
static __always_inline struct cgroup *memory_group_of_task(struct task_struct *task)
{
	struct css_set *groups = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *state = NULL;

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return NULL;
	bpf_core_read(&state, sizeof(state),
		      &groups->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id)]);
	return BPF_CORE_READ(state, cgroup);
}

#endif
