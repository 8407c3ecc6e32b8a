// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/incidents.h"

#include "report/incident_clock.h"
#include "report/journal_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of each kind the latest, for one incident. */
#define DETAILS_MAX 16

struct incidents {
	incident_closed *closed;
	void *context;
	struct incident **open;
	size_t open_count, open_room;
	struct incident_totals totals; /* of what is closed */

	struct incident_clock clock;
	/* Of the present record: by how much what it tells may have come about earlier. */
	uint64_t unseen_ns;
};

/* What one record says, as far as all kinds have it. */
struct statement {
	json_t *record;
	const char *node; /* who writes */
	uint64_t time_ns;
	uint64_t evidence_age_ns; /* of the first sign that it speaks of */
};

/* What this node alone can call it. Worst last: an incident keeps the worst. */
static const struct {
	enum edge_state state;
	const char *class;
} edge_classes[] = {
	{EDGE_SUSPECT, ""},
	{EDGE_LOSSY, "lossy-link"},
	{EDGE_INGRESS_CUT, "one-way"},
	{EDGE_EGRESS_CUT, "one-way"},
	{EDGE_UNREACHABLE, "node-unreachable"},
};

static const char *string_of(const json_t *record, const char *key)
{
	return json_string_value(json_object_get(record, key)) ?: "";
}

/* Incidents about nodes, or findings: the two never share one. */
static struct incident *find(const struct incidents *incidents, const char *name, bool finding)
{
	for (size_t i = 0; i < incidents->open_count; i++) {
		struct incident *incident = incidents->open[i];

		if ((incident->source == INCIDENT_BY_FINDING) == finding &&
		    incident_find_member(incident, name))
			return incident;
	}
	return NULL;
}

static struct incident *find_finding(const struct incidents *incidents, const char *finding,
				     const char *subject)
{
	for (size_t i = 0; i < incidents->open_count; i++) {
		struct incident *incident = incidents->open[i];

		if (incident->source == INCIDENT_BY_FINDING &&
		    incident_same_name(incident->class, finding) &&
		    incident_find_member(incident, subject))
			return incident;
	}
	return NULL;
}

/* NULL and errno: ENOMEM, or ENOBUFS when there are too many. */
static struct incident *open_incident(struct incidents *incidents, enum incident_source source,
				      const struct statement *statement)
{
	struct incident *incident;

	if (incidents->open_count >= INCIDENT_OPEN_MAX) {
		errno = ENOBUFS;
		return NULL;
	}
	if (incidents->open_count == incidents->open_room) {
		size_t room = incidents->open_room ? 2 * incidents->open_room : 16;
		struct incident **grown =
			reallocarray(incidents->open, room, sizeof(*incidents->open));

		if (!grown)
			return NULL;
		incidents->open = grown;
		incidents->open_room = room;
	}
	incident = calloc(1, sizeof(*incident));
	if (!incident)
		return NULL;
	*incident = (struct incident){
		.source = source,
		.open = true,
		.first_evidence_time_ns = statement->time_ns - statement->evidence_age_ns,
		.first_evidence_ns = incidents->clock.now_ns - statement->evidence_age_ns,
		.detected_ns = INCIDENT_NEVER,
		.isolated_ns = INCIDENT_NEVER,
		.recovered_ns = INCIDENT_NEVER,
		.actions = json_array(),
		.refusals = json_array(),
	};
	incidents->open[incidents->open_count++] = incident;
	return incident;
}

