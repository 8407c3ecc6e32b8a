// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One turn: take in everything that is waiting, judge each peer, act on it. The order matters: what
 * lies unread in a socket is not silence.
 */
#include "agent/agent.h"

#include "agent/budget.h"
#include "agent/cluster.h"
#include "agent/health.h"
#include "agent/journal.h"
#include "agent/node_objects.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/log.h"

#include <math.h>
#include <string.h>

/* Turns while all is quiet, and while any peer is in doubt. */
#define TURN_QUIET_MS 50
#define TURN_SHORT_MS 25 /* no quiet turn is shorter */
#define TURN_ALERT_MS 10
/* When something else has woken the loop, a quiet turn comes up to this much earlier: a wakeup
 * costs more than what is done in it. */
#define TURN_EARLY_MS 15
/* One that comes with a heartbeat's wakeup may be so much later. */
#define TURN_LATE_MS 5
/* However many wakeups the kernel sends: never closer together than this. */
#define TURN_MIN_MS 5

/* The watchdog is told so many times in its time. */
#define WATCHDOG_SHARE 3

#define CONFIRM_FAST_INTERVAL_NS (40 * NS_PER_MS)
#define CONFIRM_SLOW_INTERVAL_NS (250 * NS_PER_MS)
/* A connect gets four round trips, and this much for the peer's interrupts. */
#define CONFIRM_TIMEOUT_BASE_NS (50 * NS_PER_MS)
#define CONFIRM_TIMEOUT_MAX_NS	(2 * NS_PER_S)
/* Lifeguard stretches a suspicious agent's timeouts by up to 8. */
#define CONFIRM_STRETCH 7
/* So many connects in vain to a peer that is heard all the while: a firewall eats them. */
#define CALIBRATION_CONNECTS 8

/* Nothing from anyone for this long, and this node suspects itself. */
#define ALONE_NS (300 * NS_PER_MS)
/* How often, and how long after an RTO, stalls are looked through for their end. */
#define SWEEP_NS	   NS_PER_S
#define OWN_REFRESH_NS	   (10 * NS_PER_S)
#define CARRIER_REFRESH_NS (500 * NS_PER_MS)

static uint64_t newest_hearing(const struct edge_evidence *evidence)
{
	uint64_t newest = evidence->tcp.heard_ns;

	if (evidence->heartbeat.heard_ns > newest)
		newest = evidence->heartbeat.heard_ns;
	if (evidence->connect.answer_ns > newest)
		newest = evidence->connect.answer_ns;
	return newest;
}

/* Whether no configured peer at all is heard, though there are several. */
static bool is_alone(const struct agent *agent, uint64_t now_ns)
{
	unsigned int peers = 0;

	for (unsigned int i = 0; i < agent->peers.node_count; i++) {
		const struct peer *peer = agent->peers.nodes[i];

		if (!peer)
			continue;
		peers++;
		if (newest_hearing(&peer->evidence) + ALONE_NS > now_ns)
			return false;
	}
	return peers > 1 && now_ns > agent->started_ns + ALONE_NS;
}

static void forget_target(void *context, const struct peer *peer)
{
	struct agent *agent = context;

	confirm_clear_target(agent->confirm, peer->target);
}

void agent_forget_targets(struct agent *agent, const struct config *config)
{
	struct peer *peer;

	for (size_t at = 0; (peer = peers_next(&agent->peers, &at));)
		if (!peer->configured || peer->node_index >= config->node_count ||
		    strcmp(config->nodes[peer->node_index].name, peer->name))
			forget_target(agent, peer);
}

/* While sockets are stalled: some may have made progress unseen (bpf/tcp.bpf.c). */
static void sweep(struct agent *agent, uint64_t now_ns)
{
	bool stalled = false;
	struct peer *peer;

	if (now_ns < agent->swept_ns + SWEEP_NS)
		return;
	for (size_t at = 0; (peer = peers_next(&agent->peers, &at));)
		stalled |= peer->evidence.tcp.stalled_sockets &&
			   peer->evidence.tcp.stalled_since_ns + SWEEP_NS < now_ns;
	if (!stalled)
		return;
	agent->swept_ns = now_ns;
	/* Without it a stall may last longer than it did; nothing else depends on it. */
	(void)tcp_probe_sweep(agent->probe);
}

static void gather_heartbeats(const struct agent *agent, struct peer *peer, uint64_t now_ns)
{
	bool expected = peer->evidence.heartbeat.expected;

	heartbeat_evidence(agent->heartbeat, peer->node_index, &peer->evidence);
	/* After a reload this node may not observe it any more: what was judged by its heartbeats
	 * would have nothing to end it. */
	if (expected && !peer->evidence.heartbeat.expected)
		edge_init(&peer->edge, now_ns);
}

