/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_ACTOR_H
#define TOCSIN_ISOLATE_ACTOR_H

/*
 * What is to be done about the verdicts, and about those who are isolated. Pure: it decides and
 * tells; to write the records, to journal and to run hooks is its caller's. Every agent runs it, so
 * that each knows what it would refuse; the rails let only the elected one act.
 */

#include "cluster/verdicts.h"
#include "isolate/rails.h"
#include "isolate/record.h"

#include <stdbool.h>
#include <stdint.h>

/* What the store has of one node. */
struct actor_record {
	uint32_t member;
	struct isolation_record record;
	uint64_t revision;
	uint64_t isolated_ns; /* when it was seen here to come into force; CLOCK_BOOTTIME */
	uint64_t healthy_ns; /* since when the node is on the majority's side, with a row; 0: not */
	uint64_t asked_ns;   /* when its release was asked for; 0: it was not, or is answered */
	bool doubted;	     /* the store is being read anew, and has not told it again yet */
	char kept[256];	     /* why it is not released though it may be; "": no such reason */
};

/* One verdict that was refused, so that it is told once. */
struct actor_refusal {
	enum verdict_class class;
	uint64_t first_ns; /* the standing's */
	uint32_t subject;
	enum rail rail; /* RAIL_NONE: it was decided on, and that was told */
	uint64_t told_ns;
};

struct actor {
	struct actor_record *records; /* in the order in which they came */
	unsigned int count, capacity;
	struct actor_refusal refusals[VERDICTS_MAX];
	unsigned int refusal_count;
};

struct actor_case {
	const struct judgement *judgement;
	const struct view *view;
	const struct verdicts *verdicts;
	uint32_t self; /* this member */
	bool store_connected, actor, blind;
	double distrust_ratio;
	bool paused;
	bool advises; /* nothing is done: what would be is told once */
	/* Whether a member hosts one of the store's own, by member; and how many do. NULL: none is
	 * known to. */
	const bool *hosts_store;
	uint32_t store_members;
	bool store_singly; /* of these, one at a time may be isolated */
	/* Whom a person wants left alone, by member: neither isolated nor released. NULL: none. */
	const bool *left_alone;
	double max_ratio;
	uint64_t settle_ns, interval_ns, hold_down_ms;
	uint64_t now_ns; /* CLOCK_BOOTTIME */
	uint64_t now_ms; /* wall clock */
};

struct actor_handlers {
	void *context;
	/* No rail refuses: these members (none of them isolated yet) are to be isolated. Told again
	 * when they still are not two seconds later, unless this only advises. */
	void (*isolate)(void *context, const struct verdict *verdict, const uint32_t *members,
			uint32_t count, bool single);
	/* A rail refuses; told when that changes. */
	void (*refuse)(void *context, const struct verdict *verdict, enum rail rail,
		       const char *reason);
	/* actor_may_release(); told again when it still is not released two seconds later. */
	void (*release)(void *context, const struct actor_record *record, uint64_t healthy_ms);
	/* A released node's record is an hour old. */
	void (*forget)(void *context, const struct actor_record *record);
};

/* The store's word on one member: a record, or NULL for none. Returns 0 or -ENOMEM. */
int actor_take_record(struct actor *actor, uint32_t member, const struct isolation_record *record,
		      uint64_t revision, uint64_t now_ns);

/* The record of a member, or NULL. */
struct actor_record *actor_find_record(const struct actor *actor, uint32_t member);

/* The member is isolated by a record in force. */
bool actor_is_isolated(const struct actor *actor, uint32_t member);

/* The store is being read anew: what it does not tell again is gone by then. */
void actor_doubt(struct actor *actor);

/* After that: a member whose record was not told again, or -1. */
int64_t actor_find_doubted(const struct actor *actor);

/* The members have other places now: 'places', by the former ones. Of those who are none any more
 * nothing is kept: the store still has their records. */
void actor_renumber(struct actor *actor, const uint32_t *places);

/* To be called after each judgement. */
void actor_update(struct actor *actor, const struct actor_case *now,
		  const struct actor_handlers *handlers);

/* A node is healed, and has been for as long as its record asks; and this node may say so. */
bool actor_may_release(const struct actor_record *record, const struct actor_case *now);

/* The rails' case for one node that a person names. */
struct rails_case actor_case_by_hand(const struct actor *actor, const struct actor_case *now,
				     uint32_t member, bool force);

/* A verdict that isolates it stands. */
bool actor_would_isolate(const struct actor_case *now, uint32_t member);

/* Such a verdict is raised. */
bool actor_has_lost(const struct actor_case *now, uint32_t member);

void actor_free(struct actor *actor);

#endif
