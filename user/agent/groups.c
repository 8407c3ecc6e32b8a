// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/groups.h"

#include "agent/pods.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t groups_records(size_t max_series)
{
	return 2 * max_series + 16;
}

/* As many as have records of either probe, and as many as were noted and found no room for one. */
static size_t members_max(const struct groups *groups)
{
	return 3 * groups->max_groups;
}

/* Here, so that it is said once and not with each group that has no name. */
static void tell_missing_tree(const int trees[static GROUP_TREES])
{
	int tree = trees[GROUP_TREE_V2];

	if (tree >= 0)
		return;
	log_warning("control groups of v2 have no names",
		    tree == -ENOENT ? log_string("reason", "no cgroup v2 tree is mounted")
				    : log_errno("reason", tree),
		    log_string("consequence",
			       trees[GROUP_TREE_MEMORY] >= 0
				       ? "groups are those of the memory controller's v1 tree"
				       : "groups are told by number, and what runs in them by "
					 "program: without pod, container or unit"));
}

int groups_open(struct groups *groups, struct task_probe *task, struct tcp_probe *tcp,
		size_t max_series)
{
	*groups = (struct groups){
		.task = task,
		.tcp = tcp,
		.trees = {[GROUP_TREE_V2] = cgroup_open_tree(),
			  [GROUP_TREE_MEMORY] = cgroup_open_memory_tree()},
		.max_series = max_series,
		.max_groups = groups_records(max_series),
	};
	tell_missing_tree(groups->trees);
	groups->series = calloc(max_series + 1, sizeof(struct group_series *));
	groups->members = calloc(members_max(groups), sizeof(*groups->members));
	return groups->series && groups->members ? 0 : -ENOMEM;
}

static void free_series(struct group_series *series)
{
	free(series->path);
	free(series);
}

void groups_close(struct groups *groups)
{
	for (size_t i = 0; i < groups->member_count; i++)
		free(groups->members[i].path);
	for (size_t i = 0; i < groups->series_count; i++)
		free_series(groups->series[i]);
	free(groups->members);
	free(groups->series);
	for (size_t i = 0; groups->max_groups && i < GROUP_TREES; i++)
		if (groups->trees[i] >= 0)
			close(groups->trees[i]);
	*groups = (struct groups){0};
}

static void add(struct group_counts *sum, const struct group_counts *counts)
{
	sum->task.oom_kills += counts->task.oom_kills;
	for (size_t i = 0; i < TASK_SIGNALS; i++)
		sum->task.crashes[i] += counts->task.crashes[i];
	sum->tcp.retransmits += counts->tcp.retransmits;
	sum->tcp.connect_failures += counts->tcp.connect_failures;
}

static struct group_member *find_member(const struct groups *groups, const struct group_key *group)
{
	for (size_t i = 0; i < groups->member_count; i++)
		if (groups->members[i].group.cgroup_id == group->cgroup_id &&
		    groups->members[i].group.tree == group->tree)
			return &groups->members[i];
	return NULL;
}

const char *groups_path(const struct groups *groups, const struct group_key *group)
{
	const struct group_member *member = find_member(groups, group);

	return member ? member->path : NULL;
}

struct cgroup_owner groups_owner(const struct groups *groups, const struct pods *pods,
				 const struct group_key *group)
{
	return pods_owner(pods, groups_path(groups, group) ?: "");
}

void groups_name_pods(struct groups *groups, const struct pods *pods)
{
	for (size_t i = 0; i < groups->series_count; i++) {
		struct cgroup_owner *owner = &groups->series[i]->owner;
		struct pod_name found;

		/* A container's name never changes. */
		if (!*owner->group.pod || *owner->pod.container)
			continue;
		/* What was known stays: the pod may be gone, and its series is not. */
		pods_find(pods, &owner->group, &found);
		if (*found.container || (*found.pod && !*owner->pod.pod))
			owner->pod = found;
	}
}

static void drop_member(struct groups *groups, struct group_member *member)
{
	if (member->series)
		member->series->members--;
	free(member->path);
	*member = groups->members[--groups->member_count];
}

/* ---- groups that are gone ---- */

static bool is_gone(const struct groups *groups, const struct group_member *member)
{
	int tree = groups->trees[member->group.tree];

	if (tree < 0)
		return false;
	return !member->path || !cgroup_is_at(tree, member->path, member->group.cgroup_id);
}

/* The records of a removed group are taken over, and their places in the kernel are free for
 * others. No crash comes any more; what its last sockets still do is counted in 'other'. */
static void forget_gone(struct groups *groups)
{
	for (size_t i = groups->member_count; i-- > 0;) {
		struct group_member *member = &groups->members[i];
		struct group_counts counts = {0};

		if (!is_gone(groups, member))
			continue;
		if (groups->task)
			(void)task_probe_take(groups->task, &member->group, &counts.task);
		if (groups->tcp)
			(void)tcp_probe_take_group(groups->tcp, &member->group, &counts.tcp);
		add(member->series ? &member->series->past : &groups->other_past, &counts);
		drop_member(groups, member);
	}
}

static bool is_short_of_room(const struct groups *groups)
{
	return groups->series_count == groups->max_series ||
	       4 * groups->member_count >= 3 * groups->max_groups;
}

