// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/journal_record.h"

#include "base/clock.h"

#include <string.h>

static const char *const kind_names[] = {
	[JOURNAL_EDGE] = "edge",	 [JOURNAL_VERDICT] = "verdict",
	[JOURNAL_DECISION] = "decision", [JOURNAL_REFUSAL] = "refusal",
	[JOURNAL_ACTION] = "action",	 [JOURNAL_RELEASE] = "release",
	[JOURNAL_FINDING] = "finding",	 [JOURNAL_AGENT] = "agent",
	[JOURNAL_LOST] = "lost",
};

_Static_assert(sizeof(kind_names) / sizeof(*kind_names) == JOURNAL_KINDS, "every kind has a name");

const char *journal_kind_name(enum journal_kind kind)
{
	return kind_names[kind];
}

enum journal_kind journal_kind_of(const json_t *record)
{
	const char *name = json_string_value(json_object_get(record, "kind"));

	for (unsigned int kind = 0; name && kind < JOURNAL_KINDS; kind++)
		if (!strcmp(name, kind_names[kind]))
			return kind;
	return JOURNAL_KINDS;
}

/* Output of a hook may be long, and need not be text. */
static json_t *clean_string(const char *string)
{
	size_t length = strnlen(string, JOURNAL_STRING_MAX + 1);
	char copy[JOURNAL_STRING_MAX + 1];
	json_t *value;

	if (length > JOURNAL_STRING_MAX)
		length = text_whole_length(string, JOURNAL_STRING_MAX);
	value = json_stringn(string, length);
	if (value)
		return value;
	for (size_t i = 0; i < length; i++)
		copy[i] = (unsigned char)string[i] < 0x80 ? string[i] : '?';
	return json_stringn(copy, length);
}

static json_t *names_json(const struct journal_names *names)
{
	json_t *array = json_array();

	for (size_t i = 0; i < names->count; i++) {
		if (json_array_append_new(array, clean_string(names->names[i]))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* A record while it is made; NULL once memory has run out. */
static json_t *begin(enum journal_kind kind)
{
	return json_pack("{s:s}", "kind", kind_names[kind]);
}

static void set(json_t **record, const char *key, json_t *value)
{
	if (*record && !json_object_set_new(*record, key, value))
		return;
	if (!*record)
		json_decref(value);
	json_decref(*record);
	*record = NULL;
}

static void set_string(json_t **record, const char *key, const char *value)
{
	if (value)
		set(record, key, clean_string(value));
}

static void set_number(json_t **record, const char *key, uint64_t value)
{
	set(record, key, json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX));
}

static void set_names(json_t **record, const char *key, const struct journal_names *names)
{
	set(record, key, names_json(names));
}

static void set_first_evidence(json_t **record, uint64_t age_ns)
{
	uint64_t now_ns = clock_realtime_ns();

	set_number(record, "first_evidence_ns", now_ns > age_ns ? now_ns - age_ns : 0);
}

json_t *journal_edge(const char *peer, enum edge_state from, enum edge_state to,
		     const char *evidence, uint64_t evidence_age_ns)
{
	json_t *record = begin(JOURNAL_EDGE);

	set_string(&record, "peer", peer);
	set_string(&record, "from", edge_state_name(from));
	set_string(&record, "to", edge_state_name(to));
	set_string(&record, "evidence", evidence);
	set_first_evidence(&record, evidence_age_ns);
	return record;
}

json_t *journal_verdict(const struct journal_verdict *verdict)
{
	json_t *record = begin(JOURNAL_VERDICT);

	if (verdict->subject.count == 1)
		set_string(&record, "subject", verdict->subject.names[0]);
	else
		set_names(&record, "subject", &verdict->subject);
	set_string(&record, "class", verdict->class);
	set_string(&record, "sentence", verdict->sentence);
	set_names(&record, "witnesses", &verdict->witnesses);
	set_names(&record, "minority", &verdict->minority);
	if (verdict->evidence_age_ns)
		set_first_evidence(&record, verdict->evidence_age_ns);
	return record;
}

json_t *journal_decision(const char *subject, bool acts, const char *sentence)
{
	json_t *record = begin(JOURNAL_DECISION);

	set_string(&record, "subject", subject);
	set(&record, "acts", json_boolean(acts));
	set_string(&record, "sentence", sentence);
	return record;
}

json_t *journal_refusal(const char *subject, const char *rule, const char *sentence)
{
	json_t *record = begin(JOURNAL_REFUSAL);

	set_string(&record, "subject", subject);
	set_string(&record, "rule", rule);
	set_string(&record, "sentence", sentence);
	return record;
}

json_t *journal_action(const char *subject, const char *action, const char *outcome,
		       const char *detail)
{
	json_t *record = begin(JOURNAL_ACTION);

	set_string(&record, "subject", subject);
	set_string(&record, "action", action);
	set_string(&record, "outcome", outcome);
	set_string(&record, "detail", detail);
	return record;
}

json_t *journal_release(const char *subject, const char *sentence)
{
	json_t *record = begin(JOURNAL_RELEASE);

	set_string(&record, "subject", subject);
	set_string(&record, "sentence", sentence);
	return record;
}

json_t *journal_finding(const char *finding, const char *subject, bool raised, const char *sentence,
			uint64_t evidence_age_ns)
{
	json_t *record = begin(JOURNAL_FINDING);

	set_string(&record, "finding", finding);
	set_string(&record, "subject", subject);
	set_string(&record, "state", raised ? "raised" : "cleared");
	set_string(&record, "sentence", sentence);
	set_first_evidence(&record, evidence_age_ns);
	return record;
}

json_t *journal_agent(const char *event, const char *version)
{
	json_t *record = begin(JOURNAL_AGENT);

	set_string(&record, "event", event);
	set_string(&record, "version", version);
	return record;
}

json_t *journal_unseen(json_t *record, uint64_t since_ns)
{
	set_number(&record, "unseen_since_ns", since_ns);
	return record;
}

json_t *journal_lost(uint64_t records, uint64_t since_ns)
{
	json_t *record = begin(JOURNAL_LOST);

	set_number(&record, "records", records);
	set_number(&record, "since_ns", since_ns);
	return record;
}
