// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Watched processes. The kernel tells of the end of each by its process descriptor (pidfd), which
 * cannot be mistaken for another process of the same number; how it ended is told by the task
 * probe, before that. When the last one has ended, all processes are looked through at once: there
 * may be others.
 */
#include "agent/health_process.h"

#include "agent/agent.h"
#include "agent/findings.h"
#include "agent/node_objects.h"
#include "agent/pods.h"
#include "base/cgroup.h"
#include "base/clock.h"
#include "base/log.h"
#include "detect/watched.h"
#include "probe/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* Each has a descriptor. Where there are more of one watch, others are found when these end. */
#define PROCESSES_MAX 8
/* While something is missing: so often, but in no more than a fiftieth of the time. */
#define LOOK_NS	   NS_PER_S
#define LOOK_SHARE 50
/* Of the loop's time in one go: when a process has died, and when one is only missing. */
#define SLICE_URGENT_NS (20 * NS_PER_MS)
#define SLICE_NS	(5 * NS_PER_MS)
/* The start of a process is told in ticks by one and in ns by another. */
#define TICK_NS (10 * NS_PER_MS)

struct watch_family;

/* A process that is followed. It is freed when the loop has let go of it. */
struct followed {
	struct watch_family *family;
	unsigned int watch;
	uv_poll_t poll;
	int pidfd;
	struct watched_end end; /* the process, and what is known of its end */
};

struct watch_family {
	struct agent *agent;
	struct config_watch watches[CONFIG_WATCHES_MAX];
	unsigned int watch_count;
	struct watched watched[CONFIG_WATCHES_MAX];
	bool told_missing[CONFIG_WATCHES_MAX];
	struct followed *followed[CONFIG_WATCHES_MAX][PROCESSES_MAX];
	struct watch_look *look; /* under way; NULL: none */
	uint32_t wanted;	 /* in that look */
	bool urgent;
	uint64_t look_ns; /* that it has taken so far */
	uint64_t next_look_ns;
	bool impossible; /* no process descriptors */
};

static int open_pidfd(uint32_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);

	return fd < 0 ? -errno : fd;
}

static void name_of(const struct config_watch *watch, char name[static FINDING_SUBJECT_MAX])
{
	size_t length = strlen(watch->exe);

	/* Of a path that is too long the end says more. */
	if (length >= FINDING_SUBJECT_MAX)
		snprintf(name, FINDING_SUBJECT_MAX, "...%s",
			 watch->exe + length - (FINDING_SUBJECT_MAX - 4));
	else if (length)
		snprintf(name, FINDING_SUBJECT_MAX, "%.63s", watch->exe);
	else if (*watch->unit)
		snprintf(name, FINDING_SUBJECT_MAX, "%.63s", watch->unit);
	else
		snprintf(name, FINDING_SUBJECT_MAX, "port %u", watch->port);
}

/* ---- following ---- */

static void on_closed(uv_handle_t *handle)
{
	struct followed *followed = handle->data;

	close(followed->pidfd);
	free(followed);
}

static bool is_followed(const struct watch_family *family, uint32_t pid)
{
	for (unsigned int i = 0; i < CONFIG_WATCHES_MAX; i++)
		for (unsigned int j = 0; j < PROCESSES_MAX; j++)
			if (family->followed[i][j] && family->followed[i][j]->end.pid == pid)
				return true;
	return false;
}

static void let_go(struct watch_family *family, struct followed **place)
{
	struct task_probe *probe = family->agent->probes.open[PROBE_TASK];
	struct followed *followed = *place;

	*place = NULL;
	/* The same process may be followed for another watch, too. */
	if (probe && !is_followed(family, followed->end.pid))
		task_probe_unwatch(probe, followed->end.pid);
	uv_close((uv_handle_t *)&followed->poll, on_closed);
}

static void go_on_looking(struct watch_family *family);
static void begin_looking(struct watch_family *family, bool urgent);

