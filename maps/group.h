/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_GROUP_H
#define TOCSIN_MAPS_GROUP_H

/* What tells one control group from all others, where something is counted by group. */

enum group_tree {
	GROUP_TREE_V2,
	GROUP_TREE_MEMORY, /* of the memory controller, where that is one of v1 */
	GROUP_TREES,
};

/* Its id is never given to another one. */
struct group_key {
	__u64 cgroup_id;
	__u32 tree; /* enum group_tree: each counts its ids for itself */
	__u32 reserved;
};

_Static_assert(sizeof(struct group_key) == 16, "group_key is shared with the kernel side");

#endif
