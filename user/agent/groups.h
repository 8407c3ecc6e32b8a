/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_GROUPS_H
#define TOCSIN_AGENT_GROUPS_H

/*
 * Crashes, OOM kills and trouble of TCP sockets by the path of their control group. A group that is
 * made again under the same path, as of a service that is started again, goes on with the same
 * series. Series are given out first come, first served; one whose groups are gone makes room for
 * another, and what it counted is then part of 'other', as is what has no series. No series ever
 * decreases.
 */

#include "base/cgroup.h"
#include "base/cgroup_owner.h"
#include "probe/task.h"
#include "probe/tcp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pods;

struct group_counts {
	struct task_record task;
	struct tcp_group_record tcp;
};

struct group_series {
	char *path; /* "id:NUMBER" of a group that was gone before it was looked up */
	struct cgroup_owner owner;
	struct group_counts sum;  /* as last read */
	struct group_counts past; /* of groups whose records are given up */
	size_t members;
};

/* A group that the kernel has, or may have, records of. */
struct group_member {
	struct group_key group;
	struct group_series *series; /* NULL: counted in 'other' for as long as it lives */
	char *path;		     /* NULL: it was gone already */
	bool has_record;
};

struct groups {
	struct task_probe *task; /* NULL: nothing is counted by it */
	struct tcp_probe *tcp;
	int trees[GROUP_TREES]; /* negative: not mounted */
	size_t max_series, max_groups;
	struct group_series **series;
	size_t series_count;
	struct group_member *members;
	size_t member_count;
	struct group_counts other, other_past;
	uint64_t records_seen; /* that the TCP probe has made */
};

/* How many records each probe needs room for, so that this many series can be kept. */
size_t groups_records(size_t max_series);

/* Of those probes that are open; they stay so until groups_close(). Returns 0 or -ENOMEM; in either
 * case groups_close() is right. */
int groups_open(struct groups *groups, struct task_probe *task, struct tcp_probe *tcp,
		size_t max_series);
void groups_close(struct groups *groups);

/* Learns the name of a group while it is there. */
void groups_note(struct groups *groups, const struct group_key *group);

/* And of the one in which the memory controller has counted an OOM kill, where that is another. */
void groups_note_oom_kill(struct groups *groups);

/* And of those whose sockets are in trouble, which nothing tells. Returns whether there may be a
 * new one; costs nothing where there is none. */
bool groups_note_sockets(struct groups *groups);

/* The name of a group that was noted, or NULL. */
const char *groups_path(const struct groups *groups, const struct group_key *group);

/* Whose such a group is. 'pods' may be NULL. */
struct cgroup_owner groups_owner(const struct groups *groups, const struct pods *pods,
				 const struct group_key *group);

/* Gives the series the names of their pods that have become known. 'pods' may be NULL. */
void groups_name_pods(struct groups *groups, const struct pods *pods);

/* Fills the sums of all series, and 'other', from the kernel's records. Returns 0 or a negative
 * errno. */
int groups_read(struct groups *groups);

#endif
