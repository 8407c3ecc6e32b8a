// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/agent.h"

#include "agent/budget.h"
#include "agent/cluster.h"
#include "agent/findings.h"
#include "agent/incidents.h"
#include "agent/node_objects.h"
#include "agent/pods.h"
#include "base/clock.h"
#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Adds the counters and gauges of one address to those of its peer. */
static void add_tcp(struct peer_record *sum, const struct peer_record *record)
{
	sum->stalled_sockets += record->stalled_sockets;
	sum->zero_window_sockets += record->zero_window_sockets;
	sum->segments += record->segments;
	sum->advances += record->advances;
	sum->acked_bytes += record->acked_bytes;
	sum->connects += record->connects;
	sum->resets_sent += record->resets_sent;
	sum->resets_received += record->resets_received;
	sum->zero_window_episodes += record->zero_window_episodes;
	sum->rtt_sum_us += record->rtt_sum_us;
	for (size_t i = 0; i < PEER_RETRANSMIT_KINDS; i++)
		sum->retransmits[i] += record->retransmits[i];
	for (size_t i = 0; i < PEER_ERROR_KINDS; i++) {
		sum->connect_failures[i] += record->connect_failures[i];
		sum->connection_errors[i] += record->connection_errors[i];
	}
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum->rtt[i] += record->rtt[i];
}

/* Unconfigured peers in trouble come first, then those heard last. */
static int compare_peers(const void *a, const void *b)
{
	const struct peer *left = *(struct peer *const *)a, *right = *(struct peer *const *)b;

	if (left->edge.state != right->edge.state)
		return left->edge.state > right->edge.state ? -1 : 1;
	if (left->edge.heard_ns != right->edge.heard_ns)
		return left->edge.heard_ns > right->edge.heard_ns ? -1 : 1;
	return 0;
}

/* NAN before there was anything to measure. */
static double ratio_of(struct edge_loss loss)
{
	return loss.measured ? loss.ratio : NAN;
}

static void describe_peer(const struct agent *agent, const struct peer *peer, uint64_t now_ns,
			  struct snapshot_peer *ret)
{
	const struct edge_self self = {
		.now_ns = now_ns,
		.alone = agent->alone,
		.carrier_down = agent->carrier_down,
	};
	const struct edge_settings settings = {.certainty = agent->config.edge.certainty};
	const struct edge *edge = &peer->edge;
	struct heartbeat_status status = {0};
	struct text sentence = TEXT(ret->evidence);

	if (peer->configured && agent->heartbeat)
		heartbeat_status(agent->heartbeat, peer->node_index, &status);
	ret->name = peer->name;
	ret->address = peer->address;
	ret->configured = peer->configured;
	ret->state = edge->state;
	ret->since_ns = now_ns - edge->since_ns;
	ret->heard = peer->evidence.tcp.heard_ns || peer->evidence.heartbeat.heard_ns ||
		     peer->evidence.connect.answer_ns;
	ret->heard_age_ns = now_ns > edge->heard_ns ? now_ns - edge->heard_ns : 0;
	ret->loss_out_ratio = ratio_of(edge_loss_out(edge, &peer->evidence));
	ret->loss_in_ratio = ratio_of(edge_loss_in(edge, &peer->evidence));
	ret->heartbeats_sent = status.sent;
	ret->heartbeats_received = status.received;
	ret->heartbeat_rtt_us = status.rtt_us;
	ret->clock_offset_s = status.clock_known ? (double)status.clock_offset_ns / NS_PER_S : NAN;
	ret->agent_silent = edge->agent_silent;
	ret->heartbeats_blocked = edge->heartbeats_blocked;
	if (peer->evidence.tcp.stalled_since_ns && peer->evidence.tcp.stalled_since_ns < now_ns)
		ret->oldest_stall_ns = now_ns - peer->evidence.tcp.stalled_since_ns;
	memcpy(ret->state_changes, peer->state_changes, sizeof(ret->state_changes));
	edge_explain(edge, &peer->evidence, &self, &settings, &sentence);
}