static void remove_open(struct incidents *incidents, const struct incident *incident)
{
	size_t i = 0;

	while (incidents->open[i] != incident)
		i++;
	incidents->open_count--;
	memmove(&incidents->open[i], &incidents->open[i + 1],
		(incidents->open_count - i) * sizeof(*incidents->open));
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Puts one open incident into another. */
static int merge(struct incidents *incidents, struct incident *into, struct incident *from)
{
	int r = incident_merge(into, from);

	if (r)
		return r;
	remove_open(incidents, from);
	incident_free(from);
	return 0;
}

/* An older sign than the one that opened it. */
static void note_evidence(const struct incidents *incidents, struct incident *incident,
			  const struct statement *statement)
{
	uint64_t first_ns = incidents->clock.now_ns - statement->evidence_age_ns;

	if (first_ns >= incident->first_evidence_ns)
		return;
	incident->first_evidence_ns = first_ns;
	incident->first_evidence_time_ns = statement->time_ns - statement->evidence_age_ns;
}

static void note_detected(const struct incidents *incidents, struct incident *incident)
{
	incident->detected_ns = earlier(incident->detected_ns, incidents->clock.now_ns);
}

static bool is_suspicion(const struct incident *incident)
{
	return !*incident->class;
}

static void close_incident(struct incidents *incidents, struct incident *incident)
{
	remove_open(incidents, incident);
	incident->open = false;
	incident->recovered_ns = incidents->clock.now_ns;
	incident->unseen_ns = incidents->unseen_ns < incident_recover_ns(incident)
				      ? incidents->unseen_ns
				      : incident_recover_ns(incident);
	if (is_suspicion(incident)) {
		incidents->totals.suspicions++;
		incident_free(incident);
		return;
	}
	incident_totals_add(&incidents->totals, incident);
	if (incidents->closed)
		incidents->closed(incidents->context, incident);
	else
		incident_free(incident);
}

/* It is over when nothing keeps any of its nodes in it. */
static void close_if_over(struct incidents *incidents, struct incident *incident)
{
	for (size_t i = 0; i < incident->member_count; i++) {
		const struct incident_member *member = &incident->members[i];

		if (member->edge || member->verdict || member->isolated || member->fenced)
			return;
	}
	close_incident(incidents, incident);
}

static unsigned int badness(const char *class)
{
	unsigned int i = sizeof(edge_classes) / sizeof(*edge_classes) - 1;

	while (i && strcmp(edge_classes[i].class, class) != 0)
		i--;
	return i;
}

static bool has_verdict(const struct incident *incident)
{
	return incident->source != INCIDENT_BY_EDGE;
}

static int take_bad_edge(struct incidents *incidents, const struct statement *statement,
			 const char *peer, enum edge_state state, const char *class)
{
	struct incident *incident = find(incidents, peer, false);
	struct incident_member *member;

	/* Seen from a node that is cut off, all the others are: that is one incident, its own. */
	if (!incident) {
		incident = find(incidents, statement->node, false);
		if (incident && !has_verdict(incident))
			incident = NULL;
	}
	if (!incident)
		incident = open_incident(incidents, INCIDENT_BY_EDGE, statement);
	member = incident ? incident_add_member(incident, peer) : NULL;
	if (!member)
		return -errno;
	member->edge = true;
	member->edge_state = state;
	note_evidence(incidents, incident, statement);
	if (!*class)
		return 0;
	note_detected(incidents, incident);
	if (!has_verdict(incident) && badness(class) >= badness(incident->class)) {
		incident_copy_name(incident->class, class);
		incident_keep(&incident->sentence, json_object_get(statement->record, "evidence"));
	}
	return 0;
}

static int take_edge(struct incidents *incidents, const struct statement *statement)
{
	const char *peer = string_of(statement->record, "peer");
	const char *state = string_of(statement->record, "to");
	struct incident *incident = find(incidents, peer, false);

	if (!*peer)
		return 0;
	for (size_t i = 0; i < sizeof(edge_classes) / sizeof(*edge_classes); i++)
		if (!strcmp(state, edge_state_name(edge_classes[i].state)))
			return take_bad_edge(incidents, statement, peer, edge_classes[i].state,
					     edge_classes[i].class);
	if (!incident || strcmp(state, "healthy") != 0)
		return 0;
	incident_find_member(incident, peer)->edge = false;
	close_if_over(incidents, incident);
	return 0;
}

/* The subject is a name or an array of names: the i-th, or NULL. */
static const char *subject_at(const json_t *record, size_t i)
{
	const json_t *subject = json_object_get(record, "subject");
	const char *name = json_string_value(json_is_array(subject) ? json_array_get(subject, i)
					     : i		    ? NULL
								    : subject);

	return name && *name ? name : NULL;
}

/* The one incident of all nodes that the record names; a new one if there is none yet. */
static struct incident *incident_of_subject(struct incidents *incidents,
					    const struct statement *statement,
					    enum incident_source source)
{
	struct incident *incident = NULL;
	const char *name;

	for (size_t i = 0; (name = subject_at(statement->record, i)); i++) {
		struct incident *other = find(incidents, name, false);

		if (!incident)
			incident = other;
		else if (other && other != incident) {
			int r = merge(incidents, incident, other);

			if (r) {
				errno = -r;
				return NULL;
			}
		}
	}
	return incident ?: open_incident(incidents, source, statement);
}

/* What this node sees of others while it is itself cut off is no incident of theirs. */
static int take_over_edges(struct incidents *incidents, struct incident *incident)
{
	int r = 0;

	for (size_t i = incidents->open_count; !r && i--;) {
		struct incident *other = incidents->open[i];

		if (other != incident && other->source == INCIDENT_BY_EDGE)
			r = merge(incidents, incident, other);
	}
	return r;
}

static void take_healthy(struct incidents *incidents, const json_t *record)
{
	const char *name;

	for (size_t i = 0; (name = subject_at(record, i)); i++) {
		struct incident *incident = find(incidents, name, false);

		if (!incident)
			continue;
		incident_find_member(incident, name)->verdict = false;
		close_if_over(incidents, incident);
	}
}

static int take_verdict(struct incidents *incidents, const struct statement *statement)
{
	const char *class = string_of(statement->record, "class");
	struct incident *incident;
	const char *name;
	int r = 0;

	if (!strcmp(class, "healthy"))
		take_healthy(incidents, statement->record);
	if (!*class || !strcmp(class, "healthy") || !subject_at(statement->record, 0))
		return 0;
	incident = incident_of_subject(incidents, statement, INCIDENT_BY_CLUSTER);
	if (!incident)
		return -errno;
	for (size_t i = 0; !r && (name = subject_at(statement->record, i)); i++) {
		struct incident_member *member = incident_add_member(incident, name);

		if (!member)
			return -errno;
		member->named = member->verdict = true;
		if (incident_same_name(name, statement->node))
			r = take_over_edges(incidents, incident);
	}
	incident->source = INCIDENT_BY_CLUSTER;
	incident_copy_name(incident->class, class);
	incident_keep(&incident->sentence, json_object_get(statement->record, "sentence"));
	incident_keep(&incident->verdict, statement->record);
	note_evidence(incidents, incident, statement);
	note_detected(incidents, incident);
	return r;
}

/* An open incident that the record's subject is in, of a node or else of a finding. */
static struct incident *find_subject(const struct incidents *incidents, const json_t *record)
{
	struct incident *incident = NULL;
	const char *name;

	for (size_t i = 0; !incident && (name = subject_at(record, i)); i++)
		incident = find(incidents, name, false) ?: find(incidents, name, true);
	return incident;
}

static int take_decision(struct incidents *incidents, const struct statement *statement)
{
	struct incident *incident = find_subject(incidents, statement->record);

	if (incident)
		incident_keep(&incident->decision, statement->record);
	return 0;
}

/* Remembers the latest. Takes the reference. */
static int remember(json_t *list, json_t *detail)
{
	while (json_array_size(list) >= DETAILS_MAX)
		(void)json_array_remove(list, 0);
	return json_array_append_new(list, detail) ? -ENOMEM : 0;
}

static int take_refusal(struct incidents *incidents, const struct statement *statement)
{
	struct incident *incident = find_subject(incidents, statement->record);
	const char *rule = string_of(statement->record, "rule");
	json_t *refusal;
	size_t i;

	if (!incident)
		return 0;
	json_array_foreach(incident->refusals, i, refusal)
	{
		if (strcmp(string_of(refusal, "rule"), rule) != 0)
			continue;
		return json_object_set_new(
			       refusal, "count",
			       json_integer((json_int_t)incident_number(refusal, "count") + 1))
			       ? -ENOMEM
			       : 0;
	}
	return remember(incident->refusals,
			json_pack("{s:s, s:O*, s:i}", "rule", rule, "sentence",
				  json_object_get(statement->record, "sentence"), "count", 1));
}

/* The subjects of an action that isolates, or ends that. */
static int take_subjects(struct incidents *incidents, struct incident *incident,
			 const struct statement *statement, const char *action)
{
	bool isolation = !strcmp(action, JOURNAL_ISOLATION), fence = !strcmp(action, JOURNAL_FENCE);
	const char *name;

	for (size_t i = 0; (name = subject_at(statement->record, i)); i++) {
		struct incident_member *member = incident_add_member(incident, name);

		if (!member)
			return -errno;
		member->named = true;
		member->isolated |= isolation;
		member->fenced |= fence;
		if (!strcmp(action, JOURNAL_UNFENCE))
			member->fenced = false;
	}
	if (isolation || fence)
		incident->isolated_ns = earlier(incident->isolated_ns, incidents->clock.now_ns);
	return 0;
}

static int take_action(struct incidents *incidents, const struct statement *statement)
{
	const char *action = string_of(statement->record, "action");
	bool done = !strcmp(string_of(statement->record, "outcome"), JOURNAL_DONE);
	bool isolates =
		done && (!strcmp(action, JOURNAL_ISOLATION) || !strcmp(action, JOURNAL_FENCE));
	struct incident *incident = find_subject(incidents, statement->record);
	int r;

	if (!incident && isolates && subject_at(statement->record, 0)) {
		incident = incident_of_subject(incidents, statement, INCIDENT_BY_HAND);
		if (!incident)
			return -errno;
		incident_copy_name(incident->class, incident_source_name(INCIDENT_BY_HAND));
	}
	if (!incident)
		return 0;
	r = remember(incident->actions,
		     json_pack("{s:O*, s:O*, s:O*}", "action",
			       json_object_get(statement->record, "action"), "outcome",
			       json_object_get(statement->record, "outcome"), "detail",
			       json_object_get(statement->record, "detail")));
	if (!r && (isolates || (done && !strcmp(action, JOURNAL_UNFENCE))))
		r = take_subjects(incidents, incident, statement, action);
	if (!r)
		close_if_over(incidents, incident);
	return r;
}

static int take_release(struct incidents *incidents, const struct statement *statement)
{
	const char *name;

	for (size_t i = 0; (name = subject_at(statement->record, i)); i++) {
		struct incident *incident = find(incidents, name, false);

		if (!incident)
			continue;
		incident_find_member(incident, name)->isolated = false;
		/* Its own fence follows, and others do not see that. */
		incident_find_member(incident, name)->fenced = false;
		close_if_over(incidents, incident);
	}
	return 0;
}

static int take_finding(struct incidents *incidents, const struct statement *statement)
{
	const char *finding = string_of(statement->record, "finding");
	const char *subject = string_of(statement->record, "subject");
	const char *state = string_of(statement->record, "state");
	struct incident *incident = find_finding(incidents, finding, subject);
	struct incident_member *member;

	if (incident && !strcmp(state, "cleared"))
		close_incident(incidents, incident);
	if (!*finding || !*subject || strcmp(state, "raised") != 0)
		return 0;
	if (!incident)
		incident = open_incident(incidents, INCIDENT_BY_FINDING, statement);
	member = incident ? incident_add_member(incident, subject) : NULL;
	if (!member)
		return -errno;
	member->named = true;
	incident_copy_name(incident->class, finding);
	incident_keep(&incident->sentence, json_object_get(statement->record, "sentence"));
	note_detected(incidents, incident);
	return 0;
}

static int take_agent(struct incidents *incidents, const struct statement *statement)
{
	if (!strcmp(string_of(statement->record, "event"), "started"))
		for (size_t i = 0; i < incidents->open_count; i++)
			incidents->open[i]->agent_restarts++;
	return 0;
}

static int take_lost(struct incidents *incidents, const struct statement *statement)
{
	incidents->totals.lost_records += incident_number(statement->record, "records");
	for (size_t i = 0; i < incidents->open_count; i++)
		incidents->open[i]->records_lost = true;
	return 0;
}

int incidents_take(struct incidents *incidents, json_t *record)
{
	static int (*const takers[JOURNAL_KINDS])(struct incidents * incidents,
						  const struct statement *statement) = {
		[JOURNAL_EDGE] = take_edge,	    [JOURNAL_VERDICT] = take_verdict,
		[JOURNAL_DECISION] = take_decision, [JOURNAL_REFUSAL] = take_refusal,
		[JOURNAL_ACTION] = take_action,	    [JOURNAL_RELEASE] = take_release,
		[JOURNAL_FINDING] = take_finding,   [JOURNAL_AGENT] = take_agent,
		[JOURNAL_LOST] = take_lost,
	};
	enum journal_kind kind = journal_kind_of(record);
	int r = 0;
	struct statement statement = {
		.record = record,
		.node = string_of(record, "node"),
		.time_ns = incident_number(record, "time_ns"),
	};

	incident_clock_advance(&incidents->clock, record, statement.time_ns);
	statement.evidence_age_ns = incident_evidence_age_ns(record, statement.time_ns);
	if (statement.evidence_age_ns > incidents->clock.now_ns)
		statement.evidence_age_ns = 0;
	incidents->unseen_ns = incident_unseen_ns(record, statement.time_ns);
	incidents->totals.records++;
	if (kind != JOURNAL_KINDS)
		r = takers[kind](incidents, &statement);
	if (r == -ENOBUFS) {
		incidents->totals.dropped++;
		r = 0;
	}
	return r;
}

struct incidents *incidents_new(incident_closed *closed, void *context)
{
	struct incidents *incidents = calloc(1, sizeof(*incidents));

	if (incidents) {
		incidents->closed = closed;
		incidents->context = context;
	}
	return incidents;
}

const struct incident *incidents_open_at(const struct incidents *incidents, size_t index)
{
	for (size_t i = 0; i < incidents->open_count; i++)
		if (!is_suspicion(incidents->open[i]) && !index--)
			return incidents->open[i];
	return NULL;
}

static unsigned int waits_of(const struct incident_member *member)
{
	return (member->edge ? INCIDENT_WAITS_FOR_EDGE : 0) |
	       (member->verdict ? INCIDENT_WAITS_FOR_VERDICT : 0) |
	       (member->isolated || member->fenced ? INCIDENT_WAITS_FOR_RELEASE : 0);
}

unsigned int incidents_waits_for(const struct incidents *incidents, const char *name)
{
	const struct incident *incident = find(incidents, name, false);
	const struct incident_member *member =
		incident ? incident_find_member(incident, name) : NULL;

	return member ? waits_of(member) : 0;
}

bool incidents_has_finding(const struct incidents *incidents, const char *finding,
			   const char *subject)
{
	return find_finding(incidents, finding, subject) != NULL;
}

void incidents_each_wait(const struct incidents *incidents, incident_waits *each, void *context)
{
	for (size_t i = 0; i < incidents->open_count; i++) {
		const struct incident *incident = incidents->open[i];

		for (size_t j = 0; j < incident->member_count; j++) {
			unsigned int waits = waits_of(&incident->members[j]);

			if (waits || incident->source == INCIDENT_BY_FINDING)
				each(context, incident, &incident->members[j], waits);
		}
	}
}

void incidents_totals(const struct incidents *incidents, bool with_open,
		      struct incident_totals *ret_totals)
{
	*ret_totals = incidents->totals;
	for (size_t i = 0; i < incidents->open_count; i++) {
		const struct incident *incident = incidents->open[i];

		if (is_suspicion(incident))
			continue;
		if (with_open)
			incident_totals_add(ret_totals, incident);
		else
			incident_totals_class(ret_totals, incident->class)->open++;
	}
}

void incidents_reset_totals(struct incidents *incidents)
{
	incidents->totals = (struct incident_totals){0};
}

void incidents_free(struct incidents *incidents)
{
	if (!incidents)
		return;
	while (incidents->open_count)
		incident_free(incidents->open[--incidents->open_count]);
	free(incidents->open);
	free(incidents);
}
