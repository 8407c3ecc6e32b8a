// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/status.h"

#include "base/clock.h"
#include "base/histogram.h"
#include "report/cluster.h"
#include "report/names.h"

#include <math.h>
#include <string.h>

/* A string that is not UTF-8 must not cost the reader everything else. */
static json_t *string_value(const char *string)
{
	return json_string(string ?: "") ?: json_string("(not UTF-8)");
}

static json_t *unsigned_value(uint64_t number)
{
	return json_integer((json_int_t)number);
}

/* A container that lacks a part is none. */
static json_t *unless(int failed, json_t *container)
{
	if (!failed)
		return container;
	json_decref(container);
	return NULL;
}

/* The quantile of the TCP samples; without any, the heartbeats' smoothed RTT has to do for each. */
static json_t *rtt_value(const struct snapshot_peer *peer, double quantile)
{
	if (histogram_total(peer->tcp.rtt))
		return unsigned_value(histogram_quantile_us(peer->tcp.rtt, quantile));
	if (peer->heartbeat_rtt_us)
		return unsigned_value(peer->heartbeat_rtt_us);
	return json_null();
}

/* JSON has no NaN. */
static json_t *loss_value(double ratio)
{
	return isfinite(ratio) ? json_real(ratio) : json_null();
}

static json_t *retransmits_json(const struct peer_record *tcp)
{
	json_t *object = json_object();
	int failed = 0;

	for (unsigned int i = 0; i < PEER_RETRANSMIT_KINDS; i++)
		failed |= json_object_set_new(object, report_retransmit_name(i),
					      unsigned_value(tcp->retransmits[i]));
	return unless(failed, object);
}

static json_t *connect_failures_json(const struct peer_record *tcp)
{
	json_t *object = json_object();
	int failed = 0;

	for (unsigned int i = 0; i < PEER_ERROR_KINDS; i++)
		failed |= json_object_set_new(object, report_error_name(i),
					      unsigned_value(tcp->connect_failures[i]));
	return unless(failed, object);
}

static json_t *peer_json(const struct snapshot_peer *peer)
{
	char address[ADDRESS_TEXT_MAX];
	json_t *heard = peer->heard ? unsigned_value(peer->heard_age_ns / NS_PER_MS) : json_null();
	json_t *heartbeat_rtt =
		peer->heartbeat_rtt_us ? unsigned_value(peer->heartbeat_rtt_us) : json_null();

	/* json_pack() takes over every 'o', also when it fails. */
	/* clang-format off */
	return json_pack(
		"{s:o, s:s, s:b, s:s, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"name", string_value(peer->name),
		"address", address_format(&peer->address, address),
		"configured", peer->configured,
		"state", edge_state_name(peer->state),
		"since_ms", unsigned_value(peer->since_ns / NS_PER_MS),
		"agent_silent", peer->agent_silent,
		"heartbeats_blocked", peer->heartbeats_blocked,
		"rtt_p50_us", rtt_value(peer, 0.5),
		"rtt_p99_us", rtt_value(peer, 0.99),
		"heartbeat_rtt_us", heartbeat_rtt,
		"loss_out_ratio", loss_value(peer->loss_out_ratio),
		"loss_in_ratio", loss_value(peer->loss_in_ratio),
		"last_heard_ms", heard,
		"retransmits", retransmits_json(&peer->tcp),
		"connect_failures", connect_failures_json(&peer->tcp),
		"zero_window_sockets", unsigned_value(peer->tcp.zero_window_sockets),
		"stalled_sockets", unsigned_value(peer->tcp.stalled_sockets),
		"oldest_stall_ms", unsigned_value(peer->oldest_stall_ns / NS_PER_MS),
		"evidence", string_value(peer->evidence));
	/* clang-format on */
}

static json_t *probe_json(const struct snapshot_probe *probe)
{
	return json_pack("{s:o, s:o, s:b, s:b, s:o, s:o}", "name", string_value(probe->name),
			 "hook", string_value(probe->hook), "attached", probe->attached, "shed",
			 probe->shed, "reason", string_value(probe->reason), "runs_missed",
			 unsigned_value(probe->runs_missed));
}

