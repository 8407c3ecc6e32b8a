// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/cgroup_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ID     "3c1f0a8c5d2b4e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7"
#define OTHER  "a0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9f"
#define POD    "7d3f1c62-9a4e-4d1b-8f0a-2b6c5d4e3f21"
#define POD_   "7d3f1c62_9a4e_4d1b_8f0a_2b6c5d4e3f21"
#define STATIC "5f1ab0c9d8e7f6a5b4c3d2e1f0a9b8c7"
#define TASK   "0123456789abcdef0123456789abcdef"

struct shape {
	const char *what, *path;
	struct cgroup_name name;
};

static const struct shape shapes[] = {
	{"the root", "/", {"", "", ""}},
	{"nothing", "", {"", "", ""}},
	/* systemd without containers */
	{"init", "/init.scope", {"", "", "init.scope"}},
	{"a service", "/system.slice/nginx.service", {"", "", "nginx.service"}},
	{"a template",
	 "/system.slice/system-getty.slice/getty@tty1.service",
	 {"", "", "getty@tty1.service"}},
	{"a swap", "/system.slice/dev-vda2.swap", {"", "", "dev-vda2.swap"}},
	{"an escaped name",
	 "/system.slice/system-systemd\\x2dfsck.slice/systemd-fsck@dev-vda1.service",
	 {"", "", "systemd-fsck@dev-vda1.service"}},
	{"a session", "/user.slice/user-1000.slice/session-2.scope", {"", "", "session-2.scope"}},
	{"a user's service",
	 "/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service",
	 {"", "", "syncthing.service"}},
	{"below a delegated service",
	 "/system.slice/kubelet.service/runtime",
	 {"", "", "kubelet.service"}},
	{"a slice alone", "/system.slice", {"", "", ""}},
	{"an nspawn container",
	 "/machine.slice/systemd-nspawn@web.service/payload",
	 {"", "", "systemd-nspawn@web.service"}},
	/* Docker */
	{"Docker, cgroupfs", "/docker/" ID, {ID, "", ""}},
	{"Docker, systemd", "/system.slice/docker-" ID ".scope", {ID, "", ""}},
	{"Docker, rootless",
	 "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID ".scope",
	 {ID, "", "user@1000.service"}},
	{"Docker with systemd within", "/docker/" ID "/system.slice/nginx.service", {ID, "", ""}},
	{"Docker's buildkit", "/docker/buildkit/x1y2z3", {"", "", ""}},
	/* Kubernetes, cgroupfs driver: v1 and v2 look the same below the mount */
	{"burstable, cgroupfs", "/kubepods/burstable/pod" POD "/" ID, {ID, POD, ""}},
	{"besteffort, cgroupfs", "/kubepods/besteffort/pod" POD "/" ID, {ID, POD, ""}},
	{"guaranteed, cgroupfs", "/kubepods/pod" POD "/" ID, {ID, POD, ""}},
	{"the pod itself, cgroupfs", "/kubepods/burstable/pod" POD, {"", POD, ""}},
	{"a static pod, cgroupfs", "/kubepods/burstable/pod" STATIC "/" ID, {ID, STATIC, ""}},
	{"a class alone", "/kubepods/burstable", {"", "", ""}},
	{"CRI-O, cgroupfs", "/kubepods/burstable/pod" POD "/crio-" ID, {ID, POD, ""}},
	/* Kubernetes, systemd driver */
	{"containerd, systemd",
	 "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_
	 ".slice/cri-containerd-" ID ".scope",
	 {ID, POD, ""}},
	{"containerd, guaranteed, systemd",
	 "/kubepods.slice/kubepods-pod" POD_ ".slice/cri-containerd-" ID ".scope",
	 {ID, POD, ""}},
	{"a static pod, systemd",
	 "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" STATIC
	 ".slice/cri-containerd-" ID ".scope",
	 {ID, STATIC, ""}},
	{"the pod itself, systemd",
	 "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_ ".slice",
	 {"", POD, ""}},
	{"CRI-O, systemd",
	 "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_ ".slice/crio-" ID
	 ".scope",
	 {ID, POD, ""}},
	{"CRI-O with a group of its own in the scope",
	 "/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" ID ".scope/container",
	 {ID, POD, ""}},
	{"CRI-O's monitor",
	 "/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" ID ".scope",
	 {"", POD, "crio-conmon-" ID ".scope"}},
	{"Docker by cri-dockerd",
	 "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_ ".slice/docker-" ID
	 ".scope",
	 {ID, POD, ""}},
	{"containerd as cgroupfs under a kubelet of systemd",
	 "/system.slice/containerd.service/kubepods-burstable-pod" POD_ ".slice:cri-containerd:" ID,
	 {ID, POD, "containerd.service"}},
	{"kind: a node in a container",
	 "/docker/" OTHER "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
	 "kubelet-kubepods-burstable-pod" POD_ ".slice/cri-containerd-" ID ".scope",
	 {ID, POD, ""}},
	{"seen from another cgroup namespace",
	 "/../../kubepods-burstable-pod" POD_ ".slice/cri-containerd-" ID ".scope",
	 {ID, POD, ""}},
	{"systemd in a pod",
	 "/kubepods.slice/kubepods-pod" POD_ ".slice/cri-containerd-" ID ".scope/init.scope",
	 {ID, POD, ""}},
	/* containerd alone, Podman, ECS */
	{"nerdctl, cgroupfs", "/default/" ID, {ID, "", ""}},
	{"nerdctl, systemd", "/system.slice/nerdctl-" ID ".scope", {ID, "", ""}},
	{"Podman", "/machine.slice/libpod-" ID ".scope/container", {ID, "", ""}},
	{"Podman, cgroupfs", "/libpod_parent/libpod-" ID, {ID, "", ""}},
	{"Podman's monitor",
	 "/machine.slice/libpod-conmon-" ID ".scope",
	 {"", "", "libpod-conmon-" ID ".scope"}},
	{"Podman, rootless",
	 "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope",
	 {ID, "", "user@1000.service"}},
	{"ECS on EC2", "/ecs/" TASK "/" ID, {ID, "", ""}},
	{"ECS on Fargate", "/ecs/" TASK "/" TASK "-1234567890", {TASK "-1234567890", "", ""}},
	/* what only looks like one */
	{"63 digits",
	 "/docker/3c1f0a8c5d2b4e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e",
	 {"", "", ""}},
	{"65 digits", "/docker/" ID "0", {"", "", ""}},
	{"upper case",
	 "/docker/3C1F0A8C5D2B4E6F708192A3B4C5D6E7F8091A2B3C4D5E6F708192A3B4C5D6E7",
	 {"", "", ""}},
	{"a pod's uid with a letter missing",
	 "/kubepods/pod7d3f1c62-9a4e-4d1b-8f0a-2b6c5d4e3f2",
	 {"", "", ""}},
	{"a service named like a pod",
	 "/system.slice/tripod" POD ".service",
	 {"", "", "tripod" POD ".service"}},
	{"only a suffix", "/system.slice/.service", {"", "", ""}},
};

static void test_shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		struct cgroup_name name;

		cgroup_name_parse(shapes[i].path, &name);
		if (strcmp(name.container, shapes[i].name.container) ||
		    strcmp(name.pod, shapes[i].name.pod) || strcmp(name.unit, shapes[i].name.unit))
			fail_msg("%s: '%s' gives container '%s', pod '%s', unit '%s'",
				 shapes[i].what, shapes[i].path, name.container, name.pod,
				 name.unit);
	}
}

/* Anyone may name a group as he likes. */
static void test_long_names_are_cut(void **state)
{
	static char path[4096];
	struct cgroup_name name;

	(void)state;
	path[0] = '/';
	memset(path + 1, 'u', 300);
	memcpy(path + 301, ".service", sizeof(".service"));
	cgroup_name_parse(path, &name);
	assert_int_equal(strlen(name.unit), CGROUP_UNIT_BYTES - 1);
	memset(path + 1, '1', sizeof(path) - 2);
	cgroup_name_parse(path, &name);
	assert_string_equal(name.container, "");
	memset(path + 33, '1', sizeof(path) - 34);
	path[33] = '-';
	cgroup_name_parse(path, &name);
	assert_true(strlen(name.container) < CGROUP_CONTAINER_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_long_names_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
