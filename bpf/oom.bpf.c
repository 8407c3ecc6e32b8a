// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * OOM kills. Whoever asks for memory when there is none runs the killer; the victim is mostly
 * another, in another group maybe, and what is told is the victim's.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/oom.h"

#include "filter_owner.bpf.h"
#include "numbers.bpf.h"
#include "task.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Whether the tracepoint hands over the victim's task; before 6.9 (commit 72ba14deb40a) it is the
 * number of its thread. */
const volatile bool oom_has_task = false;
const volatile __u32 oom_page_bytes = 4096;

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

static __always_inline bool told_before(struct task_struct *task)
{
	struct process_key key = process_key_of(task);
	__u8 told = 1;
	long r = bpf_map_update_elem(&victims, &key, &told, BPF_NOEXIST);

	if (r && r != -EEXIST)
		__sync_fetch_and_add(&trace_counters.updates_lost, 1);
	return r == -EEXIST;
}

static __always_inline __u64 page_bytes(__s64 pages)
{
	return pages > 0 ? (__u64)pages * oom_page_bytes : 0;
}

/*
 * What the kernel's own message says. The counters are kept for each CPU and added up now and then:
 * up to some dozens of pages a CPU are missing. They are an array of percpu_counter since 6.2
 * (commit f1a7941243c1). A macro, because the loader can only move an element whose number is a
 * constant to the compiler.
 */
#define memory_bytes(mm, kind)                                                          \
	page_bytes(bpf_core_field_exists(((struct mm_struct___v61 *)0)->rss_stat.count) \
			   ? BPF_CORE_READ((const struct mm_struct___v61 *)(mm),        \
					   rss_stat.count[kind].counter)                \
			   : BPF_CORE_READ(mm, rss_stat[kind].count))

static __always_inline void read_memory(struct task_struct *task, struct oom_event *record)
{
	const struct mm_struct *mm = BPF_CORE_READ(task, mm);

	record->anonymous_bytes = memory_bytes(mm, MM_ANONPAGES);
	record->file_bytes = memory_bytes(mm, MM_FILEPAGES);
	record->shared_bytes = memory_bytes(mm, MM_SHMEMPAGES);
	record->swap_bytes = memory_bytes(mm, MM_SWAPENTS);
}

static __always_inline void read_memory_group(struct task_struct *task, struct oom_event *record)
{
	struct css_set *groups = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *state = NULL;
	const char *name;

	record->memory_group[0] = '\0';
	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return;
	bpf_core_read(&state, sizeof(state),
		      &groups->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id)]);
	name = BPF_CORE_READ(state, cgroup, kn, name);
	if (bpf_probe_read_kernel_str(record->memory_group, sizeof(record->memory_group), name) < 0)
		record->memory_group[0] = '\0';
}

static __always_inline struct oom_event *reserve(void)
{
	struct task_struct *trigger = (struct task_struct *)bpf_get_current_task();
	struct oom_event *record = event_reserve(struct oom_event, bpf_ktime_get_ns());

	if (!record)
		return NULL;
	record->reserved = 0;
	record->trigger_pid = BPF_CORE_READ(trigger, tgid);
	record->trigger_cgroup_id = cgroup_id_of(cgroup_of_task(trigger));
	BPF_CORE_READ_STR_INTO(&record->trigger_comm, trigger, group_leader, comm);
	return record;
}

static __always_inline void tell(struct task_struct *task)
{
	struct oom_event *record;

	if (!task_wanted(task) || told_before(task))
		return;
	record = reserve();
	if (!record)
		return;
	owner_of_task(task, &record->owner);
	record->uid = uid_of_task(task);
	record->score_adjustment = (__s16)BPF_CORE_READ(task, signal, oom_score_adj);
	read_memory(task, record);
	read_memory_group(task, record);
	bpf_ringbuf_submit(record, 0);
}

/* All that is known where a task cannot be found by its number. */
static __always_inline void tell_number(__u32 pid)
{
	struct oom_event *record;

	if (filter_cgroup_id || (filter_pid && filter_pid != pid))
		return;
	record = reserve();
	if (!record)
		return;
	__builtin_memset(&record->owner, 0, sizeof(record->owner));
	record->owner.pid = pid;
	record->uid = 0;
	record->score_adjustment = 0;
	record->anonymous_bytes = record->file_bytes = 0;
	record->shared_bytes = record->swap_bytes = 0;
	record->memory_group[0] = '\0';
	bpf_ringbuf_submit(record, 0);
}

SEC("tp_btf/mark_victim")
int victim_is_marked(__u64 *context)
{
	struct task_struct *task;

	if (oom_has_task) {
		tell((struct task_struct *)context[0]);
		return 0;
	}
	if (!&bpf_task_from_pid || !&bpf_task_release) {
		tell_number(context[0]);
		return 0;
	}
	task = bpf_task_from_pid(context[0]);
	if (!task)
		return 0;
	tell(task);
	bpf_task_release(task);
	return 0;
}
