/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_EDGE_SIMULATION_H
#define TOCSIN_TESTS_EDGE_SIMULATION_H

/*
 * One edge, from this node to a peer, in simulated time: an event queue, its own random numbers,
 * and no clock. Heartbeats, loss estimates, self-watch and the edge are the real code; links, the
 * peer, the kernel's TCP timers and the confirming connects are modelled after facts measured on
 * Linux 6.18 and after turn.c, heartbeat.c and confirm.c.
 */

#include "agent/self.h"
#include "base/clock.h"
#include "cluster/heartbeat_link.h"
#include "detect/edge.h"

#include <stdbool.h>
#include <stdint.h>

enum simulation_agent {
	AGENT_RUNNING,
	AGENT_STOPPED, /* its kernel goes on */
	AGENT_STARVED, /* each of its turns is late by 0 to 500 ms */
};

enum simulation_traffic { TRAFFIC_NONE, TRAFFIC_REQUESTS, TRAFFIC_BULK };

/* What can be changed while the simulation runs. All zero: two idle, healthy nodes. */
struct simulation_conditions {
	double loss_out, loss_in; /* a datagram or segment is lost, 0 to 1; 1 is a cut */
	bool no_agent;		  /* the peer has none: no heartbeats are expected */
	bool heartbeats_refused;  /* our stack refuses to send them: EPERM */
	bool heartbeats_blocked;  /* ours are dropped on the way, and nothing else */
	bool connects_refused;	  /* our stack refuses to connect */
	bool connects_impossible; /* no port to try */
	bool relayed;		  /* a third node passes on the peer's heartbeats */
	bool alone, carrier_down; /* see struct edge_self */
	bool self_late;		  /* about once a second this agent is held up for 200 to 400 ms */
	bool zero_window;	  /* the peer's application has stopped reading */
	enum simulation_agent agent;
	enum simulation_traffic traffic;
	unsigned int requests_per_s;
	bool slow_answers; /* requests are answered only after a tail loss probe */
	double reordered;  /* ratio of bulk segments that are retransmitted needlessly */
};

#define LOSS(ratio) .loss_out = (ratio), .loss_in = (ratio)
#define CUT	    LOSS(1)
#define REQUESTS(n) .traffic = TRAFFIC_REQUESTS, .requests_per_s = (n)
#define BULK	    .traffic = TRAFFIC_BULK

/* Sets of states. */
#define HEALTHY	    (1U << EDGE_HEALTHY)
#define LOSSY	    (1U << EDGE_LOSSY)
#define SUSPECT	    (1U << EDGE_SUSPECT)
#define UNREACHABLE (1U << EDGE_UNREACHABLE)
#define EGRESS_CUT  (1U << EDGE_EGRESS_CUT)
#define INGRESS_CUT (1U << EDGE_INGRESS_CUT)
/* Whatever is not a verdict. */
#define HARMLESS (HEALTHY | LOSSY | SUSPECT)

/* Runs of each row of a table. */
#define SIMULATION_SEEDS    24
#define SIMULATION_START_NS (1000 * NS_PER_S)

#define SIMULATION_INBOX 256
#define SIMULATION_TRIES 16

struct simulation_datagram {
	uint64_t arrives_ns;
	struct heartbeat heartbeat;
};

struct simulation_node {
	struct heartbeat_link link;
	uint64_t due_ns;   /* next heartbeat */
	uint64_t awake_ns; /* it does nothing before */
	struct simulation_datagram inbox[SIMULATION_INBOX];
	unsigned int first, waiting;
};

struct simulation {
	uint64_t now_ns;
	uint64_t random;
	struct simulation_conditions conditions;
	struct simulation_node here, there;

	/* Confirming connects, as confirm.c makes them. */
	struct {
		bool wanted;
		uint64_t interval_ns, timeout_ns, due_ns;
		struct {
			uint64_t end_ns; /* 0: free */
			bool answered;
		} tries[SIMULATION_TRIES];
	} connects;

	/* One socket, as the kernel's timers and bpf/tcp.bpf.c treat it. */
	struct {
		uint64_t next_ns, sent_ns, timer_ns, published_ns;
		uint64_t segments; /* not published yet */
		bool unanswered, probed;
	} tcp;

	/* The agent. */
	struct self_watch watch;
	uint64_t turn_ns, planned_ns, held_up_ns;
	struct edge_self self; /* of the last turn */
	struct edge_settings settings;
	struct edge edge;
	struct edge_evidence evidence;

	/* What happened since simulation_observe(). */
	uint64_t observed_ns;
	unsigned int visited; /* bit n: was in state n */
	unsigned int entered[EDGE_STATES];
	unsigned int verdicts;		/* how often it came to any, from none */
	uint64_t first_ns[EDGE_STATES]; /* after observed_ns; UINT64_MAX never */
	uint64_t agent_silent_ns, blocked_ns, unblocked_ns; /* the same */
	unsigned int turns;
	uint64_t trace; /* hash over all transitions and their times after start_ns */
	uint64_t start_ns;
};

/* Starts at monotonic time start_ns with nobody heard yet. */
void simulation_start(struct simulation *simulation, uint64_t seed, uint64_t start_ns,
		      const struct simulation_conditions *conditions);

/* Goes on under these conditions. */
void simulation_run(struct simulation *simulation, uint64_t duration_ns,
		    const struct simulation_conditions *conditions);

/* This agent does nothing for so long, starting now. */
void simulation_hold_up(struct simulation *simulation, uint64_t duration_ns);

/* One datagram of the peer arrives now, whatever the link is like. */
void simulation_slip_through(struct simulation *simulation);

/* Forgets what was visited and counted so far. */
void simulation_observe(struct simulation *simulation);

/*
 * Starts, goes on for that long and a part of a second more, so that what comes then comes at any
 * phase of heartbeats, turns and requests, and observes from there.
 */
void simulation_prepare(struct simulation *simulation, unsigned int seed,
			const struct simulation_conditions *conditions, uint64_t duration_ns);

/* Sorts the times; quantile is 0 to 1. */
unsigned int simulation_quantile_ms(uint64_t *times_ns, unsigned int count, double quantile);

/* The sentence of this moment. */
const char *simulation_sentence(const struct simulation *simulation, char *buffer, size_t size);

#endif
