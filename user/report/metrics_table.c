// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/metrics_table.h"

#include "report/metrics_value.h"
#include "report/names.h"

#include <math.h>
#include <string.h>

/* Label values. */

static const char *state_name(const struct metric_subject *subject, unsigned int index)
{
	(void)subject;
	return edge_state_name(index);
}

static const char *retransmit_name(const struct metric_subject *subject, unsigned int index)
{
	(void)subject;
	return report_retransmit_name(index);
}

static const char *error_name(const struct metric_subject *subject, unsigned int index)
{
	(void)subject;
	return report_error_name(index);
}

static const char *direction_name(const struct metric_subject *subject, unsigned int index)
{
	(void)subject;
	return index ? "out" : "in";
}

/* The first reason, HEARTBEAT_ACCEPTED, is none. */
static const char *reject_name(const struct metric_subject *subject, unsigned int index)
{
	(void)subject;
	return heartbeat_reject_name(index + 1);
}

static const char *version(const struct metric_subject *subject, unsigned int index)
{
	(void)index;
	return subject->snapshot->version;
}

VALUE(uptime, nanoseconds, snapshot->uptime_ns)
VALUE(blind, number, snapshot->blind)
VALUE(alone, number, snapshot->alone)
VALUE(carrier_down, number, snapshot->carrier_down)
VALUE(late_ticks, number, snapshot->late_ticks)
VALUE(late_time, nanoseconds, snapshot->late_ticks_ns)
VALUE(other_peers, number, snapshot->other_count)
VALUE(table_slots, number, snapshot->peer_table_size)
VALUE(table_used, number, snapshot->peer_table_used)
VALUE(table_insertions, number, snapshot->tcp_counters.peers_created)
VALUE(table_evictions, number, snapshot->tcp_counters.peers_evicted)
VALUE(table_failures, number, snapshot->tcp_counters.peer_failures)
VALUE(flow_failures, number, snapshot->tcp_counters.flow_failures)
VALUE(wakeups_lost, number, snapshot->tcp_counters.wakeups_lost)
VALUE(cgroup_records_lost, number, snapshot->tcp_counters.group_records_lost)
VALUE(distrust, decimal, snapshot->distrust_ratio)
VALUE(heartbeats_refused, number, snapshot->heartbeat_send_failures)
VALUE(heartbeats_overflowed, number, snapshot->heartbeats_overflowed)
VALUE(relays_forwarded, number, snapshot->heartbeat_relays_forwarded)
VALUES(heartbeats_rejected, number, snapshot->heartbeats_rejected, HEARTBEAT_ACCEPTED + 1)

VALUE(probe_attached, number, probe->attached)
VALUE(drop_packets, number, drop->packets)
VALUE(sched_unknown, number, snapshot->sched.unknown)

VALUE(probe_runs_missed, number, probe->runs_missed)
VALUE(budget_limit, decimal, snapshot->budget.limit_ratio)
VALUE(budget_measured, nanoseconds, snapshot->budget.measured_ns)

VALUE(cpu_time, microseconds, process->cpu_us)
VALUE(resident, number, process->resident_bytes)
VALUE(open_fds, number, process->open_fds)
VALUE(start_time, decimal, process->start_time_s)

VALUE(agent_silent, number, peer->agent_silent)
VALUE(heartbeats_blocked, number, peer->heartbeats_blocked)
VALUE(heartbeats_sent, number, peer->heartbeats_sent)
VALUE(heartbeats_received, number, peer->heartbeats_received)
VALUE(segments, number, peer->tcp.segments)
VALUE(acknowledged, number, peer->tcp.acked_bytes)
VALUE(connects, number, peer->tcp.connects)
VALUE(zero_window_episodes, number, peer->tcp.zero_window_episodes)
VALUE(zero_window_sockets, number, peer->tcp.zero_window_sockets)
VALUE(stalled_sockets, number, peer->tcp.stalled_sockets)
VALUE(oldest_stall, nanoseconds, peer->oldest_stall_ns)
VALUES(state_changes, number, peer->state_changes, 0)
VALUES(retransmits, number, peer->tcp.retransmits, 0)
VALUES(connect_failures, number, peer->tcp.connect_failures, 0)
VALUES(connection_errors, number, peer->tcp.connection_errors, 0)

