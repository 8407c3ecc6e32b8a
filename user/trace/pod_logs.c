// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/pod_logs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CONTAINERS_PATH "/var/log/containers"
#define LINK_SUFFIX	".log"
/* More names than this in a directory are none of the kubelet's making. */
#define NAMES_MAX 65536

/* ---- names ---- */

/* Copies what lies between two places. Returns whether it is there, and fits. */
static bool take_part(char *part, size_t size, const char *start, const char *end)
{
	if (end <= start || (size_t)(end - start) >= size)
		return false;
	memcpy(part, start, (size_t)(end - start));
	part[end - start] = '\0';
	return true;
}

bool pod_logs_parse_pod(const char *directory, struct pod_name *ret_name,
			char uid[static CGROUP_POD_BYTES])
{
	/* No name of Kubernetes has a '_' in it. */
	const char *first = strchr(directory, '_');
	const char *second = first ? strchr(first + 1, '_') : NULL;

	*ret_name = (struct pod_name){0};
	return second && !strchr(second + 1, '_') &&
	       take_part(ret_name->namespace, sizeof(ret_name->namespace), directory, first) &&
	       take_part(ret_name->pod, sizeof(ret_name->pod), first + 1, second) &&
	       take_part(uid, CGROUP_POD_BYTES, second + 1, second + strlen(second));
}

bool pod_logs_parse_container(const char *link, const char *id, struct pod_name *name)
{
	size_t length = strlen(link), tail = strlen("-") + strlen(id) + strlen(LINK_SUFFIX);
	char head[POD_NAME_BYTES + POD_NAMESPACE_BYTES + 2], end[CGROUP_CONTAINER_BYTES + 8];
	int head_length = snprintf(head, sizeof(head), "%s_%s_", name->pod, name->namespace);

	snprintf(end, sizeof(end), "-%s%s", id, LINK_SUFFIX);
	return *id && length > tail && !strcmp(link + length - tail, end) &&
	       !strncmp(link, head, (size_t)head_length) &&
	       take_part(name->container, sizeof(name->container), link + head_length,
			 link + length - tail);
}

/* ---- directories ---- */

/* The node's own, also from within a container that sees the node's processes. */
static DIR *open_directory(const char *path)
{
	char full[64];
	DIR *stream;

	snprintf(full, sizeof(full), "/proc/1/root%s", path);
	stream = opendir(full);
	return stream ?: opendir(path);
}

/* Calls 'look' with the names in a directory until it returns true. Returns 0, or a negative
 * errno. */
static int look_through(const char *path, bool (*look)(void *context, const char *name),
			void *context)
{
	DIR *stream = open_directory(path);
	const struct dirent *entry;
	unsigned int left = NAMES_MAX;

	if (!stream)
		return -errno;
	while (left-- && (entry = readdir(stream)))
		if (look(context, entry->d_name))
			break;
	closedir(stream);
	return 0;
}

struct finding {
	const struct cgroup_name *group;
	struct pod_name name;
};

static bool look_for_pod(void *context, const char *directory)
{
	struct finding *finding = context;
	char uid[CGROUP_POD_BYTES];
	struct pod_name name;

	if (!pod_logs_parse_pod(directory, &name, uid) || strcmp(uid, finding->group->pod) != 0)
		return false;
	finding->name = name;
	return true;
}

static bool look_for_container(void *context, const char *link)
{
	struct finding *finding = context;

	return pod_logs_parse_container(link, finding->group->container, &finding->name);
}

void pod_logs_find(const struct cgroup_name *group, struct pod_name *ret_name)
{
	struct finding finding = {.group = group};

	if (*group->pod)
		(void)look_through(POD_LOGS_PATH, look_for_pod, &finding);
	if (*finding.name.pod && *group->container)
		(void)look_through(CONTAINERS_PATH, look_for_container, &finding);
	*ret_name = finding.name;
}

struct listing {
	const char *namespace, *pod;
	void *context;
	void (*take)(void *context, const char *uid);
	int count;
};

static bool look_for_uid(void *context, const char *directory)
{
	struct listing *listing = context;
	char uid[CGROUP_POD_BYTES];
	struct pod_name name;

	if (pod_logs_parse_pod(directory, &name, uid) && !strcmp(name.pod, listing->pod) &&
	    !strcmp(name.namespace, listing->namespace)) {
		listing->count++;
		listing->take(listing->context, uid);
	}
	return false;
}

int pod_logs_uids(const char *namespace, const char *pod, void *context,
		  void (*take)(void *context, const char *uid))
{
	struct listing listing = {namespace, pod, context, take, 0};
	int r = look_through(POD_LOGS_PATH, look_for_uid, &listing);

	return r ? r : listing.count;
}
