// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/agent.h"
#include "agent/findings.h"
#include "agent/health_network.h"
#include "base/clock.h"
#include "detect/receive_drops.h"
#include "probe/network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_NS (5 * NS_PER_S)
/* A window in which the agent was held up for long says nothing. */
#define WINDOW_MAX_NS (2 * WINDOW_NS)
#define CLEAR_NS      (30 * NS_PER_S)

struct reason_memory {
	const char *name; /* the probe's */
	uint64_t total, before;
	struct drop_history history;
};

struct drops_family {
	struct agent *agent;
	uint64_t looked_ns, begin_ns; /* of the window; 0: there is none */
	uint64_t received;
	unsigned int windows; /* that have ended */
	struct reason_memory *reasons[DROP_SLOTS];
	size_t reason_count;
	bool reasons_unknown; /* the kernel does not tell them */
};

static struct reason_memory *reason_of(struct drops_family *family, const char *name)
{
	struct reason_memory *reason;

	for (size_t i = 0; i < family->reason_count; i++)
		if (family->reasons[i]->name == name)
			return family->reasons[i];
	if (family->reason_count == DROP_SLOTS)
		return NULL;
	reason = calloc(1, sizeof(*reason));
	if (!reason)
		return NULL;
	reason->name = name;
	receive_drops_init(&reason->history, family->windows);
	family->reasons[family->reason_count++] = reason;
	return reason;
}

static void take_reason(void *context, const char *name, uint64_t packets)
{
	struct drops_family *family = context;
	struct reason_memory *reason;

	if (!strcmp(name, "unknown"))
		family->reasons_unknown = true;
	if (!receive_drops_is_loss(name))
		return;
	reason = reason_of(family, name);
	if (reason)
		reason->total = packets;
}

static void judge(struct drops_family *family, const struct drop_window *all)
{
	const struct finding_limits *limits = &family->agent->config.findings.limits;

	for (size_t i = 0; i < family->reason_count; i++) {
		struct reason_memory *reason = family->reasons[i];
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);
		struct drop_window window = *all;
		enum finding_level level;
		uint64_t since_ns = 0;

		window.dropped = reason->total - reason->before;
		level = receive_drops(&reason->history, &window, limits->receive_drops.deviations,
				      limits->receive_drops.ratio, &since_ns, &text);
		findings_say(agent_findings_list(family->agent->findings), FINDING_RECEIVE_DROPS,
			     reason->name, level, since_ns, CLEAR_NS, window.end_ns, sentence);
	}
}

static void begin_window(struct drops_family *family, uint64_t received, uint64_t now_ns)
{
	for (size_t i = 0; i < family->reason_count; i++)
		family->reasons[i]->before = family->reasons[i]->total;
	family->received = received;
	family->begin_ns = now_ns;
}

static int read_counts(struct drops_family *family, uint64_t *ret_received)
{
	struct drop_probe *probe = family->agent->probes.open[PROBE_DROP];
	struct findings *findings = agent_findings_list(family->agent->findings);
	char reason[FINDING_SENTENCE_MAX] = "";
	int r = network_received(ret_received);

	if (!r)
		r = drop_probe_read(probe, take_reason, family);
	if (r)
		snprintf(reason, sizeof(reason), "packets cannot be counted: %s", strerror(-r));
	else if (family->reasons_unknown)
		snprintf(reason, sizeof(reason), "%s",
			 "this kernel does not tell why packets are dropped (since Linux 5.17)");
	findings_set_blind(findings, FINDING_RECEIVE_DROPS, reason);
	return r;
}

static void turn(void *context, uint64_t now_ns)
{
	struct drops_family *family = context;
	struct agent *agent = family->agent;
	const char *obstacle = probes_obstacle(&agent->probes, PROBE_DROP);
	struct drop_window window;
	uint64_t received;

	if (now_ns < family->looked_ns + WINDOW_NS)
		return;
	family->looked_ns = now_ns;
	if (!*obstacle && agent->config.netns.kind == CONFIG_NETNS_INODE)
		obstacle = "packets received in another network namespace (netns) are not counted";
	if (*obstacle) {
		findings_set_blind(agent_findings_list(agent->findings), FINDING_RECEIVE_DROPS,
				   obstacle);
		return;
	}
	if (health_network_is_off(agent, FINDING_RECEIVE_DROPS, now_ns) ||
	    read_counts(family, &received)) {
		family->begin_ns = 0;
		return;
	}
	window = (struct drop_window){
		.begin_ns = family->begin_ns,
		.end_ns = now_ns,
		.received = received > family->received ? received - family->received : 0};
	if (family->begin_ns && now_ns < family->begin_ns + WINDOW_MAX_NS) {
		judge(family, &window);
		family->windows++;
	}
	begin_window(family, received, now_ns);
}

static void close_family(void *context)
{
	struct drops_family *family = context;

	for (size_t i = 0; i < family->reason_count; i++)
		free(family->reasons[i]);
	free(family);
}

static int open_family(void **ret_family, struct agent *agent)
{
	struct drops_family *family = calloc(1, sizeof(*family));

	*ret_family = family;
	if (!family)
		return -ENOMEM;
	family->agent = agent;
	return 0;
}

const struct health_family health_drops = {
	.name = "drops",
	.open = open_family,
	.turn = turn,
	.close = close_family,
};
