// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/incidents.h"

#include "agent/acting.h"
#include "agent/agent.h"
#include "agent/cluster.h"
#include "agent/findings.h"
#include "agent/journal.h"
#include "base/clock.h"
#include "base/log.h"
#include "report/journal_past.h"
#include "report/left_open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 32 MiB of records take some seconds on a slow disk; one that hangs is not waited for. */
#define READ_NS (60 * NS_PER_S)
/* What is recorded while the journal is read. */
#define RECENT_MAX 4096
/* Looked at in one turn: each may have to be sought among thousands of peers. */
#define LOOKS_MAX 64
/* A view that stood still so lately says nothing. */
#define STALLED_NS NS_PER_S

struct agent_incidents {
	struct agent *agent;
	struct journal_past *past; /* NULL: it is read, or given up */
	uint64_t started_ns;
	json_t *recent;		 /* what was recorded while it is read */
	struct incidents *known; /* NULL until then */

	struct left_open *left; /* NULL: nothing is, or nothing any more */
	uint64_t last_time_ns;	/* wall clock, of the last record of the agent before */
	size_t next;		/* which of them is looked at next */
};

/* ---- what can be said of what was left open ---- */

static enum left_word word_of_edge(const struct agent *agent, const struct left *left)
{
	const struct peer *peer;

	for (size_t at = 0; (peer = peers_next(&agent->peers, &at));) {
		if (!incident_same_name(left->name, peer->name))
			continue;
		if (peer->edge.state != EDGE_HEALTHY)
			return LEFT_BAD;
		return peer->evidence.heartbeat.heard_ns || peer->evidence.tcp.heard_ns ||
				       peer->evidence.connect.answer_ns
			       ? LEFT_WELL
			       : LEFT_UNKNOWN;
	}
	return LEFT_GONE;
}

/* Whether this node has all of the store's words, and lately. */
static bool has_view(const struct cluster *cluster)
{
	return cluster && cluster->synced && store_state(cluster->store)->connected &&
	       cluster->judged_ns && cluster->view.stalled_ns + STALLED_NS < clock_boottime_ns();
}

static bool names(const struct standing *standing, uint32_t member)
{
	for (uint32_t i = 0; i < standing->subject_count; i++)
		if (standing->subjects[i] == member)
			return true;
	return false;
}

static enum left_word word_of_verdict(const struct agent *agent, const struct left *left)
{
	const struct cluster *cluster = agent->cluster;
	int64_t member;

	if (!has_view(cluster))
		return LEFT_UNKNOWN;
	member = membership_find(&cluster->membership, left->name);
	if (member < 0)
		return LEFT_GONE;
	for (unsigned int i = 0; i < cluster->verdicts.count; i++) {
		const struct standing *standing = &cluster->verdicts.standing[i];

		if (standing->class == VERDICT_VIEW_INCOMPLETE)
			return LEFT_UNKNOWN;
		if (names(standing, (uint32_t)member))
			return standing->raised ? LEFT_BAD : LEFT_UNKNOWN;
	}
	return view_row_current(&cluster->view, (uint32_t)member, clock_boottime_ns())
		       ? LEFT_WELL
		       : LEFT_UNKNOWN;
}

static enum left_word word_of_isolation(const struct agent *agent, const struct left *left)
{
	const struct cluster *cluster = agent->cluster;
	int64_t member;

	if (!has_view(cluster))
		return LEFT_UNKNOWN;
	member = membership_find(&cluster->membership, left->name);
	if (member < 0)
		return LEFT_GONE;
	if (actor_is_isolated(acting_actor(cluster->acting), (uint32_t)member))
		return LEFT_BAD;
	/* Its own fence may stand without a record; who only observes does not look. */
	if (member == cluster->self &&
	    (acting_is_fenced(cluster->acting) || agent->config.mode == CONFIG_MODE_OBSERVE))
		return LEFT_UNKNOWN;
	return LEFT_WELL;
}

static enum left_word word_of_finding(const struct agent *agent, const struct left *left)
{
	const struct findings *findings = agent_findings_list(agent->findings);
	unsigned int kind = 0;

	while (kind < FINDING_KINDS && strcmp(finding_kind_name(kind), left->class))
		kind++;
	if (kind == FINDING_KINDS ||
	    agent->config.findings.settings[kind].response == FINDING_RESPONSE_OFF)
		return LEFT_GONE;
	if (findings_find(findings, kind, left->name))
		return LEFT_BAD;
	return *findings->blind[kind] ? LEFT_UNKNOWN : LEFT_WELL;
}

