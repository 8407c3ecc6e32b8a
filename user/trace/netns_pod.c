// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/netns_pod.h"

#include "base/cgroup.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* 0 where that may not be seen, or the process is gone. */
static uint32_t netns_of(uint32_t pid)
{
	struct stat status;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/ns/net", pid);
	return stat(path, &status) ? 0 : (uint32_t)status.st_ino;
}

void netns_pod_find(uint32_t netns_inode, char uid[static CGROUP_POD_BYTES])
{
	DIR *stream = netns_inode ? opendir("/proc") : NULL;
	const struct dirent *entry;
	struct cgroup_name name;
	bool shared = false;

	*uid = '\0';
	if (!stream)
		return;
	while (!shared && (entry = readdir(stream))) {
		uint32_t pid = (uint32_t)strtoul(entry->d_name, NULL, 10);

		if (!pid || netns_of(pid) != netns_inode || cgroup_name_of_process(pid, &name))
			continue;
		shared = !*name.pod || (*uid && strcmp(uid, name.pod) != 0);
		memcpy(uid, name.pod, sizeof(name.pod));
	}
	closedir(stream);
	if (shared)
		*uid = '\0';
}