static struct metric_value one(const struct metric_subject *subject, unsigned int index)
{
	(void)subject;
	(void)index;
	return number(1);
}

static struct metric_value state(const struct metric_subject *subject, unsigned int index)
{
	return number(subject->peer->state == index);
}

static struct metric_value last_heard(const struct metric_subject *subject, unsigned int index)
{
	(void)index;
	return subject->peer->heard ? nanoseconds(subject->peer->heard_age_ns) : absent();
}

static struct metric_value loss(const struct metric_subject *subject, unsigned int index)
{
	double ratio = index ? subject->peer->loss_out_ratio : subject->peer->loss_in_ratio;

	return isfinite(ratio) ? decimal(ratio) : absent();
}

static struct metric_value heartbeat_rtt(const struct metric_subject *subject, unsigned int index)
{
	uint32_t rtt_us = subject->peer->heartbeat_rtt_us;

	(void)index;
	return rtt_us ? microseconds(rtt_us) : absent();
}

static struct metric_value clock_offset(const struct metric_subject *subject, unsigned int index)
{
	double offset_s = subject->peer->clock_offset_s;

	(void)index;
	return isfinite(offset_s) ? decimal(offset_s) : absent();
}

static struct metric_value resets(const struct metric_subject *subject, unsigned int index)
{
	const struct peer_record *tcp = &subject->peer->tcp;

	return number(index ? tcp->resets_sent : tcp->resets_received);
}

static bool rtt(const struct metric_subject *subject, struct metric_histogram *ret)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		ret->counts[i] = subject->peer->tcp.rtt[i];
	ret->sum = microseconds(subject->peer->tcp.rtt_sum_us);
	return true;
}

VALUE(block_records_lost, number, snapshot->block_counters.records_lost)
VALUE(block_in_flight_lost, number, snapshot->block_counters.in_flight_lost)
VALUE(block_start_unknown, number, snapshot->block_counters.start_unknown)
VALUE(block_issue_unknown, number, snapshot->block_counters.issue_unknown)
VALUE(block_completions_unseen, number, snapshot->block_counters.completions_unseen)
VALUE(task_events_lost, number, snapshot->task_counters.events_lost)
VALUE(task_records_lost, number, snapshot->task_counters.records_lost)
VALUE(task_repeats_unsure, number, snapshot->task_counters.repeats_unsure)

static struct metric_value pods(const struct metric_subject *subject, unsigned int index)
{
	(void)index;
	return subject->snapshot->pods ? number(subject->snapshot->pods->count) : absent();
}

static struct metric_value budget_share(const struct metric_subject *subject, unsigned int index)
{
	const struct snapshot_budget *budget = &subject->snapshot->budget;

	(void)index;
	return budget->known ? decimal(budget->share_ratio) : absent();
}

static const char *part_name(const struct metric_subject *subject, unsigned int index)
{
	return subject->snapshot->budget.parts[index].name;
}

static struct metric_value part_shed(const struct metric_subject *subject, unsigned int index)
{
	return number(subject->snapshot->budget.parts[index].shed);
}

static struct metric_value part_sheds(const struct metric_subject *subject, unsigned int index)
{
	return number(subject->snapshot->budget.parts[index].sheds);
}

static bool probe_runs(const struct metric_subject *subject, struct metric_summary *ret)
{
	ret->count = subject->probe->runs;
	ret->sum = nanoseconds(subject->probe->run_time_ns);
	return true;
}

static bool block_device(const struct metric_subject *subject, struct metric_histogram *ret)
{
	if (!subject->disk->used)
		return false;
	memcpy(ret->counts, subject->disk->record->device, sizeof(ret->counts));
	ret->sum = nanoseconds(subject->disk->record->device_sum_ns);
	return true;
}

