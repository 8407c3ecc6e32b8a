// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/edge.h"

#include "base/clock.h"

#include <math.h>

/* A heartbeat may be this late, over its interval and jitter, before it counts as missing:
 * scheduling at the sender. */
#define HEARTBEAT_GRACE_NS (15 * NS_PER_MS)
/* heartbeat.c sends with a jitter of 10 %. */
#define HEARTBEAT_JITTER 0.1
/* So many heartbeats missing, and as many as chance does not explain, while the kernel answers:
 * then it is the agent that is silent. */
#define AGENT_SILENT_INTERVALS 4
/* As chance does not explain even where the agent is late now and then: a starved one is not
 * silent. On a clean link four are enough. */
#define AGENT_CERTAINTY 1.5
/* Of ours, so many alone that do not get there. */
#define BLOCKED_INTERVALS 10
/* The latter at the earliest after this time: longer than any verdict of a real cut takes. */
#define BLOCKED_NS NS_PER_S
/* A verdict needs at least this many connects in vain, however clean the link was. */
#define CONNECTS_MIN 3
/* "Sustained success" before a cut counts as healed: 10 answers (memberlist and Rapid ask for as
 * many), over 1 s. */
#define RECOVERY_ANSWERS 10
#define RECOVERY_NS	 NS_PER_S
/* Answers to connects come slower; three of them will do. */
#define RECOVERY_CONNECT_WEIGHT 4
/* A cut that lasts this long is watched at leisure. */
#define SETTLED_NS (5 * NS_PER_S)
/* Lossy needs this many losses, so that one lost heartbeat is never a state; it clears after this
 * long below half. */
#define LOSSY_MIN_LOST 3.0
#define LOSSY_CLEAR_NS (5 * NS_PER_S)
/* A third node's word about the peer is good for this long. */
#define TESTIMONY_NS NS_PER_S
/* With connects impossible a cut is judged by all silence alone, at so many times the certainty;
 * with our heartbeats blocked an egress cut by connects and TCP alone, likewise. */
#define UNCONFIRMED_CERTAINTY 2
/* The estimate of loss forgets within hundreds of tries. TCP's segments are taken in so far apart,
 * as no more than so many tries, so that on a busy link it does not hang on the last moment. */
#define LOSS_WINDOW_NS NS_PER_S
#define LOSS_TRIES_MAX 64
/* An egress cut claims that the peer is heard: on the lossiest link at least this often. */
#define EGRESS_STALE_NS (3 * NS_PER_S)
/* Without heartbeats the peer counts as heard for this long after its last segment. */
#define PASSIVE_FRESH_NS NS_PER_S

static const char *const state_names[EDGE_STATES] = {
	[EDGE_HEALTHY] = "healthy",	  [EDGE_LOSSY] = "lossy",
	[EDGE_SUSPECT] = "suspect",	  [EDGE_UNREACHABLE] = "unreachable",
	[EDGE_EGRESS_CUT] = "egress-cut", [EDGE_INGRESS_CUT] = "ingress-cut",
};

const char *edge_state_name(enum edge_state state)
{
	return state_names[state];
}

void edge_init(struct edge *edge, uint64_t now_ns)
{
	/* Silence is counted from now on: a peer that is never heard is found out like one that
	 * fell silent. */
	*edge = (struct edge){
		.state = EDGE_HEALTHY,
		.since_ns = now_ns,
		.heard_ns = now_ns,
		.reached_ns = now_ns,
	};
}

