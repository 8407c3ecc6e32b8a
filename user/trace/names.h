/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_NAMES_H
#define TOCSIN_TRACE_NAMES_H

/* Names of what the kernel knows by number: cgroups and block devices, looked up once each. */

#include "base/cgroup.h"
#include "base/cgroup_owner.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names;

/* Returns NULL when out of memory. */
struct names *names_open(void);
void names_close(struct names *names);

/* The path of a cgroup in the v2 tree, or its id in words when it is gone. Valid until the next
 * call. */
const char *names_cgroup(struct names *names, uint64_t id);

/* Whose a cgroup is. Valid until the next call. */
const struct cgroup_owner *names_cgroup_owner(struct names *names, uint64_t id);

/* The pod that has a network namespace; "" of the host's own. Valid likewise. */
const struct cgroup_owner *names_netns_owner(struct names *names, uint32_t inode);

/* "pod:shop/web-1 app", what -g takes and then the container. Returns false, with nothing written,
 * when the pod's name is not known. */
bool names_pod_shown(const struct cgroup_owner *owner, char *text, size_t size);

/* The name of a block device (the kernel's number of it), or "major:minor" when it has none. Valid
 * until the next call. */
const char *names_device(struct names *names, uint32_t device);

/* A place in the kernel's code: "vfs_read+0x1c", or its address. */
void names_place(struct names *names, uint64_t address, char *name, size_t size);

#endif
