// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/cgroup_rig.h"

#include "base/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

const char *cgroup_rig_obstacle(void)
{
	int tree = cgroup_open_tree();
	int writable;

	if (tree < 0)
		return "no cgroup v2 tree is mounted";
	writable = faccessat(tree, "cgroup.procs", W_OK, 0);
	close(tree);
	return writable ? "the cgroup v2 tree cannot be written" : NULL;
}

static void enter(const struct cgroup_rig *cgroup, const char *directory)
{
	char path[CGROUP_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	fd = openat(cgroup->tree, path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (write(fd, "0", 1) != 1)
		fail_msg("cannot enter the cgroup %s: %s", directory, strerror(errno));
	close(fd);
}

void cgroup_rig_up(struct cgroup_rig *cgroup, const char *purpose)
{
	*cgroup = (struct cgroup_rig){.tree = cgroup_open_tree()};
	assert_true(cgroup->tree > 0);
	snprintf(cgroup->name, sizeof(cgroup->name), "tocsin-live-%d-%s", (int)getpid(), purpose);
	snprintf(cgroup->path, sizeof(cgroup->path), "/%s", cgroup->name);
	if (mkdirat(cgroup->tree, cgroup->name, 0755))
		fail_msg("cannot make the cgroup %s: %s", cgroup->name, strerror(errno));
}

void cgroup_rig_enter(const struct cgroup_rig *cgroup)
{
	enter(cgroup, cgroup->name);
}

void cgroup_rig_make_below(const struct cgroup_rig *cgroup, const char *path)
{
	char full[CGROUP_PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s/", cgroup->name, path);
	for (char *end = strchr(full, '/'); end; end = strchr(end + 1, '/')) {
		*end = '\0';
		if (mkdirat(cgroup->tree, full, 0755) && errno != EEXIST)
			fail_msg("cannot make the cgroup %s: %s", full, strerror(errno));
		*end = '/';
	}
}

void cgroup_rig_enter_below(const struct cgroup_rig *cgroup, const char *path)
{
	char full[CGROUP_PATH_MAX - 16];

	snprintf(full, sizeof(full), "%s/%s", cgroup->name, path);
	enter(cgroup, full);
}

void cgroup_rig_leave(const struct cgroup_rig *cgroup)
{
	enter(cgroup, ".");
}

/* A process that was waited for may be in it for a moment yet. */
static void remove_group(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	while (stream && (entry = readdir(stream)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			remove_group(fd, entry->d_name);
	if (stream)
		closedir(stream);
	for (int i = 0; i < 500 && unlinkat(directory, name, AT_REMOVEDIR) && errno != ENOENT; i++)
		usleep(2000);
}

void cgroup_rig_remove_below(const struct cgroup_rig *cgroup, const char *path)
{
	char full[CGROUP_PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", cgroup->name, path);
	remove_group(cgroup->tree, full);
}

void cgroup_rig_down(struct cgroup_rig *cgroup)
{
	if (cgroup->tree <= 0)
		return;
	cgroup_rig_leave(cgroup);
	remove_group(cgroup->tree, cgroup->name);
	close(cgroup->tree);
	*cgroup = (struct cgroup_rig){0};
}
