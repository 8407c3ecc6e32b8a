// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/rails.h"

#include "cluster/view.h"

#include <inttypes.h>

static bool lacks_store(const struct rails_case *c, struct text *reason)
{
	text_printf(reason, "the store is not reached, so nothing can be agreed on");
	return !c->store_connected;
}

static bool is_not_actor(const struct rails_case *c, struct text *reason)
{
	text_printf(reason, "this node is not the elected actor");
	return !c->actor;
}

static bool is_blind(const struct rails_case *c, struct text *reason)
{
	text_printf(reason, "a probe of the main job is missing on this node");
	return c->blind;
}

static bool is_starved(const struct rails_case *c, struct text *reason)
{
	text_printf(reason, "this agent was not scheduled in time for %.0f %% of late",
		    c->distrust_ratio * 100);
	return c->distrust_ratio > VIEW_DISTRUST_MAX;
}

static bool is_paused(const struct rails_case *c, struct text *reason)
{
	text_printf(reason,
		    c->paused ? "acting is paused (the file 'pause' in some node's state_dir, or "
				"the annotation tocsin.dev/pause of a TocsinNode)"
			      : "a person wants the node left alone (its annotation "
				"tocsin.dev/pause)");
	return c->paused || c->includes_paused;
}

static bool is_no_cause(const struct rails_case *c, struct text *reason)
{
	text_printf(reason, "no single node or minority explains the cut");
	return !c->isolates;
}

static bool lacks_majority(const struct rails_case *c, struct text *reason)
{
	text_printf(reason, "no side is proven to hold N/2+1 of the nodes");
	return !c->majority_proven;
}

static bool is_unsettled(const struct rails_case *c, struct text *reason)
{
	uint64_t age_ns = c->now_ns - c->since_ns;

	text_printf(reason, "the verdict has stood for %" PRIu64 " ms, expected %" PRIu64 " ms",
		    age_ns / 1000000, c->settle_ns / 1000000);
	return age_ns < c->settle_ns;
}

/* So much at once is more likely this node's error than the cluster's end. A minority that is cut
 * off stays below half by itself. */
static bool looks_too_bad(const struct rails_case *c, struct text *reason)
{
	text_printf(reason, "%" PRIu32 " of %" PRIu32 " nodes look bad: half or more", c->looks_bad,
		    c->nodes);
	return c->looks_bad * 2 >= c->nodes;
}

static bool is_self(const struct rails_case *c, struct text *reason)
{
	text_printf(reason, "the actor does not isolate itself");
	return c->includes_self;
}

static uint32_t isolated_then(const struct rails_case *c)
{
	return c->isolated + c->new_subjects;
}

static bool breaks_quorum(const struct rails_case *c, struct text *reason)
{
	text_printf(reason,
		    "%" PRIu32 " of %" PRIu32 " nodes would be left, expected at least %" PRIu32,
		    isolated_then(c) > c->nodes ? 0 : c->nodes - isolated_then(c), c->nodes,
		    c->nodes / 2 + 1);
	return isolated_then(c) + c->nodes / 2 + 1 > c->nodes;
}

static bool breaks_store_quorum(const struct rails_case *c, struct text *reason)
{
	uint32_t least = c->store_members / 2 + 1;

	if (c->store_singly && least + 1 < c->store_members)
		least = c->store_members - 1;
	text_printf(reason,
		    "%" PRIu32 " of %" PRIu32
		    " members of the store would be left, expected at least %" PRIu32,
		    c->store_members_left, c->store_members, least);
	return c->store_members && c->store_members_left < least;
}

static bool exceeds_ratio(const struct rails_case *c, struct text *reason)
{
	uint32_t limit = (uint32_t)(c->max_ratio * c->nodes);

	limit = limit ? limit : 1;
	text_printf(reason,
		    "%" PRIu32 " nodes would be isolated one by one, expected at most %" PRIu32,
		    c->isolated_singly + c->new_subjects, limit);
	return !c->partition && c->isolated_singly + c->new_subjects > limit;
}

static bool is_too_soon(const struct rails_case *c, struct text *reason)
{
	uint64_t age_ns = c->now_ns - c->last_single_ns;

	text_printf(reason,
		    "the last node was isolated %" PRIu64 " ms ago, expected %" PRIu64
		    " ms between",
		    age_ns / 1000000, c->interval_ns / 1000000);
	return !c->partition && c->last_single_ns && age_ns < c->interval_ns;
}

/* In the order in which they are asked. */
static const struct {
	const char *name;
	bool (*refuses)(const struct rails_case *action, struct text *reason);
	bool of_verdict; /* not asked when a person names the node */
	bool firm;	 /* --force does not help */
} rails[RAILS] = {
	[RAIL_STORE] = {"store", lacks_store, .firm = true},
	[RAIL_ACTOR] = {"actor", is_not_actor, .firm = true},
	[RAIL_BLIND] = {"blind", is_blind, .of_verdict = true},
	[RAIL_STARVED] = {"starved", is_starved, .of_verdict = true},
	[RAIL_PAUSED] = {"paused", is_paused, .of_verdict = false},
	[RAIL_CLASS] = {"class", is_no_cause, .of_verdict = true},
	[RAIL_MAJORITY] = {"majority", lacks_majority, .of_verdict = true},
	[RAIL_SETTLE] = {"settle", is_unsettled, .of_verdict = true},
	[RAIL_FREEZE] = {"freeze", looks_too_bad, .of_verdict = false},
	[RAIL_SELF] = {"self", is_self, .of_verdict = true},
	[RAIL_QUORUM] = {"quorum", breaks_quorum, .of_verdict = false},
	[RAIL_STORE_QUORUM] = {"store-quorum", breaks_store_quorum, .of_verdict = false},
	[RAIL_MAX_RATIO] = {"max-ratio", exceeds_ratio, .of_verdict = false},
	[RAIL_INTERVAL] = {"interval", is_too_soon, .of_verdict = false},
};

const char *rail_name(enum rail rail)
{
	return rail == RAIL_NONE ? "none" : rails[rail].name;
}

enum rail rails_check(const struct rails_case *action, struct text *reason)
{
	for (enum rail rail = RAIL_NONE + 1; rail < RAILS; rail++) {
		char words[160] = "";
		struct text text = TEXT(words);

		if ((rails[rail].of_verdict && action->by_hand) ||
		    (!rails[rail].firm && action->force) || !rails[rail].refuses(action, &text))
			continue;
		text_printf(reason, "%s", words);
		return rail;
	}
	return RAIL_NONE;
}
