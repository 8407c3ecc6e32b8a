// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/metrics_value.h"

#include "base/clock.h"

/* The first, RAIL_NONE, is none. */
static const char *rail_label(const struct metric_subject *subject, unsigned int index)
{
	(void)subject;
	return rail_name(index + 1);
}

static const char *class_label(const struct metric_subject *subject, unsigned int index)
{
	(void)subject;
	return verdict_class_name(index);
}

VALUES(verdicts_raised, number, snapshot->decisions.verdicts, 0)
VALUE(isolations, number, snapshot->decisions.isolations)
VALUES(refusals, number, snapshot->decisions.refusals, RAIL_NONE + 1)
VALUE(store_connects, number, snapshot->decisions.store_connects)
VALUE(row_writes, number, snapshot->decisions.row_writes)

VALUE(incidents_open, number, class->open)
VALUE(incidents_closed, number, class->closed)

/* What has no sample while there is no cluster, or no journal: MEMBER(name, how, of what, value).
 */
#define MEMBER(name, print, whole, value)                                                         \
	static struct metric_value name(const struct metric_subject *subject, unsigned int index) \
	{                                                                                         \
		(void)index;                                                                      \
		return subject->snapshot->whole ? print(subject->snapshot->value) : absent();     \
	}

MEMBER(is_actor, number, cluster, cluster->store->actor)
MEMBER(is_fenced, number, cluster, cluster->fenced)
MEMBER(is_paused, number, cluster, cluster->paused)
MEMBER(store_connected, number, cluster,
       cluster->store->connected && subject->snapshot->cluster->synced)

MEMBER(journal_records, number, journal_known, journal.records)
MEMBER(journal_bytes, number, journal_known, journal.bytes)
MEMBER(journal_lost, number, journal_known, journal.lost)
MEMBER(journal_failures, number, journal_known, journal.failures)
MEMBER(journal_failing, number, journal_known, journal.error != 0)
MEMBER(journal_queued, number, journal_known, journal.queued_records)
MEMBER(journal_queued_bytes, number, journal_known, journal.queued_bytes)
MEMBER(journal_oldest, nanoseconds, journal_known, journal.oldest_age_ns)

static struct metric_value verdicts_standing(const struct metric_subject *subject,
					     unsigned int index)
{
	const struct snapshot_cluster *cluster = subject->snapshot->cluster;
	uint64_t count = 0;

	if (!cluster)
		return absent();
	for (unsigned int i = 0; i < cluster->verdicts->count; i++)
		count += cluster->verdicts->standing[i].raised &&
			 cluster->verdicts->standing[i].class == index;
	return number(count);
}

static struct metric_value isolated_nodes(const struct metric_subject *subject, unsigned int index)
{
	const struct snapshot_cluster *cluster = subject->snapshot->cluster;
	uint64_t count = 0;

	(void)index;
	if (!cluster)
		return absent();
	for (unsigned int i = 0; i < cluster->actor->count; i++)
		count += cluster->actor->records[i].record.state == RECORD_ISOLATED;
	return number(count);
}

/* The local store has no lease. */
static struct metric_value renewal_age(const struct metric_subject *subject, unsigned int index)
{
	const struct snapshot_cluster *cluster = subject->snapshot->cluster;

	(void)index;
	if (!cluster || cluster->store_kind == CONFIG_STORE_LOCAL || !cluster->store->renewed_ns ||
	    cluster->store->renewed_ns > cluster->now_ns)
		return absent();
	return nanoseconds(cluster->now_ns - cluster->store->renewed_ns);
}

static struct metric_value suspicions(const struct metric_subject *subject, unsigned int index)
{
	(void)index;
	return subject->snapshot->incidents ? number(subject->snapshot->incidents->suspicions)
					    : absent();
}

static bool sum_up(const struct incident_times *times, struct metric_summary *ret)
{
	*ret = (struct metric_summary){times->count, nanoseconds(times->sum_ns)};
	return true;
}

static bool detect_times(const struct metric_subject *subject, struct metric_summary *ret)
{
	return sum_up(&subject->class->detect, ret);
}

static bool isolate_times(const struct metric_subject *subject, struct metric_summary *ret)
{
	return sum_up(&subject->class->isolate, ret);
}

static bool recover_times(const struct metric_subject *subject, struct metric_summary *ret)
{
	return sum_up(&subject->class->recover, ret);
}

static bool journal_writes(const struct metric_subject *subject, struct metric_summary *ret)
{
	const struct journal_state *journal = &subject->snapshot->journal;

	*ret = (struct metric_summary){journal->writes, nanoseconds(journal->writes_ns)};
	return subject->snapshot->journal_known;
}

#define CLASSES .label = "class", .label_value = class_label, .label_count = VERDICT_CLASSES
#define RULES	.label = "rail", .label_value = rail_label, .label_count = RAILS - 1

