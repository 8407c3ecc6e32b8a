/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_CGROUP_H
#define TOCSIN_BASE_CGROUP_H

/* Control groups, wherever their tree is mounted: ids to paths and back. */

#include "base/cgroup_name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_PATH_MAX 1024

/* A group, as the kernel's programs see it. */
struct cgroup_place {
	uint64_t id;
	uint32_t level; /* depth in the tree; the root is 0 */
};

/* Opens the v2 tree for reading. Returns a descriptor, or -ENOENT when none is mounted, or another
 * negative errno. */
int cgroup_open_tree(void);

/* The same for the tree of the memory controller where that is one of v1. */
int cgroup_open_memory_tree(void);

/* The same for that in which systemd keeps its units where v1 is in use. */
int cgroup_open_systemd_tree(void);

/* Whether the group at a path below the root of the tree still is the one with this id. */
bool cgroup_is_at(int tree, const char *path, uint64_t id);

/* The path of a group below the root of the tree, "/" for the root itself. Returns 0, or a negative
 * errno (-ESTALE: it is gone) with nothing written. */
int cgroup_path(int tree, uint64_t id, char *path, size_t size);

/* Whose a process is, by the paths of its groups in the trees of v1 and v2: the first that tells a
 * pod or a container counts, else the last unit. Returns 0 or a negative errno (-ENOENT: it is
 * gone). */
int cgroup_name_of_process(uint32_t pid, struct cgroup_name *ret_name);

/*
 * Finds a group by its path, as seen below the mount ("/system.slice/a.service", or with the mount
 * point in front), or by a container id of at least 8 hexadecimal digits that is part of its last
 * name. Returns 0, -ENOENT, or -EEXIST when several groups have that id.
 */
int cgroup_find(int tree, const char *name, struct cgroup_place *ret_place);

/* Finds the group that the kubelet has made of a pod, all containers of which are below it. Returns
 * the same. */
int cgroup_find_pod(int tree, const char *uid, struct cgroup_place *ret_place);

#endif
