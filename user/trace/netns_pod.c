// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/netns_pod.h"

#include "base/cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* 0 where that may not be seen, or the process is gone. */
static uint32_t netns_of(const char *pid)
{
	struct stat status;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
	return stat(path, &status) ? 0 : (uint32_t)status.st_ino;
}

/* Its pod, "" when it is of none. Returns false when the process is gone. Of the trees of v1 and v2
 * ("4:memory:/kubepods/...", "0::/kubepods/...") any tells. */
static bool read_pod_of(const char *pid, char uid[static CGROUP_POD_BYTES])
{
	char path[64], line[CGROUP_PATH_MAX];
	struct cgroup_name name = {0};
	FILE *stream;

	snprintf(path, sizeof(path), "/proc/%.20s/cgroup", pid);
	stream = fopen(path, "re");
	if (!stream)
		return false;
	while (!*name.pod && fgets(line, sizeof(line), stream)) {
		line[strcspn(line, "\n")] = '\0';
		cgroup_name_parse(line + strcspn(line, "/"), &name);
	}
	fclose(stream);
	memcpy(uid, name.pod, sizeof(name.pod));
	return true;
}

void netns_pod_find(uint32_t netns_inode, char uid[static CGROUP_POD_BYTES])
{
	DIR *stream = netns_inode ? opendir("/proc") : NULL;
	char other[CGROUP_POD_BYTES];
	const struct dirent *entry;
	bool shared = false;

	*uid = '\0';
	if (!stream)
		return;
	while (!shared && (entry = readdir(stream))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    netns_of(entry->d_name) != netns_inode || !read_pod_of(entry->d_name, other))
			continue;
		shared = !*other || (*uid && strcmp(uid, other) != 0);
		memcpy(uid, other, sizeof(other));
	}
	closedir(stream);
	if (shared)
		*uid = '\0';
}
