/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_RAILS_H
#define TOCSIN_ISOLATE_RAILS_H

/*
 * The rules that can refuse to isolate a node. Pure. Each has a name, which the journal gives with
 * every refusal, and a test in which it refuses (tests/unit/test_rails.c).
 */

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum rail {
	RAIL_NONE, /* nothing refuses */
	RAIL_STORE,
	RAIL_ACTOR,
	RAIL_BLIND,
	RAIL_STARVED,
	RAIL_PAUSED,
	RAIL_CLASS,
	RAIL_MAJORITY,
	RAIL_SETTLE,
	RAIL_FREEZE,
	RAIL_SELF,
	RAIL_QUORUM,
	RAIL_STORE_QUORUM,
	RAIL_MAX_RATIO,
	RAIL_INTERVAL,
	RAILS,
};

/* "store", "max-ratio", ... */
const char *rail_name(enum rail rail);

/* One action: to isolate all subjects of a verdict, or one node by hand. */
struct rails_case {
	/* This node. */
	bool store_connected, actor, blind;
	double distrust_ratio;
	bool paused; /* here, in anybody's row, or in the store itself */

	/* The cluster. */
	uint32_t nodes;		  /* configured */
	uint32_t looks_bad;	  /* lost to the majority by any verdict, the isolated included */
	uint32_t isolated;	  /* records in force */
	uint32_t isolated_singly; /* of these, those that were isolated one by one */
	bool majority_proven;
	uint64_t last_single_ns; /* when a single node was isolated last; 0: never */
	uint32_t store_members, store_members_left; /* of the store: all, and those that would be
						       neither lost nor isolated then; 0: unknown */
	bool store_singly; /* the action takes some of these, and one at a time may be isolated */

	/* The action. */
	bool isolates; /* the verdict's class is one that isolates */
	bool includes_self;
	bool includes_paused;  /* a node that a person wants left alone */
	uint32_t new_subjects; /* not isolated yet */
	bool partition;	       /* one action on a whole minority, whose majority is proven */
	uint64_t since_ns;     /* the verdict has stood unchanged since then */
	uint64_t now_ns;
	bool by_hand; /* a person names the node: no verdict is asked for */
	bool force;   /* and overrides what can be overridden */

	/* Settings. */
	double max_ratio;
	uint64_t settle_ns, interval_ns;
};

/*
 * The first rail that refuses, with its reason in plain words, or RAIL_NONE. Rails that say what
 * cannot be done (no store, not the actor) hold against --force, too.
 */
enum rail rails_check(const struct rails_case *action, struct text *reason);

#endif
