// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "unit/sample_snapshot.h"

#include "base/clock.h"

static const struct snapshot_probe probes[] = {
	{.name = "tcp_probe",
	 .hook = "tp_btf/tcp_probe",
	 .attached = true,
	 .reason = "",
	 .runs_missed = 6,
	 .runs = 1000,
	 .run_time_ns = 60000},
	{.name = "tcp_reset", .hook = "tp_btf/tcp_send_reset", .reason = "this kernel has no BTF"},
};

#define CONTAINER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct task_record shop = {
	.oom_kills = 2,
	.crashes = {[11] = 3, [TASK_SIGNAL_REALTIME] = 4},
};
static const struct task_record stall = {.crashes = {[11] = 5}};
static const struct task_record others = {.crashes = {[6] = 7}};
static const struct tcp_group_record quiet_sockets;
static const struct tcp_group_record stall_sockets = {.retransmits = 21, .connect_failures = 22};
static const struct tcp_group_record other_sockets = {.retransmits = 23};
static const struct snapshot_group groups[] = {
	{"/kubepods/shop/" CONTAINER, "", "shop", CONTAINER, "", &shop, &quiet_sockets},
	{"/kubepods/named", "market", "stall-1", "till", "", &stall, &stall_sockets},
	{"other", "", "", "", "", &others, &other_sockets},
};

static const struct snapshot_pods pods = {.count = 3, .reason = "the API is away"};

static const struct snapshot_drop drops[] = {{"netfilter_drop", 12}, {"other", 13}};

static const struct verdicts verdicts = {
	.standing = {{.class = VERDICT_NODE_ISOLATED, .raised = true},
		     {.class = VERDICT_NODE_ISOLATED, .raised = true},
		     {.class = VERDICT_NODE_ISOLATED},
		     {.class = VERDICT_LOSSY_LINK, .raised = true}},
	.count = 4,
};
static struct actor_record records[] = {
	{.record = {.state = RECORD_ISOLATED}},
	{.member = 1, .record = {.state = RECORD_RELEASED}},
};
static const struct actor actor = {.records = records, .count = 2};
static const struct store_state store = {.connected = true,
					 .actor = true,
					 .actor_name = "n1",
					 .renewed_ns = 100 * NS_PER_S,
					 .lease_ns = 3 * NS_PER_S};
static const struct snapshot_cluster cluster = {
	.verdicts = &verdicts,
	.actor = &actor,
	.store = &store,
	.store_kind = CONFIG_STORE_ETCD,
	.mode = CONFIG_MODE_ENFORCE,
	.synced = true,
	.fenced = true,
	.now_ns = 100 * NS_PER_S + 150 * NS_PER_MS,
};

static const struct incident_totals incidents = {
	.classes = {{.name = "node-isolated",
		     .closed = 3,
		     .open = 1,
		     .detect = {3, 900 * NS_PER_MS},
		     .isolate = {2, 2500 * NS_PER_MS},
		     .recover = {1, 90 * NS_PER_S + 1}},
		    {.name = "a\"b", .closed = 9}},
	.class_count = 2,
	.suspicions = 10,
};

struct snapshot sample_snapshot(const struct snapshot_peer *peers, size_t count)
{
	return (struct snapshot){
		.node = "n1",
		.version = "0.1.0",
		.late_ticks = 3,
		.late_ticks_ns = 1500 * NS_PER_MS,
		.peers = peers,
		.peer_count = count,
		.probes = probes,
		.probe_count = sizeof(probes) / sizeof(*probes),
		.budget = {.known = true,
			   .share_ratio = 0.0125,
			   .limit_ratio = 0.01,
			   .measured_ns = 300 * NS_PER_MS,
			   .parts = {{"block", false, 0},
				     {"task", false, 0},
				     {"rtt", false, 0},
				     {"drop", false, 0},
				     {"listener", true, 1},
				     {"sched", true, 2}}},
		.tcp_counters = {.peers_created = 1,
				 .peers_evicted = 2,
				 .peer_failures = 3,
				 .flow_failures = 4,
				 .wakeups_lost = 5,
				 .group_records_lost = 6},
		.groups = groups,
		.pods = &pods,
		.group_count = sizeof(groups) / sizeof(*groups),
		.task_counters = {.events_lost = 1, .records_lost = 2, .repeats_unsure = 3},
		.drops = drops,
		.drop_count = sizeof(drops) / sizeof(*drops),
		.sched_known = true,
		.sched = {.sum_ns = 1000000007, .counts = {[3] = 99, [80] = 1}, .unknown = 5},
		.cluster = &cluster,
		.decisions = {.verdicts = {[VERDICT_NODE_DOWN] = 1, [VERDICT_NODE_UNREACHABLE] = 3},
			      .isolations = 4,
			      .refusals = {[RAIL_STORE] = 5, [RAIL_INTERVAL] = 6},
			      .store_connects = 7,
			      .row_writes = 8},
		.journal_known = true,
		.journal = {.records = 11,
			    .bytes = 12,
			    .lost = 13,
			    .failures = 14,
			    .error = -28,
			    .queued_records = 15,
			    .queued_bytes = 16,
			    .oldest_age_ns = 1700 * NS_PER_MS,
			    .writes_ns = 18 * NS_PER_MS,
			    .writes = 19},
		.incidents = &incidents,
		.peer_table_size = 4096,
		.peer_table_used = 17,
		.heartbeats_rejected = {99, 1, 2, 3, 4, 5, 6},
	};
}
