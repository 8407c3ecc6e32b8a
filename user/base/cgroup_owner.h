/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_CGROUP_OWNER_H
#define TOCSIN_BASE_CGROUP_OWNER_H

/* Whose a control group is, as far as that is known, and how that is said. Pure. */

#include "base/cgroup_name.h"
#include "base/text.h"

#include <stdbool.h>

/* NUL included. Namespaces and containers have DNS labels for names, pods DNS subdomains. */
#define POD_NAMESPACE_BYTES 64
#define POD_NAME_BYTES	    254
#define POD_CONTAINER_BYTES 64

/* How Kubernetes calls it. What is not known is "". */
struct pod_name {
	char namespace[POD_NAMESPACE_BYTES];
	char pod[POD_NAME_BYTES];
	char container[POD_CONTAINER_BYTES];
};

struct cgroup_owner {
	struct cgroup_name group; /* what the path tells */
	struct pod_name pod;	  /* what others tell of that */
};

/* The pod, and the container, by name where that is known, else by id; "" where there is none. */
const char *cgroup_owner_pod(const struct cgroup_owner *owner);
const char *cgroup_owner_container(const struct cgroup_owner *owner);

/*
 * What a finding about a group of a pod is about: "pod shop/web-1", whichever of its containers it
 * is, because each start of one makes another; by the pod's uid where the name is not known, or too
 * long. Returns false, and writes nothing, when the group is of no pod.
 */
bool cgroup_owner_subject(const struct cgroup_owner *owner, char *subject, size_t size);

/* The container's name, or the beginning of its id, as its runtimes show it. */
void cgroup_owner_print_container(const struct cgroup_owner *owner, struct text *text);

/* "container app of pod shop/web-1" after what stands 'before' it, with id and uid where names are
 * not known. Returns false, and writes nothing, when the group is of no pod. */
bool cgroup_owner_explain(const struct cgroup_owner *owner, const char *before, struct text *text);

#endif
