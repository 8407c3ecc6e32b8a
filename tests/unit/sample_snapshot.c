// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "unit/sample_snapshot.h"

#include "base/clock.h"

static const struct snapshot_probe probes[] = {
	{"tcp_probe", "tp_btf/tcp_probe", true, "", 6},
	{"tcp_reset", "tp_btf/tcp_send_reset", false, "this kernel has no BTF", 0},
};

#define CONTAINER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct task_record shop = {
	.oom_kills = 2,
	.crashes = {[11] = 3, [TASK_SIGNAL_REALTIME] = 4},
};
static const struct task_record others = {.crashes = {[6] = 7}};
static const struct snapshot_group groups[] = {
	{"/kubepods/shop/" CONTAINER, CONTAINER, "shop", "", &shop},
	{"other", "", "", "", &others},
};

static const struct snapshot_drop drops[] = {{"netfilter_drop", 12}, {"other", 13}};

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
		.tcp_counters = {.peers_created = 1,
				 .peers_evicted = 2,
				 .peer_failures = 3,
				 .flow_failures = 4,
				 .wakeups_lost = 5},
		.groups = groups,
		.group_count = sizeof(groups) / sizeof(*groups),
		.task_counters = {.events_lost = 1, .records_lost = 2, .repeats_unsure = 3},
		.drops = drops,
		.drop_count = sizeof(drops) / sizeof(*drops),
		.sched_known = true,
		.sched = {.sum_ns = 1000000007, .counts = {[3] = 99, [80] = 1}, .unknown = 5},
		.peer_table_size = 4096,
		.peer_table_used = 17,
		.heartbeats_rejected = {99, 1, 2, 3, 4, 5, 6},
	};
}
