// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/pod_name.h"

#include <string.h>

/* So much of a container's id as its runtimes show. */
#define CONTAINER_DIGITS 12

static void print_pod(const struct cgroup_name *group, const struct pod_name *name,
		      struct text *text)
{
	if (*name->pod)
		text_printf(text, "pod %s/%s", name->namespace, name->pod);
	else
		text_printf(text, "pod %s", group->pod);
}

bool pod_name_subject(const struct cgroup_name *group, const struct pod_name *name, char *subject,
		      size_t size)
{
	struct text text = {.data = subject, .size = size};

	if (!*group->pod)
		return false;
	print_pod(group, name, &text);
	/* Cut, the names of two pods may be the same. */
	if (text.truncated) {
		text = (struct text){.data = subject, .size = size};
		print_pod(group, &(struct pod_name){0}, &text);
	}
	return true;
}

void pod_name_explain(const struct cgroup_name *group, const struct pod_name *name,
		      struct text *text)
{
	if (*name->container)
		text_printf(text, "container %s of ", name->container);
	else if (*group->container)
		text_printf(text, "container %.*s of ", CONTAINER_DIGITS, group->container);
	print_pod(group, name, text);
}