static json_t *budget_json(const struct snapshot_budget *budget)
{
	json_t *shed = json_array();

	for (size_t i = 0; i < SNAPSHOT_BUDGET_PARTS; i++)
		if (budget->parts[i].shed)
			json_array_append_new(shed, string_value(budget->parts[i].name));
	return json_pack("{s:o, s:f, s:o, s:o}", "cpu_ratio",
			 budget->known ? json_real(budget->share_ratio) : json_null(),
			 "limit_ratio", budget->limit_ratio, "shed", shed, "error",
			 budget->error ? string_value(budget->error) : json_null());
}

static json_t *rejected_json(const struct snapshot *snapshot)
{
	json_t *object = json_object();
	int failed = 0;

	for (unsigned int i = HEARTBEAT_ACCEPTED + 1; i < HEARTBEAT_REJECT_KINDS; i++)
		failed |= json_object_set_new(object, heartbeat_reject_name(i),
					      unsigned_value(snapshot->heartbeats_rejected[i]));
	return unless(failed, object);
}

static json_t *counters_json(const struct snapshot *snapshot)
{
	const struct tcp_counters *tcp = &snapshot->tcp_counters;
	const struct block_counters *block = &snapshot->block_counters;

	/* clang-format off */
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "peer_table_slots", unsigned_value(snapshot->peer_table_size),
			 "peer_table_used", unsigned_value(snapshot->peer_table_used),
			 "peers_created", unsigned_value(tcp->peers_created),
			 "peers_evicted", unsigned_value(tcp->peers_evicted),
			 "peer_failures", unsigned_value(tcp->peer_failures),
			 "flow_failures", unsigned_value(tcp->flow_failures),
			 "wakeups_lost", unsigned_value(tcp->wakeups_lost),
			 "group_records_lost", unsigned_value(tcp->group_records_lost),
			 "block_records_lost", unsigned_value(block->records_lost),
			 "block_in_flight_lost", unsigned_value(block->in_flight_lost),
			 "block_start_unknown", unsigned_value(block->start_unknown),
			 "block_issue_unknown", unsigned_value(block->issue_unknown),
			 "block_issue_clocked", unsigned_value(block->issue_clocked),
			 "block_completions_unseen", unsigned_value(block->completions_unseen),
			 "task_events_lost", unsigned_value(snapshot->task_counters.events_lost),
			 "task_records_lost", unsigned_value(snapshot->task_counters.records_lost),
			 "task_repeats_unsure", unsigned_value(snapshot->task_counters.repeats_unsure),
			 "late_ticks", unsigned_value(snapshot->late_ticks),
			 "late_ms", unsigned_value(snapshot->late_ticks_ns / NS_PER_MS),
			 "heartbeats_rejected", rejected_json(snapshot));
	/* clang-format on */
}

static json_t *peers_json(const struct snapshot *snapshot)
{
	json_t *array = json_array();
	int failed = 0;

	for (size_t i = 0; i < snapshot->peer_count; i++)
		failed |= json_array_append_new(array, peer_json(&snapshot->peers[i]));
	return unless(failed, array);
}

static json_t *probes_json(const struct snapshot *snapshot)
{
	json_t *array = json_array();
	int failed = 0;

	for (size_t i = 0; i < snapshot->probe_count; i++)
		failed |= json_array_append_new(array, probe_json(&snapshot->probes[i]));
	return unless(failed, array);
}

static void quantiles(const __u64 counts[static HISTOGRAM_BUCKETS], uint64_t *ret_total,
		      uint32_t *ret_p50_us, uint32_t *ret_p99_us)
{
	uint32_t narrow[HISTOGRAM_BUCKETS];
	uint64_t most = 0;
	unsigned int shift = 0;

	*ret_total = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		*ret_total += counts[i];
		most = counts[i] > most ? counts[i] : most;
	}
	/* Shares stay what they are. */
	while (most >> shift > UINT32_MAX)
		shift++;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		narrow[i] = (uint32_t)(counts[i] >> shift);
	*ret_p50_us = histogram_quantile_us(narrow, 0.5);
	*ret_p99_us = histogram_quantile_us(narrow, 0.99);
}

