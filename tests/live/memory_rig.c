// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/memory_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY "/sys/fs/cgroup/memory"

const char *memory_rig_obstacle(void)
{
	return access(MEMORY "/memory.limit_in_bytes", W_OK)
		       ? "no memory controller of cgroup v1 at " MEMORY
		       : NULL;
}

void memory_rig_write(const char *directory, const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		/* In a child, too, where failing the test means nothing. */
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		abort();
	}
	close(fd);
}

static void make(const char *path)
{
	if (mkdir(path, 0755)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		abort();
	}
}

void memory_rig_up(struct memory_rig *memory)
{
	memory_rig_up_below(memory, "");
}

void memory_rig_up_below(struct memory_rig *memory, const char *below)
{
	char rest[128], limit[32], *next = rest;
	const char *name;

	snprintf(memory->name, sizeof(memory->name), "tocsin-live-%d-memory", (int)getpid());
	snprintf(memory->path, sizeof(memory->path), "%s/%s", MEMORY, memory->name);
	make(memory->path);
	snprintf(rest, sizeof(rest), "%s", below);
	while ((name = strsep(&next, "/")) && *name) {
		size_t length = strlen(memory->path);

		snprintf(memory->path + length, sizeof(memory->path) - length, "/%s", name);
		make(memory->path);
	}
	snprintf(limit, sizeof(limit), "%lu", MEMORY_RIG_LIMIT_BYTES);
	memory_rig_write(memory->path, "memory.limit_in_bytes", limit);
}

void memory_rig_enter(const struct memory_rig *memory)
{
	memory_rig_write(memory->path, "cgroup.procs", "0");
}

void memory_rig_fill(unsigned long bytes)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	memset(memory, 1, bytes);
}

void memory_rig_down(struct memory_rig *memory)
{
	/* From the lowest up to its topmost. */
	while (memory->path[0] && strcmp(memory->path, MEMORY)) {
		/* A process that was waited for may be in it for a moment yet. */
		for (int i = 0; i < 500 && rmdir(memory->path); i++)
			usleep(2000);
		*strrchr(memory->path, '/') = '\0';
	}
	*memory = (struct memory_rig){0};
}
