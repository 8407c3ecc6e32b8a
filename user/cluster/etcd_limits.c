// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/etcd_limits.h"

#include "base/clock.h"

#include <stdbool.h>

#define WORK_FACTOR   2 /* how much longer a write may take than a probe */
#define LIMIT_FACTOR  8 /* and anything, at most */
#define LATENCY_TIMES 4
#define DOUBLINGS_MAX 3

static double latency_ms(const struct etcd_limits *limits, bool probe)
{
	const double *latencies_ms = limits->latencies_ms[probe];

	for (unsigned int i = 0; i < ETCD_LATENCIES; i++) {
		unsigned int below = 0, equal = 0;

		for (unsigned int j = 0; j < ETCD_LATENCIES; j++) {
			below += latencies_ms[j] < latencies_ms[i];
			equal += latencies_ms[j] == latencies_ms[i];
		}
		if (below <= ETCD_LATENCIES / 2 && below + equal > ETCD_LATENCIES / 2)
			return latencies_ms[i];
	}
	return 0;
}

/* A store may be slow, or a call may be lost for ever in a member that has no leader: after every
 * second failure patience is twice as long, after every fourth twice as much again. */
static unsigned int doublings(const struct etcd_limits *limits)
{
	unsigned int lost = limits->lost, count = 0;

	while (lost && !(lost & 1) && count < DOUBLINGS_MAX) {
		lost >>= 1;
		count++;
	}
	return count;
}

void etcd_limits_note(struct etcd_limits *limits, enum etcd_patience patience, uint64_t latency_ns)
{
	bool probe = patience == ETCD_PATIENCE_PROBE;
	unsigned int *next = &limits->latency_next[probe];

	limits->latencies_ms[probe][*next] = (double)latency_ns / NS_PER_MS;
	*next = (*next + 1) % ETCD_LATENCIES;
}

unsigned int etcd_limits_call_ms(const struct etcd_limits *limits, enum etcd_patience patience)
{
	bool probe = patience == ETCD_PATIENCE_PROBE;
	double least_ms = (double)limits->request_limit_ms * (probe ? 1 : WORK_FACTOR);
	double most_ms = (double)etcd_limits_most_ms(limits);
	double limit_ms = LATENCY_TIMES * latency_ms(limits, probe);

	limit_ms = limit_ms > least_ms ? limit_ms : least_ms;
	limit_ms *= 1U << doublings(limits);
	return (unsigned int)(limit_ms < most_ms ? limit_ms : most_ms);
}

unsigned int etcd_limits_connect_ms(const struct etcd_limits *limits)
{
	double limit_ms = LATENCY_TIMES * latency_ms(limits, true);

	if (limit_ms < (double)limits->request_limit_ms)
		limit_ms = (double)limits->request_limit_ms;
	return (unsigned int)(doublings(limits) ? 2 * limit_ms : limit_ms);
}

unsigned int etcd_limits_most_ms(const struct etcd_limits *limits)
{
	return LIMIT_FACTOR * limits->request_limit_ms;
}
