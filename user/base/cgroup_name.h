/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_CGROUP_NAME_H
#define TOCSIN_BASE_CGROUP_NAME_H

/* Whose a control group is, by its path alone: in the trees of v1 and v2, made by systemd or by the
 * container runtime itself. */

#define CGROUP_CONTAINER_BYTES 80
#define CGROUP_POD_BYTES       40
#define CGROUP_UNIT_BYTES      128

/* What there is none of, or what the path does not tell, is "". */
struct cgroup_name {
	/* The innermost one's id, in full: Docker, containerd, CRI-O, Podman, ECS. */
	char container[CGROUP_CONTAINER_BYTES];
	/* Its pod's uid as Kubernetes writes it, with dashes; static pods have one without. */
	char pod[CGROUP_POD_BYTES];
	/* The innermost systemd unit of this host that is no slice, and not made for the container
	 * alone, as systemd writes it ("getty@tty1.service"). A longer name is cut. */
	char unit[CGROUP_UNIT_BYTES];
};

/* Of a path as /proc/PID/cgroup and the traces show it: "/system.slice/nginx.service". */
void cgroup_name_parse(const char *path, struct cgroup_name *ret_name);

#endif