static bool make_room(struct agent *agent, size_t wanted)
{
	struct snapshot_peer *grown;

	if (wanted <= agent->snapshot_capacity)
		return true;
	grown = realloc(agent->snapshot_peers, wanted * sizeof(*grown));
	if (!grown)
		return false;
	agent->snapshot_peers = grown;
	agent->snapshot_capacity = wanted;
	return true;
}

/* Nodes in the order of the configuration, then the unconfigured ones that matter most. */
static size_t describe_peers(struct agent *agent, uint64_t now_ns, struct snapshot *ret)
{
	const struct peers *peers = &agent->peers;
	struct peer **unconfigured = calloc(peers->slot_count + 1UL, sizeof(struct peer *));
	struct peer *peer;
	size_t count = 0, nodes = 0, others = 0;

	if (!unconfigured)
		return 0;
	for (size_t at = 0; (peer = peers_next(peers, &at));) {
		if (peer->configured)
			nodes++;
		else
			unconfigured[others++] = peer;
	}
	qsort(unconfigured, others, sizeof(struct peer *), compare_peers);
	for (size_t i = agent->config.metrics.max_peers; i < others; i++) {
		unconfigured[i]->snapshot_index = SIZE_MAX;
		ret->other_count++;
	}
	if (others > agent->config.metrics.max_peers)
		others = agent->config.metrics.max_peers;
	if (!make_room(agent, nodes + others)) {
		log_error("out of memory for a status request");
		goto out;
	}
	/* Without any peer there may be no array yet. */
	if (nodes + others)
		memset(agent->snapshot_peers, 0, (nodes + others) * sizeof(struct snapshot_peer));
	for (unsigned int i = 0; i < peers->node_count; i++) {
		peer = peers->nodes[i];
		if (!peer)
			continue;
		peer->snapshot_index = count;
		describe_peer(agent, peer, now_ns, &agent->snapshot_peers[count++]);
	}
	for (size_t i = 0; i < others; i++) {
		unconfigured[i]->snapshot_index = count;
		describe_peer(agent, unconfigured[i], now_ns, &agent->snapshot_peers[count++]);
	}
out:
	free(unconfigured);
	return count;
}

static void add_tcp_of_all(const struct agent *agent, struct snapshot *ret)
{
	uint32_t touched = tcp_probe_slots_touched(agent->probe);
	struct peer_record record;

	for (uint32_t slot = 0; slot < touched && slot < agent->peers.slot_count; slot++) {
		const struct peer *owner = agent->peers.owners[slot];

		if (!owner || !tcp_probe_read(agent->probe, slot, &record))
			continue;
		ret->peer_table_used++;
		if (owner->snapshot_index < ret->peer_count)
			add_tcp(&agent->snapshot_peers[owner->snapshot_index].tcp, &record);
		else
			add_tcp(&ret->other.tcp, &record);
	}
}

static const char *blind_reason(const struct agent *agent)
{
	const struct program_status *programs;
	size_t count;

	if (!agent->probe)
		return agent->probe_error;
	programs = tcp_probe_programs(agent->probe, &count);
	for (size_t i = 0; i < count; i++)
		if (programs[i].program->required && !programs[i].attached)
			return programs[i].reason;
	return "";
}

bool agent_is_blind(const struct agent *agent)
{
	return blind_reason(agent)[0] != '\0';
}

static void add_probes(struct agent *agent, const struct program_status *programs, size_t count,
		       struct snapshot *ret)
{
	const size_t room = sizeof(agent->snapshot_probes) / sizeof(*agent->snapshot_probes);

	for (size_t i = 0; i < count && ret->probe_count < room; i++) {
		struct program_runs measured = agent_budget_runs(agent->budget, &programs[i]);

		agent->snapshot_probes[ret->probe_count++] = (struct snapshot_probe){
			.name = programs[i].program->name,
			.hook = programs[i].program->hook,
			.attached = programs[i].attached,
			.reason = programs[i].reason,
			.shed = programs[i].shed,
			.runs_missed = program_runs(&programs[i]).missed,
			.runs = measured.count,
			.run_time_ns = measured.time_ns,
		};
	}
	ret->probes = agent->snapshot_probes;
}

