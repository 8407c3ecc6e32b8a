// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/receive_drops.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HIGH_WINDOWS 2

/* What the deviation is at least: of a reason that is steady, or never seen, any packet would be
 * far from usual. */
#define DEVIATION_MIN_PACKETS 10
#define DEVIATION_MIN_RATIO   0.1

/* Reasons that are no loss of a received packet (include/net/dropreason-core.h has what each
 * means). */
static const char *const no_loss[] = {
	/* Not told, so it may be anything: most are frees that nobody has given a reason. */
	"not_specified",
	"unknown",
	/* Closed or purged with what nobody wanted to read any more. */
	"socket_close",
	"tcp_close",
	"queue_purge",
	"unix_disconnect",
	"unix_skip_oob",
	/* A program or an administrator asked for it: filters, firewalls, policies. */
	"socket_filter",
	"netfilter_drop",
	"xdp",
	"tc_ingress",
	"tap_filter",
	"xfrm_policy",
	"security_hook",
	"ipv6disabled",
	"arp_pvlan_disable",
	/* It was for somebody else, or for all and nobody here asked. */
	"otherhost",
	"unicast_in_l2_multicast",
	"unhandled_proto",
	"local_mac",
	"mac_ieee_mac_control",
	"bridge_ingress_stp_state",
	"ipv6_ndisc_ns_otherhost",
	/* TCP has these data already, or they were superseded: the sender was too eager. */
	"tcp_old_data",
	"tcp_ofomerge",
	"tcp_ofo_drop",
	"dup_frag",
	/* Belated or doubled segments, which TCP answers. */
	"tcp_old_sequence",
	"tcp_old_ack",
	"tcp_too_old_ack",
	"tcp_rfc7323_paws_ack",
	/* Segments that end a connection. */
	"tcp_reset",
	"tcp_abort_on_data",
	/* accept-overflow tells it with the listener's name. */
	"tcp_listen_overflow",
	/* Of what is sent. */
	"ip_outnoroutes",
	"bpf_cgroup_egress",
	"neigh_createfail",
	"neigh_failed",
	"neigh_queuefull",
	"neigh_dead",
	"neigh_hh_fillfail",
	"tc_egress",
	"qdisc_drop",
	"qdisc_overlimit",
	"qdisc_congested",
	"cake_flood",
	"fq_band_limit",
	"fq_horizon_limit",
	"fq_flow_limit",
	"dualpi2_step_drop",
	"skb_gso_seg",
	"dev_ready",
	"tap_txfilter",
	"no_tx_target",
	"tunnel_txinfo",
	"psp_output",
};

bool receive_drops_is_loss(const char *reason)
{
	for (size_t i = 0; i < sizeof(no_loss) / sizeof(*no_loss); i++)
		if (!strcmp(no_loss[i], reason))
			return false;
	return true;
}

void receive_drops_init(struct drop_history *history, unsigned int windows)
{
	*history = (struct drop_history){0};
	history->count = windows < RECEIVE_DROPS_WINDOWS ? windows : RECEIVE_DROPS_WINDOWS;
	history->next = history->count % RECEIVE_DROPS_WINDOWS;
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* Sorts them. */
static double median(uint32_t *values, unsigned int count)
{
	const unsigned int low = (count - 1) / 2, high = count / 2;

	qsort(values, count, sizeof(*values), compare);
	return ((double)values[low] + (double)values[high]) / 2;
}

/* What is usual, and how many are too many. */
static double limit_of(const struct drop_history *history, double deviations, double *ret_median)
{
	uint32_t values[RECEIVE_DROPS_WINDOWS];
	double middle, deviation;

	memcpy(values, history->counts, sizeof(values));
	middle = median(values, history->count);
	for (unsigned int i = 0; i < history->count; i++)
		values[i] =
			(uint32_t)(values[i] > middle ? values[i] - middle : middle - values[i]);
	deviation = median(values, history->count);
	if (deviation < DEVIATION_MIN_RATIO * middle)
		deviation = DEVIATION_MIN_RATIO * middle;
	if (deviation < DEVIATION_MIN_PACKETS)
		deviation = DEVIATION_MIN_PACKETS;
	*ret_median = middle;
	return middle + deviations * deviation;
}

static void learn(struct drop_history *history, uint64_t dropped)
{
	history->counts[history->next] = dropped < UINT32_MAX ? (uint32_t)dropped : UINT32_MAX;
	history->next = (history->next + 1) % RECEIVE_DROPS_WINDOWS;
	if (history->count < RECEIVE_DROPS_WINDOWS)
		history->count++;
}

enum finding_level receive_drops(struct drop_history *history, const struct drop_window *window,
				 double deviations, double ratio, uint64_t *ret_since_ns,
				 struct text *sentence)
{
	double dropped = (double)window->dropped, received = (double)window->received;
	double limit, middle;

	if (history->count < RECEIVE_DROPS_WINDOWS_MIN) {
		learn(history, window->dropped);
		return FINDING_QUIET;
	}
	limit = limit_of(history, deviations, &middle);
	if (dropped <= limit || dropped <= ratio * received) {
		if (history->high_windows && history->high_windows < HIGH_WINDOWS)
			learn(history, history->held_back);
		history->high_windows = 0;
		learn(history, window->dropped);
		return dropped > (limit + middle) / 2 && dropped > ratio / 2 * received
			       ? FINDING_NEAR
			       : FINDING_QUIET;
	}
	if (!history->high_windows++) {
		history->since_ns = window->begin_ns;
		history->held_back = window->dropped;
	}
	if (history->high_windows < HIGH_WINDOWS)
		return FINDING_NEAR;
	*ret_since_ns = history->since_ns;
	text_printf(sentence,
		    "%" PRIu64 " packets were dropped in %.1f s, expected at most %.0f (usual are "
		    "%.0f) or %.1f %% of the %" PRIu64 " received",
		    window->dropped, (double)(window->end_ns - window->begin_ns) / NS_PER_S, limit,
		    middle, ratio * 100, window->received);
	return FINDING_ACTIVE;
}