static bool block_queue(const struct metric_subject *subject, struct metric_histogram *ret)
{
	if (!subject->disk->used)
		return false;
	memcpy(ret->counts, subject->disk->record->queue, sizeof(ret->counts));
	ret->sum = nanoseconds(subject->disk->record->queue_sum_ns);
	return true;
}

static struct metric_value block_bytes(const struct metric_subject *subject, unsigned int index)
{
	(void)index;
	return subject->disk->used ? number(subject->disk->record->bytes) : absent();
}

static struct metric_value block_errors(const struct metric_subject *subject, unsigned int index)
{
	(void)index;
	return subject->disk->used ? number(subject->disk->record->errors) : absent();
}

static struct metric_value block_unsupported(const struct metric_subject *subject,
					     unsigned int index)
{
	(void)index;
	return subject->disk->used ? number(subject->disk->record->unsupported) : absent();
}

static struct metric_value block_in_flight(const struct metric_subject *subject, unsigned int index)
{
	(void)index;
	return subject->disk->in_flight_known ? number(subject->disk->in_flight) : absent();
}

static struct metric_value block_oldest(const struct metric_subject *subject, unsigned int index)
{
	(void)index;
	return subject->disk->used ? nanoseconds(subject->disk->oldest_in_flight_ns) : absent();
}

static struct metric_value block_completion(const struct metric_subject *subject,
					    unsigned int index)
{
	(void)index;
	return subject->disk->completed ? nanoseconds(subject->disk->since_completion_ns)
					: absent();
}

static bool sched_delay(const struct metric_subject *subject, struct metric_histogram *ret)
{
	const struct sched_record *record = &subject->snapshot->sched;

	memcpy(ret->counts, record->counts, sizeof(ret->counts));
	ret->sum = nanoseconds(record->sum_ns);
	return subject->snapshot->sched_known;
}

/* What never happened has no series: there would be too many. */
static struct metric_value unless_zero(uint64_t value)
{
	return value ? number(value) : absent();
}

static const char *signal_label(const struct metric_subject *subject, unsigned int index)
{
	(void)subject;
	return report_crash_signal(index);
}

static struct metric_value task_crashes(const struct metric_subject *subject, unsigned int index)
{
	return unless_zero(subject->group->task->crashes[index]);
}

static struct metric_value task_oom_kills(const struct metric_subject *subject, unsigned int index)
{
	(void)index;
	return unless_zero(subject->group->task->oom_kills);
}

static struct metric_value cgroup_retransmits(const struct metric_subject *subject,
					      unsigned int index)
{
	(void)index;
	return unless_zero(subject->group->tcp->retransmits);
}

static struct metric_value cgroup_connect_failures(const struct metric_subject *subject,
						   unsigned int index)
{
	(void)index;
	return unless_zero(subject->group->tcp->connect_failures);
}

#define STATES	   .label = "state", .label_value = state_name, .label_count = EDGE_STATES
#define KINDS	   .label = "kind", .label_value = retransmit_name, .label_count = PEER_RETRANSMIT_KINDS
#define REASONS	   .label = "reason", .label_value = error_name, .label_count = PEER_ERROR_KINDS
#define PARTS	   .label = "family", .label_value = part_name, .label_count = SNAPSHOT_BUDGET_PARTS
#define DIRECTIONS .label = "direction", .label_value = direction_name, .label_count = 2