static void describe_probes(struct agent *agent, struct snapshot *ret)
{
	const struct program_status *programs;
	size_t count = 0;

	if (agent->probe) {
		programs = tcp_probe_programs(agent->probe, &count);
		add_probes(agent, programs, count, ret);
	}
	for (unsigned int kind = 0; kind < PROBE_KINDS; kind++) {
		programs = probes_programs(&agent->probes, kind, &count);
		add_probes(agent, programs, count, ret);
	}
}

static struct snapshot_disk describe_disk(const struct block_disk *disk,
					  enum block_operation operation, uint64_t now_ns)
{
	const struct block_sum *sum = &disk->operations[operation];
	uint64_t completed_ns = sum->record.completed_ns, oldest_ns = sum->oldest_start_ns;

	return (struct snapshot_disk){
		.name = disk->name,
		.operation = operation,
		.used = completed_ns || oldest_ns,
		.record = &sum->record,
		.in_flight_known = disk->in_flight_known && operation <= BLOCK_WRITE,
		.in_flight = operation <= BLOCK_WRITE ? disk->in_flight[operation] : 0,
		.oldest_in_flight_ns = oldest_ns && oldest_ns < now_ns ? now_ns - oldest_ns : 0,
		.completed = completed_ns != 0,
		.since_completion_ns = completed_ns < now_ns ? now_ns - completed_ns : 0,
	};
}

static void describe_disks(struct agent *agent, struct snapshot *ret)
{
	struct block_probe *probe = agent->probes.open[PROBE_BLOCK];
	const struct block_disk *disks;
	uint64_t now_ns;
	size_t count;
	int r;

	if (!probe) {
		ret->disks_error = agent->probes.errors[PROBE_BLOCK];
		return;
	}
	r = block_probe_read(probe, &disks, &count);
	if (r) {
		ret->disks_error = strerror(-r);
		return;
	}
	now_ns = clock_monotonic_ns();
	for (size_t i = 0; i < count; i++)
		for (unsigned int j = 0; j < BLOCK_OPERATIONS; j++)
			agent->snapshot_disks[ret->disk_count++] =
				describe_disk(&disks[i], j, now_ns);
	ret->disks = agent->snapshot_disks;
	ret->block_counters = block_probe_counters(probe);
}

static struct snapshot_group describe_group(const struct group_series *series)
{
	const struct cgroup_owner *owner = &series->owner;

	return (struct snapshot_group){
		.cgroup = series->path,
		.namespace = owner->pod.namespace,
		.pod = cgroup_owner_pod(owner),
		.container = cgroup_owner_container(owner),
		.unit = owner->group.unit,
		.task = &series->sum.task,
		.tcp = &series->sum.tcp,
	};
}

static void describe_groups(struct agent *agent, struct snapshot *ret)
{
	struct groups *groups = &agent->groups;
	int r;

	if (!groups->task && !groups->tcp)
		return;
	r = groups_read(groups);
	if (r) {
		log_error("what is counted by control group cannot be read", log_errno("error", r));
		return;
	}
	groups_name_pods(groups, node_objects_pods(agent->node_objects));
	for (size_t i = 0; i < groups->series_count; i++)
		agent->snapshot_groups[ret->group_count++] = describe_group(groups->series[i]);
	agent->snapshot_groups[ret->group_count++] = (struct snapshot_group){
		.cgroup = "other",
		.namespace = "",
		.container = "",
		.pod = "",
		.unit = "",
		.task = &groups->other.task,
		.tcp = &groups->other.tcp,
	};
	ret->groups = agent->snapshot_groups;
	if (groups->task)
		ret->task_counters = task_probe_counters(groups->task);
}