/* clang-format off */
static const struct metric decisions_table[] = {
	/* The cluster, as this node has it from the store. */
	{"tocsin_cluster_verdicts", METRIC_GAUGE, "Verdicts of the cluster that stand, by class.",
	 "", METRIC_OF_AGENT, .value = verdicts_standing, CLASSES},
	{"tocsin_cluster_verdicts_raised", METRIC_COUNTER, "Verdicts of the cluster that were raised.",
	 "", METRIC_OF_AGENT, .value = verdicts_raised, CLASSES},
	{"tocsin_cluster_isolated_nodes", METRIC_GAUGE, "Nodes that are isolated by a record in force.",
	 "", METRIC_OF_AGENT, .value = isolated_nodes},
	{"tocsin_cluster_isolations", METRIC_COUNTER,
	 "Isolations that came into force while this agent watched.",
	 "", METRIC_OF_AGENT, .value = isolations},
	{"tocsin_cluster_refusals", METRIC_COUNTER,
	 "Isolations that this agent refused, by the rail that forbade them.",
	 "", METRIC_OF_AGENT, .value = refusals, RULES},
	{"tocsin_cluster_actor", METRIC_GAUGE, "1 when this node is the elected actor.",
	 "", METRIC_OF_AGENT, .value = is_actor},
	{"tocsin_cluster_paused", METRIC_GAUGE, "1 when acting is paused, here or by another node.",
	 "", METRIC_OF_AGENT, .value = is_paused},
	{"tocsin_cluster_fenced", METRIC_GAUGE, "1 when this node's own fence is up.",
	 "", METRIC_OF_AGENT, .value = is_fenced},

	/* The store. */
	{"tocsin_store_connected", METRIC_GAUGE,
	 "1 when the store answers and this node has all that is in it.",
	 "", METRIC_OF_AGENT, .value = store_connected},
	{"tocsin_store_connects", METRIC_COUNTER, "How often the store came to be connected.",
	 "", METRIC_OF_AGENT, .value = store_connects},
	{"tocsin_store_renewal_age_seconds", METRIC_GAUGE,
	 "How long ago the last good renewal of this node's lease was sent; no sample without a lease.",
	 "seconds", METRIC_OF_AGENT, .value = renewal_age},
	{"tocsin_store_row_writes", METRIC_COUNTER, "How often this node's row was given to the store.",
	 "", METRIC_OF_AGENT, .value = row_writes},

	/* Incidents, as the journal has them. */
	{"tocsin_incidents_open", METRIC_GAUGE, "Incidents that are open, also since before the agent's start.",
	 "", METRIC_OF_CLASS, .value = incidents_open},
	{"tocsin_incidents_closed", METRIC_COUNTER, "Incidents that ended.",
	 "", METRIC_OF_CLASS, .value = incidents_closed},
	{"tocsin_incident_detect_seconds", METRIC_SUMMARY,
	 "From the first evidence to the first verdict, of incidents that ended.",
	 "seconds", .scope = METRIC_OF_CLASS, .summary = detect_times},
	{"tocsin_incident_isolate_seconds", METRIC_SUMMARY,
	 "From the first evidence to isolation, of incidents that ended.",
	 "seconds", .scope = METRIC_OF_CLASS, .summary = isolate_times},
	{"tocsin_incident_recover_seconds", METRIC_SUMMARY,
	 "From the first evidence to recovery, of incidents whose end was seen.",
	 "seconds", .scope = METRIC_OF_CLASS, .summary = recover_times},
	{"tocsin_suspicions", METRIC_COUNTER, "Suspicions that went away by themselves: no incidents.",
	 "", METRIC_OF_AGENT, .value = suspicions},

	/* The journal. */
	{"tocsin_journal_records", METRIC_COUNTER, "Records that are written and synced.",
	 "", METRIC_OF_AGENT, .value = journal_records},
	{"tocsin_journal_written_bytes", METRIC_COUNTER, "Bytes that are written and synced.",
	 "bytes", METRIC_OF_AGENT, .value = journal_bytes},
	{"tocsin_journal_lost_records", METRIC_COUNTER, "Records that found no room in the queue.",
	 "", METRIC_OF_AGENT, .value = journal_lost},
	{"tocsin_journal_write_failures", METRIC_COUNTER, "Writes that failed; they are tried again.",
	 "", METRIC_OF_AGENT, .value = journal_failures},
	{"tocsin_journal_failing", METRIC_GAUGE, "1 when the last write failed.",
	 "", METRIC_OF_AGENT, .value = journal_failing},
	{"tocsin_journal_queued_records", METRIC_GAUGE, "Records that are not on the disk yet.",
	 "", METRIC_OF_AGENT, .value = journal_queued},
	{"tocsin_journal_queued_bytes", METRIC_GAUGE, "Bytes that are not on the disk yet.",
	 "bytes", METRIC_OF_AGENT, .value = journal_queued_bytes},
	{"tocsin_journal_oldest_queued_seconds", METRIC_GAUGE,
	 "How long the oldest of them has waited; 0 when there is none.",
	 "seconds", METRIC_OF_AGENT, .value = journal_oldest},
	{"tocsin_journal_write_seconds", METRIC_SUMMARY,
	 "How long a write and its sync took, failed ones included.",
	 "seconds", .scope = METRIC_OF_AGENT, .summary = journal_writes},
};
/* clang-format on */

const struct metrics_list metrics_of_decisions = {
	decisions_table, sizeof(decisions_table) / sizeof(*decisions_table)};
