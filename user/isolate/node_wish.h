/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_NODE_WISH_H
#define TOCSIN_ISOLATE_NODE_WISH_H

/* What findings and verdicts make of a Node object: which conditions hold, and why. Pure. */

#include "cluster/verdicts.h"
#include "detect/findings.h"
#include "isolate/condition.h"
#include "isolate/taint.h"

/* What a Node should show. Of what is not this agent's, it says nothing. */
struct node_wish {
	bool taints_isolated, taints_unhealthy; /* these are mine to write */
	struct taint_wish isolated, unhealthy;
	struct condition_wish conditions[CONDITION_KINDS];
};

/* The node's own findings, by the settings of their kinds; their conditions are mine. */
void node_wish_findings(struct node_wish *wish, const struct findings *findings,
			const struct finding_settings settings[FINDING_KINDS]);

/* What was raised of a member. The judgement tells it in words. */
void node_wish_verdicts(struct node_wish *wish, const struct verdicts *verdicts,
			const struct judgement *judgement, const struct view *view, uint32_t member,
			uint64_t now_ns);

/*
 * The network's conditions become mine where they hold, and where the Node shows them: they are
 * cleared there, and stay fresh. A Node that never had them is left without.
 */
void node_wish_claim_network(struct node_wish *wish, const json_t *node);

#endif