struct drop_rows {
	struct snapshot_drop *rows;
	size_t count;
};

static void add_drop(void *context, const char *reason, uint64_t packets)
{
	struct drop_rows *rows = context;

	rows->rows[rows->count++] = (struct snapshot_drop){reason, packets};
}

static void describe_pods(struct agent *agent, struct snapshot *ret)
{
	const struct pods *pods = node_objects_pods(agent->node_objects);

	if (!pods)
		return;
	agent->snapshot_pods = pods_snapshot(pods);
	ret->pods = &agent->snapshot_pods;
}

static void describe_drops(struct agent *agent, struct snapshot *ret)
{
	struct drop_probe *probe = agent->probes.open[PROBE_DROP];
	struct drop_rows rows = {.rows = agent->snapshot_drops};
	int r;

	if (!probe)
		return;
	r = drop_probe_read(probe, add_drop, &rows);
	if (r) {
		log_error("dropped packets cannot be read", log_errno("error", r));
		return;
	}
	ret->drops = rows.rows;
	ret->drop_count = rows.count;
}

static void describe_sched(const struct agent *agent, struct snapshot *ret)
{
	const struct sched_probe *probe = agent->probes.open[PROBE_SCHED];
	int r;

	if (!probe)
		return;
	r = sched_probe_read(probe, &ret->sched);
	if (r)
		log_error("run-queue delays cannot be read", log_errno("error", r));
	ret->sched_known = !r;
}

static void describe_journal(struct agent *agent, struct snapshot *ret)
{
	if (!agent->journal)
		return;
	ret->journal_known = true;
	ret->journal = journal_state(agent->journal);
	if (agent_incidents_totals(agent->incidents, &agent->snapshot_incidents))
		ret->incidents = &agent->snapshot_incidents;
}

void agent_snapshot(void *context, struct snapshot *ret)
{
	struct agent *agent = context;
	uint64_t now_ns = clock_monotonic_ns();

	ret->node = agent->config.node;
	ret->version = TOCSIN_VERSION;
	ret->uptime_ns = now_ns - agent->started_ns;
	ret->alone = agent->alone;
	ret->carrier_down = agent->carrier_down;
	ret->blind_reason = blind_reason(agent);
	ret->blind = agent_is_blind(agent);
	ret->late_ticks = agent->self.late_ticks;
	ret->late_ticks_ns = agent->self.late_ns;
	ret->distrust_ratio = agent->self.distrust;
	ret->findings = agent->findings ? agent_findings_list(agent->findings) : NULL;
	ret->findings_now_ns = now_ns;
	ret->finding_settings = agent->config.findings.settings;
	ret->other.name = "other";
	ret->peer_count = describe_peers(agent, now_ns, ret);
	ret->peers = agent->snapshot_peers;
	describe_probes(agent, ret);
	agent_budget_snapshot(agent->budget, &ret->budget);
	describe_disks(agent, ret);
	describe_groups(agent, ret);
	describe_pods(agent, ret);
	describe_drops(agent, ret);
	describe_sched(agent, ret);
	describe_journal(agent, ret);
	ret->decisions = agent->decisions;
	if (agent->cluster) {
		cluster_snapshot(agent->cluster, &agent->snapshot_cluster);
		ret->cluster = &agent->snapshot_cluster;
	}
	if (agent->probe) {
		add_tcp_of_all(agent, ret);
		ret->tcp_counters = tcp_probe_counters(agent->probe);
		ret->peer_table_size = tcp_probe_slots(agent->probe);
	}
	if (agent->heartbeat) {
		const struct heartbeat_counters *counters = heartbeat_counters(agent->heartbeat);

		memcpy(ret->heartbeats_rejected, counters->rejected,
		       sizeof(ret->heartbeats_rejected));
		ret->heartbeat_send_failures = counters->send_failures;
		ret->heartbeats_overflowed = counters->overflowed;
		ret->heartbeat_relays_forwarded = counters->relays_forwarded;
	}
}
