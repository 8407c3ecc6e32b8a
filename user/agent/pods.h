/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_PODS_H
#define TOCSIN_AGENT_PODS_H

/*
 * The pods of this node, as the API of Kubernetes tells them: one list and its watch, of this
 * node's alone. Whose a control group is, is answered from memory. While the API is away, what is
 * known stays; what is not goes by its ids.
 */

#include "base/cgroup_owner.h"
#include "report/snapshot.h"

#include <stdint.h>

struct kubernetes_link;
struct pods;

#define PODS_MAX 1024

/* 'on_told' is called whenever a pod has been told of: that its names are known may not last.
 * Returns 0 or -ENOMEM. */
int pods_open(struct pods **ret_pods, struct kubernetes_link *link, const char *node,
	      void (*on_told)(void *context), void *context);

/* Makes the next call; to be called whenever the link wakes its owner. */
void pods_work(struct pods *pods, uint64_t now_ns);

/* When it must be called again at the latest, CLOCK_MONOTONIC; UINT64_MAX: no need. */
uint64_t pods_due_ns(const struct pods *pods);

/* The names that belong to a group, as far as they are known. NULL is allowed: none are. */
void pods_find(const struct pods *pods, const struct cgroup_name *group, struct pod_name *ret_name);

/* Whose a group is by its path, "" when that is not known, and a process by its groups. */
struct cgroup_owner pods_owner(const struct pods *pods, const char *path);
struct cgroup_owner pods_owner_of_process(const struct pods *pods, uint32_t pid);

struct snapshot_pods pods_snapshot(const struct pods *pods);

/* NULL is allowed. */
void pods_close(struct pods *pods);

#endif
