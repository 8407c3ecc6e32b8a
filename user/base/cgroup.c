// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/cgroup.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
#define WALK_GROUPS_MAX	    20000

/* 'option': that the mount must have; NULL: none in particular. */
static int open_mounted(const char *type, const char *option)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent entry;
	char buffer[4096];
	int fd = -ENOENT;

	if (!mounts)
		return -errno;
	while (fd == -ENOENT && getmntent_r(mounts, &entry, buffer, sizeof(buffer))) {
		if (strcmp(entry.mnt_type, type) || (option && !hasmntopt(&entry, option)))
			continue;
		fd = open(entry.mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	endmntent(mounts);
	return fd;
}

int cgroup_open_tree(void)
{
	return open_mounted("cgroup2", NULL);
}

int cgroup_open_memory_tree(void)
{
	return open_mounted("cgroup", "memory");
}

int cgroup_open_systemd_tree(void)
{
	return open_mounted("cgroup", "name=systemd");
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

bool cgroup_is_at(int tree, const char *path, uint64_t id)
{
	struct stat status;

	while (*path == '/')
		path++;
	/* The inode number of a group is its id (64-bit kernels, since 5.5, commit 67c0496e87d1).
	 */
	return !fstatat(tree, *path ? path : ".", &status, 0) && S_ISDIR(status.st_mode) &&
	       status.st_ino == id;
}

/* By the kernel's own way from an id to a file, for which it takes CAP_DAC_READ_SEARCH. */
static int path_by_handle(int tree, uint64_t id, char *path, size_t size)
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

struct walk {
	uint64_t id;
	unsigned int groups_left;
	char path[CGROUP_PATH_MAX];
	size_t length;
};

/* Goes through the tree below a directory, which it closes. Returns whether the group was found;
 * the walk's path is then its own. */
static bool find_below(int directory, struct walk *walk, unsigned int depth)
{
	DIR *stream = fdopendir(directory);
	size_t length = walk->length;
	const struct dirent *entry;
	bool found = false;

	if (!stream) {
		close(directory);
		return false;
	}
	while (!found && walk->groups_left && (entry = readdir(stream))) {
		size_t name = strlen(entry->d_name);
		int below;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    length + 1 + name >= sizeof(walk->path))
			continue;
		walk->groups_left--;
		walk->path[length] = '/';
		memcpy(walk->path + length + 1, entry->d_name, name + 1);
		walk->length = length + 1 + name;
		found = entry->d_ino == walk->id;
		if (found || depth == DEPTH_MAX)
			continue;
		below = openat(dirfd(stream), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* Groups come and go while we look. */
		if (below >= 0)
			found = find_below(below, walk, depth + 1);
	}
	closedir(stream);
	return found;
}

static int path_by_walk(int tree, uint64_t id, char *path, size_t size)
{
	struct walk walk = {.id = id, .groups_left = WALK_GROUPS_MAX};
	int root;

	if (cgroup_is_at(tree, "/", id))
		return text_copy(path, size, "/");
	root = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	if (!find_below(root, &walk, 1))
		return -ESTALE;
	return text_copy(path, size, walk.path);
}

int cgroup_path(int tree, uint64_t id, char *path, size_t size)
{
	int r = path_by_handle(tree, id, path, size);

	return r == -EPERM ? path_by_walk(tree, id, path, size) : r;
}

int cgroup_name_of_process(uint32_t pid, struct cgroup_name *ret_name)
{
	char path[64], line[CGROUP_PATH_MAX];
	struct cgroup_name name;
	FILE *stream;

	*ret_name = (struct cgroup_name){0};
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/cgroup", pid);
	stream = fopen(path, "re");
	if (!stream)
		return -errno;
	while (!*ret_name->pod && !*ret_name->container && fgets(line, sizeof(line), stream)) {
		/* "4:memory:/kubepods/...", and "0::/kubepods/..." of v2. */
		line[strcspn(line, "\n")] = '\0';
		cgroup_name_parse(line + strcspn(line, "/"), &name);
		if (*name.pod || *name.container || *name.unit)
			*ret_name = name;
	}
	fclose(stream);
	return 0;
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
	*ret_place = (struct cgroup_place){.id = status.st_ino, .level = level_of(path)};
	return 0;
}

static bool is_of_container(const char *name, const char *id)
{
	return strstr(name, id);
}

static bool is_of_pod(const char *name, const char *uid)
{
	struct cgroup_name parts;

	cgroup_name_parse(name, &parts);
	return !strcmp(parts.pod, uid);
}

struct search {
	bool (*matches)(const char *name, const char *wanted);
	const char *wanted;
	struct cgroup_place place; /* of the last that was found */
	unsigned int found;
};

/* Goes through the tree for the groups whose last name matches; not below those. */
static int search_below(int directory, uint32_t level, struct search *search)
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
		if (search->matches(entry->d_name, search->wanted)) {
			search->place = (struct cgroup_place){entry->d_ino, level + 1};
			search->found++;
			continue;
		}
		below = openat(dirfd(stream), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* Groups come and go while we look. */
		if (below >= 0)
			r = search_below(below, level + 1, search);
	}
	closedir(stream);
	return r;
}

static int search_tree(int tree, struct search *search, struct cgroup_place *ret_place)
{
	int copy = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = copy < 0 ? -errno : search_below(copy, 0, search);

	if (r)
		return r;
	if (search->found != 1)
		return search->found ? -EEXIST : -ENOENT;
	*ret_place = search->place;
	return 0;
}

int cgroup_find(int tree, const char *name, struct cgroup_place *ret_place)
{
	struct search search = {.matches = is_of_container, .wanted = name};
	char mount[CGROUP_PATH_MAX];
	int r;

	r = mount_point(tree, mount, sizeof(mount));
	if (r)
		return r;
	if (!strncmp(name, mount, strlen(mount)))
		r = find_by_path(tree, name + strlen(mount), ret_place);
	else
		r = find_by_path(tree, name, ret_place);
	if (r != -ENOENT || !is_container_id(name))
		return r;
	return search_tree(tree, &search, ret_place);
}

int cgroup_find_pod(int tree, const char *uid, struct cgroup_place *ret_place)
{
	struct search search = {.matches = is_of_pod, .wanted = uid};

	return search_tree(tree, &search, ret_place);
}
