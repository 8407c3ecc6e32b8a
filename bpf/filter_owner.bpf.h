/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_FILTER_OWNER_H
#define TOCSIN_BPF_FILTER_OWNER_H

/*
 * Filters by process and cgroup. Whoever uses them decides where the owner is known (at submission,
 * by the socket's own cgroup, ...), never by the task that happens to be interrupted.
 */

#include "maps/trace.h"

#include "task.bpf.h"

const volatile __u32 filter_pid = 0;	   /* thread group; 0: all */
const volatile __u64 filter_cgroup_id = 0; /* it and all below it, in the v2 tree; 0: all */
const volatile __u32 filter_cgroup_level = 0;

/* The id of the ancestor at a level of the tree (the root is 0), or 0. */
static __always_inline __u64 cgroup_ancestor_id(const struct cgroup *cgroup, __u32 level)
{
	struct cgroup *ancestor = NULL;
	__u64 id = 0;

	if ((__u32)BPF_CORE_READ(cgroup, level) < level)
		return 0;
	/* An array of ids became one of pointers in 6.1 (commit 7f203bc89eb6). */
	if (bpf_core_field_exists(((struct cgroup___v61 *)0)->ancestors)) {
		bpf_core_read(&ancestor, sizeof(ancestor),
			      &((const struct cgroup___v61 *)cgroup)->ancestors[level]);
		return ancestor ? cgroup_id_of(ancestor) : 0;
	}
	bpf_core_read(&id, sizeof(id), &((const struct cgroup___v60 *)cgroup)->ancestor_ids[level]);
	return id;
}

static __always_inline bool cgroup_wanted(const struct cgroup *cgroup)
{
	return !filter_cgroup_id ||
	       cgroup_ancestor_id(cgroup, filter_cgroup_level) == filter_cgroup_id;
}

static __always_inline bool task_wanted(struct task_struct *task)
{
	if (filter_pid && (__u32)BPF_CORE_READ(task, tgid) != filter_pid)
		return false;
	return !filter_cgroup_id || cgroup_wanted(cgroup_of_task(task));
}

/* Whom a task's doings belong to. */
static __always_inline void owner_of_task(struct task_struct *task, struct owner *owner)
{
	owner->pid = BPF_CORE_READ(task, tgid);
	owner->cgroup_id = cgroup_id_of(cgroup_of_task(task));
	owner->netns_inode = 0;
	BPF_CORE_READ_STR_INTO(&owner->comm, task, group_leader, comm);
}

#endif