/* clang-format off */
static const struct metric node_table[] = {
	/* The agent. */
	{"tocsin_build", METRIC_INFO, "The version of the agent; always 1.",
	 "", METRIC_OF_AGENT, .value = one, .label = "version", .label_value = version, .label_count = 1},
	{"tocsin_agent_uptime_seconds", METRIC_GAUGE, "How long the agent has been running.",
	 "seconds", METRIC_OF_AGENT, .value = uptime},
	{"tocsin_agent_blind", METRIC_GAUGE,
	 "1 when the agent cannot do its job: a probe that it needs is missing.",
	 "", METRIC_OF_AGENT, .value = blind},
	{"tocsin_agent_alone", METRIC_GAUGE, "1 when no peer at all is heard.",
	 "", METRIC_OF_AGENT, .value = alone},
	{"tocsin_agent_carrier_down", METRIC_GAUGE, "1 when no interface but loopback is up.",
	 "", METRIC_OF_AGENT, .value = carrier_down},
	{"tocsin_agent_late_ticks", METRIC_COUNTER,
	 "Ticks at which the agent itself was scheduled too late.",
	 "", METRIC_OF_AGENT, .value = late_ticks},
	{"tocsin_agent_late_seconds", METRIC_COUNTER, "By how much, in total, those ticks were late.",
	 "seconds", METRIC_OF_AGENT, .value = late_time},
	{"tocsin_agent_distrust_ratio", METRIC_GAUGE,
	 "How much the agent distrusts itself for having been late; it asks for that much more certainty.",
	 "ratio", METRIC_OF_AGENT, .value = distrust},

	/* The verdict on each peer. */
	{"tocsin_peer_state", METRIC_GAUGE, "1 for the state that the peer is in, 0 for all others.",
	 "", METRIC_OF_PEER, .value = state, STATES},
	{"tocsin_peer_state_changes", METRIC_COUNTER, "How often the peer came into each state.",
	 "", METRIC_OF_ANY_PEER, .value = state_changes, STATES},
	{"tocsin_peer_last_heard_seconds", METRIC_GAUGE,
	 "How long ago the peer was heard by any means; no sample when never.",
	 "seconds", METRIC_OF_PEER, .value = last_heard},
	{"tocsin_peer_agent_silent", METRIC_GAUGE,
	 "1 when the node's kernel answers and its agent does not.",
	 "", METRIC_OF_NODE, .value = agent_silent},
	{"tocsin_peer_heartbeats_blocked", METRIC_GAUGE,
	 "1 when the node's kernel answers and its agent speaks, but our heartbeats do not get there.",
	 "", METRIC_OF_NODE, .value = heartbeats_blocked},
	{"tocsin_other_peers", METRIC_GAUGE,
	 "Peers beyond metrics.max_peers, which share the series of peer=\"other\".",
	 "", METRIC_OF_AGENT, .value = other_peers},

	{"tocsin_peer_loss_ratio", METRIC_GAUGE,
	 "Share lost lately, 0 to 1: of heartbeats, or of TCP segments where none get through.",
	 "ratio", METRIC_OF_PEER, .value = loss, DIRECTIONS},
	/* Heartbeats between agents. */
	{"tocsin_peer_heartbeats_sent", METRIC_COUNTER, "Heartbeats sent to the node.",
	 "", METRIC_OF_NODE, .value = heartbeats_sent},
	{"tocsin_peer_heartbeats_received", METRIC_COUNTER, "Heartbeats accepted from the node.",
	 "", METRIC_OF_NODE, .value = heartbeats_received},
	{"tocsin_heartbeat_rtt_seconds", METRIC_GAUGE,
	 "Smoothed round-trip time of heartbeats; no sample when unknown.",
	 "seconds", METRIC_OF_NODE, .value = heartbeat_rtt},
	{"tocsin_peer_clock_offset_seconds", METRIC_GAUGE,
	 "The node's wall clock less this node's, by heartbeats; no sample when unknown.",
	 "seconds", METRIC_OF_NODE, .value = clock_offset},
	{"tocsin_heartbeat_send_failures", METRIC_COUNTER,
	 "Heartbeats that this node's own stack refused to send.",
	 "", METRIC_OF_AGENT, .value = heartbeats_refused},
	{"tocsin_heartbeats_overflowed", METRIC_COUNTER,
	 "Datagrams that this node's kernel dropped because the agent did not read in time.",
	 "", METRIC_OF_AGENT, .value = heartbeats_overflowed},
	{"tocsin_heartbeat_relays_forwarded", METRIC_COUNTER,
	 "Heartbeats passed on for a node that its peer does not hear.",
	 "", METRIC_OF_AGENT, .value = relays_forwarded},
	{"tocsin_heartbeats_rejected", METRIC_COUNTER, "Datagrams dropped instead of accepted.",
	 "", METRIC_OF_AGENT, .value = heartbeats_rejected,
	 .label = "reason", .label_value = reject_name, .label_count = HEARTBEAT_REJECT_KINDS - 1},

	/* TCP of all programs on this node, as its kernel saw it. */
	{"tocsin_peer_segments_received", METRIC_COUNTER, "TCP segments received from the peer.",
	 "", METRIC_OF_ANY_PEER, .value = segments},
	{"tocsin_peer_acknowledged_bytes", METRIC_COUNTER, "Bytes that the peer acknowledged.",
	 "bytes", METRIC_OF_ANY_PEER, .value = acknowledged},
	{"tocsin_peer_retransmits", METRIC_COUNTER,
	 "TCP retransmits to the peer: only rto, syn and synack hint at silence; tlp is harmless.",
	 "", METRIC_OF_ANY_PEER, .value = retransmits, KINDS},
	{"tocsin_peer_connects", METRIC_COUNTER, "Connects of ours that the peer answered.",
	 "", METRIC_OF_ANY_PEER, .value = connects},
	{"tocsin_peer_connect_failures", METRIC_COUNTER, "Connects of ours that failed.",
	 "", METRIC_OF_ANY_PEER, .value = connect_failures, REASONS},
	{"tocsin_peer_connection_errors", METRIC_COUNTER,
	 "Established connections that ended in an error.",
	 "", METRIC_OF_ANY_PEER, .value = connection_errors, REASONS},
	{"tocsin_peer_resets", METRIC_COUNTER, "TCP resets received (in) and sent (out).",
	 "", METRIC_OF_ANY_PEER, .value = resets, DIRECTIONS},
	{"tocsin_peer_zero_window_episodes", METRIC_COUNTER,
	 "How often a socket of the peer stopped taking data: its program does not read.",
	 "", METRIC_OF_ANY_PEER, .value = zero_window_episodes},
	{"tocsin_peer_zero_window_sockets", METRIC_GAUGE, "Connections whose peer takes no data now.",
	 "", METRIC_OF_ANY_PEER, .value = zero_window_sockets},
	{"tocsin_peer_stalled_sockets", METRIC_GAUGE,
	 "Connections with a retransmission timeout and no progress since.",
	 "", METRIC_OF_ANY_PEER, .value = stalled_sockets},
	{"tocsin_peer_oldest_stall_seconds", METRIC_GAUGE,
	 "How long the longest stalled connection has been so; 0 when none is.",
	 "seconds", METRIC_OF_PEER, .value = oldest_stall},
	{"tocsin_peer_rtt_seconds", METRIC_HISTOGRAM,
	 "TCP round-trip time, one sample an acknowledgement of something new.",
	 "seconds", .scope = METRIC_OF_ANY_PEER, .histogram = rtt},
	{"tocsin_tcp_cgroup_retransmits", METRIC_COUNTER,
	 "TCP retransmits of the sockets of a control group, of all kinds that were sent.",
	 "", METRIC_OF_GROUP, .value = cgroup_retransmits},
	{"tocsin_tcp_cgroup_connect_failures", METRIC_COUNTER,
	 "Connects that failed of the sockets of a control group.",
	 "", METRIC_OF_GROUP, .value = cgroup_connect_failures},
	{"tocsin_tcp_cgroup_records_lost", METRIC_COUNTER,
	 "Retransmits and failed connects counted as of cgroup=\"other\": the kernel's table was full.",
	 "", METRIC_OF_AGENT, .value = cgroup_records_lost},

	/* Disks. */
	{"tocsin_block_device_seconds", METRIC_HISTOGRAM,
	 "Block I/O, from when its driver got it to its completion.",
	 "seconds", .scope = METRIC_OF_DISK, .histogram = block_device},
	{"tocsin_block_queue_seconds", METRIC_HISTOGRAM,
	 "Block I/O, from its request's allocation to when its driver got it.",
	 "seconds", .scope = METRIC_OF_DISK, .histogram = block_queue},
	{"tocsin_block_bytes", METRIC_COUNTER, "Bytes of block I/O that succeeded.",
	 "bytes", METRIC_OF_DISK, .value = block_bytes},
	{"tocsin_block_errors", METRIC_COUNTER, "Block I/O that failed.",
	 "", METRIC_OF_DISK, .value = block_errors},
	{"tocsin_block_unsupported", METRIC_COUNTER,
	 "Block I/O that failed because the device does not have the operation.",
	 "", METRIC_OF_DISK, .value = block_unsupported},
	{"tocsin_block_in_flight", METRIC_GAUGE,
	 "Requests not completed yet: reads, and all others as writes.",
	 "", METRIC_OF_DISK, .value = block_in_flight},
	{"tocsin_block_oldest_in_flight_seconds", METRIC_GAUGE,
	 "Age of the oldest request that the disk's driver has; 0 when it has none.",
	 "seconds", METRIC_OF_DISK, .value = block_oldest},
	{"tocsin_block_since_completion_seconds", METRIC_GAUGE,
	 "How long ago the last one was completed; no sample when none was.",
	 "seconds", METRIC_OF_DISK, .value = block_completion},
	{"tocsin_block_records_lost", METRIC_COUNTER,
	 "Block I/O not counted: too many devices, or no memory.",
	 "", METRIC_OF_AGENT, .value = block_records_lost},
	{"tocsin_block_in_flight_lost", METRIC_COUNTER,
	 "Block I/O whose age in flight was not followed: no room.",
	 "", METRIC_OF_AGENT, .value = block_in_flight_lost},
	{"tocsin_block_start_unknown", METRIC_COUNTER,
	 "Block I/O that is in no histogram: nobody kept its start.",
	 "", METRIC_OF_AGENT, .value = block_start_unknown},
	{"tocsin_block_issue_unknown", METRIC_COUNTER,
	 "Block I/O whose time in the queue is part of its device time.",
	 "", METRIC_OF_AGENT, .value = block_issue_unknown},
	{"tocsin_block_completions_unseen", METRIC_COUNTER,
	 "Requests that ended unseen and are not counted: the kernel ran no program then, or a stacking driver took them back.",
	 "", METRIC_OF_AGENT, .value = block_completions_unseen},

	/* Processes. */
	{"tocsin_task_crashes", METRIC_COUNTER, "Processes that a signal ended.",
	 "", METRIC_OF_GROUP, .value = task_crashes,
	 .label = "signal", .label_value = signal_label, .label_count = TASK_SIGNALS},
	{"tocsin_task_oom_kills", METRIC_COUNTER,
	 "Processes that the kernel killed because memory ran out; a crash by SIGKILL, too.",
	 "", METRIC_OF_GROUP, .value = task_oom_kills},
	{"tocsin_task_records_lost", METRIC_COUNTER,
	 "Crashes and OOM kills counted as of cgroup=\"other\": the kernel's table was full.",
	 "", METRIC_OF_AGENT, .value = task_records_lost},
	{"tocsin_task_events_lost", METRIC_COUNTER,
	 "Crashes that were counted, but not told at once: the ring was full.",
	 "", METRIC_OF_AGENT, .value = task_events_lost},
	{"tocsin_task_repeats_unsure", METRIC_COUNTER,
	 "Crashes and OOM kills that may have been counted twice.",
	 "", METRIC_OF_AGENT, .value = task_repeats_unsure},
	{"tocsin_pods", METRIC_GAUGE,
	 "Pods of this node whose names are known; no sample without the API of Kubernetes.",
	 "", METRIC_OF_AGENT, .value = pods},

	/* The network stack. */
	{"tocsin_drop_packets", METRIC_COUNTER,
	 "Packets that this node's kernel dropped, by its own reason.",
	 "", METRIC_OF_DROP, .value = drop_packets},

	/* The scheduler. */
	{"tocsin_sched_delay_seconds", METRIC_HISTOGRAM,
	 "How long tasks that could run had to wait for a CPU.",
	 "seconds", .scope = METRIC_OF_AGENT, .histogram = sched_delay},
	{"tocsin_sched_unknown", METRIC_COUNTER,
	 "Waits that are not in the histogram: the first that is seen of a task.",
	 "", METRIC_OF_AGENT, .value = sched_unknown},

	/* The programs in the kernel. */
	{"tocsin_probe_attached", METRIC_GAUGE, "1 when the program is attached to its hook.",
	 "", METRIC_OF_PROBE, .value = probe_attached},
	{"tocsin_probe_runs_missed", METRIC_COUNTER,
	 "Runs of the program that the kernel left out: what happened then is not counted.",
	 "", METRIC_OF_PROBE, .value = probe_runs_missed},
	{"tocsin_probe_run_seconds", METRIC_SUMMARY,
	 "How long the program ran and how often, in the windows in which that is measured.",
	 "seconds", .scope = METRIC_OF_PROBE, .summary = probe_runs},
	{"tocsin_budget_measured_seconds", METRIC_COUNTER, "All these windows together.",
	 "seconds", METRIC_OF_AGENT, .value = budget_measured},
	{"tocsin_budget_cpu_ratio", METRIC_GAUGE,
	 "What the programs took of the machine's CPU time in the last window; no sample when unknown.",
	 "ratio", METRIC_OF_AGENT, .value = budget_share},
	{"tocsin_budget_limit_ratio", METRIC_GAUGE, "What they may take: budget.cpu_percent.",
	 "ratio", METRIC_OF_AGENT, .value = budget_limit},
	{"tocsin_probe_shed", METRIC_GAUGE,
	 "1 while the family of programs is given up to keep the budget.",
	 "", METRIC_OF_AGENT, .value = part_shed, PARTS},
	{"tocsin_probe_sheds", METRIC_COUNTER, "How often it was given up.",
	 "", METRIC_OF_AGENT, .value = part_sheds, PARTS},
	{"tocsin_peer_table_slots", METRIC_GAUGE, "Peers that the kernel's table has room for.",
	 "", METRIC_OF_AGENT, .value = table_slots},
	{"tocsin_peer_table_used", METRIC_GAUGE, "Peers in the kernel's table.",
	 "", METRIC_OF_AGENT, .value = table_used},
	{"tocsin_peer_table_insertions", METRIC_COUNTER, "Peers put into the kernel's table.",
	 "", METRIC_OF_AGENT, .value = table_insertions},
	{"tocsin_peer_table_evictions", METRIC_COUNTER,
	 "Peers that gave their slot to another because the table was full.",
	 "", METRIC_OF_AGENT, .value = table_evictions},
	{"tocsin_peer_table_failures", METRIC_COUNTER,
	 "Times that a peer found no slot: its traffic is not counted.",
	 "", METRIC_OF_AGENT, .value = table_failures},
	{"tocsin_flow_failures", METRIC_COUNTER,
	 "Times that there was no memory to follow a socket: its traffic is not counted.",
	 "", METRIC_OF_AGENT, .value = flow_failures},
	{"tocsin_wakeups_lost", METRIC_COUNTER,
	 "Wake-ups from the kernel that found the ring full: the agent looked a tick later.",
	 "", METRIC_OF_AGENT, .value = wakeups_lost},

	/* The agent's process. */
	{"process_cpu_seconds", METRIC_COUNTER, "User and system time of the agent.",
	 "seconds", METRIC_OF_PROCESS, .value = cpu_time},
	{"process_resident_memory_bytes", METRIC_GAUGE, "Resident memory of the agent.",
	 "bytes", METRIC_OF_PROCESS, .value = resident},
	{"process_open_fds", METRIC_GAUGE, "Open file descriptors of the agent.",
	 "", METRIC_OF_PROCESS, .value = open_fds},
	{"process_start_time_seconds", METRIC_GAUGE, "When the agent started, since the epoch.",
	 "seconds", METRIC_OF_PROCESS, .value = start_time},
};
/* clang-format on */

const struct metrics_list metrics_of_node = {node_table, sizeof(node_table) / sizeof(*node_table)};
