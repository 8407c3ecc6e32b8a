/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_POD_NAME_H
#define TOCSIN_BASE_POD_NAME_H

/* How Kubernetes calls what a control group belongs to, and how that is said. Pure. */

#include "base/cgroup_name.h"
#include "base/text.h"

#include <stdbool.h>

/* NUL included. Namespaces and containers have DNS labels for names, pods DNS subdomains. */
#define POD_NAMESPACE_BYTES 64
#define POD_NAME_BYTES	    254
#define POD_CONTAINER_BYTES 64

/* What is not known is "". */
struct pod_name {
	char namespace[POD_NAMESPACE_BYTES];
	char pod[POD_NAME_BYTES];
	char container[POD_CONTAINER_BYTES];
};

/*
 * What a finding about a group of a pod is about: "pod shop/web-1", whichever of its containers it
 * is, because each start of one makes another; by the pod's uid where the name is not known, or too
 * long. Returns false, and writes nothing, when the group is of no pod.
 */
bool pod_name_subject(const struct cgroup_name *group, const struct pod_name *name, char *subject,
		      size_t size);

/* "container app of pod shop/web-1", with id and uid where names are not known. Of a group of a
 * pod only. */
void pod_name_explain(const struct cgroup_name *group, const struct pod_name *name,
		      struct text *text);

#endif
