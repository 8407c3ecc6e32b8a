/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_CGROUP_RIG_H
#define TOCSIN_TESTS_LIVE_CGROUP_RIG_H

/* A control group of the test's own in the v2 tree. What cannot be done fails the running test. */

#include <stddef.h>

#define CGROUP_RIG_NAME_BYTES 64

struct cgroup_rig {
	int tree;			      /* 0: not up */
	char name[CGROUP_RIG_NAME_BYTES];     /* below the root of the tree, without a slash */
	char path[CGROUP_RIG_NAME_BYTES + 1]; /* with it, as traces show it */
};

/* Why no group can be made, or NULL. */
const char *cgroup_rig_obstacle(void);

void cgroup_rig_up(struct cgroup_rig *cgroup, const char *purpose);

/* Moves the calling process into it, or back into the root. Children inherit that. */
void cgroup_rig_enter(const struct cgroup_rig *cgroup);
void cgroup_rig_leave(const struct cgroup_rig *cgroup);

/* Makes a group below it, with all on the way there: "kubepods/podUID/ID"; and moves the calling
 * process into it. */
void cgroup_rig_make_below(const struct cgroup_rig *cgroup, const char *path);
void cgroup_rig_enter_below(const struct cgroup_rig *cgroup, const char *path);

/* Removes that one, and what is below; its processes must have ended or left. One that is not there
 * is fine. */
void cgroup_rig_remove_below(const struct cgroup_rig *cgroup, const char *path);

/* Leaves and removes it, and what is below; its processes must have ended. One that is not up is
 * fine. */
void cgroup_rig_down(struct cgroup_rig *cgroup);

#endif
