// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/watch.h"

#include "base/clock.h"
#include "probe/watch_find.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the kernel puts behind the path of a program that was replaced while it runs. */
#define DELETED " (deleted)"
/* Descriptors of a process that are looked at: listeners are opened early, and have low ones. */
#define DESCRIPTORS_MAX 1024
/* Sockets of one port: one for each process with SO_REUSEPORT. */
#define LISTENERS_MAX 64

struct listener {
	uint64_t inode;
	unsigned int watch;
};

struct watch_look {
	const struct config_watch *watches;
	uint32_t exes;	/* those that are looked for by program: a bit each */
	uint32_t units; /* and by unit, not yet looked for */
	struct listener listeners[LISTENERS_MAX];
	size_t listener_count;
	DIR *processes; /* NULL: they need not be looked at, or all have been */
	uint64_t begun_ns;
	unsigned int looked_at, denied; /* processes */
	/* Of the present slice. */
	void (*found)(void *context, unsigned int watch, uint32_t pid);
	void *context;
	unsigned int unit; /* that is looked for */
};

uint64_t watch_process_start_ns(uint32_t pid)
{
	unsigned long long ticks = 0;
	char path[64], data[1024];
	const char *rest;
	FILE *stream;
	size_t length;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/stat", pid);
	stream = fopen(path, "re");
	if (!stream)
		return 0;
	length = fread(data, 1, sizeof(data) - 1, stream);
	fclose(stream);
	data[length] = '\0';
	/* The name, in brackets, may hold anything. */
	rest = strrchr(data, ')');
	if (!rest || sscanf(rest + 1,
			    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			    "%*d %*d %llu",
			    &ticks) != 1)
		return 0;
	return ticks * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Returns 0 or a negative errno. */
static int read_exe(int directory, const char *name, char *path, size_t size)
{
	char link[32];
	ssize_t length;
	char *deleted;

	snprintf(link, sizeof(link), "%s/exe", name);
	length = readlinkat(directory, link, path, size - 1);
	if (length < 0)
		return -errno;
	path[length] = '\0';
	deleted = strstr(path, DELETED);
	if (deleted && !deleted[strlen(DELETED)])
		*deleted = '\0';
	return 0;
}

void watch_process_exe(uint32_t pid, char *path, size_t size)
{
	char name[24];

	snprintf(name, sizeof(name), "/proc/%" PRIu32, pid);
	if (read_exe(AT_FDCWD, name, path, size))
		*path = '\0';
}

static bool is_wanted(uint32_t mask, unsigned int watch)
{
	return mask & UINT32_C(1) << watch;
}

static void find_listeners(struct watch_look *look, unsigned int watch)
{
	uint64_t inodes[LISTENERS_MAX];
	size_t count = watch_find_listeners(look->watches[watch].port, inodes,
					    LISTENERS_MAX - look->listener_count);

	for (size_t i = 0; i < count; i++)
		look->listeners[look->listener_count++] = (struct listener){inodes[i], watch};
}

int watch_look_begin(struct watch_look **ret_look, const struct config_watch *watches,
		     uint32_t wanted)
{
	struct watch_look *look = calloc(1, sizeof(*look));
	int r;

	*ret_look = look;
	if (!look)
		return -ENOMEM;
	look->watches = watches;
	look->begun_ns = clock_boottime_ns();
	for (unsigned int i = 0; i < CONFIG_WATCHES_MAX; i++) {
		if (!is_wanted(wanted, i))
			continue;
		if (*watches[i].exe)
			look->exes |= UINT32_C(1) << i;
		else if (*watches[i].unit)
			look->units |= UINT32_C(1) << i;
		else
			find_listeners(look, i);
	}
	if (!look->exes && !look->listener_count)
		return 0;
	look->processes = opendir("/proc");
	if (look->processes)
		return 0;
	r = -errno;
	watch_look_end(look);
	*ret_look = NULL;
	return r;
}

static void found_in_unit(void *context, uint32_t pid)
{
	struct watch_look *look = context;

	look->found(look->context, look->unit, pid);
}

/* Returns whether it could be looked into. */
static bool look_at_exe(struct watch_look *look, const char *name, uint32_t pid)
{
	char path[PATH_MAX];
	int r = read_exe(dirfd(look->processes), name, path, sizeof(path));

	for (unsigned int i = 0; !r && i < CONFIG_WATCHES_MAX; i++)
		if (is_wanted(look->exes, i) && !strcmp(look->watches[i].exe, path))
			look->found(look->context, i, pid);
	/* ENOENT: of the kernel, or ended by now. */
	return r != -EACCES && r != -EPERM;
}

static bool look_at_descriptors(struct watch_look *look, const char *name, uint32_t pid)
{
	char path[272], link[64];
	const struct dirent *entry;
	unsigned int left = DESCRIPTORS_MAX;
	uint32_t told = 0; /* a bit a watch */
	uint64_t inode;
	DIR *stream;
	int fd;

	snprintf(path, sizeof(path), "%s/fd", name);
	fd = openat(dirfd(look->processes), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno != EACCES && errno != EPERM;
	stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		return true;
	}
	while (left-- && (entry = readdir(stream))) {
		ssize_t length = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);

		link[length < 0 ? 0 : length] = '\0';
		if (sscanf(link, "socket:[%" SCNu64 "]", &inode) != 1)
			continue;
		for (size_t i = 0; i < look->listener_count; i++) {
			unsigned int watch = look->listeners[i].watch;

			if (look->listeners[i].inode != inode || is_wanted(told, watch))
				continue;
			told |= UINT32_C(1) << watch;
			look->found(look->context, watch, pid);
		}
	}
	closedir(stream);
	return true;
}

static void look_at_process(struct watch_look *look, const char *name)
{
	uint32_t pid = (uint32_t)strtoul(name, NULL, 10);
	bool allowed = true;

	if (look->exes)
		allowed = look_at_exe(look, name, pid);
	if (look->listener_count)
		allowed &= look_at_descriptors(look, name, pid);
	look->looked_at++;
	look->denied += !allowed;
}

bool watch_look_go_on(struct watch_look *look, uint64_t budget_ns,
		      void (*found)(void *context, unsigned int watch, uint32_t pid), void *context)
{
	uint64_t end_ns = clock_monotonic_ns() + budget_ns;
	const struct dirent *entry;

	look->found = found;
	look->context = context;
	for (look->unit = 0; look->units; look->unit++) {
		if (is_wanted(look->units, look->unit))
			watch_find_unit(look->watches[look->unit].unit, found_in_unit, look);
		look->units &= ~(UINT32_C(1) << look->unit);
	}
	while (look->processes && clock_monotonic_ns() < end_ns) {
		entry = readdir(look->processes);
		if (!entry) {
			closedir(look->processes);
			look->processes = NULL;
		} else if (isdigit((unsigned char)entry->d_name[0])) {
			look_at_process(look, entry->d_name);
		}
	}
	return !look->processes;
}

uint64_t watch_look_begun_ns(const struct watch_look *look)
{
	return look->begun_ns;
}

bool watch_look_is_denied(const struct watch_look *look)
{
	return look->denied * 2 > look->looked_at;
}

void watch_look_end(struct watch_look *look)
{
	if (!look)
		return;
	if (look->processes)
		closedir(look->processes);
	free(look);
}
