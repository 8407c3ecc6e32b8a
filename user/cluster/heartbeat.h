/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_HEARTBEAT_H
#define TOCSIN_CLUSTER_HEARTBEAT_H

/*
 * Heartbeats to and from the configured nodes that this one observes (membership.h), over one UDP
 * socket on a libuv loop.
 *
 * Peers are addressed by their index in config->nodes of the configuration given last. This node
 * itself, a node that it does not observe, and one without an address have an index too: nothing is
 * sent to them or expected of them.
 *
 * All peers are sent to at the port of heartbeat.listen. "0.0.0.0" and any IPv4 address take IPv4
 * only, "::" takes both families. Without any peer nothing is bound and no key is read.
 */

#include "base/text.h"
#include "cluster/heartbeat_codec.h"
#include "config/config.h"
#include "detect/edge.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct heartbeat_socket;

/* What the agent has concluded about a peer, as far as sending heartbeats depends on it. */
enum heartbeat_outage {
	HEARTBEAT_OUTAGE_NONE,
	/* It does not hear us: our heartbeats also go by up to two peers, who pass them on. */
	HEARTBEAT_OUTAGE_EGRESS_CUT,
	/* It is not heard (unreachable, or an ingress cut). */
	HEARTBEAT_OUTAGE_UNREACHABLE,
	/* Its kernel answers, its agent does not: what its agent leaves unread was not lost. */
	HEARTBEAT_OUTAGE_AGENT_SILENT,
	/* Ours alone do not get there: their gap is not the link's loss, and it is not asked to
	 * pass anything on. */
	HEARTBEAT_OUTAGE_BLOCKED,
};

/* All only grow, also over heartbeat_reload(). */
struct heartbeat_counters {
	uint64_t sent;		/* handed to the local stack */
	uint64_t send_failures; /* refused by it, EAGAIN and ENOBUFS included */
	uint64_t received;	/* datagrams read, whatever became of them */
	uint64_t accepted;
	uint64_t rejected[HEARTBEAT_REJECT_KINDS]; /* [HEARTBEAT_ACCEPTED] stays 0 */
	uint64_t overflowed;	   /* dropped by our kernel because we did not read in time */
	uint64_t relays_sent;	   /* ours, handed to a third node */
	uint64_t relays_forwarded; /* others', passed on */
	uint64_t relays_refused; /* others', not passed on: not from the sender, old, or too many */
	uint64_t relays_accepted;  /* for us */
	uint64_t relays_duplicate; /* for us, but heard already: each comes by up to two ways */
};

/* One peer, for status and metrics. */
struct heartbeat_status {
	uint64_t sent;	      /* handed to the local stack */
	uint64_t received;    /* accepted */
	uint32_t rtt_us;      /* smoothed; 0 when unknown */
	uint64_t incarnation; /* of its agent; 0 when never heard */
	uint64_t restarts;    /* of its agent, since it was first heard */
	uint64_t heard_ns;    /* when the last one was accepted; 0: never */
	/* Its wall clock less ours (positive: it is ahead), and by how much that may be wrong. */
	bool clock_known;
	int64_t clock_offset_ns;
	uint64_t clock_uncertainty_ns;
	uint8_t boot_id[HEARTBEAT_BOOT_BYTES];
};

/*
 * Reads the key, binds the socket and starts sending. Nothing of config is kept. Returns 0, or
 * -errno with one line in 'error': what is wrong and what to do. *ret is closed by
 * heartbeat_close().
 */
int heartbeat_open(struct heartbeat_socket **ret, uv_loop_t *loop, const struct config *config,
		   struct text *error);

/*
 * Goes over to another configuration: nodes that stay (by name) keep all that is known of them;
 * key, interval and listen address are taken anew. On failure returns -errno with a line in
 * 'error', and the old one goes on.
 */
int heartbeat_reload(struct heartbeat_socket *socket, const struct config *config,
		     struct text *error);

/*
 * Reads what is waiting, at most HEARTBEAT_DRAIN_MAX datagrams, without blocking, and returns how
 * many. To be called before judging: unread mail is not silence, and what comes in wakes nobody.
 * When it came in its stamp tells, however late it is read.
 */
#define HEARTBEAT_DRAIN_MAX 4096
unsigned int heartbeat_drain(struct heartbeat_socket *socket);

/* In how many ms heartbeats are sent next, as the loop's time has it; UINT64_MAX: none are. */
uint64_t heartbeat_due_in_ms(const struct heartbeat_socket *socket);

/*
 * Fills evidence->heartbeat of a node and leaves the rest alone. An index out of range is 'not
 * expected'.
 */
void heartbeat_evidence(const struct heartbeat_socket *socket, unsigned int node_index,
			struct edge_evidence *evidence);

/* May be called as often as one likes; gaps during an outage are not counted as loss. */
void heartbeat_set_outage(struct heartbeat_socket *socket, unsigned int node_index,
			  enum heartbeat_outage outage);

const struct heartbeat_counters *heartbeat_counters(const struct heartbeat_socket *socket);

void heartbeat_status(const struct heartbeat_socket *socket, unsigned int node_index,
		      struct heartbeat_status *ret_status);

/* Stops at once; memory is given back by the loop, which must run until then. NULL is fine. */
void heartbeat_close(struct heartbeat_socket *socket);

#endif
