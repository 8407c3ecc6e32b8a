// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/incident.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void incident_copy_name(char target[static INCIDENT_NAME_MAX], const char *name)
{
	size_t length = strnlen(name, INCIDENT_NAME_MAX - 1);

	memcpy(target, name, length);
	target[length] = '\0';
}

bool incident_same_name(const char *kept, const char *name)
{
	return !strncmp(kept, name, INCIDENT_NAME_MAX - 1);
}

const char *incident_source_name(enum incident_source source)
{
	static const char *const names[] = {
		[INCIDENT_BY_EDGE] = "edge",
		[INCIDENT_BY_CLUSTER] = "cluster",
		[INCIDENT_BY_FINDING] = "finding",
		[INCIDENT_BY_HAND] = "manual",
	};

	return names[source];
}

static uint64_t since_first_evidence(const struct incident *incident, uint64_t moment_ns)
{
	return moment_ns == INCIDENT_NEVER ? INCIDENT_NEVER
					   : moment_ns - incident->first_evidence_ns;
}

uint64_t incident_detect_ns(const struct incident *incident)
{
	return since_first_evidence(incident, incident->detected_ns);
}

uint64_t incident_isolate_ns(const struct incident *incident)
{
	return since_first_evidence(incident, incident->isolated_ns);
}

uint64_t incident_recover_ns(const struct incident *incident)
{
	return since_first_evidence(incident, incident->recovered_ns);
}

void incident_free(struct incident *incident)
{
	if (!incident)
		return;
	free(incident->members);
	json_decref(incident->sentence);
	json_decref(incident->verdict);
	json_decref(incident->decision);
	json_decref(incident->actions);
	json_decref(incident->refusals);
	free(incident);
}

void incident_keep(json_t **kept, json_t *value)
{
	json_incref(value);
	json_decref(*kept);
	*kept = value;
}

struct incident_member *incident_find_member(const struct incident *incident, const char *name)
{
	for (size_t i = 0; i < incident->member_count; i++)
		if (incident_same_name(incident->members[i].name, name))
			return &incident->members[i];
	return NULL;
}

struct incident_member *incident_add_member(struct incident *incident, const char *name)
{
	struct incident_member *member = incident_find_member(incident, name);
	size_t count = incident->member_count;

	if (member)
		return member;
	if (count >= INCIDENT_OPEN_MAX) {
		errno = ENOBUFS;
		return NULL;
	}
	/* Room for a power of two of them. */
	if (!(count & (count - 1))) {
		member = reallocarray(incident->members, count ? 2 * count : 1, sizeof(*member));
		if (!member)
			return NULL;
		incident->members = member;
	}
	member = &incident->members[incident->member_count++];
	*member = (struct incident_member){0};
	incident_copy_name(member->name, name);
	return member;
}

int incident_merge(struct incident *incident, const struct incident *other)
{
	for (size_t i = 0; i < other->member_count; i++) {
		const struct incident_member *old = &other->members[i];
		struct incident_member *member = incident_add_member(incident, old->name);

		if (!member)
			return -errno;
		member->named |= old->named;
		if (old->edge)
			member->edge_state = old->edge_state;
		member->edge |= old->edge;
		member->verdict |= old->verdict;
		member->isolated |= old->isolated;
		member->fenced |= old->fenced;
	}
	if (other->first_evidence_ns < incident->first_evidence_ns) {
		incident->first_evidence_ns = other->first_evidence_ns;
		incident->first_evidence_time_ns = other->first_evidence_time_ns;
	}
	incident->detected_ns = clock_earlier(incident->detected_ns, other->detected_ns);
	incident->isolated_ns = clock_earlier(incident->isolated_ns, other->isolated_ns);
	if (!incident->sentence)
		incident_keep(&incident->sentence, other->sentence);
	if (!incident->verdict)
		incident_keep(&incident->verdict, other->verdict);
	if (json_array_extend(incident->actions, other->actions) ||
	    json_array_extend(incident->refusals, other->refusals))
		return -ENOMEM;
	if (!incident->decision)
		incident_keep(&incident->decision, other->decision);
	if (other->agent_restarts > incident->agent_restarts)
		incident->agent_restarts = other->agent_restarts;
	incident->records_lost |= other->records_lost;
	return 0;
}

struct incident_class *incident_totals_class(struct incident_totals *totals, const char *name)
{
	size_t i = 0;

	while (i < totals->class_count && !incident_same_name(totals->classes[i].name, name))
		i++;
	if (i < totals->class_count)
		return &totals->classes[i];
	if (i == INCIDENT_CLASSES_MAX)
		return &totals->classes[INCIDENT_CLASSES_MAX - 1];
	totals->class_count++;
	incident_copy_name(totals->classes[i].name, i == INCIDENT_CLASSES_MAX - 1 ? "other" : name);
	return &totals->classes[i];
}

static void add_time(struct incident_times *times, uint64_t duration_ns)
{
	if (duration_ns == INCIDENT_NEVER)
		return;
	times->count++;
	times->sum_ns += duration_ns;
}

void incident_totals_add(struct incident_totals *totals, const struct incident *incident)
{
	struct incident_class *class = incident_totals_class(totals, incident->class);

	if (incident->open)
		class->open++;
	else
		class->closed++;
	/* What someone did by hand says nothing of how fast this is. */
	if (incident->source == INCIDENT_BY_HAND)
		return;
	add_time(&class->detect, incident_detect_ns(incident));
	add_time(&class->isolate, incident_isolate_ns(incident));
	/* Nor does an end that nobody saw say how long it took. */
	if (!incident->unseen_ns)
		add_time(&class->recover, incident_recover_ns(incident));
}
