/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_POD_RIG_H
#define TOCSIN_TESTS_LIVE_POD_RIG_H

/*
 * Pods of a node as the kubelet and a runtime leave them to be seen: control groups in either
 * layout, below one of the test's own, and the names of their logs' directories. What cannot be
 * done fails the running test.
 */

#include "live/cgroup_rig.h"

#include <stdbool.h>

#define POD_RIG_PODS_MAX  8
#define POD_RIG_LINKS_MAX 8

struct pod_rig {
	struct cgroup_rig cgroup;
	char namespace[64]; /* of Kubernetes, of this test alone */
	char directories[POD_RIG_PODS_MAX][256], links[POD_RIG_LINKS_MAX][256];
	unsigned int directory_count, link_count;
};

/* Why there can be none, or NULL. */
const char *pod_rig_obstacle(void);

void pod_rig_up(struct pod_rig *pods, const char *purpose);
/* Its processes must have ended. One that is not up is fine. */
void pod_rig_down(struct pod_rig *pods);

/* A pod's directory of logs; 'uid' as the kubelet has it. */
void pod_rig_name(struct pod_rig *pods, const char *pod, const char *uid);

/* A container of it: its group, in systemd's layout or in cgroupfs', whose path below the rig's is
 * written; with a name the link to its logs, too. */
void pod_rig_container(struct pod_rig *pods, bool systemd, const char *pod, const char *uid,
		       const char *name, const char *id, char path[static 256]);

/* That link alone. */
void pod_rig_link(struct pod_rig *pods, const char *pod, const char *uid, const char *name,
		  const char *id);

#endif
