// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "edge_simulation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_NS   (100 * NS_PER_MS)
#define ONE_WAY_NS    (100 * NS_PER_US)
#define JIFFY_NS      (4 * NS_PER_MS)
#define NEVER	      UINT64_MAX
#define RELAY_UNHEARD 3

/* turn.c */
#define TURN_QUIET_NS	   (50 * NS_PER_MS)
#define TURN_ALERT_NS	   (10 * NS_PER_MS)
#define TURN_MIN_NS	   (5 * NS_PER_MS)
#define CONFIRM_FAST_NS	   (40 * NS_PER_MS)
#define CONFIRM_SLOW_NS	   (250 * NS_PER_MS)
#define CONFIRM_TIMEOUT_NS (50 * NS_PER_MS)
#define CONFIRM_MAX_NS	   (2 * NS_PER_S)
#define CONFIRM_STRETCH	   7

/* tcp.bpf.c, and the kernel's timers on a LAN */
#define PUBLISH_NS	 (64 * JIFFY_NS)
#define TAIL_PROBE_NS	 (206 * NS_PER_MS)
#define BULK_ROUND_NS	 (10 * NS_PER_MS)
#define BULK_SEGMENTS	 20
#define BULK_RTO_NS	 (219 * NS_PER_MS)
#define REQUEST_RTO_NS	 (416 * NS_PER_MS)
#define RTO_NEXT_NS	 (416 * NS_PER_MS)
#define RTO_MAX_NS	 (120 * NS_PER_S)
#define WINDOW_PROBE_NS	 (250 * NS_PER_MS)
#define CONGESTED_WINDOW 2