static void gather(struct agent *agent, uint64_t now_ns)
{
	struct peer *peer;

	if (agent->probe) {
		peers_sync(&agent->peers, agent->probe, now_ns, forget_target, agent);
		peers_gather_tcp(&agent->peers, agent->probe);
		sweep(agent, now_ns);
	}
	/* While the API still tells of a new one's container. */
	if (groups_note_sockets(&agent->groups))
		groups_name_pods(&agent->groups, node_objects_pods(agent->node_objects));
	for (size_t at = 0; (peer = peers_next(&agent->peers, &at));) {
		if (peer->configured && agent->heartbeat)
			gather_heartbeats(agent, peer, now_ns);
		confirm_evidence(agent->confirm, peer->target, &peer->evidence);
		peer->evidence.connect.possible = peer->target_port && !peer->connect_useless;
	}
}

/* A peer without heartbeats (no node, or one that this node does not observe) to which nothing has
 * happened has nothing new to be judged. */
static bool is_quiet(const struct peer *peer, uint64_t activity)
{
	return !peer->evidence.heartbeat.expected && peer->activity == activity &&
	       peer->edge.state == EDGE_HEALTHY && peer->edge.confirm == EDGE_CONFIRM_NONE;
}

static uint64_t activity_of(const struct edge_evidence *evidence)
{
	return evidence->tcp.segments + evidence->tcp.rto + evidence->tcp.syn +
	       evidence->tcp.failures + evidence->tcp.recovered;
}

static uint64_t round_trip_ns(const struct agent *agent, const struct peer *peer)
{
	struct heartbeat_status status = {0};
	struct peer_record record;

	if (peer->configured) {
		if (agent->heartbeat)
			heartbeat_status(agent->heartbeat, peer->node_index, &status);
		return status.rtt_us * NS_PER_US;
	}
	if (!agent->probe || !tcp_probe_read(agent->probe, peer->slot, &record))
		return 0;
	return histogram_quantile_us(record.rtt, 0.99) * NS_PER_US;
}

/* While all is well, find out whether connects to a node get an answer: its firewall may drop them.
 */
static bool calibrate(struct peer *peer)
{
	const struct edge_evidence *evidence = &peer->evidence;

	if (!peer->configured || peer->connect_proven || peer->connect_useless)
		return false;
	if (evidence->connect.answered) {
		peer->connect_proven = true;
		return false;
	}
	if (peer->edge.state > EDGE_LOSSY || !evidence->heartbeat.accepted) {
		peer->calibration_timed_out = evidence->connect.timed_out;
		return false;
	}
	if (evidence->connect.timed_out < peer->calibration_timed_out + CALIBRATION_CONNECTS)
		return true;
	peer->connect_useless = true;
	log_warning("connects are not answered", log_string("peer", peer->name),
		    log_unsigned("port", peer->target_port),
		    log_string("advice",
			       "heartbeats arrive, but TCP connects to this port are dropped: "
			       "open it, so that a cut can be told from a stopped agent"));
	return false;
}

/* Connects as eagerly as the edge asks for them. */
static void confirm_edge(struct agent *agent, struct peer *peer)
{
	uint64_t interval_ns, timeout_ns;
	enum edge_confirm wanted = peer->edge.confirm;

	if (calibrate(peer) && wanted == EDGE_CONFIRM_NONE)
		wanted = EDGE_CONFIRM_SLOW;
	if (wanted == EDGE_CONFIRM_NONE || !peer->target_port) {
		confirm_rest(agent->confirm, peer->target);
		return;
	}
	interval_ns =
		wanted == EDGE_CONFIRM_FAST ? CONFIRM_FAST_INTERVAL_NS : CONFIRM_SLOW_INTERVAL_NS;
	timeout_ns = CONFIRM_TIMEOUT_BASE_NS + 4 * round_trip_ns(agent, peer);
	timeout_ns = (uint64_t)((double)timeout_ns * (1 + CONFIRM_STRETCH * agent->self.distrust));
	if (timeout_ns > CONFIRM_TIMEOUT_MAX_NS)
		timeout_ns = CONFIRM_TIMEOUT_MAX_NS;
	/* Out of memory leaves the peer without connects: suspect for longer, never wrongly
	 * unreachable. */
	if (!confirm_set_target(agent->confirm, peer->target, &peer->address, peer->target_port))
		(void)confirm_want(agent->confirm, peer->target, interval_ns, timeout_ns);
}