static void on_end(uv_poll_t *poll, int status, int events)
{
	struct followed *followed = poll->data, **place;
	struct watch_family *family = followed->family;
	struct watched *watched = &family->watched[followed->watch];

	(void)status;
	(void)events;
	place = family->followed[followed->watch];
	while (*place != followed)
		place++;
	/* What the task probe says of it lies in its ring already. */
	agent_take_ends(family->agent);
	if (!followed->end.explained)
		followed->end.end_ns = clock_boottime_ns();
	watched_ends(watched, &followed->end);
	let_go(family, place);
	if (!watched_is_in_doubt(watched))
		return;
	begin_looking(family, true);
	go_on_looking(family);
}

/* The task probe tells how a process ended. */
static void explain(void *context, const struct task_event *event, uint64_t now_ns)
{
	struct watch_family *family = context;
	uint64_t age_ns = clock_monotonic_ns() - event->time_ns;

	(void)now_ns;
	for (unsigned int i = 0; i < family->watch_count; i++) {
		for (unsigned int j = 0; j < PROCESSES_MAX; j++) {
			struct followed *followed = family->followed[i][j];

			if (!followed || followed->end.pid != event->pid ||
			    event->start_ns < followed->end.start_ns ||
			    event->start_ns > followed->end.start_ns + TICK_NS)
				continue;
			followed->end.explained = true;
			followed->end.status = event->status;
			followed->end.oom_killed = event->oom_killed;
			followed->end.end_ns = clock_boottime_ns() - age_ns;
		}
	}
}

static bool has_ended(int pidfd)
{
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) > 0;
}

/* Follows a process from now on. Returns 0 or a negative errno. */
static int follow(struct watch_family *family, unsigned int watch, struct followed **place,
		  uint32_t pid)
{
	struct task_probe *probe = family->agent->probes.open[PROBE_TASK];
	struct followed *followed = calloc(1, sizeof(*followed));
	int r;

	if (!followed)
		return -ENOMEM;
	followed->family = family;
	followed->watch = watch;
	followed->end.pid = pid;
	followed->pidfd = open_pidfd(pid);
	if (followed->pidfd < 0) {
		r = followed->pidfd;
		free(followed);
		return r;
	}
	/* Its number may be that of a newer process by now: that is found by the next look. */
	followed->end.start_ns = watch_process_start_ns(pid);
	if (!followed->end.start_ns || followed->end.start_ns > watch_look_begun_ns(family->look) ||
	    has_ended(followed->pidfd)) {
		r = -ESRCH;
		goto failed;
	}
	watch_process_exe(pid, followed->end.exe, sizeof(followed->end.exe));
	/* When it has ended, nobody can tell. */
	(void)cgroup_name_of_process(pid, &followed->end.group);
	r = uv_poll_init(&family->agent->loop, &followed->poll, followed->pidfd);
	if (r)
		goto failed;
	followed->poll.data = followed;
	*place = followed;
	/* Without it its end is told all the same, but not how it came. */
	if (probe)
		(void)task_probe_watch(probe, pid);
	r = uv_poll_start(&followed->poll, UV_READABLE, on_end);
	if (r)
		let_go(family, place);
	return r;

failed:
	close(followed->pidfd);
	free(followed);
	return r;
}

static void found(void *context, unsigned int watch, uint32_t pid)
{
	struct watch_family *family = context;
	struct watched *watched = &family->watched[watch];
	struct followed **place = NULL;
	char name[FINDING_SUBJECT_MAX];
	int r;

	for (unsigned int i = 0; i < PROCESSES_MAX; i++) {
		struct followed **at = &family->followed[watch][i];

		if (*at && (*at)->end.pid == pid)
			return;
		if (!*at && !place)
			place = at;
	}
	if (!place)
		return;
	name_of(&family->watches[watch], name);
	r = follow(family, watch, place, pid);
	if (r && r != -ESRCH)
		log_warning("a process cannot be watched", log_string("watch", name),
			    log_unsigned("pid", pid), log_errno("error", r));
	if (r)
		return;
	watched_begins(watched, pid, (*place)->end.start_ns);
	log_info("process watched", log_string("watch", name), log_unsigned("pid", pid),
		 log_string("exe", (*place)->end.exe));
}

