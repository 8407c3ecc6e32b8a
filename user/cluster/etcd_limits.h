/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_ETCD_LIMITS_H
#define TOCSIN_CLUSTER_ETCD_LIMITS_H

/* How long calls to etcd may take: what is configured, or as long as the store has lately needed
 * several times over, and longer where nothing works. Pure. */

#include <stdint.h>

/* How long a call may take. */
enum etcd_patience {
	ETCD_PATIENCE_PROBE, /* no write: its failure to answer tells that the endpoint is bad */
	ETCD_PATIENCE_WORK,
	ETCD_PATIENCE_STREAM, /* without end */
};

/* The median of so many answers counts: a few that an election of etcd's held up must not make the
 * next lost call cost seconds; a slow store answers slowly each time. */
#define ETCD_LATENCIES 5

/* Zero at first, but for what is configured. */
struct etcd_limits {
	unsigned int request_limit_ms;
	/* Of those that answered a search and then failed, how many in a row, since all worked. */
	unsigned int lost;
	/* What the last calls took: other ones, and probes. */
	double latencies_ms[2][ETCD_LATENCIES];
	unsigned int latency_next[2];
};

/* A call of this patience, which is no stream, was answered after so long. */
void etcd_limits_note(struct etcd_limits *limits, enum etcd_patience patience, uint64_t latency_ns);

unsigned int etcd_limits_call_ms(const struct etcd_limits *limits, enum etcd_patience patience);

/* For a connection: a host that is cut off takes none, however slow the store may be, and gets
 * little of that patience. */
unsigned int etcd_limits_connect_ms(const struct etcd_limits *limits);

/* No call may take longer. */
unsigned int etcd_limits_most_ms(const struct etcd_limits *limits);

#endif
