// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/watch_find.h"

#include "base/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Slices and groups of one unit lie no deeper. */
#define DEPTH_MAX 16
/* Groups that are looked at for one unit. */
#define GROUPS_MAX 4096
/* include/net/tcp_states.h */
#define TCP_LISTEN 10

struct unit_search {
	const char *unit;
	void (*found)(void *context, uint32_t pid);
	void *context;
	unsigned int groups_left;
};

static void read_processes(int group, const struct unit_search *search)
{
	int fd = openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");
	uint32_t pid;

	if (!stream) {
		if (fd >= 0)
			close(fd);
		return;
	}
	/* 0: a process of another process namespace. */
	while (fscanf(stream, "%" SCNu32, &pid) == 1)
		if (pid)
			search->found(search->context, pid);
	fclose(stream);
}

/* systemd puts a '_' before what could be taken for a file of the kernel's: "_memory.service". */
static bool is_unit(const char *name, const char *unit)
{
	return !strcmp(name, unit) || (*name == '_' && !strcmp(name + 1, unit));
}

static bool is_slice(const char *name)
{
	size_t length = strlen(name);

	return length > 6 && !strcmp(name + length - 6, ".slice");
}

/* Goes through a group, which it closes: one that holds slices and units, or (inside) one of the
 * unit itself, of which all counts. */
static void search_group(int group, struct unit_search *search, bool inside, unsigned int depth)
{
	DIR *stream = fdopendir(group);
	const struct dirent *entry;

	if (!stream) {
		close(group);
		return;
	}
	if (inside)
		read_processes(group, search);
	while (depth < DEPTH_MAX && search->groups_left && (entry = readdir(stream))) {
		bool enters = inside || is_unit(entry->d_name, search->unit);
		int below;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    (!enters && !is_slice(entry->d_name)))
			continue;
		search->groups_left--;
		below = openat(group, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* Groups come and go while we look. */
		if (below >= 0)
			search_group(below, search, enters, depth + 1);
	}
	closedir(stream);
}

void watch_find_unit(const char *unit, void (*found)(void *context, uint32_t pid), void *context)
{
	const int trees[] = {cgroup_open_tree(), cgroup_open_systemd_tree()};

	for (size_t i = 0; i < sizeof(trees) / sizeof(*trees); i++) {
		struct unit_search search = {unit, found, context, GROUPS_MAX};

		/* Closes it. */
		if (trees[i] >= 0)
			search_group(trees[i], &search, false, 0);
	}
}

/* The tables begin with the sockets that listen: the many others are not read. */
static size_t read_table(const char *path, uint16_t port, uint64_t *inodes, size_t max)
{
	FILE *stream = fopen(path, "re");
	char line[512];
	size_t count = 0;

	if (!stream)
		return 0;
	/* The heads of the columns. */
	if (!fgets(line, sizeof(line), stream))
		line[0] = '\0';
	while (count < max && fgets(line, sizeof(line), stream)) {
		unsigned int local_port, state;
		uint64_t inode;

		if (sscanf(line, "%*s %*[0-9A-F]:%x %*s %x %*s %*s %*s %*s %*s %" SCNu64,
			   &local_port, &state, &inode) != 3 ||
		    state != TCP_LISTEN)
			break;
		if (local_port == port)
			inodes[count++] = inode;
	}
	fclose(stream);
	return count;
}

size_t watch_find_listeners(uint16_t port, uint64_t *inodes, size_t max)
{
	size_t count = read_table("/proc/self/net/tcp", port, inodes, max);

	return count + read_table("/proc/self/net/tcp6", port, inodes + count, max - count);
}