/* Returns whether there is nothing more to do about it. */
static bool look(struct agent_incidents *incidents, struct left *left)
{
	static enum left_word (*const words[LEFT_KINDS])(const struct agent *agent,
							 const struct left *left) = {
		[LEFT_EDGE] = word_of_edge,
		[LEFT_VERDICT] = word_of_verdict,
		[LEFT_ISOLATION] = word_of_isolation,
		[LEFT_FINDING] = word_of_finding,
	};
	uint64_t now_ns = clock_monotonic_ns();
	char buffer[512] = "";
	struct text sentence = TEXT(buffer);
	enum left_end end;

	if (!left_is_open(left, incidents->known))
		return true;
	end = left_judge(left, words[left->kind](incidents->agent, left), now_ns);
	if (end != LEFT_ENDED)
		return end == LEFT_DROPPED;
	left_explain(left, incidents->last_time_ns, now_ns, &sentence);
	log_info("what was left open in the journal has ended", log_string("subject", left->name),
		 log_string("class", left->class), log_string("sentence", buffer));
	agent_journal(incidents->agent, left_record(left, buffer, incidents->last_time_ns));
	return true;
}

/* ---- reading the journal ---- */

static void adopt(struct agent_incidents *incidents, struct incidents *known)
{
	struct incident_totals totals;
	uint64_t open = 0;
	json_t *record;
	size_t i;

	incidents_reset_totals(known);
	json_array_foreach(incidents->recent, i, record)
	{
		/* Out of memory: what it says is missing from the metrics. */
		(void)incidents_take(known, record);
	}
	json_decref(incidents->recent);
	incidents->recent = NULL;
	incidents->known = known;
	journal_past_close(incidents->past);
	incidents->past = NULL;
	incidents_totals(known, false, &totals);
	for (i = 0; i < totals.class_count; i++)
		open += totals.classes[i].open;
	if (open)
		log_info("incidents are open in the journal", log_unsigned("incidents", open));
}

static void find_left_open(struct agent_incidents *incidents)
{
	struct left_open *left = calloc(1, sizeof(*left));

	if (!left) {
		log_error("out of memory for what the journal has left open");
		return;
	}
	left_open_add(left, incidents->known);
	if (left->left_out)
		log_warning("too much was left open in the journal",
			    log_unsigned("more", left->left_out),
			    log_string("consequence", "it stays open until it is bad again"));
	incidents->left = left;
}

static void give_up(struct agent_incidents *incidents, const char *reason)
{
	struct incidents *known = incidents_new(NULL, NULL);

	log_warning("the journal's past is not known", log_string("reason", reason),
		    log_string("consequence",
			       "incidents that healed while the agent was away stay open"));
	if (known) {
		adopt(incidents, known);
		return;
	}
	journal_past_close(incidents->past);
	incidents->past = NULL;
}

static void read_past(struct agent_incidents *incidents)
{
	struct incidents *known;
	char reason[512] = "";
	struct text error = TEXT(reason);
	int r = journal_past_take(incidents->past, &known, &incidents->last_time_ns, &error);

	if (r > 0) {
		adopt(incidents, known);
		find_left_open(incidents);
	} else if (r < 0) {
		give_up(incidents, reason);
	} else if (clock_monotonic_ns() > incidents->started_ns + READ_NS ||
		   json_array_size(incidents->recent) >= RECENT_MAX) {
		give_up(incidents, "the disk takes too long to read it");
	}
}

void agent_incidents_take(void *context, json_t *record)
{
	const struct agent *agent = context;
	struct agent_incidents *incidents = agent->incidents;

	if (!incidents)
		return;
	/* Out of memory: what it says is missing from the metrics. */
	if (incidents->known)
		(void)incidents_take(incidents->known, record);
	else if (json_array_size(incidents->recent) < RECENT_MAX)
		(void)json_array_append(incidents->recent, record);
}

void agent_incidents_turn(struct agent_incidents *incidents)
{
	struct left_open *left = incidents->left;

	if (incidents->past)
		read_past(incidents);
	if (!left)
		return;
	for (size_t looks = 0; looks < LOOKS_MAX && looks < left->count; looks++) {
		if (incidents->next >= left->count)
			incidents->next = 0;
		if (look(incidents, &left->list[incidents->next]))
			left->list[incidents->next] = left->list[--left->count];
		else
			incidents->next++;
	}
	if (left->count)
		return;
	free(left);
	incidents->left = NULL;
}

bool agent_incidents_totals(const struct agent_incidents *incidents,
			    struct incident_totals *ret_totals)
{
	if (!incidents || !incidents->known)
		return false;
	incidents_totals(incidents->known, false, ret_totals);
	return true;
}

int agent_incidents_open(struct agent_incidents **ret_incidents, struct agent *agent,
			 uint64_t last_sequence)
{
	struct agent_incidents *incidents = calloc(1, sizeof(*incidents));
	int r;

	if (!incidents)
		return -ENOMEM;
	incidents->agent = agent;
	incidents->started_ns = clock_monotonic_ns();
	incidents->recent = json_array();
	r = incidents->recent
		    ? journal_past_start(&incidents->past, agent->config.state_dir, last_sequence)
		    : -ENOMEM;
	if (r) {
		agent_incidents_close(incidents);
		return r;
	}
	*ret_incidents = incidents;
	return 0;
}

void agent_incidents_close(struct agent_incidents *incidents)
{
	if (!incidents)
		return;
	journal_past_close(incidents->past);
	incidents_free(incidents->known);
	json_decref(incidents->recent);
	free(incidents->left);
	free(incidents);
}
