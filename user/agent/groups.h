/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_GROUPS_H
#define TOCSIN_AGENT_GROUPS_H

/*
 * Crashes and OOM kills by the path of their control group. A group that is made again under the
 * same path, as of a service that is started again, goes on with the same series. Series are given
 * out first come, first served; one whose groups are gone makes room for another, and what it
 * counted is then part of 'other', as is what has no series. No series ever decreases.
 */

#include "base/cgroup.h"
#include "base/cgroup_owner.h"
#include "probe/task.h"

#include <stdbool.h>
#include <stddef.h>

struct pods;

struct group_series {
	char *path; /* "id:NUMBER" of a group that was gone before it was looked up */
	struct cgroup_owner owner;
	struct task_record sum;	 /* as last read */
	struct task_record past; /* of groups whose records are given up */
	size_t members;
};

/* A group that the kernel has, or may have, a record of. */
struct group_member {
	struct group_key group;
	struct group_series *series; /* NULL: counted in 'other' for as long as it lives */
	char *path;		     /* NULL: it was gone already */
	bool has_record;
};

struct groups {
	int trees[GROUP_TREES]; /* negative: not mounted */
	size_t max_series, max_groups;
	struct group_series **series;
	size_t series_count;
	struct group_member *members;
	size_t member_count;
	struct task_record other, other_past;
};

/* How many records the kernel needs room for, so that this many series can be kept. */
size_t groups_records(size_t max_series);

/* Returns 0 or -ENOMEM; in either case groups_close() is right. */
int groups_open(struct groups *groups, size_t max_series);
void groups_close(struct groups *groups);

/* Learns the name of a group while it is there. */
void groups_note(struct groups *groups, struct task_probe *probe, const struct group_key *group);

/* And of the one in which the memory controller has counted an OOM kill, where that is another. */
void groups_note_oom_kill(struct groups *groups, struct task_probe *probe);

/* The name of a group that was noted, or NULL. */
const char *groups_path(const struct groups *groups, const struct group_key *group);

/* Whose such a group is. 'pods' may be NULL. */
struct cgroup_owner groups_owner(const struct groups *groups, const struct pods *pods,
				 const struct group_key *group);

/* Gives the series the names of their pods that have become known. 'pods' may be NULL. */
void groups_name_pods(struct groups *groups, const struct pods *pods);

/* Fills the sums of all series, and 'other', from the kernel's records. Returns 0 or a negative
 * errno. */
int groups_read(struct groups *groups, struct task_probe *probe);

#endif
