/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_EDGE_H
#define TOCSIN_DETECT_EDGE_H

/*
 * What this node thinks of one peer: a state machine over evidence and time. Pure: no I/O and no
 * clock; every rule is tested with tables of (evidence, now) -> state in tests/unit/test_edge.c.
 *
 * Silence is judged by how unlikely it would be on this link: n tries unanswered at a loss of p
 * have the probability p^n. 'Decades' below are -log10 of that. Tries that the peer's kernel
 * answers without any help of its user space (TCP retransmits, connects) are also counted apart,
 * because only they can tell a cut from an agent that is starved or stopped.
 */

#include "base/text.h"
#include "detect/loss.h"

#include <stdbool.h>
#include <stdint.h>

enum edge_state {
	EDGE_HEALTHY,
	EDGE_LOSSY,	  /* answers, but loses more than lossy_ratio */
	EDGE_SUSPECT,	  /* silent for longer than chance allows; being confirmed */
	EDGE_UNREACHABLE, /* silent, and its kernel does not answer either */
	EDGE_EGRESS_CUT,  /* they do not hear me; I hear them */
	EDGE_INGRESS_CUT, /* I do not hear them; they hear me */
	EDGE_STATES,
};

/* "healthy", ..., "egress-cut": the words of status, metrics and the log. */
const char *edge_state_name(enum edge_state state);

/* Times are CLOCK_MONOTONIC ns, 0 = never. Counters only grow (a drop means that the source started
 * anew). */
struct edge_evidence {
	/* TCP of any program on this node, as the kernel saw it. */
	struct {
		uint64_t heard_ns;
		uint64_t progress_ns;
		uint64_t stalled_since_ns;
		uint32_t stalled_sockets;
		uint32_t zero_window_sockets;
		uint64_t rto;	    /* retransmission timeouts */
		uint64_t syn;	    /* connects retried for want of an answer */
		uint64_t failures;  /* connects that failed: timed out, unreachable, abandoned */
		uint64_t recovered; /* fast retransmits: loss, not silence */
		uint64_t segments;
		uint64_t connects;	/* answered ... */
		uint64_t connects_late; /* ... of these, only when tried again */
	} tcp;

	/* Heartbeats, when the peer is a configured node with an agent. */
	struct {
		bool expected;
		uint64_t heard_ns; /* last accepted heartbeat */
		uint64_t accepted; /* how many so far */
		uint64_t unheard;  /* of ours, sent since the newest that the peer's latest report
				      confirms */
		uint64_t send_failures;	  /* sends that the local stack refused */
		int send_errno;		  /* of the last send: 0, or why it was refused */
		uint64_t testimony_ns;	  /* when a third node last relayed the peer's word ... */
		bool testimony_heard;	  /* ... that it does hear us */
		double loss_in, loss_out; /* measured */
		double loss_in_pessimistic, loss_out_pessimistic; /* to reckon with */
		double loss_in_lost,
			loss_out_lost; /* decayed number of losses behind the measure */
		uint64_t interval_ns;
	} heartbeat;

	/* Connects made to confirm a suspicion. A refused connect is an answer. */
	struct {
		bool possible;	    /* there is an address and a port to try */
		uint64_t answer_ns; /* last one answered */
		uint64_t answered;
		uint64_t timed_out;	  /* waited for long enough, in vain */
		uint64_t refused_locally; /* our own stack would not send: says nothing of the peer
					   */
	} connect;
};

/* What this node knows of itself, the same for all its edges at one moment. */
struct edge_self {
	uint64_t now_ns;
	/* Time since the last update in which this agent ran; less than the time passed when it was
	 * held up. */
	uint64_t awake_ns;
	bool paused;	   /* it did not run for so long that what lies before means nothing */
	double distrust;   /* 0 to 1: how much of late this agent was not scheduled in time */
	bool alone;	   /* no peer at all is heard, and there is more than one */
	bool carrier_down; /* no interface but loopback is up */
};

struct edge_settings {
	double certainty;	 /* decades; 6 = one in a million */
	uint64_t min_silence_ns; /* never 'unreachable' sooner */
	double lossy_ratio;
};

/* How eagerly connects should be tried now. */
enum edge_confirm { EDGE_CONFIRM_NONE, EDGE_CONFIRM_SLOW, EDGE_CONFIRM_FAST };

/* One edge's memory, made by edge_init(). The first five fields are for its users, the rest is its
 * own. */
struct edge {
	enum edge_state state;
	uint64_t since_ns; /* when it came into this state */
	enum edge_confirm confirm;
	bool agent_silent;	 /* its kernel answers, its agent does not */
	bool heartbeats_blocked; /* its kernel answers and its agent speaks, but our heartbeats do
				    not get there */

	struct edge_evidence last; /* evidence of the update before */
	uint64_t heard_ns;	   /* newest hearing of any kind */
	uint64_t silence_ns;	   /* awake time since then */
	uint64_t heard_again_ns; /* end of the last silence of min_silence_ns and more; 0 = none */
	uint64_t agent_silence_ns; /* awake time since the last heartbeat */
	uint64_t reached_ns;	   /* newest proof that the peer hears us */
	uint64_t unreached_ns;	   /* awake time since then */
	double certainty;	   /* decades asked for, self-distrust included */
	double silence_decades;	   /* all tries since heard_ns */
	double kernel_decades;	   /* of these, the ones that need no user space at the peer */
	double egress_decades;	   /* all tries since reached_ns */
	double egress_kernel_decades;
	uint64_t in_vain_since_ns; /* when the first of these was counted */
	uint64_t blocked_ns;	   /* awake time in which the peer reported all ours as missing,
				      while something else proved that it hears us */
	/* Counted since reached_ns, for the sentence and the least number of connects. */
	unsigned int connects_in_vain, refusals_in_vain;
	uint64_t rto_in_vain, syn_in_vain;
	struct loss tcp_loss;	    /* where heartbeats do not measure it */
	uint64_t tcp_lost;	    /* of it, not taken in yet ... */
	uint64_t tcp_arrived;	    /* ... nor this ... */
	double tcp_lost_tries;	    /* ... nor this, less than one try */
	uint64_t tcp_window_ns;	    /* awake time since the last was */
	uint64_t recovering_ns;	    /* awake time with answers both ways, after a cut */
	uint64_t recovery_accepted; /* heartbeats and connect answers since then */
	uint64_t clear_ns;	    /* awake time below half of the lossy ratio */
};

void edge_init(struct edge *edge, uint64_t now_ns);

/*
 * Takes in the evidence of this moment; returns true when the state changed. Call it at each tick
 * and whenever something happened; how often does not matter for the verdict.
 */
bool edge_update(struct edge *edge, const struct edge_evidence *evidence,
		 const struct edge_self *self, const struct edge_settings *settings);

/* What was lost lately in one direction, by the best measure there is: heartbeats, or else TCP. */
struct edge_loss {
	double ratio; /* 0 to 1 */
	double lost;  /* decayed number of losses behind it */
	bool measured;
};

struct edge_loss edge_loss_out(const struct edge *edge, const struct edge_evidence *evidence);
struct edge_loss edge_loss_in(const struct edge *edge, const struct edge_evidence *evidence);

/*
 * The evidence behind the present state in plain words: "no segment heard for 412 ms, 2 RTOs on 3
 * sockets, 4 heartbeats unanswered, 3 of 3 connects timed out; expected within 310 ms at 0.4 %
 * loss".
 */
void edge_explain(const struct edge *edge, const struct edge_evidence *evidence,
		  const struct edge_self *self, const struct edge_settings *settings,
		  struct text *sentence);

#endif
