/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_OOM_H
#define TOCSIN_MAPS_OOM_H

/* What `tocsin trace oom` sees: a process that the kernel has chosen to free memory. */

#include "maps/trace.h"

#define OOM_GROUP_BYTES 128

struct oom_event {
	struct event event;
	struct owner owner; /* the victim; only its pid where the kernel tells no more */
	__u64 anonymous_bytes, file_bytes, shared_bytes, swap_bytes;
	__u64 trigger_cgroup_id;
	__u32 trigger_pid; /* who wanted memory when there was none */
	__u32 uid;
	char trigger_comm[TRACE_COMM_BYTES];
	__s32 score_adjustment;
	__u32 reserved;
	/* Last name of the group that the memory controller counts the victim in; empty: the root,
	 * or not known. */
	char memory_group[OOM_GROUP_BYTES];
};

_Static_assert(sizeof(struct oom_event) == 240, "oom_event is shared with the kernel side");

#endif
