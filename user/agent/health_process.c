// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Crash loops: each crash is judged when it is told. */
#include "agent/health_process.h"

#include "agent/agent.h"
#include "agent/findings.h"
#include "agent/node_objects.h"
#include "base/clock.h"
#include "detect/crash_loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* How often it is looked whether something has stopped crashing. */
#define LOOK_NS NS_PER_S

struct crash_family {
	struct agent *agent;
	struct crash_loop loop;
	uint64_t looked_ns;
};

static void crashed(void *context, const struct task_event *event, uint64_t now_ns)
{
	struct crash_family *family = context;
	const struct config *config = &family->agent->config;
	const struct finding_limits *limits = &config->findings.limits;
	struct crash crash = {.time_ns = event->time_ns,
			      .pid = event->pid,
			      .signal = (uint8_t)WTERMSIG((int)event->status),
			      .oom_killed = event->oom_killed};
	char name[FINDING_SUBJECT_MAX], sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	const struct crash_subject *subject;
	struct cgroup_owner owner;
	uint64_t since_ns = 0;

	if (config->findings.settings[FINDING_CRASH_LOOP].response == FINDING_RESPONSE_OFF ||
	    !crash_loop_counts(crash.signal, crash.oom_killed))
		return;
	memcpy(crash.comm, event->comm, sizeof(crash.comm));
	crash.comm[sizeof(crash.comm) - 1] = '\0';
	owner = groups_owner(&family->agent->groups, node_objects_pods(family->agent->node_objects),
			     &event->group);
	crash_loop_name(&owner, crash.comm, name);
	subject = crash_loop_note(&family->loop, name, &crash);
	if (crash_loop_judge(subject, limits->crash_loop.crashes,
			     limits->crash_loop.within_s * NS_PER_S, now_ns, &since_ns,
			     &text) != FINDING_ACTIVE)
		return;
	(void)cgroup_owner_explain(&owner, " in ", &text);
	findings_say(agent_findings_list(family->agent->findings), FINDING_CRASH_LOOP, name,
		     FINDING_ACTIVE, since_ns, 0, clock_monotonic_ns(), sentence);
}

static bool has_stopped(const struct crash_family *family, const char *name, uint64_t within_ns,
			uint64_t now_ns)
{
	const struct crash_subject *subject = crash_loop_find(&family->loop, name);
	char sentence[FINDING_SENTENCE_MAX];
	struct text text = TEXT(sentence);
	uint64_t since_ns;

	return !subject ||
	       crash_loop_judge(subject, 1, within_ns, now_ns, &since_ns, &text) == FINDING_QUIET;
}

static void turn(void *context, uint64_t now_ns)
{
	struct crash_family *family = context;
	struct findings *findings = agent_findings_list(family->agent->findings);
	uint32_t within_s = family->agent->config.findings.limits.crash_loop.within_s;
	char why[64];

	if (now_ns < family->looked_ns + LOOK_NS)
		return;
	family->looked_ns = now_ns;
	findings_set_blind(findings, FINDING_CRASH_LOOP,
			   probes_obstacle(&family->agent->probes, PROBE_TASK));
	snprintf(why, sizeof(why), "no crash for %u s", within_s);
	for (unsigned int i = findings->count; i-- > 0;) {
		const struct finding finding = findings->standing[i];

		if (finding.kind == FINDING_CRASH_LOOP &&
		    has_stopped(family, finding.subject, within_s * NS_PER_S, now_ns))
			findings_end(findings, FINDING_CRASH_LOOP, finding.subject, why, now_ns);
	}
}

static int open_family(void **ret_family, struct agent *agent)
{
	struct crash_family *family = calloc(1, sizeof(*family));

	*ret_family = family;
	if (!family)
		return -ENOMEM;
	family->agent = agent;
	return 0;
}

const struct health_family health_crash_loop = {
	.name = "crash-loop",
	.open = open_family,
	.turn = turn,
	.crashed = crashed,
	.close = free,
};