static uint64_t newer(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Growth of a counter; one that dropped was started anew. */
static uint64_t growth(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

/* How unlikely one unanswered try is at this loss, in decades. */
static double decades(double loss)
{
	if (loss < LOSS_FLOOR)
		loss = LOSS_FLOOR;
	if (loss > LOSS_CEILING)
		loss = LOSS_CEILING;
	return -log10(loss);
}

static double loss_in(const struct edge *edge, const struct edge_evidence *evidence)
{
	return evidence->heartbeat.expected ? evidence->heartbeat.loss_in_pessimistic
					    : loss_pessimistic(&edge->tcp_loss);
}

/* Heartbeats that are blocked say nothing of the rest. */
static bool heartbeats_measure_out(const struct edge *edge, const struct edge_evidence *evidence)
{
	return evidence->heartbeat.expected && !edge->heartbeats_blocked;
}

static double loss_out(const struct edge *edge, const struct edge_evidence *evidence)
{
	return heartbeats_measure_out(edge, evidence) ? evidence->heartbeat.loss_out_pessimistic
						      : loss_pessimistic(&edge->tcp_loss);
}

static struct edge_loss loss_of_tcp(const struct edge *edge)
{
	return (struct edge_loss){
		.ratio = loss_ratio(&edge->tcp_loss),
		.lost = loss_lost(&edge->tcp_loss),
		.measured = loss_weight(&edge->tcp_loss) > 0,
	};
}

struct edge_loss edge_loss_out(const struct edge *edge, const struct edge_evidence *evidence)
{
	if (!heartbeats_measure_out(edge, evidence))
		return loss_of_tcp(edge);
	return (struct edge_loss){
		.ratio = evidence->heartbeat.loss_out,
		.lost = evidence->heartbeat.loss_out_lost,
		.measured = evidence->heartbeat.accepted,
	};
}

struct edge_loss edge_loss_in(const struct edge *edge, const struct edge_evidence *evidence)
{
	if (!evidence->heartbeat.expected)
		return loss_of_tcp(edge);
	return (struct edge_loss){
		.ratio = evidence->heartbeat.loss_in,
		.lost = evidence->heartbeat.loss_in_lost,
		.measured = evidence->heartbeat.accepted,
	};
}

/* A try and its answer both have to get through. */
static double loss_round_trip(const struct edge *edge, const struct edge_evidence *evidence)
{
	return 1 - (1 - loss_in(edge, evidence)) * (1 - loss_out(edge, evidence));
}

/* Heartbeats that should have come in during so much silence. */
static uint64_t heartbeats_due(uint64_t silence_ns, uint64_t interval_ns)
{
	uint64_t slack_ns = (uint64_t)(HEARTBEAT_JITTER * (double)interval_ns) + HEARTBEAT_GRACE_NS;

	if (!interval_ns || silence_ns <= slack_ns)
		return 0;
	return (silence_ns - slack_ns) / interval_ns;
}

static void forget_tries(struct edge *edge)
{
	edge->connects_in_vain = 0;
	edge->refusals_in_vain = 0;
	edge->rto_in_vain = 0;
	edge->syn_in_vain = 0;
}

static bool is_verdict(enum edge_state state)
{
	return state >= EDGE_UNREACHABLE;
}

/* Without heartbeats that arrive, TCP's own recovery and connects are the only measure of loss. */
static void measure_tcp_loss(struct edge *edge, const struct edge_evidence *evidence,
			     const struct edge_self *self)
{
	uint64_t tries, lost;

	if (is_verdict(edge->state)) {
		edge->tcp_lost = edge->tcp_arrived = 0;
		return;
	}
	edge->tcp_window_ns += self->awake_ns;
	edge->tcp_arrived += growth(evidence->tcp.segments, edge->last.tcp.segments) +
			     growth(evidence->connect.answered, edge->last.connect.answered);
	edge->tcp_lost += growth(evidence->tcp.recovered, edge->last.tcp.recovered);
	/* What is retransmitted into a closed window was not lost. */
	if (!evidence->tcp.zero_window_sockets)
		edge->tcp_lost += growth(evidence->tcp.rto, edge->last.tcp.rto);
	/* A port that has never answered may be behind a firewall. */
	if (evidence->connect.answered)
		edge->tcp_lost += growth(evidence->connect.timed_out, edge->last.connect.timed_out);
	/* Kept until something arrives: a timer expires while nothing does. With heartbeats blocked
	 * also until the peer is known to hear us: what ends in a verdict was no loss. */
	if (!edge->tcp_arrived || edge->tcp_window_ns < LOSS_WINDOW_NS ||
	    (edge->heartbeats_blocked && edge->egress_kernel_decades > 0))
		return;
	tries = edge->tcp_arrived < LOSS_TRIES_MAX ? edge->tcp_arrived : LOSS_TRIES_MAX;
	/* What is less than one try is kept for the next time. */
	edge->tcp_lost_tries += (double)edge->tcp_lost * (double)tries / (double)edge->tcp_arrived;
	lost = (uint64_t)edge->tcp_lost_tries;
	edge->tcp_lost_tries -= (double)lost;
	for (uint64_t i = 0; i < tries; i++)
		loss_record(&edge->tcp_loss, lost * (i + 1) / tries - lost * i / tries);
	edge->tcp_lost = 0;
	edge->tcp_arrived = 0;
	edge->tcp_window_ns = 0;
}

/* The tries that a kernel answers by itself: connects, SYN retransmits, RTOs. */
static void count_tries(struct edge *edge, const struct edge_evidence *evidence, uint64_t now_ns)
{
	const struct edge_evidence *last = &edge->last;
	uint64_t rto = growth(evidence->tcp.rto, last->tcp.rto);
	uint64_t syn = growth(evidence->tcp.syn, last->tcp.syn) +
		       growth(evidence->tcp.failures, last->tcp.failures);
	uint64_t timed_out = growth(evidence->connect.timed_out, last->connect.timed_out);
	uint64_t refused = growth(evidence->connect.refused_locally, last->connect.refused_locally);
	/* A retransmit into a closed window is answered by an acknowledgement: no stall, no try in
	 * vain. */
	bool retried = syn || (rto && evidence->tcp.stalled_sockets);
	/* Timers of many sockets that expire together are one try: they share the fate of one
	 * burst. */
	double gained = (double)(timed_out + retried) * decades(loss_round_trip(edge, evidence));

	if (edge->egress_kernel_decades <= 0)
		edge->in_vain_since_ns = now_ns;
	edge->kernel_decades += gained;
	edge->egress_kernel_decades += gained;
	edge->connects_in_vain += (unsigned int)timed_out;
	edge->refusals_in_vain += (unsigned int)refused;
	edge->rto_in_vain += retried ? rto : 0;
	edge->syn_in_vain += syn;
}

/* What has been heard of the peer, and for how long nothing. */
static void weigh_silence(struct edge *edge, const struct edge_evidence *evidence,
			  const struct edge_self *self, const struct edge_settings *settings)
{
	uint64_t heard_ns = newer(newer(evidence->tcp.heard_ns, evidence->heartbeat.heard_ns),
				  evidence->connect.answer_ns);
	uint64_t due;

	if (heard_ns > edge->heard_ns) {
		if (edge->silence_ns >= settings->min_silence_ns)
			edge->heard_again_ns = self->now_ns;
		edge->heard_ns = heard_ns;
		edge->silence_ns = self->now_ns > heard_ns ? self->now_ns - heard_ns : 0;
		edge->kernel_decades = 0;
	} else {
		edge->silence_ns += self->awake_ns;
	}
	if (evidence->heartbeat.accepted != edge->last.heartbeat.accepted) {
		edge->agent_silence_ns = 0;
		edge->agent_silent = false;
	} else {
		edge->agent_silence_ns += self->awake_ns;
	}
	/* A stopped agent sends nothing: its silence is no evidence once that is known. */
	due = evidence->heartbeat.expected && !edge->agent_silent
		      ? heartbeats_due(edge->silence_ns, evidence->heartbeat.interval_ns)
		      : 0;
	edge->silence_decades =
		(double)due * decades(loss_in(edge, evidence)) + edge->kernel_decades;
}

/* Whether it is the agent alone that is silent. */
static void weigh_agent(struct edge *edge, const struct edge_evidence *evidence)
{
	uint64_t after_ns = AGENT_SILENT_INTERVALS * evidence->heartbeat.interval_ns;
	double missing =
		(double)heartbeats_due(edge->agent_silence_ns, evidence->heartbeat.interval_ns);

	if (evidence->heartbeat.expected && !edge->agent_silent &&
	    edge->agent_silence_ns >= after_ns && edge->silence_ns < after_ns / 2)
		edge->agent_silent = missing * decades(loss_in(edge, evidence)) >=
				     AGENT_CERTAINTY * edge->certainty;
}

/*
 * The mirror image of a silent agent: the peer's reports miss our heartbeats, but it acknowledges
 * or answers all else. 'improbable': how much so many missing are, in decades.
 */
static void weigh_blocked(struct edge *edge, const struct edge_evidence *evidence,
			  const struct edge_self *self, bool reported, double improbable)
{
	uint64_t after_ns = newer(BLOCKED_INTERVALS * evidence->heartbeat.interval_ns, BLOCKED_NS);
	bool reached = edge->unreached_ns < after_ns / 2;

	if (reported && evidence->heartbeat.unheard && reached)
		edge->blocked_ns += self->awake_ns;
	else
		edge->blocked_ns = 0;
	if (!evidence->heartbeat.expected || (reported && !evidence->heartbeat.unheard) ||
	    (is_verdict(edge->state) && !reached))
		edge->heartbeats_blocked = false;
	else if (edge->blocked_ns >= after_ns && improbable >= edge->certainty)
		edge->heartbeats_blocked = true;
}

/* What proves that the peer hears us, and what speaks against it. */
static void weigh_egress(struct edge *edge, const struct edge_evidence *evidence,
			 const struct edge_self *self)
{
	uint64_t reached_ns = newer(evidence->tcp.progress_ns, evidence->connect.answer_ns);
	bool reported = evidence->heartbeat.expected && evidence->heartbeat.heard_ns &&
			edge->agent_silence_ns < 5 * evidence->heartbeat.interval_ns;
	double missing = (double)evidence->heartbeat.unheard * decades(loss_out(edge, evidence));

	if (reported && !evidence->heartbeat.unheard)
		reached_ns = newer(reached_ns, evidence->heartbeat.heard_ns);
	if (reached_ns > edge->reached_ns) {
		edge->reached_ns = reached_ns;
		edge->unreached_ns = self->now_ns > reached_ns ? self->now_ns - reached_ns : 0;
		edge->egress_kernel_decades = 0;
		forget_tries(edge);
	} else {
		edge->unreached_ns += self->awake_ns;
	}
	weigh_blocked(edge, evidence, self, reported, missing);
	edge->egress_decades = edge->egress_kernel_decades;
	if (reported && !edge->heartbeats_blocked)
		edge->egress_decades += missing;
}

/* Silent, and its kernel does not answer either. */
static bool is_cut(const struct edge *edge, const struct edge_evidence *evidence,
		   const struct edge_settings *settings)
{
	bool confirmed = evidence->connect.possible
				 ? edge->kernel_decades >= edge->certainty &&
					   edge->connects_in_vain >= CONNECTS_MIN
				 : edge->silence_decades >= UNCONFIRMED_CERTAINTY * edge->certainty;
	/* When our own stack will not send there is nothing to wait for; the sentence says whose
	 * fault it is. */
	bool muted = evidence->heartbeat.expected && edge->refusals_in_vain >= CONNECTS_MIN;
	/* An address that has never answered anything may be a port that never will. */
	bool known = evidence->heartbeat.expected || evidence->tcp.heard_ns ||
		     evidence->connect.answer_ns;

	return known && edge->silence_ns >= settings->min_silence_ns &&
	       edge->silence_decades >= edge->certainty && (confirmed || muted);
}

/* Still heard, well after the last proof that they hear us. */
static bool is_egress_cut(const struct edge *edge, const struct edge_evidence *evidence,
			  const struct edge_self *self, const struct edge_settings *settings)
{
	uint64_t fresh_ns = evidence->heartbeat.expected && !edge->agent_silent
				    ? 4 * evidence->heartbeat.interval_ns
				    : PASSIVE_FRESH_NS;
	bool confirmed = edge->egress_kernel_decades >= edge->certainty ||
			 (!evidence->connect.possible &&
			  edge->egress_decades >= UNCONFIRMED_CERTAINTY * edge->certainty) ||
			 evidence->heartbeat.send_errno ||
			 (evidence->heartbeat.expected && edge->refusals_in_vain >= CONNECTS_MIN);

	/* A peer without an agent may hear us well and only drop connects to one port: then what it
	 * does not acknowledge must be data. */
	if (!evidence->heartbeat.expected && !evidence->tcp.stalled_sockets)
		return false;
	/* With no report to prove that they hear us, in a cut of both directions the last proof is
	 * older than the last hearing, too; and no missing heartbeat adds to the kernel's tries. */
	if (edge->heartbeats_blocked &&
	    (edge->heard_ns <= edge->in_vain_since_ns + settings->min_silence_ns / 2 ||
	     edge->egress_decades < UNCONFIRMED_CERTAINTY * edge->certainty))
		return false;
	/* Just after a silence what they report as missing is still from the time before. */
	if (edge->heard_again_ns && self->now_ns < edge->heard_again_ns + settings->min_silence_ns)
		return false;
	return edge->unreached_ns >= settings->min_silence_ns && edge->silence_ns < fresh_ns &&
	       edge->heard_ns > edge->reached_ns + settings->min_silence_ns / 2 &&
	       edge->egress_decades >= edge->certainty && confirmed;
}

static bool is_testified(const struct edge_evidence *evidence, const struct edge_self *self)
{
	return evidence->heartbeat.testimony_heard && evidence->heartbeat.testimony_ns &&
	       self->now_ns < evidence->heartbeat.testimony_ns + TESTIMONY_NS;
}

/* Success in a row since the last doubt. */
static bool is_recovered(struct edge *edge, const struct edge_evidence *evidence,
			 const struct edge_self *self)
{
	uint64_t accepted = growth(evidence->heartbeat.accepted, edge->last.heartbeat.accepted);
	uint64_t answered = growth(evidence->connect.answered, edge->last.connect.answered);
	uint64_t segments = growth(evidence->tcp.segments, edge->last.tcp.segments);
	bool doubt = edge->silence_decades >= edge->certainty / 2 ||
		     edge->egress_decades >= edge->certainty / 2 ||
		     edge->silence_ns > PASSIVE_FRESH_NS || edge->unreached_ns > PASSIVE_FRESH_NS;

	if (doubt) {
		edge->recovering_ns = 0;
		edge->recovery_accepted = 0;
		return false;
	}
	edge->recovering_ns += self->awake_ns;
	edge->recovery_accepted += accepted + answered * RECOVERY_CONNECT_WEIGHT;
	if (!evidence->heartbeat.expected || edge->agent_silent)
		edge->recovery_accepted += segments;
	return edge->recovering_ns >= RECOVERY_NS && edge->recovery_accepted >= RECOVERY_ANSWERS;
}

/* Lossy or healthy, from the measured loss, with hysteresis. */
static enum edge_state grade_loss(struct edge *edge, const struct edge_evidence *evidence,
				  const struct edge_self *self,
				  const struct edge_settings *settings)
{
	struct edge_loss in = edge_loss_in(edge, evidence);
	struct edge_loss out = edge_loss_out(edge, evidence);

	if ((in.ratio >= settings->lossy_ratio && in.lost >= LOSSY_MIN_LOST) ||
	    (out.ratio >= settings->lossy_ratio && out.lost >= LOSSY_MIN_LOST)) {
		edge->clear_ns = 0;
		return EDGE_LOSSY;
	}
	if (edge->state != EDGE_LOSSY)
		return EDGE_HEALTHY;
	if (fmax(in.ratio, out.ratio) < settings->lossy_ratio / 2)
		edge->clear_ns += self->awake_ns;
	else
		edge->clear_ns = 0;
	return edge->clear_ns >= LOSSY_CLEAR_NS ? EDGE_HEALTHY : EDGE_LOSSY;
}

static enum edge_state next_state(struct edge *edge, const struct edge_evidence *evidence,
				  const struct edge_self *self,
				  const struct edge_settings *settings)
{
	bool doubtful = edge->silence_decades >= edge->certainty / 2 ||
			edge->egress_decades >= edge->certainty / 2;

	if (is_cut(edge, evidence, settings)) {
		edge->recovering_ns = 0;
		edge->recovery_accepted = 0;
		return is_testified(evidence, self) ? EDGE_INGRESS_CUT : EDGE_UNREACHABLE;
	}
	if (is_egress_cut(edge, evidence, self, settings)) {
		edge->recovering_ns = 0;
		edge->recovery_accepted = 0;
		return EDGE_EGRESS_CUT;
	}
	switch (edge->state) {
	case EDGE_UNREACHABLE:
	case EDGE_EGRESS_CUT:
	case EDGE_INGRESS_CUT:
		/* What is not heard any more is not cut in one direction only. */
		if (edge->state == EDGE_EGRESS_CUT && edge->silence_ns >= EGRESS_STALE_NS)
			return EDGE_UNREACHABLE;
		if (!is_recovered(edge, evidence, self))
			return edge->state;
		return grade_loss(edge, evidence, self, settings);
	case EDGE_SUSPECT:
		if (doubtful)
			return EDGE_SUSPECT;
		return grade_loss(edge, evidence, self, settings);
	default:
		if (edge->silence_decades >= edge->certainty ||
		    edge->egress_decades >= edge->certainty)
			return EDGE_SUSPECT;
		return grade_loss(edge, evidence, self, settings);
	}
}

/* Connects cost little: one doubtful heartbeat or retransmit is enough to ask, long before a state
 * changes. */
static enum edge_confirm next_confirm(const struct edge *edge, const struct edge_evidence *evidence,
				      const struct edge_self *self)
{
	uint64_t missing =
		evidence->heartbeat.expected && !edge->agent_silent
			? heartbeats_due(edge->agent_silence_ns, evidence->heartbeat.interval_ns)
			: 0;
	double doubt = (double)missing * decades(loss_in(edge, evidence));

	doubt = fmax(doubt, fmax(edge->silence_decades, edge->egress_decades));
	if (is_verdict(edge->state))
		return self->now_ns > edge->since_ns + SETTLED_NS ? EDGE_CONFIRM_SLOW
								  : EDGE_CONFIRM_FAST;
	if (edge->state == EDGE_SUSPECT || doubt >= edge->certainty / 2 ||
	    edge->kernel_decades > 0 || edge->egress_kernel_decades > 0)
		return EDGE_CONFIRM_FAST;
	return edge->agent_silent || edge->heartbeats_blocked ? EDGE_CONFIRM_SLOW
							      : EDGE_CONFIRM_NONE;
}

bool edge_update(struct edge *edge, const struct edge_evidence *evidence,
		 const struct edge_self *self, const struct edge_settings *settings)
{
	enum edge_state state;
	bool changed;

	edge->certainty = settings->certainty * (1 + self->distrust);
	if (self->paused) {
		/* What was not observed proves nothing: start over, as at the beginning. */
		edge->last = *evidence;
		edge->heard_ns = edge->reached_ns = self->now_ns;
		edge->silence_ns = edge->unreached_ns = edge->agent_silence_ns = 0;
		edge->blocked_ns = 0;
		edge->kernel_decades = edge->egress_kernel_decades = 0;
		forget_tries(edge);
	}
	measure_tcp_loss(edge, evidence, self);
	count_tries(edge, evidence, self->now_ns);
	weigh_silence(edge, evidence, self, settings);
	weigh_egress(edge, evidence, self);
	weigh_agent(edge, evidence);
	state = next_state(edge, evidence, self, settings);
	changed = state != edge->state;
	/* Of a silent agent nothing is known, and a cut blocks all. */
	if (edge->agent_silent || (is_verdict(state) && !is_verdict(edge->state))) {
		edge->heartbeats_blocked = false;
		edge->blocked_ns = 0;
	}
	if (changed) {
		edge->state = state;
		edge->since_ns = self->now_ns;
		edge->clear_ns = 0;
	}
	edge->confirm = next_confirm(edge, evidence, self);
	edge->last = *evidence;
	return changed;
}