/* Gives up the oldest series that has no group any more. Returns whether there was one. */
static bool end_series(struct groups *groups)
{
	for (size_t i = 0; i < groups->series_count; i++) {
		struct group_series *series = groups->series[i];

		if (series->members)
			continue;
		add(&groups->other_past, &series->past);
		add(&groups->other, &series->past);
		free_series(series);
		memmove(&groups->series[i], &groups->series[i + 1],
			(groups->series_count - i - 1) * sizeof(struct group_series *));
		groups->series_count--;
		return true;
	}
	return false;
}

/* ---- groups that are new ---- */

static struct group_series *make_series(struct groups *groups, const char *path)
{
	struct group_series *series;

	if (groups->series_count == groups->max_series && !end_series(groups))
		return NULL;
	series = calloc(1, sizeof(*series));
	if (!series)
		return NULL;
	series->path = strdup(path);
	if (!series->path) {
		free(series);
		return NULL;
	}
	cgroup_name_parse(path, &series->owner.group);
	groups->series[groups->series_count++] = series;
	return series;
}

static struct group_series *find_series(const struct groups *groups, const char *path)
{
	for (size_t i = 0; i < groups->series_count; i++)
		if (!strcmp(groups->series[i]->path, path))
			return groups->series[i];
	return NULL;
}

static struct group_series *find_or_make_series(struct groups *groups, const char *path)
{
	struct group_series *series = find_series(groups, path);

	return series ? series : make_series(groups, path);
}

/* NULL when there is no room or no memory: what it counts is then part of 'other'. So is what the
 * last sockets of a removed group do: a number would tell nobody whose they are. */
static struct group_member *make_member(struct groups *groups, const struct group_key *group,
					bool of_sockets)
{
	char path[CGROUP_PATH_MAX], shown[CGROUP_PATH_MAX];
	int tree = group->tree < GROUP_TREES ? groups->trees[group->tree] : -ENOENT;
	bool known = tree >= 0 && !cgroup_path(tree, group->cgroup_id, path, sizeof(path));
	struct group_series *series = NULL;
	struct group_member *member;

	if (known)
		memcpy(shown, path, sizeof(shown));
	else
		snprintf(shown, sizeof(shown), "id:%" PRIu64, (uint64_t)group->cgroup_id);
	/* Labels must be UTF-8. */
	text_make_printable(shown);
	if (known || tree < 0 || !of_sockets)
		series = find_or_make_series(groups, shown);
	if (groups->member_count == members_max(groups) || group->tree >= GROUP_TREES)
		return NULL;
	member = &groups->members[groups->member_count++];
	*member = (struct group_member){.group = *group, .series = series};
	/* Without memory it is taken for gone, and looked up again when it crashes again. */
	member->path = known ? strdup(path) : NULL;
	if (series)
		series->members++;
	return member;
}

/* ---- reading ---- */

/* One walk through the records of a probe. */
struct walk {
	struct groups *groups;
	struct group_counts counts; /* of the group at hand, as far as that probe tells them */
	bool of_sockets;
};

static void add_record(void *context, const struct group_key *group)
{
	const struct walk *walk = context;
	struct groups *groups = walk->groups;
	struct group_member *member = find_member(groups, group);

	if (!member)
		member = make_member(groups, group, walk->of_sockets);
	if (member)
		member->has_record = true;
	add(member && member->series ? &member->series->sum : &groups->other, &walk->counts);
}

static int read_crashes(struct groups *groups)
{
	struct group_counts other = {.task = task_probe_other(groups->task)};
	struct walk walk = {.groups = groups};

	add(&groups->other, &other);
	return task_probe_read(groups->task, &walk.counts.task, add_record, &walk);
}

static int read_sockets(struct groups *groups)
{
	struct group_counts other = {.tcp = tcp_probe_other_groups(groups->tcp)};
	struct walk walk = {.groups = groups, .of_sockets = true};

	add(&groups->other, &other);
	return tcp_probe_read_groups(groups->tcp, &walk.counts.tcp, add_record, &walk);
}

int groups_read(struct groups *groups)
{
	int r = 0;

	/* Before the walks through the records, which would miss what is given up meanwhile. */
	if (is_short_of_room(groups))
		forget_gone(groups);
	for (size_t i = 0; i < groups->member_count; i++)
		groups->members[i].has_record = false;
	for (size_t i = 0; i < groups->series_count; i++)
		groups->series[i]->sum = groups->series[i]->past;
	groups->other = groups->other_past;
	/* Crashes first: a group that has one gets a series, though it is gone. */
	if (groups->task)
		r = read_crashes(groups);
	if (!r && groups->tcp)
		r = read_sockets(groups);
	if (r)
		return r;
	/* A record is made before its crash is told: these found no room. */
	for (size_t i = groups->member_count; i-- > 0;)
		if (!groups->members[i].has_record)
			drop_member(groups, &groups->members[i]);
	return 0;
}

void groups_note(struct groups *groups, const struct group_key *group)
{
	if (find_member(groups, group))
		return;
	/* Also when nobody asks for the sums. */
	if (is_short_of_room(groups))
		(void)groups_read(groups);
	(void)make_member(groups, group, false);
}

void groups_note_oom_kill(struct groups *groups)
{
	/* Its event tells the group in the v2 tree. That of the other tree stands in the records
	 * alone, and a runtime removes both as soon as a container has ended. */
	if (groups->trees[GROUP_TREE_MEMORY] >= 0)
		(void)groups_read(groups);
}

bool groups_note_sockets(struct groups *groups)
{
	uint64_t made = groups->tcp ? tcp_probe_counters(groups->tcp).group_records_made : 0;

	if (made == groups->records_seen)
		return false;
	groups->records_seen = made;
	(void)groups_read(groups);
	return true;
}
