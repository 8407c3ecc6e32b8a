// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/health_overload.h"

#include "agent/agent.h"
#include "agent/findings.h"
#include "agent/node_objects.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "detect/overload.h"
#include "probe/pressure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_NS	  NS_PER_S
#define WINDOW_NS (5 * NS_PER_S)

#define CLEAR_NS (15 * NS_PER_S)
/* As of an error: nobody can say that it will not happen again. */
#define CLEAR_KILLED_NS (60 * NS_PER_S)

/* Those of probe/pressure.h that are read here. */
#define SOURCES (PRESSURE_CPU_TIME + 1)

/* Groups with an OOM kill that stand at a time; more are said of the node. */
#define VICTIMS_MAX 8

/* What only grows, as of the beginning of a window. */
struct cpu_counts {
	uint64_t time_ns;
	bool waits_known;
	uint64_t waited_us;
	struct sched_record delays;
	struct pressure_cpu_time time;
};

struct overload_family {
	struct agent *agent;
	int fds[SOURCES];	    /* negative errno, and 'reasons' says why */
	char reasons[SOURCES][192]; /* why it cannot be read; "" */
	uint64_t looked_ns;
	struct cpu_counts before; /* time_ns 0: there is none */
	struct cpu_overload cpu;
	char victims[VICTIMS_MAX][FINDING_SUBJECT_MAX]; /* "": free */
};

static struct findings *list_of(const struct overload_family *family)
{
	return agent_findings_list(family->agent->findings);
}

static bool is_off(const struct overload_family *family, enum finding_kind kind)
{
	return family->agent->config.findings.settings[kind].response == FINDING_RESPONSE_OFF;
}

/* What stood when it was switched off ends. */
static void end(struct overload_family *family, enum finding_kind kind, const char *subject,
		uint64_t now_ns)
{
	findings_end(list_of(family), kind, subject, "it is not looked for any more", now_ns);
}

/* A file that could be read before and cannot be now: blind until it can be. */
static void note_reading(struct overload_family *family, enum pressure_source source, int error)
{
	char *reason = family->reasons[source];

	if (family->fds[source] < 0)
		return;
	if (!error)
		*reason = '\0';
	else
		snprintf(reason, sizeof(family->reasons[source]), "cannot be read any more: %s",
			 strerror(-error));
}

