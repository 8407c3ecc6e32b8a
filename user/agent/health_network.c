// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/health_network.h"

#include "agent/agent.h"
#include "agent/findings.h"
#include "base/clock.h"
#include "detect/clock_skew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_PEERS_NS (100 * NS_PER_MS)
#define LOOK_CLOCK_NS NS_PER_S

#define CLEAR_PEER_NS  (5 * NS_PER_S)
#define CLEAR_CLOCK_NS (10 * NS_PER_S)

/* An offset counts for so long after the peer was heard. */
#define FRESH_NS (2 * NS_PER_S)
/* After the start, until it is said that too few peers are heard. */
#define GRACE_NS (5 * NS_PER_S)
/* Clocks that are compared: more make no better median. */
#define CLOCKS_MAX 64

struct peers_family {
	struct agent *agent;
	uint64_t opened_ns, looked_ns, clock_looked_ns;
	uint64_t skewed_since_ns; /* 0: the clock is right */
};

bool health_network_is_off(struct agent *agent, enum finding_kind kind, uint64_t now_ns)
{
	struct findings *findings = agent_findings_list(agent->findings);

	if (agent->config.findings.settings[kind].response != FINDING_RESPONSE_OFF)
		return false;
	for (unsigned int i = findings->count; i-- > 0;)
		if (findings->standing[i].kind == kind)
			findings_end(findings, kind, findings->standing[i].subject,
				     "it is not looked for any more", now_ns);
	return true;
}

/* ---- peers ---- */

static const struct peer *node_of(const struct agent *agent, const char *name)
{
	for (unsigned int i = 0; i < agent->peers.node_count; i++)
		if (agent->peers.nodes[i] && !strcmp(agent->peers.nodes[i]->name, name))
			return agent->peers.nodes[i];
	return NULL;
}

/* What stands of nodes that are configured no more ends. Returns how many stand. */
static unsigned int count_standing(struct peers_family *family, uint64_t now_ns)
{
	struct findings *findings = agent_findings_list(family->agent->findings);
	unsigned int count = 0;

	for (unsigned int i = findings->count; i-- > 0;) {
		const struct finding *finding = &findings->standing[i];

		if (finding->kind != FINDING_PEER_OVERLOADED)
			continue;
		if (node_of(family->agent, finding->subject))
			count++;
		else
			findings_end(findings, FINDING_PEER_OVERLOADED, finding->subject,
				     "it is no node of the configuration any more", now_ns);
	}
	return count;
}

static void look_at_peers(struct peers_family *family, uint64_t now_ns)
{
	struct agent *agent = family->agent;
	uint64_t after_ns = agent->config.findings.limits.peer_overloaded.after_ms * NS_PER_MS;
	unsigned int standing = count_standing(family, now_ns);

	for (unsigned int i = 0; i < agent->peers.node_count; i++) {
		struct peer *peer = agent->peers.nodes[i];
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);
		enum finding_level level;
		uint64_t since_ns = 0;

		if (!peer)
			continue;
		level = peer_load_update(&peer->load, peer->edge.state, &peer->evidence, after_ns,
					 now_ns, &since_ns, &text);
		if (level == FINDING_ACTIVE || standing)
			findings_say(agent_findings_list(agent->findings), FINDING_PEER_OVERLOADED,
				     peer->name, level, since_ns, CLEAR_PEER_NS, now_ns, sentence);
	}
}

/* ---- clock ---- */

static unsigned int gather_offsets(const struct agent *agent,
				   struct clock_offset offsets[static CLOCKS_MAX], uint64_t now_ns)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < agent->peers.node_count && count < CLOCKS_MAX; i++) {
		struct heartbeat_status status;

		if (!agent->peers.nodes[i])
			continue;
		heartbeat_status(agent->heartbeat, i, &status);
		if (status.clock_known && status.heard_ns + FRESH_NS > now_ns)
			offsets[count++] = (struct clock_offset){status.clock_offset_ns,
								 status.clock_uncertainty_ns};
	}
	return count;
}

static void look_at_clock(struct peers_family *family, uint64_t now_ns)
{
	struct agent *agent = family->agent;
	struct findings *findings = agent_findings_list(agent->findings);
	struct clock_offset offsets[CLOCKS_MAX];
	unsigned int count = gather_offsets(agent, offsets, now_ns);
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	enum finding_level level;

	if (count < CLOCK_SKEW_PEERS_MIN) {
		if (now_ns > family->opened_ns + GRACE_NS)
			findings_set_blind(findings, FINDING_CLOCK_SKEW,
					   "fewer than 2 other nodes are heard: it cannot be told "
					   "whose clock is wrong");
		return;
	}
	findings_set_blind(findings, FINDING_CLOCK_SKEW, "");
	level = clock_skew(offsets, count,
			   agent->config.findings.limits.clock_skew.offset_ms * NS_PER_MS, &text);
	if (level != FINDING_ACTIVE)
		family->skewed_since_ns = 0;
	else if (!family->skewed_since_ns)
		family->skewed_since_ns = now_ns;
	findings_say(findings, FINDING_CLOCK_SKEW, FINDING_SUBJECT_NODE, level,
		     family->skewed_since_ns, CLEAR_CLOCK_NS, now_ns, sentence);
}

static void turn(void *context, uint64_t now_ns)
{
	struct peers_family *family = context;
	struct agent *agent = family->agent;

	if (now_ns < family->looked_ns + LOOK_PEERS_NS)
		return;
	family->looked_ns = now_ns;
	if (agent->probe && !health_network_is_off(agent, FINDING_PEER_OVERLOADED, now_ns))
		look_at_peers(family, now_ns);
	if (now_ns < family->clock_looked_ns + LOOK_CLOCK_NS)
		return;
	family->clock_looked_ns = now_ns;
	/* A node alone has nothing to compare its clock with, and misses nothing. */
	if (agent->config.node_count > 1 &&
	    !health_network_is_off(agent, FINDING_CLOCK_SKEW, now_ns))
		look_at_clock(family, now_ns);
}

static int open_family(void **ret_family, struct agent *agent)
{
	struct peers_family *family = calloc(1, sizeof(*family));

	*ret_family = family;
	if (!family)
		return -ENOMEM;
	family->agent = agent;
	family->opened_ns = clock_monotonic_ns();
	if (!agent->probe)
		findings_set_blind(agent_findings_list(agent->findings), FINDING_PEER_OVERLOADED,
				   agent->probe_error);
	return 0;
}

const struct health_family health_peers = {
	.name = "peers",
	.open = open_family,
	.turn = turn,
	.close = free,
};