/* ---- looking ---- */

static void say_died(struct watch_family *family, unsigned int watch, uint64_t now_ns)
{
	const struct watched *watched = &family->watched[watch];
	uint64_t age_ns = clock_boottime_ns() - watched->end.end_ns;
	struct cgroup_owner owner = {.group = watched->end.group};
	char name[FINDING_SUBJECT_MAX], sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);

	name_of(&family->watches[watch], name);
	watched_explain_death(watched, name, &text);
	pods_find(node_objects_pods(family->agent->node_objects), &owner.group, &owner.pod);
	(void)cgroup_owner_explain(&owner, "; it was of ", &text);
	findings_say(agent_findings_list(family->agent->findings), FINDING_WATCHED_PROCESS_DIED,
		     name, FINDING_ACTIVE, now_ns - age_ns, 0, now_ns, sentence);
}

static void say_returned(struct watch_family *family, unsigned int watch, uint64_t now_ns)
{
	char name[FINDING_SUBJECT_MAX], sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);

	name_of(&family->watches[watch], name);
	watched_explain_return(&family->watched[watch], &text);
	findings_end(agent_findings_list(family->agent->findings), FINDING_WATCHED_PROCESS_DIED,
		     name, sentence, now_ns);
}

static void judge(struct watch_family *family, unsigned int watch, uint64_t now_ns)
{
	enum watched_news news = watched_looked(&family->watched[watch]);
	char name[FINDING_SUBJECT_MAX];

	if (news == WATCHED_DIED || news == WATCHED_RESTARTED)
		say_died(family, watch, now_ns);
	if (news == WATCHED_RETURNED || news == WATCHED_RESTARTED)
		say_returned(family, watch, now_ns);
	if (family->watched[watch].seen || family->told_missing[watch])
		return;
	family->told_missing[watch] = true;
	name_of(&family->watches[watch], name);
	log_warning("what is to be watched does not run", log_string("watch", name),
		    log_string("consequence", "its end is a finding only after it has run"));
}

static void end_looking(struct watch_family *family)
{
	watch_look_end(family->look);
	family->look = NULL;
}

static void go_on_looking(struct watch_family *family)
{
	struct findings *findings = agent_findings_list(family->agent->findings);
	uint64_t begun_ns = clock_monotonic_ns(), now_ns;
	bool over;

	if (!family->look)
		return;
	over = watch_look_go_on(family->look, family->urgent ? SLICE_URGENT_NS : SLICE_NS, found,
				family);
	now_ns = clock_monotonic_ns();
	family->look_ns += now_ns - begun_ns;
	if (!over)
		return;
	if (watch_look_is_denied(family->look))
		findings_set_blind(findings, FINDING_WATCHED_PROCESS_DIED,
				   "most processes may not be looked into: CAP_SYS_PTRACE is "
				   "missing");
	end_looking(family);
	family->next_look_ns =
		now_ns +
		(family->look_ns * LOOK_SHARE > LOOK_NS ? family->look_ns * LOOK_SHARE : LOOK_NS);
	for (unsigned int i = 0; i < family->watch_count; i++)
		if (family->wanted & UINT32_C(1) << i)
			judge(family, i, now_ns);
}

/* For all that is missing. One that is under way begins anew: it may have been past what is new. */
static void begin_looking(struct watch_family *family, bool urgent)
{
	int r;

	end_looking(family);
	family->wanted = 0;
	family->urgent = urgent;
	family->look_ns = 0;
	for (unsigned int i = 0; i < family->watch_count; i++)
		if (watched_is_missing(&family->watched[i]))
			family->wanted |= UINT32_C(1) << i;
	if (!family->wanted)
		return;
	r = watch_look_begin(&family->look, family->watches, family->wanted);
	/* Tried again when it is due again. */
	if (r)
		log_warning("processes cannot be looked for", log_errno("error", r));
	family->next_look_ns = clock_monotonic_ns() + LOOK_NS;
}