static enum heartbeat_outage outage_of(const struct edge *edge)
{
	switch (edge->state) {
	case EDGE_EGRESS_CUT:
		return HEARTBEAT_OUTAGE_EGRESS_CUT;
	case EDGE_UNREACHABLE:
	case EDGE_INGRESS_CUT:
		return HEARTBEAT_OUTAGE_UNREACHABLE;
	default:
		if (edge->agent_silent)
			return HEARTBEAT_OUTAGE_AGENT_SILENT;
		return edge->heartbeats_blocked ? HEARTBEAT_OUTAGE_BLOCKED : HEARTBEAT_OUTAGE_NONE;
	}
}

static void tell_change(struct agent *agent, const struct peer *peer, enum edge_state was,
			uint64_t lasted_ns, const struct edge_self *self,
			const struct edge_settings *settings)
{
	char address[ADDRESS_TEXT_MAX];
	char buffer[SNAPSHOT_SENTENCE_MAX] = "";
	struct text evidence = TEXT(buffer);

	edge_explain(&peer->edge, &peer->evidence, self, settings, &evidence);
	log_fields(peer->edge.state > EDGE_SUSPECT ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		   "edge changed", log_string("peer", peer->name),
		   log_string("address", address_format(&peer->address, address)),
		   log_string("was", edge_state_name(was)),
		   log_string("state", edge_state_name(peer->edge.state)),
		   log_unsigned("lasted_ms", lasted_ns / NS_PER_MS), log_string("evidence", buffer),
		   log_unsigned("monotonic_ns", self->now_ns));
	agent_journal(agent, journal_edge(peer->name, was, peer->edge.state, buffer,
					  self->now_ns > peer->edge.heard_ns
						  ? self->now_ns - peer->edge.heard_ns
						  : 0));
}

/* Judges one peer and acts on the verdict. Returns whether it is in doubt. */
static bool judge(struct agent *agent, struct peer *peer, const struct edge_self *shared,
		  const struct edge_settings *settings)
{
	uint64_t activity = activity_of(&peer->evidence);
	enum edge_state was = peer->edge.state;
	uint64_t since_ns = peer->edge.since_ns;
	bool was_silent = peer->edge.agent_silent;
	struct edge_self self = *shared;

	if (is_quiet(peer, activity) && !self.paused) {
		peer->skipped_ns += self.awake_ns;
		return false;
	}
	peer->activity = activity;
	self.awake_ns += peer->skipped_ns;
	peer->skipped_ns = 0;
	if (edge_update(&peer->edge, &peer->evidence, &self, settings)) {
		peer->state_changes[peer->edge.state]++;
		tell_change(agent, peer, was, self.now_ns - since_ns, &self, settings);
	}
	if (peer->edge.agent_silent != was_silent)
		log_info(was_silent ? "agent heard again" : "agent silent",
			 log_string("peer", peer->name), log_unsigned("monotonic_ns", self.now_ns));
	confirm_edge(agent, peer);
	if (peer->configured && agent->heartbeat)
		heartbeat_set_outage(agent->heartbeat, peer->node_index, outage_of(&peer->edge));
	return peer->edge.confirm == EDGE_CONFIRM_FAST;
}

static void on_turn_timer(uv_timer_t *timer);

static void plan_turn(struct agent *agent, uint64_t in_ms)
{
	/* Counted from the last turn, as self_turn() does: this may be called between two. */
	agent->turn_planned_ns = clock_monotonic_ns() - agent->self.last_ns + in_ms * NS_PER_MS;
	uv_update_time(&agent->loop);
	/* Fails only for a timer that is closing, and then there is no next turn. */
	(void)uv_timer_start(&agent->turn_timer, on_turn_timer, in_ms, 0);
}

/* So that the turns until the next heartbeat is sent share its time evenly, and the last its
 * wakeup. */
static uint64_t quiet_turn_ms(const struct agent *agent)
{
	const uint64_t longest_ms = TURN_QUIET_MS + TURN_LATE_MS;
	uint64_t due_ms;

	if (!agent->heartbeat)
		return TURN_QUIET_MS;
	due_ms = heartbeat_due_in_ms(agent->heartbeat);
	/* None is sent; or so many, one by one, that some wakeup is always near. */
	if (due_ms == UINT64_MAX || due_ms < TURN_SHORT_MS)
		return TURN_QUIET_MS;
	return due_ms / ((due_ms + longest_ms - 1) / longest_ms);
}

static void check_self(struct agent *agent, uint64_t now_ns)
{
	bool was_alone = agent->alone;

	agent->alone = is_alone(agent, now_ns);
	if (!agent->alone) {
		agent->carrier_down = false;
	} else if (!was_alone || now_ns > agent->carrier_checked_ns + CARRIER_REFRESH_NS) {
		agent->carrier_checked_ns = now_ns;
		agent->carrier_down = !self_has_carrier();
	}
	if (now_ns > agent->own_refreshed_ns + OWN_REFRESH_NS) {
		agent->own_refreshed_ns = now_ns;
		peers_refresh_own(&agent->peers);
	}
}

