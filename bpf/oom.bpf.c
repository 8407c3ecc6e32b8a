// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* OOM kills: what is told is the victim's. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/oom.h"

#include "filter_owner.bpf.h"
#include "numbers.bpf.h"
#include "oom_victim.bpf.h"
#include "task.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 oom_page_bytes = 4096;

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
			   : BPF_CORE_READ((const struct mm_struct___v62 *)(mm),        \
					   rss_stat[kind].count))

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
	const char *name = BPF_CORE_READ(memory_group_of_task(task), kn, name);

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

static __always_inline void on_victim(struct task_struct *task)
{
	struct oom_event *record;

	if (!task_wanted(task) || !victim_is_new(task, &trace_counters.updates_lost))
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
static __always_inline void on_victim_number(__u32 pid)
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
	return find_victim(context);
}
