// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tasks that hang: all tasks are looked through some seconds apart. */
#include "agent/health_process.h"

#include "agent/agent.h"
#include "agent/findings.h"
#include "agent/node_objects.h"
#include "agent/pods.h"
#include "base/clock.h"
#include "detect/hung.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS (5 * NS_PER_S)
/* While a finding stands, so that its end is told soon. */
#define LOOK_STANDING_NS NS_PER_S

struct hung_family {
	struct agent *agent;
	struct hung hung;
	uint64_t looked_ns;
};

static void see(void *context, const struct task_sleeper *sleeper)
{
	struct hung_family *family = context;
	struct hung_sighting sighting = {
		.start_ns = sleeper->start_ns,
		.switches = sleeper->switches,
		.tid = sleeper->tid,
		.pid = sleeper->pid,
		.killable = sleeper->killable,
		.cgroup_id = sleeper->group.cgroup_id,
		.cgroup_tree = sleeper->group.tree,
	};

	memcpy(sighting.comm, sleeper->comm, sizeof(sighting.comm));
	sighting.comm[sizeof(sighting.comm) - 1] = '\0';
	hung_see(&family->hung, &sighting, family->looked_ns);
}

/* The function of the kernel in which it sleeps. Not from its stack: to read that waits for a task
 * that hangs while it begins a program. */
static void read_place(const struct hung_sighting *sighting, char *place, size_t size)
{
	char path[64];
	size_t length;
	FILE *stream;

	*place = '\0';
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/task/%" PRIu32 "/wchan", sighting->pid,
		 sighting->tid);
	stream = fopen(path, "re");
	if (!stream)
		return;
	length = fread(place, 1, size - 1, stream);
	fclose(stream);
	/* "0": it may not be known, or runs again. */
	place[length == 1 && *place == '0' ? 0 : length] = '\0';
}

/* The container and the pod that it belongs to, else its control group. */
static void read_owner(const struct hung_family *family, const struct hung_sighting *sighting,
		       struct text *text)
{
	const struct agent *agent = family->agent;
	int tree = sighting->cgroup_tree < GROUP_TREES ? agent->groups.trees[sighting->cgroup_tree]
						       : -1;
	char path[CGROUP_PATH_MAX];
	struct cgroup_owner owner;

	if (tree < 0 || cgroup_path(tree, sighting->cgroup_id, path, sizeof(path)))
		return;
	owner = pods_owner(node_objects_pods(agent->node_objects), path);
	if (!cgroup_owner_explain(&owner, "", text))
		text_printf(text, "group %s", path);
}

static void tell(struct hung_family *family, const struct hung_subject *subject, uint64_t after_ns,
		 uint64_t now_ns)
{
	const struct hung_sighting *longest = &subject->longest->sighting;
	char place[64], owner[CGROUP_PATH_MAX + 16] = "", sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence), owner_text = TEXT(owner);

	read_place(longest, place, sizeof(place));
	read_owner(family, longest, &owner_text);
	hung_explain(subject, place, owner, after_ns, now_ns, &text);
	findings_say(agent_findings_list(family->agent->findings), FINDING_TASK_HUNG, subject->name,
		     FINDING_ACTIVE, subject->longest->since_ns, 0, now_ns, sentence);
}

static bool is_listed(const char *name, const struct hung_subject *subjects, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (!strcmp(subjects[i].name, name))
			return true;
	return false;
}

/* What stands of those that do not hang any more. */
static void end_others(struct hung_family *family, const struct hung_subject *subjects,
		       unsigned int count, uint64_t now_ns)
{
	struct findings *findings = agent_findings_list(family->agent->findings);

	for (unsigned int i = findings->count; i-- > 0;) {
		const struct finding finding = findings->standing[i];

		if (finding.kind == FINDING_TASK_HUNG &&
		    !is_listed(finding.subject, subjects, count))
			findings_end(findings, FINDING_TASK_HUNG, finding.subject,
				     "it runs again, or has ended", now_ns);
	}
}

static void turn(void *context, uint64_t now_ns)
{
	struct hung_family *family = context;
	struct agent *agent = family->agent;
	struct findings *findings = agent_findings_list(agent->findings);
	uint64_t after_ns = agent->config.findings.limits.task_hung.after_s * NS_PER_S;
	struct hung_subject subjects[HUNG_SUBJECTS_MAX];
	const char *obstacle;
	unsigned int count;
	int r;

	if (agent->config.findings.settings[FINDING_TASK_HUNG].response == FINDING_RESPONSE_OFF ||
	    now_ns < family->looked_ns + LOOK_STANDING_NS)
		return;
	count = hung_list(&family->hung, after_ns, now_ns, subjects);
	if (!count && now_ns < family->looked_ns + LOOK_NS)
		return;
	family->looked_ns = now_ns;
	obstacle = probes_program_obstacle(&agent->probes, PROBE_TASK, TASK_PROBE_SLEEPERS);
	findings_set_blind(findings, FINDING_TASK_HUNG, obstacle);
	if (*obstacle)
		return;
	hung_begin_look(&family->hung);
	r = task_probe_sleepers(agent->probes.open[PROBE_TASK], see, family);
	if (r) {
		findings_set_blind(findings, FINDING_TASK_HUNG, strerror(-r));
		return;
	}
	hung_end_look(&family->hung);
	count = hung_list(&family->hung, after_ns, now_ns, subjects);
	for (unsigned int i = 0; i < count; i++)
		tell(family, &subjects[i], after_ns, now_ns);
	end_others(family, subjects, count, now_ns);
}

static int open_family(void **ret_family, struct agent *agent)
{
	struct hung_family *family = calloc(1, sizeof(*family));

	*ret_family = family;
	if (!family)
		return -ENOMEM;
	family->agent = agent;
	return 0;
}

const struct health_family health_hung = {
	.name = "task-hung",
	.open = open_family,
	.turn = turn,
	.close = free,
};