/* 'rest': what is judged all the same; the reasons of two sources, "" where there is none. */
static void set_blind(const struct overload_family *family, enum finding_kind kind,
		      const char *reason, const char *other, const char *rest)
{
	char buffer[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(buffer);

	if (*reason || *other)
		text_printf(&text, "%s%s%s%s", reason, *reason && *other ? "; " : "", other, rest);
	findings_set_blind(list_of(family), kind, buffer);
}

/* ---- CPU ---- */

static int count_cpu(struct overload_family *family, uint64_t now_ns, struct cpu_counts *ret_counts)
{
	const struct sched_probe *probe = family->agent->probes.open[PROBE_SCHED];
	const char *probe_error = probes_obstacle(&family->agent->probes, PROBE_SCHED);
	struct pressure pressure = {0};
	int r;

	*ret_counts = (struct cpu_counts){.time_ns = now_ns};
	r = pressure_read(family->fds[PRESSURE_CPU], &pressure);
	note_reading(family, PRESSURE_CPU, r);
	ret_counts->waited_us = pressure.some.total_us;
	ret_counts->waits_known =
		!r && !*probe_error && !sched_probe_read(probe, &ret_counts->delays);
	r = pressure_read_cpu_time(family->fds[PRESSURE_CPU_TIME], &ret_counts->time);
	note_reading(family, PRESSURE_CPU_TIME, r);
	if (r)
		set_blind(family, FINDING_CPU_OVERLOAD, family->reasons[PRESSURE_CPU_TIME], "", "");
	else
		set_blind(family, FINDING_CPU_OVERLOAD, family->reasons[PRESSURE_CPU], probe_error,
			  "; only busy time is judged");
	return r;
}

static uint32_t quantile_us(const struct sched_record *before, const struct sched_record *now)
{
	uint32_t counts[HISTOGRAM_BUCKETS];

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		counts[i] = (uint32_t)(now->counts[i] - before->counts[i]);
	return histogram_quantile_us(counts, 0.99);
}

/* The kernel's idle time goes back at times. */
static double grown(uint64_t before, uint64_t now)
{
	return now > before ? (double)(now - before) : 0;
}

static struct cpu_window window_between(const struct cpu_counts *before,
					const struct cpu_counts *now)
{
	double busy = grown(before->time.busy, now->time.busy);
	double stolen = grown(before->time.stolen, now->time.stolen);
	double all = busy + stolen + grown(before->time.idle, now->time.idle);
	double length_us = (double)(now->time_ns - before->time_ns) / NS_PER_US;

	return (struct cpu_window){
		.begin_ns = before->time_ns,
		.end_ns = now->time_ns,
		.waits_known = before->waits_known && now->waits_known,
		.pressure_percent = grown(before->waited_us, now->waited_us) * 100 / length_us,
		.wait_us = quantile_us(&before->delays, &now->delays),
		.busy_percent = all > 0 ? busy * 100 / all : 0,
		.stolen_percent = all > 0 ? stolen * 100 / all : 0,
	};
}

static void look_at_cpu(struct overload_family *family, uint64_t now_ns)
{
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	enum finding_level level;
	struct cpu_window window;
	struct cpu_counts now;
	uint64_t since_ns = 0;

	if (is_off(family, FINDING_CPU_OVERLOAD)) {
		end(family, FINDING_CPU_OVERLOAD, FINDING_SUBJECT_NODE, now_ns);
		family->before.time_ns = 0;
		family->cpu = (struct cpu_overload){0};
		return;
	}
	if (family->before.time_ns && now_ns < family->before.time_ns + WINDOW_NS)
		return;
	if (count_cpu(family, now_ns, &now)) {
		family->before.time_ns = 0;
		return;
	}
	if (family->before.time_ns) {
		window = window_between(&family->before, &now);
		level = cpu_overload(&family->cpu, &window, &family->agent->config.findings.limits,
				     &since_ns, &text);
		findings_say(list_of(family), FINDING_CPU_OVERLOAD, FINDING_SUBJECT_NODE, level,
			     since_ns, CLEAR_NS, now_ns, sentence);
	}
	family->before = now;
}

/* ---- memory and I/O ---- */

static void look_at_pressure(struct overload_family *family, enum finding_kind kind,
			     enum pressure_source source, double limit_percent, const char *what,
			     uint64_t now_ns)
{
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	struct pressure pressure;
	enum finding_level level;
	int r;

	r = pressure_read(family->fds[source], &pressure);
	note_reading(family, source, r);
	if (r)
		return;
	level = pressure_level(pressure.full.avg10_percent, limit_percent, what, &text);
	findings_say(list_of(family), kind, FINDING_SUBJECT_NODE, level, now_ns, CLEAR_NS, now_ns,
		     sentence);
}

static void look_at_memory(struct overload_family *family, uint64_t now_ns)
{
	const struct agent *agent = family->agent;
	const char *probe_error = probes_obstacle(&agent->probes, PROBE_TASK);

	if (is_off(family, FINDING_MEMORY_PRESSURE)) {
		end(family, FINDING_MEMORY_PRESSURE, FINDING_SUBJECT_NODE, now_ns);
		for (size_t i = 0; i < VICTIMS_MAX; i++) {
			end(family, FINDING_MEMORY_PRESSURE, family->victims[i], now_ns);
			*family->victims[i] = '\0';
		}
		return;
	}
	look_at_pressure(family, FINDING_MEMORY_PRESSURE, PRESSURE_MEMORY,
			 agent->config.findings.limits.memory_pressure.pressure_percent, "memory",
			 now_ns);
	set_blind(family, FINDING_MEMORY_PRESSURE, family->reasons[PRESSURE_MEMORY], probe_error,
		  *probe_error ? "; OOM kills are not seen" : "; only OOM kills are seen");
	for (size_t i = 0; i < VICTIMS_MAX; i++) {
		if (!*family->victims[i])
			continue;
		findings_say(list_of(family), FINDING_MEMORY_PRESSURE, family->victims[i],
			     FINDING_QUIET, 0, CLEAR_KILLED_NS, now_ns, "");
		if (!findings_find(list_of(family), FINDING_MEMORY_PRESSURE, family->victims[i]))
			*family->victims[i] = '\0';
	}
}

static void look_at_io(struct overload_family *family, uint64_t now_ns)
{
	if (is_off(family, FINDING_IO_PRESSURE)) {
		end(family, FINDING_IO_PRESSURE, FINDING_SUBJECT_NODE, now_ns);
		return;
	}
	look_at_pressure(family, FINDING_IO_PRESSURE, PRESSURE_IO,
			 family->agent->config.findings.limits.io_pressure.pressure_percent, "I/O",
			 now_ns);
	set_blind(family, FINDING_IO_PRESSURE, family->reasons[PRESSURE_IO], "", "");
}

/* The pod, the unit or the container where the group belongs to one, else the group itself. */
static void name_victim(const struct cgroup_owner *owner, const char *path,
			char subject[static FINDING_SUBJECT_MAX])
{
	const char *shown = path ? path : "a group that is gone";

	if (cgroup_owner_subject(owner, subject, FINDING_SUBJECT_MAX))
		return;
	if (*owner->group.unit)
		shown = owner->group.unit;
	else if (*owner->group.container)
		shown = owner->group.container;
	snprintf(subject, FINDING_SUBJECT_MAX, "%.*s", FINDING_SUBJECT_MAX - 1, shown);
}

/* The place where it stands already or can be put, or NULL. */
static char *find_victim(struct overload_family *family, const char *subject)
{
	char *room = NULL;

	for (size_t i = 0; i < VICTIMS_MAX; i++) {
		if (!strcmp(family->victims[i], subject))
			return family->victims[i];
		if (!*family->victims[i] && !room)
			room = family->victims[i];
	}
	return room;
}

static void crashed(void *context, const struct task_event *event, uint64_t now_ns)
{
	struct overload_family *family = context;
	const char *path = groups_path(&family->agent->groups, &event->group);
	char subject[FINDING_SUBJECT_MAX], sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	struct cgroup_owner owner;
	char *victim;

	if (!event->oom_killed || is_off(family, FINDING_MEMORY_PRESSURE))
		return;
	owner = groups_owner(&family->agent->groups, node_objects_pods(family->agent->node_objects),
			     &event->group);
	name_victim(&owner, path, subject);
	victim = find_victim(family, subject);
	text_printf(&text,
		    "the kernel killed %.*s (pid %" PRIu32 ") for want of memory, expected no such "
		    "kill; ",
		    TASK_COMM_BYTES, event->comm, event->pid);
	if (!cgroup_owner_explain(&owner, "", &text))
		text_printf(&text, "control group %s", path ? path : "gone");
	if (victim)
		memcpy(victim, subject, sizeof(subject));
	findings_say(list_of(family), FINDING_MEMORY_PRESSURE,
		     victim ? subject : FINDING_SUBJECT_NODE, FINDING_ACTIVE, event->time_ns,
		     CLEAR_KILLED_NS, now_ns, sentence);
}

/* ---- the family ---- */

static void turn(void *context, uint64_t now_ns)
{
	struct overload_family *family = context;

	if (now_ns < family->looked_ns + LOOK_NS)
		return;
	family->looked_ns = now_ns;
	look_at_cpu(family, now_ns);
	look_at_memory(family, now_ns);
	look_at_io(family, now_ns);
}

static int open_family(void **ret_family, struct agent *agent)
{
	struct overload_family *family = calloc(1, sizeof(*family));

	*ret_family = family;
	if (!family)
		return -ENOMEM;
	family->agent = agent;
	for (unsigned int i = 0; i < SOURCES; i++) {
		struct text reason = TEXT(family->reasons[i]);

		family->fds[i] = pressure_open(i, &reason);
	}
	return 0;
}

static void close_family(void *context)
{
	struct overload_family *family = context;

	for (unsigned int i = 0; i < SOURCES; i++)
		if (family->fds[i] >= 0)
			close(family->fds[i]);
	free(family);
}

const struct health_family health_overload = {
	.name = "overload",
	.open = open_family,
	.turn = turn,
	.crashed = crashed,
	.close = close_family,
};
