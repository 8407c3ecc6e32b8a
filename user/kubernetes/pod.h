/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_KUBERNETES_POD_H
#define TOCSIN_KUBERNETES_POD_H

/* What a Pod object says, as far as it matters here. Pure. */

#include "base/cgroup_owner.h"

#include <jansson.h>

#define KUBERNETES_PODS_PATH	  "/api/v1/pods"
#define KUBERNETES_CONTAINERS_MAX 64 /* of a pod; the rest goes by its ids */

struct kubernetes_container {
	char id[CGROUP_CONTAINER_BYTES]; /* without the runtime's name before it */
	char name[POD_CONTAINER_BYTES];
};

struct kubernetes_pod {
	/* As the kubelet's control groups have it. That of a static pod is not its object's own. */
	char uid[CGROUP_POD_BYTES];
	char namespace[POD_NAMESPACE_BYTES];
	char name[POD_NAME_BYTES];
	unsigned int container_count;
	struct kubernetes_container containers[KUBERNETES_CONTAINERS_MAX]; /* now, and before */
};

/* Returns 0, or -EINVAL for what is no pod: without uid, namespace or name, or with one that is too
 * long for it. */
int kubernetes_pod_decode(const json_t *object, struct kubernetes_pod *ret_pod);

#endif