static uint64_t draw(struct simulation *simulation)
{
	/* splitmix64 */
	uint64_t z = simulation->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static bool chance(struct simulation *simulation, double ratio)
{
	return (double)(draw(simulation) >> 11) * 0x1p-53 < ratio;
}

static uint64_t min_ns(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_ns(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool delivered_out(struct simulation *simulation)
{
	return !chance(simulation, simulation->conditions.loss_out);
}

static bool delivered_in(struct simulation *simulation)
{
	return !chance(simulation, simulation->conditions.loss_in);
}

/* Something of ours reaches the peer's kernel, and its answer reaches ours. */
static bool round_trip(struct simulation *simulation)
{
	return delivered_out(simulation) && delivered_in(simulation);
}

/* Heartbeats. */

static void put(struct simulation_node *to, const struct heartbeat *heartbeat, uint64_t arrives_ns)
{
	unsigned int place = (to->first + to->waiting) % SIMULATION_INBOX;

	/* A full socket drops what comes, as the kernel does. */
	if (to->waiting == SIMULATION_INBOX)
		return;
	to->inbox[place] = (struct simulation_datagram){arrives_ns, *heartbeat};
	to->waiting++;
}

static uint64_t mail_ns(const struct simulation_node *node)
{
	return node->waiting ? max_ns(node->inbox[node->first].arrives_ns, node->awake_ns) : NEVER;
}

static bool is_out(const struct simulation *simulation)
{
	return simulation->edge.state >= EDGE_UNREACHABLE || simulation->edge.agent_silent ||
	       simulation->edge.heartbeats_blocked;
}

static void read_mail(struct simulation *simulation, struct simulation_node *node)
{
	while (mail_ns(node) <= simulation->now_ns) {
		const struct heartbeat *heartbeat = &node->inbox[node->first].heartbeat;

		/* A replay is refused; here that is a relayed one that came directly, too. */
		(void)heartbeat_link_receive(&node->link, heartbeat, simulation->now_ns);
		node->first = (node->first + 1) % SIMULATION_INBOX;
		node->waiting--;
	}
}

static void plan_heartbeat(struct simulation *simulation, struct simulation_node *node)
{
	uint64_t tenth_ns = INTERVAL_NS / 10;

	node->due_ns += INTERVAL_NS - tenth_ns + draw(simulation) % (2 * tenth_ns + 1);
	if (node->due_ns < simulation->now_ns + INTERVAL_NS / 2)
		node->due_ns +=
			(simulation->now_ns + INTERVAL_NS / 2 - node->due_ns + INTERVAL_NS - 1) /
			INTERVAL_NS * INTERVAL_NS;
	if (node == &simulation->there && simulation->conditions.agent == AGENT_STARVED)
		node->awake_ns = node->due_ns + draw(simulation) % (500 * NS_PER_MS);
}

static void send_ours(struct simulation *simulation)
{
	struct simulation_node *here = &simulation->here;
	struct heartbeat heartbeat = {0};

	if (simulation->conditions.no_agent) {
		here->due_ns = NEVER;
		return;
	}
	read_mail(simulation, here);
	heartbeat_link_next(&here->link, simulation->now_ns, &heartbeat);
	if (simulation->conditions.heartbeats_refused) {
		simulation->evidence.heartbeat.send_errno = EPERM;
		simulation->evidence.heartbeat.send_failures++;
	} else {
		simulation->evidence.heartbeat.send_errno = 0;
		if (delivered_out(simulation) && !simulation->conditions.heartbeats_blocked)
			put(&simulation->there, &heartbeat, simulation->now_ns + ONE_WAY_NS);
	}
	plan_heartbeat(simulation, here);
}

static void send_theirs(struct simulation *simulation)
{
	struct simulation_node *there = &simulation->there;
	struct heartbeat heartbeat = {0};

	if (simulation->conditions.no_agent) {
		there->due_ns = NEVER;
		return;
	}
	read_mail(simulation, there);
	heartbeat_link_next(&there->link, simulation->now_ns, &heartbeat);
	if (delivered_in(simulation))
		put(&simulation->here, &heartbeat, simulation->now_ns + ONE_WAY_NS);
	/* It asks others to pass its word on once it has seen that ours does not confirm it. */
	if (simulation->conditions.relayed && there->link.unheard >= RELAY_UNHEARD) {
		heartbeat.flags |= HEARTBEAT_FLAG_RELAY;
		put(&simulation->here, &heartbeat, simulation->now_ns + 2 * ONE_WAY_NS);
	}
	plan_heartbeat(simulation, there);
}

/* Connects. */

static void start_connect(struct simulation *simulation)
{
	simulation->connects.due_ns += simulation->connects.interval_ns;
	if (simulation->connects.due_ns <= simulation->now_ns)
		simulation->connects.due_ns = simulation->now_ns + simulation->connects.interval_ns;
	if (simulation->conditions.connects_refused) {
		simulation->evidence.connect.refused_locally++;
		return;
	}
	for (unsigned int i = 0; i < SIMULATION_TRIES; i++) {
		if (simulation->connects.tries[i].end_ns)
			continue;
		simulation->connects.tries[i].answered = round_trip(simulation);
		simulation->connects.tries[i].end_ns =
			simulation->now_ns + (simulation->connects.tries[i].answered
						      ? 2 * ONE_WAY_NS
						      : simulation->connects.timeout_ns);
		return;
	}
}

static void end_connects(struct simulation *simulation)
{
	for (unsigned int i = 0; i < SIMULATION_TRIES; i++) {
		uint64_t end_ns = simulation->connects.tries[i].end_ns;

		if (!end_ns || end_ns > simulation->now_ns)
			continue;
		if (simulation->connects.tries[i].answered) {
			simulation->evidence.connect.answered++;
			simulation->evidence.connect.answer_ns = simulation->now_ns;
		} else {
			simulation->evidence.connect.timed_out++;
		}
		simulation->connects.tries[i].end_ns = 0;
	}
}

static uint64_t connect_ns(const struct simulation *simulation)
{
	uint64_t next_ns = simulation->connects.wanted ? simulation->connects.due_ns : NEVER;

	if (!simulation->connects.wanted)
		return NEVER;
	for (unsigned int i = 0; i < SIMULATION_TRIES; i++)
		if (simulation->connects.tries[i].end_ns)
			next_ns = min_ns(next_ns, simulation->connects.tries[i].end_ns);
	return max_ns(next_ns, simulation->here.awake_ns);
}

static void do_connects(struct simulation *simulation)
{
	end_connects(simulation);
	if (simulation->connects.wanted && simulation->connects.due_ns <= simulation->now_ns)
		start_connect(simulation);
}

static void want_connects(struct simulation *simulation)
{
	bool wanted = simulation->edge.confirm != EDGE_CONFIRM_NONE &&
		      !simulation->conditions.connects_impossible;
	uint64_t timeout_ns = CONFIRM_TIMEOUT_NS + 4 * simulation->here.link.rtt_ns;

	timeout_ns =
		(uint64_t)((double)timeout_ns * (1 + CONFIRM_STRETCH * simulation->watch.distrust));
	simulation->connects.timeout_ns = min_ns(timeout_ns, CONFIRM_MAX_NS);
	simulation->connects.interval_ns =
		simulation->edge.confirm == EDGE_CONFIRM_FAST ? CONFIRM_FAST_NS : CONFIRM_SLOW_NS;
	if (wanted && !simulation->connects.wanted)
		simulation->connects.due_ns = simulation->now_ns;
	if (!wanted)
		memset(simulation->connects.tries, 0, sizeof(simulation->connects.tries));
	simulation->connects.wanted = wanted;
}

/* TCP. */

/* Now, as coarse as the programs' stamps are. */
static uint64_t jiffy(const struct simulation *simulation)
{
	return simulation->now_ns - (simulation->now_ns - simulation->start_ns) % JIFFY_NS;
}

static void tcp_wake(struct simulation *simulation)
{
	if (simulation->turn_ns > simulation->now_ns + TURN_MIN_NS) {
		simulation->turn_ns = simulation->now_ns + TURN_MIN_NS;
		simulation->planned_ns = TURN_MIN_NS;
	}
}

static void tcp_publish(struct simulation *simulation)
{
	simulation->tcp.published_ns = simulation->now_ns;
	simulation->evidence.tcp.segments += simulation->tcp.segments;
	simulation->tcp.segments = 0;
}

static void tcp_hear(struct simulation *simulation, unsigned int segments, bool advance)
{
	simulation->tcp.segments += segments;
	simulation->evidence.tcp.heard_ns = jiffy(simulation);
	if (advance) {
		simulation->evidence.tcp.progress_ns = jiffy(simulation);
		simulation->evidence.tcp.stalled_sockets = 0;
		simulation->evidence.tcp.stalled_since_ns = 0;
	}
	if (simulation->now_ns - simulation->tcp.published_ns >= PUBLISH_NS)
		tcp_publish(simulation);
}

static void tcp_expire(struct simulation *simulation, bool into_window)
{
	tcp_publish(simulation);
	simulation->evidence.tcp.rto++;
	if (into_window && !simulation->evidence.tcp.stalled_sockets) {
		simulation->evidence.tcp.stalled_sockets = 1;
		simulation->evidence.tcp.stalled_since_ns = simulation->now_ns;
	}
	tcp_wake(simulation);
}

/* Timer of what is outstanding; the first of a single segment is a tail loss probe. */
static bool tcp_retry(struct simulation *simulation)
{
	if (simulation->conditions.traffic == TRAFFIC_REQUESTS && !simulation->tcp.probed) {
		tcp_publish(simulation);
		simulation->tcp.probed = true;
		simulation->tcp.next_ns = simulation->tcp.sent_ns + REQUEST_RTO_NS;
	} else {
		tcp_expire(simulation, true);
		simulation->tcp.next_ns += simulation->tcp.timer_ns;
		simulation->tcp.timer_ns = min_ns(2 * simulation->tcp.timer_ns, RTO_MAX_NS);
	}
	return round_trip(simulation);
}

static void tcp_request(struct simulation *simulation)
{
	uint64_t period_ns = NS_PER_S / simulation->conditions.requests_per_s;

	if (simulation->tcp.unanswered) {
		if (!tcp_retry(simulation))
			return;
	} else {
		simulation->tcp.sent_ns = simulation->now_ns;
		if (simulation->conditions.slow_answers || !round_trip(simulation)) {
			simulation->tcp.unanswered = true;
			simulation->tcp.probed = false;
			simulation->tcp.timer_ns = RTO_NEXT_NS;
			simulation->tcp.next_ns = simulation->now_ns + TAIL_PROBE_NS;
			return;
		}
	}
	simulation->tcp.unanswered = false;
	tcp_hear(simulation, 1, true);
	simulation->tcp.next_ns = max_ns(simulation->tcp.sent_ns + period_ns, simulation->now_ns);
}

static void tcp_bulk_round(struct simulation *simulation)
{
	bool lossy = simulation->conditions.loss_out >= 0.05;
	unsigned int window = lossy ? CONGESTED_WINDOW : BULK_SEGMENTS;
	unsigned int lost = 0, heard = 0, needless = 0;

	for (unsigned int i = 0; i < window; i++) {
		if (!delivered_out(simulation))
			lost++;
		else if (delivered_in(simulation))
			heard++;
		if (chance(simulation, simulation->conditions.reordered))
			needless++;
	}
	if (!heard) {
		simulation->tcp.unanswered = true;
		simulation->tcp.timer_ns = RTO_NEXT_NS;
		simulation->tcp.next_ns = simulation->now_ns + BULK_RTO_NS;
		return;
	}
	simulation->evidence.tcp.recovered += lost + needless;
	tcp_hear(simulation, heard, true);
	if (lost + needless)
		tcp_publish(simulation);
	simulation->tcp.next_ns = simulation->now_ns + BULK_ROUND_NS;
}

static void tcp_bulk(struct simulation *simulation)
{
	simulation->evidence.tcp.zero_window_sockets = simulation->conditions.zero_window;
	if (simulation->conditions.zero_window) {
		/* Each other probe of the closed window is a retransmit by the timer. */
		simulation->tcp.probed = !simulation->tcp.probed;
		if (simulation->tcp.probed)
			tcp_expire(simulation, false);
		if (round_trip(simulation))
			tcp_hear(simulation, 1, false);
		simulation->tcp.unanswered = false;
		simulation->tcp.next_ns = simulation->now_ns + WINDOW_PROBE_NS;
	} else if (!simulation->tcp.unanswered) {
		tcp_bulk_round(simulation);
	} else if (tcp_retry(simulation)) {
		simulation->tcp.unanswered = false;
		tcp_hear(simulation, 1, true);
		simulation->tcp.next_ns = simulation->now_ns + BULK_ROUND_NS;
	}
}

static void do_tcp(struct simulation *simulation)
{
	switch (simulation->conditions.traffic) {
	case TRAFFIC_REQUESTS:
		tcp_request(simulation);
		break;
	case TRAFFIC_BULK:
		tcp_bulk(simulation);
		break;
	default:
		simulation->tcp.next_ns = NEVER;
		break;
	}
}

/* The agent's turn, as in turn.c. */

static void note_change(struct simulation *simulation, enum edge_state was, bool changed)
{
	enum edge_state state = simulation->edge.state;
	uint64_t after_ns = simulation->now_ns - simulation->observed_ns;

	simulation->turns++;
	simulation->visited |= 1U << state;
	if (simulation->edge.agent_silent && simulation->agent_silent_ns == NEVER)
		simulation->agent_silent_ns = after_ns;
	if (simulation->edge.heartbeats_blocked && simulation->blocked_ns == NEVER)
		simulation->blocked_ns = after_ns;
	if (!simulation->edge.heartbeats_blocked && simulation->unblocked_ns == NEVER)
		simulation->unblocked_ns = after_ns;
	if (!changed)
		return;
	simulation->entered[state]++;
	simulation->verdicts += was < EDGE_UNREACHABLE && state >= EDGE_UNREACHABLE;
	simulation->first_ns[state] = min_ns(simulation->first_ns[state], after_ns);
	simulation->trace = (simulation->trace ^ (simulation->now_ns - simulation->start_ns) ^
			     (uint64_t)state << 60) *
			    0x100000001b3ULL;
}

static void gather(struct simulation *simulation)
{
	if (!simulation->conditions.no_agent) {
		heartbeat_link_evidence(&simulation->here.link, &simulation->evidence);
		simulation->evidence.heartbeat.expected = true;
		simulation->evidence.heartbeat.interval_ns = INTERVAL_NS;
	}
	simulation->evidence.connect.possible = !simulation->conditions.connects_impossible;
}

static void do_turn(struct simulation *simulation)
{
	struct self_turn turn =
		self_turn(&simulation->watch, simulation->now_ns, simulation->planned_ns);
	enum edge_state was = simulation->edge.state;
	bool was_out = is_out(simulation);
	bool changed;

	read_mail(simulation, &simulation->here);
	do_connects(simulation);
	gather(simulation);
	simulation->self = (struct edge_self){
		.now_ns = simulation->now_ns,
		.awake_ns = turn.awake_ns,
		.paused = turn.paused,
		.distrust = simulation->watch.distrust,
		.alone = simulation->conditions.alone,
		.carrier_down = simulation->conditions.carrier_down,
	};
	changed = edge_update(&simulation->edge, &simulation->evidence, &simulation->self,
			      &simulation->settings);
	note_change(simulation, was, changed);
	/* heartbeat_set_outage(): the gap of the outage itself is no loss, what is lost later is.
	 */
	if (is_out(simulation) && !was_out)
		heartbeat_link_forgive(&simulation->here.link);
	want_connects(simulation);
	simulation->planned_ns =
		simulation->edge.confirm == EDGE_CONFIRM_FAST ? TURN_ALERT_NS : TURN_QUIET_NS;
	simulation->turn_ns = simulation->now_ns + simulation->planned_ns;
}

static void be_late(struct simulation *simulation)
{
	if (!simulation->conditions.self_late) {
		simulation->held_up_ns = NEVER;
		return;
	}
	simulation_hold_up(simulation, (200 + draw(simulation) % 201) * NS_PER_MS);
	simulation->held_up_ns = simulation->now_ns + (600 + draw(simulation) % 1000) * NS_PER_MS;
}

static uint64_t when_awake(const struct simulation_node *node, uint64_t time_ns)
{
	return max_ns(time_ns, node->awake_ns);
}

static uint64_t next_ns(const struct simulation *simulation)
{
	const struct simulation_node *here = &simulation->here, *there = &simulation->there;
	uint64_t next = min_ns(mail_ns(here), mail_ns(there));

	next = min_ns(next,
		      min_ns(when_awake(here, here->due_ns), when_awake(there, there->due_ns)));
	next = min_ns(next, min_ns(connect_ns(simulation), simulation->tcp.next_ns));
	next = min_ns(next, when_awake(here, simulation->turn_ns));
	return min_ns(next, simulation->held_up_ns);
}

static void do_all(struct simulation *simulation)
{
	struct simulation_node *here = &simulation->here, *there = &simulation->there;
	uint64_t now_ns = simulation->now_ns;

	if (simulation->tcp.next_ns <= now_ns)
		do_tcp(simulation);
	if (simulation->held_up_ns <= now_ns)
		be_late(simulation);
	read_mail(simulation, there);
	if (when_awake(there, there->due_ns) <= now_ns)
		send_theirs(simulation);
	if (here->awake_ns > now_ns)
		return;
	read_mail(simulation, here);
	do_connects(simulation);
	if (here->due_ns <= now_ns)
		send_ours(simulation);
	if (simulation->turn_ns <= now_ns)
		do_turn(simulation);
}

void simulation_run(struct simulation *simulation, uint64_t duration_ns,
		    const struct simulation_conditions *conditions)
{
	uint64_t end_ns = simulation->now_ns + duration_ns;
	struct simulation_node *there = &simulation->there;

	if (conditions->traffic != simulation->conditions.traffic ||
	    conditions->zero_window != simulation->conditions.zero_window)
		simulation->tcp.next_ns = simulation->now_ns;
	if (conditions->self_late)
		simulation->held_up_ns = simulation->now_ns;
	if (conditions->agent == AGENT_STOPPED)
		there->awake_ns = NEVER;
	else if (simulation->conditions.agent != conditions->agent)
		there->awake_ns = simulation->now_ns;
	simulation->conditions = *conditions;
	while (next_ns(simulation) < end_ns) {
		simulation->now_ns = max_ns(simulation->now_ns, next_ns(simulation));
		do_all(simulation);
	}
	simulation->now_ns = end_ns;
}

void simulation_start(struct simulation *simulation, uint64_t seed, uint64_t start_ns,
		      const struct simulation_conditions *conditions)
{
	*simulation = (struct simulation){
		.now_ns = start_ns,
		.start_ns = start_ns,
		.random = seed * 0x2545f4914f6cdd1dULL,
		.conditions = *conditions,
		.settings = {.certainty = 6,
			     .min_silence_ns = 250 * NS_PER_MS,
			     .lossy_ratio = 0.01},
		.held_up_ns = NEVER,
	};
	heartbeat_link_init(&simulation->here.link, 1000);
	heartbeat_link_init(&simulation->there.link, 2000);
	simulation->here.due_ns = start_ns + draw(simulation) % INTERVAL_NS;
	simulation->there.due_ns = start_ns + draw(simulation) % INTERVAL_NS;
	simulation->tcp.next_ns = start_ns + draw(simulation) % BULK_ROUND_NS;
	simulation->turn_ns = start_ns + TURN_MIN_NS;
	simulation->planned_ns = TURN_MIN_NS;
	self_start(&simulation->watch, start_ns);
	edge_init(&simulation->edge, start_ns);
	simulation_observe(simulation);
}

void simulation_hold_up(struct simulation *simulation, uint64_t duration_ns)
{
	simulation->here.awake_ns = simulation->now_ns + duration_ns;
}

void simulation_slip_through(struct simulation *simulation)
{
	struct heartbeat heartbeat = {0};

	heartbeat_link_next(&simulation->there.link, simulation->now_ns, &heartbeat);
	put(&simulation->here, &heartbeat, simulation->now_ns);
}

void simulation_observe(struct simulation *simulation)
{
	simulation->observed_ns = simulation->now_ns;
	simulation->visited = 1U << simulation->edge.state;
	simulation->agent_silent_ns = simulation->edge.agent_silent ? 0 : NEVER;
	simulation->blocked_ns = simulation->edge.heartbeats_blocked ? 0 : NEVER;
	simulation->unblocked_ns = simulation->edge.heartbeats_blocked ? NEVER : 0;
	simulation->turns = 0;
	simulation->verdicts = 0;
	for (unsigned int i = 0; i < EDGE_STATES; i++) {
		simulation->entered[i] = 0;
		simulation->first_ns[i] = NEVER;
	}
}

const char *simulation_sentence(const struct simulation *simulation, char *buffer, size_t size)
{
	struct text sentence = {.data = buffer, .size = size};

	buffer[0] = '\0';
	edge_explain(&simulation->edge, &simulation->evidence, &simulation->self,
		     &simulation->settings, &sentence);
	return buffer;
}

void simulation_prepare(struct simulation *simulation, unsigned int seed,
			const struct simulation_conditions *conditions, uint64_t duration_ns)
{
	simulation_start(simulation, seed + 1, SIMULATION_START_NS, conditions);
	simulation_run(simulation, duration_ns, conditions);
	simulation_run(simulation, seed * UINT64_C(1370003) % 997 * NS_PER_MS, conditions);
	simulation_observe(simulation);
}

static int compare_times(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

unsigned int simulation_quantile_ms(uint64_t *times_ns, unsigned int count, double quantile)
{
	qsort(times_ns, count, sizeof(*times_ns), compare_times);
	return (unsigned int)(times_ns[(unsigned int)(quantile * (count - 1))] / NS_PER_MS);
}
