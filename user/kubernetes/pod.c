// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kubernetes/pod.h"

#include "kubernetes/object.h"

#include <errno.h>
#include <string.h>

/* The kubelet runs a static pod under the uid that it has made itself, of the manifest, and shows
 * the API a mirror of it, whose uid the API makes. */
#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"

static void add_container(struct kubernetes_pod *pod, const char *name, const char *id)
{
	struct kubernetes_container *container = &pod->containers[pod->container_count];
	const char *separator = strstr(id, "://");

	if (separator)
		id = separator + strlen("://");
	if (!*id || !*name || pod->container_count == KUBERNETES_CONTAINERS_MAX ||
	    text_copy(container->id, sizeof(container->id), id) ||
	    text_copy(container->name, sizeof(container->name), name))
		return;
	pod->container_count++;
}

/* Each that runs, and who ran before it: what has just crashed may have been replaced already. */
static void add_containers(struct kubernetes_pod *pod, const json_t *statuses)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(statuses, i, entry)
	{
		const json_t *last =
			json_object_get(json_object_get(entry, "lastState"), "terminated");
		const char *name = kubernetes_text(entry, "name");

		add_container(pod, name, kubernetes_text(entry, "containerID"));
		add_container(pod, name, kubernetes_text(last, "containerID"));
	}
}

int kubernetes_pod_decode(const json_t *object, struct kubernetes_pod *ret_pod)
{
	static const char *const statuses[] = {"containerStatuses", "initContainerStatuses",
					       "ephemeralContainerStatuses"};
	const json_t *metadata = json_object_get(object, "metadata");
	const json_t *status = json_object_get(object, "status");
	const char *namespace = kubernetes_text(metadata, "namespace");
	const char *name = kubernetes_object_name(object);
	const char *uid =
		kubernetes_text(json_object_get(metadata, "annotations"), MIRROR_ANNOTATION);

	if (!*uid)
		uid = kubernetes_text(metadata, "uid");
	ret_pod->container_count = 0;
	if (!*uid || !*namespace || !*name || text_copy(ret_pod->uid, sizeof(ret_pod->uid), uid) ||
	    text_copy(ret_pod->namespace, sizeof(ret_pod->namespace), namespace) ||
	    text_copy(ret_pod->name, sizeof(ret_pod->name), name))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
		add_containers(ret_pod, json_object_get(status, statuses[i]));
	return 0;
}
