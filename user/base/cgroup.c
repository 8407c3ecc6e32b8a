// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/cgroup.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How kernfs names an inode in a file handle (include/linux/exportfs.h, FILEID_KERNFS). */
#define FILEID_KERNFS	    0xfe
#define CONTAINER_ID_DIGITS 8
#define DEPTH_MAX	    32

int cgroup_open_tree(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent entry;
	char buffer[4096];
	int fd = -ENOENT;

	if (!mounts)
		return -errno;
	while (fd == -ENOENT && getmntent_r(mounts, &entry, buffer, sizeof(buffer))) {
		if (strcmp(entry.mnt_type, "cgroup2"))
			continue;
		fd = open(entry.mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	endmntent(mounts);
	return fd;
}

/* Where the tree is mounted: the path of its descriptor. */
static int mount_point(int tree, char *path, size_t size)
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", tree);
	length = readlink(link, path, size - 1);
	if (length < 0)
		return -errno;
	path[length] = '\0';
	return 0;
}

int cgroup_path(int tree, uint64_t id, char *path, size_t size)
{
	struct {
		struct file_handle handle;
		uint64_t id;
	} place = {.handle = {.handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS}};
	char mount[CGROUP_PATH_MAX], full[CGROUP_PATH_MAX];
	size_t prefix;
	int fd, r;

	memcpy(place.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(tree, &place.handle, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = mount_point(fd, full, sizeof(full));
	close(fd);
	if (!r)
		r = mount_point(tree, mount, sizeof(mount));
	if (r)
		return r;
	prefix = strlen(mount);
	if (strncmp(full, mount, prefix))
		return -ESTALE;
	return text_copy(path, size, full[prefix] ? full + prefix : "/");
}

static bool is_container_id(const char *name)
{
	return strlen(name) >= CONTAINER_ID_DIGITS &&
	       strspn(name, "0123456789abcdef") == strlen(name);
}

static uint32_t level_of(const char *path)
{
	uint32_t level = 0;

	for (; *path; path++)
		level += *path != '/' && (path[1] == '/' || !path[1]);
	return level;
}

static int find_by_path(int tree, const char *path, struct cgroup_place *ret_place)
{
	struct stat status;

	while (*path == '/')
		path++;
	if (fstatat(tree, *path ? path : ".", &status, 0))
		return -errno;
	if (!S_ISDIR(status.st_mode))
		return -ENOENT;
	/* The inode number of a group is its id (64-bit kernels, since 5.5, commit 67c0496e87d1).
	 */
	*ret_place = (struct cgroup_place){.id = status.st_ino, .level = level_of(path)};
	return 0;
}

/* Goes through the tree for the groups whose last name contains the id. */
static int find_by_container(int directory, const char *id, uint32_t level,
			     struct cgroup_place *ret_place, unsigned int *found)
{
	DIR *stream = fdopendir(directory);
	const struct dirent *entry;
	int r = 0;

	if (!stream) {
		close(directory);
		return -errno;
	}
	while (!r && level < DEPTH_MAX && (entry = readdir(stream))) {
		int below;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (strstr(entry->d_name, id)) {
			*ret_place = (struct cgroup_place){entry->d_ino, level + 1};
			(*found)++;
			continue;
		}
		below = openat(dirfd(stream), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* Groups come and go while we look. */
		if (below >= 0)
			r = find_by_container(below, id, level + 1, ret_place, found);
	}
	closedir(stream);
	return r;
}

int cgroup_find(int tree, const char *name, struct cgroup_place *ret_place)
{
	struct cgroup_place place = {0};
	char mount[CGROUP_PATH_MAX];
	unsigned int found = 0;
	int copy, r;

	r = mount_point(tree, mount, sizeof(mount));
	if (r)
		return r;
	if (!strncmp(name, mount, strlen(mount)))
		r = find_by_path(tree, name + strlen(mount), ret_place);
	else
		r = find_by_path(tree, name, ret_place);
	if (r != -ENOENT || !is_container_id(name))
		return r;
	copy = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0)
		return -errno;
	r = find_by_container(copy, name, 0, &place, &found);
	if (r)
		return r;
	if (found != 1)
		return found ? -EEXIST : -ENOENT;
	*ret_place = place;
	return 0;
}
