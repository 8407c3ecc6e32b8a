// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/cluster.h"

#include "base/clock.h"

static json_t *milliseconds(uint64_t from_ns, uint64_t now_ns)
{
	return json_integer((json_int_t)(from_ns < now_ns ? (now_ns - from_ns) / NS_PER_MS : 0));
}

/* A container that lacks a part is none. */
static json_t *unless(int failed, json_t *container)
{
	if (!failed)
		return container;
	json_decref(container);
	return NULL;
}

static json_t *names_json(const struct snapshot_cluster *cluster, const uint32_t *members,
			  uint32_t count)
{
	json_t *names = json_array();
	int failed = 0;

	for (uint32_t i = 0; i < count; i++)
		failed |= json_array_append_new(
			names, json_string(cluster->membership->members[members[i]].name));
	return unless(failed, names);
}

static json_t *flags_json(uint32_t flags)
{
	json_t *list = json_array();
	int failed = 0;

	for (unsigned int i = 0; i < ROW_FLAGS; i++)
		if (flags & 1U << i)
			failed |= json_array_append_new(list, json_string(row_flag_name(i)));
	return unless(failed, list);
}

/* What a node says of those that are not healthy to it; how many it observes says the rest. */
static json_t *edges_json(const struct snapshot_cluster *cluster, uint32_t member)
{
	const struct membership *membership = cluster->membership;
	json_t *edges = json_object();
	int failed = 0;

	for (uint32_t at = membership->start[member]; at < membership->start[member + 1]; at++) {
		const char *word = row_word_name((enum row_word)cluster->view->words[at]);
		json_t *names;

		if (cluster->view->words[at] == ROW_WORD_HEALTHY)
			continue;
		names = json_object_get(edges, word);
		if (!names) {
			names = json_array();
			failed |= json_object_set_new(edges, word, names);
		}
		if (!failed)
			failed |= json_array_append_new(
				names,
				json_string(membership->members[membership->observers[at]].name));
	}
	return unless(failed, edges);
}

/* What a node finds of its own health. */
static json_t *findings_json(const struct view_row *row)
{
	json_t *list = json_array();
	int failed = 0;

	for (unsigned int i = 0; i < row->finding_count; i++)
		failed |= json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s}", "finding", row->findings[i].name, "subject",
				  row->findings[i].subject, "sentence", row->findings[i].sentence));
	return unless(failed, list);
}

static json_t *node_json(const struct snapshot_cluster *cluster, uint32_t member)
{
	const struct membership *membership = cluster->membership;
	const struct view_row *row = &cluster->view->rows[member];

	return json_pack(
		"{s:s, s:s, s:b, s:o, s:f, s:o, s:i, s:o, s:b, s:o}", "name",
		membership->members[member].name, "zone", membership->members[member].zone,
		"present", view_row_current(cluster->view, member, cluster->now_ns), "row_age_ms",
		row->arrived_ns ? milliseconds(row->arrived_ns, cluster->now_ns) : json_null(),
		"distrust_ratio", row->distrust_ratio, "flags", flags_json(row->flags), "observes",
		(int)(membership->start[member + 1] - membership->start[member]), "edges",
		edges_json(cluster, member), "isolated", actor_is_isolated(cluster->actor, member),
		"findings", findings_json(row));
}

static json_t *verdict_json(const struct snapshot_cluster *cluster, const struct verdict *verdict)
{
	const struct standing *standing = verdicts_find(cluster->verdicts, verdict);
	uint32_t witnesses = verdict->witness_count < VERDICT_WITNESSES_MAX ? verdict->witness_count
									    : VERDICT_WITNESSES_MAX;
	char buffer[512] = "";
	struct text sentence = TEXT(buffer);

	verdict_explain(verdict, cluster->judgement, cluster->view, cluster->now_ns, &sentence);
	return json_pack(
		"{s:s, s:o, s:o, s:i, s:o, s:s, s:b, s:b, s:o}", "class",
		verdict_class_name(verdict->class), "subjects",
		names_json(cluster, verdict->subjects, verdict->subject_count), "witnesses",
		names_json(cluster, verdict->witnesses, witnesses), "witness_count",
		(int)verdict->witness_count, "bridges",
		names_json(cluster, verdict->bridges, verdict->bridge_count), "sentence", buffer,
		"isolates", verdict->isolates, "raised", standing && standing->raised, "since_ms",
		standing ? milliseconds(standing->first_ns, cluster->now_ns) : json_integer(0));
}

static json_t *isolation_json(const struct snapshot_cluster *cluster,
			      const struct actor_record *known)
{
	const struct isolation_record *record = &known->record;
	uint64_t needed_ms = record_hold_down_ms(record, cluster->hold_down_ms);

	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:i, s:b, s:o, s:I, s:s}", "node",
			 record->node, "class", record->class, "sentence", record->sentence, "by",
			 record->by, "by_hand", record->by_hand, "since_unix_ms",
			 (json_int_t)record->since_ms, "times_lately", (int)record->isolated_count,
			 "waits_for_person", record_waits_for_person(record), "healthy_ms",
			 known->healthy_ns ? milliseconds(known->healthy_ns, cluster->now_ns)
					   : json_null(),
			 "hold_down_ms", (json_int_t)needed_ms, "kept", known->kept);
}

json_t *cluster_store_json(const struct snapshot_cluster *cluster)
{
	static const char *const stores[] = {"local", "etcd", "kubernetes"};
	const struct store_state *store = cluster->store;

	return json_pack("{s:s, s:b, s:s, s:b, s:s, s:o, s:I}", "kind", stores[cluster->store_kind],
			 "connected", store->connected && cluster->synced, "reason", store->reason,
			 "actor", store->actor, "actor_name", store->actor_name, "lease_renewed_ms",
			 store->renewed_ns ? milliseconds(store->renewed_ns, cluster->now_ns)
					   : json_null(),
			 "lease_ms", (json_int_t)(store->lease_ns / NS_PER_MS));
}

json_t *cluster_json(const char *node, const struct snapshot_cluster *cluster)
{
	static const char *const modes[] = {"observe", "advise", "enforce"};
	json_t *nodes = json_array(), *verdicts = json_array(), *isolations = json_array();
	const struct judgement *judgement = cluster->judgement;
	int failed = 0;

	for (uint32_t i = 0; i < cluster->membership->count; i++)
		failed |= json_array_append_new(nodes, node_json(cluster, i));
	for (unsigned int i = 0; i < judgement->verdict_count; i++)
		failed |= json_array_append_new(verdicts,
						verdict_json(cluster, &judgement->verdicts[i]));
	for (unsigned int i = 0; i < cluster->actor->count; i++)
		if (cluster->actor->records[i].record.state == RECORD_ISOLATED)
			failed |= json_array_append_new(
				isolations, isolation_json(cluster, &cluster->actor->records[i]));
	return unless(failed,
		      json_pack("{s:s, s:s, s:b, s:b, s:o, s:i, s:i, s:b, s:o, s:o, s:o}", "node",
				node, "mode", modes[cluster->mode], "paused", cluster->paused,
				"fenced", cluster->fenced, "store", cluster_store_json(cluster),
				"quorum", (int)membership_quorum(cluster->membership), "majority",
				(int)judgement->majority, "majority_proven",
				judgement->majority_proven, "nodes", nodes, "verdicts", verdicts,
				"isolations", isolations));
}