/* That turns are taken is what the watchdog wants to know: a loop that hangs is no detector. */
static void tell_service(struct agent *agent, uint64_t now_ns)
{
	if (!agent->service.watchdog_ns ||
	    now_ns < agent->service_told_ns + agent->service.watchdog_ns / WATCHDOG_SHARE)
		return;
	agent->service_told_ns = now_ns;
	service_tell(&agent->service, "WATCHDOG=1");
}

static void take_turn(struct agent *agent)
{
	const struct edge_settings settings = {
		.certainty = agent->config.edge.certainty,
		.min_silence_ns = agent->config.edge.min_silence_ms * NS_PER_MS,
		.lossy_ratio = agent->config.edge.lossy_ratio,
	};
	uint64_t now_ns = clock_monotonic_ns();
	struct self_turn turn = self_turn(&agent->self, now_ns, agent->turn_planned_ns);
	struct edge_self self = {
		.awake_ns = turn.awake_ns,
		.paused = turn.paused,
		.distrust = agent->self.distrust,
	};
	struct peer *peer;
	bool alert = false;

	if (agent->heartbeat)
		heartbeat_drain(agent->heartbeat);
	confirm_drain(agent->confirm);
	self.now_ns = clock_monotonic_ns();
	gather(agent, self.now_ns);
	check_self(agent, self.now_ns);
	self.alone = agent->alone;
	self.carrier_down = agent->carrier_down;
	if (turn.paused)
		log_warning("agent was held up", log_unsigned("late_ms", turn.late_ns / NS_PER_MS),
			    log_string("consequence", "what it did not observe is not judged"));
	for (size_t at = 0; (peer = peers_next(&agent->peers, &at));)
		alert |= judge(agent, peer, &self, &settings);
	health_turn(agent->health, self.now_ns);
	agent_budget_turn(agent->budget, self.now_ns);
	if (agent->cluster)
		alert |= cluster_turn(agent->cluster);
	node_objects_turn(agent->node_objects);
	agent_tell_journal(agent);
	tell_service(agent, self.now_ns);
	plan_turn(agent, alert ? TURN_ALERT_MS : quiet_turn_ms(agent));
}

static void on_turn_timer(uv_timer_t *timer)
{
	take_turn(timer->data);
}

/* Whenever the loop is about to wait again. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct agent *agent = prepare->data;

	if (agent->turn_planned_ns >= TURN_SHORT_MS * NS_PER_MS &&
	    uv_timer_get_due_in(&agent->turn_timer) <= TURN_EARLY_MS)
		take_turn(agent);
}

static void ignore_slot(void *context, uint32_t slot)
{
	/* Each turn looks at all peers; the wakeup only says that it is time for one. */
	(void)context;
	(void)slot;
}

static void on_wakeup(uv_poll_t *poll, int status, int events)
{
	struct agent *agent = poll->data;

	(void)events;
	if (status < 0)
		return;
	(void)tcp_probe_drain(agent->probe, ignore_slot, NULL);
	if (uv_timer_get_due_in(&agent->turn_timer) > TURN_MIN_MS)
		plan_turn(agent, TURN_MIN_MS);
}

void agent_start_turns(struct agent *agent)
{
	uint64_t now_ns = clock_monotonic_ns();

	self_start(&agent->self, now_ns);
	agent->own_refreshed_ns = now_ns;
	uv_timer_init(&agent->loop, &agent->turn_timer);
	agent->turn_timer.data = agent;
	uv_prepare_init(&agent->loop, &agent->turn_prepare);
	agent->turn_prepare.data = agent;
	uv_prepare_start(&agent->turn_prepare, on_prepare);
	if (agent->probe &&
	    !uv_poll_init(&agent->loop, &agent->wakeup_poll, tcp_probe_wakeup_fd(agent->probe))) {
		agent->wakeup_poll.data = agent;
		if (uv_poll_start(&agent->wakeup_poll, UV_READABLE, on_wakeup))
			log_warning("no wakeups from the kernel",
				    log_string("consequence", "verdicts come up to 50 ms later"));
	}
	plan_turn(agent, TURN_MIN_MS);
}

void agent_stop_turns(struct agent *agent)
{
	if (agent->turn_timer.data)
		uv_close((uv_handle_t *)&agent->turn_timer, NULL);
	if (agent->turn_prepare.data)
		uv_close((uv_handle_t *)&agent->turn_prepare, NULL);
	if (agent->wakeup_poll.data)
		uv_close((uv_handle_t *)&agent->wakeup_poll, NULL);
}