static json_t *disk_json(const struct snapshot_disk *disk)
{
	uint32_t device_p50_us, device_p99_us, queue_p50_us, queue_p99_us;
	uint64_t completed, queued;
	json_t *in_flight = disk->in_flight_known ? unsigned_value(disk->in_flight) : json_null();
	json_t *since = disk->completed ? unsigned_value(disk->since_completion_ns / NS_PER_MS)
					: json_null();

	quantiles(disk->record->device, &completed, &device_p50_us, &device_p99_us);
	quantiles(disk->record->queue, &queued, &queue_p50_us, &queue_p99_us);
	/* clang-format off */
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "device", string_value(disk->name),
			 "operation", report_block_operation(disk->operation),
			 "completed", unsigned_value(completed),
			 "bytes", unsigned_value(disk->record->bytes),
			 "errors", unsigned_value(disk->record->errors),
			 "unsupported", unsigned_value(disk->record->unsupported),
			 "device_p50_us", unsigned_value(device_p50_us),
			 "device_p99_us", unsigned_value(device_p99_us),
			 "queue_p50_us", unsigned_value(queue_p50_us),
			 "queue_p99_us", unsigned_value(queue_p99_us),
			 "in_flight", in_flight,
			 "oldest_in_flight_ms", unsigned_value(disk->oldest_in_flight_ns / NS_PER_MS),
			 "since_completion_ms", since);
	/* clang-format on */
}

static json_t *disks_json(const struct snapshot *snapshot)
{
	json_t *array = json_array();
	int failed = 0;

	for (size_t i = 0; i < snapshot->disk_count; i++)
		if (snapshot->disks[i].used || snapshot->disks[i].in_flight)
			failed |= json_array_append_new(array, disk_json(&snapshot->disks[i]));
	return unless(failed, array);
}

/* null where the path tells nothing of it. */
static json_t *name_value(const char *name)
{
	return *name ? string_value(name) : json_null();
}

static json_t *crashes_json(const struct task_record *record)
{
	json_t *object = json_object();
	int failed = 0;

	for (unsigned int i = 0; i < TASK_SIGNALS; i++)
		if (record->crashes[i])
			failed |= json_object_set_new(object, report_crash_signal(i) ?: "unknown",
						      unsigned_value(record->crashes[i]));
	return unless(failed, object);
}

static json_t *group_json(const struct snapshot_group *group)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "cgroup",
			 string_value(group->cgroup), "namespace", name_value(group->namespace),
			 "pod", name_value(group->pod), "container", name_value(group->container),
			 "unit", name_value(group->unit), "crashes", crashes_json(group->task),
			 "oom_kills", unsigned_value(group->task->oom_kills), "retransmits",
			 unsigned_value(group->tcp->retransmits), "connect_failures",
			 unsigned_value(group->tcp->connect_failures));
}

static json_t *groups_json(const struct snapshot *snapshot)
{
	json_t *array = json_array();
	int failed = 0;

	for (size_t i = 0; i < snapshot->group_count; i++)
		failed |= json_array_append_new(array, group_json(&snapshot->groups[i]));
	return unless(failed, array);
}

static json_t *pods_json(const struct snapshot_pods *pods)
{
	return pods ? json_pack("{s:o, s:o}", "count", unsigned_value(pods->count), "reason",
				name_value(pods->reason))
		    : json_null();
}

static json_t *drops_json(const struct snapshot *snapshot)
{
	json_t *object = json_object();
	int failed = 0;

	for (size_t i = 0; i < snapshot->drop_count; i++)
		failed |= json_object_set_new(object, snapshot->drops[i].reason,
					      unsigned_value(snapshot->drops[i].packets));
	return unless(failed, object);
}