/* ---- what is watched ---- */

static void forget(struct watch_family *family, unsigned int watch, uint64_t now_ns)
{
	char name[FINDING_SUBJECT_MAX];

	for (unsigned int i = 0; i < PROCESSES_MAX; i++)
		if (family->followed[watch][i])
			let_go(family, &family->followed[watch][i]);
	name_of(&family->watches[watch], name);
	findings_end(agent_findings_list(family->agent->findings), FINDING_WATCHED_PROCESS_DIED,
		     name, "it is not watched any more", now_ns);
}

static bool is_same(const struct config_watch *one, const struct config_watch *other)
{
	return !memcmp(one, other, sizeof(*one));
}

/* Takes over what is configured now; of what was before, it goes on where it was. */
static void configure(struct watch_family *family, const struct config_watch *watches,
		      unsigned int count, uint64_t now_ns)
{
	struct watched watched[CONFIG_WATCHES_MAX] = {0};
	struct followed *followed[CONFIG_WATCHES_MAX][PROCESSES_MAX] = {{NULL}};

	end_looking(family);
	for (unsigned int i = 0; i < family->watch_count; i++) {
		unsigned int to = 0;

		while (to < count && !is_same(&family->watches[i], &watches[to]))
			to++;
		if (to == count) {
			forget(family, i, now_ns);
			continue;
		}
		watched[to] = family->watched[i];
		memcpy(followed[to], family->followed[i], sizeof(followed[to]));
		for (unsigned int j = 0; j < PROCESSES_MAX; j++)
			if (followed[to][j])
				followed[to][j]->watch = to;
	}
	memcpy(family->watched, watched, sizeof(watched));
	memcpy(family->followed, followed, sizeof(followed));
	memset(family->told_missing, 0, sizeof(family->told_missing));
	memset(family->watches, 0, sizeof(family->watches));
	memcpy(family->watches, watches, count * sizeof(*watches));
	family->watch_count = count;
	family->next_look_ns = now_ns;
}

static bool is_missing(const struct watch_family *family)
{
	for (unsigned int i = 0; i < family->watch_count; i++)
		if (watched_is_missing(&family->watched[i]))
			return true;
	return false;
}

static void turn(void *context, uint64_t now_ns)
{
	struct watch_family *family = context;
	const struct config *config = &family->agent->config;
	unsigned int count = config->watch_count;

	if (family->impossible ||
	    config->findings.settings[FINDING_WATCHED_PROCESS_DIED].response ==
		    FINDING_RESPONSE_OFF)
		count = 0;
	if (count != family->watch_count ||
	    memcmp(config->watches, family->watches, count * sizeof(*config->watches)))
		configure(family, config->watches, count, now_ns);
	if (!family->look && now_ns >= family->next_look_ns && is_missing(family))
		begin_looking(family, false);
	go_on_looking(family);
}

static int open_family(void **ret_family, struct agent *agent)
{
	struct watch_family *family = calloc(1, sizeof(*family));
	int fd;

	*ret_family = family;
	if (!family)
		return -ENOMEM;
	family->agent = agent;
	fd = open_pidfd((uint32_t)getpid());
	family->impossible = fd < 0;
	if (fd >= 0)
		close(fd);
	else if (agent->config.watch_count)
		findings_set_blind(agent_findings_list(agent->findings),
				   FINDING_WATCHED_PROCESS_DIED,
				   "this kernel has no process descriptors (pidfd, Linux 5.3)");
	return 0;
}

static void close_family(void *context)
{
	struct watch_family *family = context;

	end_looking(family);
	for (unsigned int i = 0; i < CONFIG_WATCHES_MAX; i++)
		for (unsigned int j = 0; j < PROCESSES_MAX; j++)
			if (family->followed[i][j])
				let_go(family, &family->followed[i][j]);
	free(family);
}

const struct health_family health_watch = {
	.name = "watch",
	.open = open_family,
	.turn = turn,
	.crashed = explain,
	.exited = explain,
	.close = close_family,
};
