// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/cgroup_owner.h"

/* So much of a container's id as its runtimes show. */
#define CONTAINER_DIGITS 12

const char *cgroup_owner_pod(const struct cgroup_owner *owner)
{
	return *owner->pod.pod ? owner->pod.pod : owner->group.pod;
}

const char *cgroup_owner_container(const struct cgroup_owner *owner)
{
	return *owner->pod.container ? owner->pod.container : owner->group.container;
}

static void print_pod(const struct cgroup_owner *owner, struct text *text)
{
	text_printf(text, "pod %s%s%s", owner->pod.namespace, *owner->pod.namespace ? "/" : "",
		    cgroup_owner_pod(owner));
}

bool cgroup_owner_subject(const struct cgroup_owner *owner, char *subject, size_t size)
{
	struct text text = {.data = subject, .size = size};

	if (!*owner->group.pod)
		return false;
	print_pod(owner, &text);
	/* Cut, the names of two pods may be the same. */
	if (text.truncated) {
		text = (struct text){.data = subject, .size = size};
		text_printf(&text, "pod %s", owner->group.pod);
	}
	return true;
}

void cgroup_owner_print_container(const struct cgroup_owner *owner, struct text *text)
{
	int most = *owner->pod.container ? POD_CONTAINER_BYTES : CONTAINER_DIGITS;

	text_printf(text, "%.*s", most, cgroup_owner_container(owner));
}

bool cgroup_owner_explain(const struct cgroup_owner *owner, const char *before, struct text *text)
{
	if (!*owner->group.pod)
		return false;
	text_printf(text, "%s", before);
	if (*cgroup_owner_container(owner)) {
		text_printf(text, "container ");
		cgroup_owner_print_container(owner, text);
		text_printf(text, " of ");
	}
	print_pod(owner, text);
	return true;
}
