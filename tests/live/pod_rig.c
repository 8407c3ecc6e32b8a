// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/pod_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PODS	   "/var/log/pods"
#define CONTAINERS "/var/log/containers"

const char *pod_rig_obstacle(void)
{
	return geteuid() ? "not root" : cgroup_rig_obstacle();
}

static void make_directory(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		fail_msg("mkdir %s: %s", path, strerror(errno));
}

void pod_rig_up(struct pod_rig *pods, const char *purpose)
{
	*pods = (struct pod_rig){0};
	cgroup_rig_up(&pods->cgroup, purpose);
	snprintf(pods->namespace, sizeof(pods->namespace), "tocsin-live-%d", (int)getpid());
	make_directory(PODS);
	make_directory(CONTAINERS);
}

void pod_rig_down(struct pod_rig *pods)
{
	if (!*pods->namespace)
		return;
	while (pods->link_count)
		unlink(pods->links[--pods->link_count]);
	while (pods->directory_count)
		rmdir(pods->directories[--pods->directory_count]);
	/* Only if they are empty, as they were where there is no kubelet. */
	rmdir(CONTAINERS);
	rmdir(PODS);
	cgroup_rig_down(&pods->cgroup);
	*pods = (struct pod_rig){0};
}

void pod_rig_name(struct pod_rig *pods, const char *pod, const char *uid)
{
	char *path = pods->directories[pods->directory_count++];

	assert_true(pods->directory_count <= POD_RIG_PODS_MAX);
	snprintf(path, sizeof(pods->directories[0]), PODS "/%s_%s_%s", pods->namespace, pod, uid);
	make_directory(path);
}

void pod_rig_link(struct pod_rig *pods, const char *pod, const char *uid, const char *name,
		  const char *id)
{
	char *path = pods->links[pods->link_count++], target[256];

	assert_true(pods->link_count <= POD_RIG_LINKS_MAX);
	snprintf(path, sizeof(pods->links[0]), CONTAINERS "/%s_%s_%s-%s.log", pod, pods->namespace,
		 name, id);
	snprintf(target, sizeof(target), PODS "/%s_%s_%s/%s/0.log", pods->namespace, pod, uid,
		 name);
	assert_int_equal(symlink(target, path), 0);
}

void pod_rig_container(struct pod_rig *pods, bool systemd, const char *pod, const char *uid,
		       const char *name, const char *id, char path[static 256])
{
	char dashes[64];

	snprintf(dashes, sizeof(dashes), "%s", uid);
	for (char *c = dashes; *c; c++)
		*c = *c == '-' ? '_' : *c;
	if (systemd)
		snprintf(path, 256,
			 "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod%s.slice/"
			 "cri-containerd-%s.scope",
			 dashes, id);
	else
		snprintf(path, 256, "kubepods/burstable/pod%s/%s", uid, id);
	cgroup_rig_make_below(&pods->cgroup, path);
	if (name)
		pod_rig_link(pods, pod, uid, name, id);
}