static json_t *sched_json(const struct snapshot *snapshot)
{
	uint32_t p50_us, p99_us;
	uint64_t count;

	if (!snapshot->sched_known)
		return json_null();
	quantiles(snapshot->sched.counts, &count, &p50_us, &p99_us);
	return json_pack("{s:o, s:o, s:o}", "count", unsigned_value(count), "p50_us",
			 unsigned_value(p50_us), "p99_us", unsigned_value(p99_us));
}

static json_t *journal_json(const struct snapshot *snapshot)
{
	const struct journal_state *journal = &snapshot->journal;
	json_t *open = json_null();
	uint64_t count = 0;

	if (!snapshot->journal_known)
		return json_null();
	for (size_t i = 0; snapshot->incidents && i < snapshot->incidents->class_count; i++)
		count += snapshot->incidents->classes[i].open;
	if (snapshot->incidents)
		open = unsigned_value(count);
	return json_pack("{s:o, s:o, s:o, s:o, s:s, s:o}", "records",
			 unsigned_value(journal->records), "queued_records",
			 unsigned_value(journal->queued_records), "oldest_queued_ms",
			 unsigned_value(journal->oldest_age_ns / NS_PER_MS), "lost_records",
			 unsigned_value(journal->lost), "error",
			 journal->error ? strerror(-journal->error) : "", "open_incidents", open);
}

static json_t *findings_json(const struct snapshot *snapshot)
{
	uint64_t now_ns = snapshot->findings_now_ns;
	json_t *findings = json_array();

	for (unsigned int i = 0; snapshot->findings && i < snapshot->findings->count; i++) {
		const struct finding *finding = &snapshot->findings->standing[i];
		uint64_t age_ns = now_ns > finding->since_ns ? now_ns - finding->since_ns : 0;

		json_array_append_new(findings,
				      json_pack("{s:s, s:o, s:o, s:o}", "finding",
						finding_kind_name(finding->kind), "subject",
						string_value(finding->subject), "sentence",
						string_value(finding->sentence), "since_ms",
						unsigned_value(age_ns / NS_PER_MS)));
	}
	return findings;
}

/* The rules that cannot be judged. */
static json_t *findings_blind_json(const struct snapshot *snapshot)
{
	json_t *blind = json_array();

	for (enum finding_kind i = 0; snapshot->findings && i < FINDING_KINDS; i++)
		if (*snapshot->findings->blind[i])
			json_array_append_new(
				blind,
				json_pack("{s:s, s:o}", "finding", finding_kind_name(i), "reason",
					  string_value(snapshot->findings->blind[i])));
	return blind;
}

json_t *status_json(const struct snapshot *snapshot)
{
	const struct snapshot_cluster *cluster = snapshot->cluster;
	json_t *blind = snapshot->blind ? string_value(snapshot->blind_reason) : json_null();

	/* clang-format off */
	return json_pack("{s:o, s:o, s:o, s:b, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "node", string_value(snapshot->node),
			 "version", string_value(snapshot->version),
			 "uptime_ms", unsigned_value(snapshot->uptime_ns / NS_PER_MS),
			 "alone", snapshot->alone,
			 "blind", blind,
			 "fenced", cluster && cluster->fenced,
			 "store", cluster ? cluster_store_json(cluster) : json_null(),
			 "journal", journal_json(snapshot),
			 "findings", findings_json(snapshot),
			 "findings_blind", findings_blind_json(snapshot),
			 "peers", peers_json(snapshot),
			 "probes", probes_json(snapshot),
			 "budget", budget_json(&snapshot->budget),
			 "disks", disks_json(snapshot),
			 "disks_error", snapshot->disks_error ? string_value(snapshot->disks_error) : json_null(),
			 "cgroups", groups_json(snapshot),
			 "pods", pods_json(snapshot->pods),
			 "dropped_packets", drops_json(snapshot),
			 "run_queue_delay", sched_json(snapshot),
			 "counters", counters_json(snapshot));
	/* clang-format on */
}
