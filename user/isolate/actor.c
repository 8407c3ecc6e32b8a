// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/actor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A release or an isolation that was asked for and has not come into force is asked for again. */
#define ASK_AGAIN_NS (2 * 1000000000ULL)

/* ---- what the store has ---- */

struct actor_record *actor_find_record(const struct actor *actor, uint32_t member)
{
	for (unsigned int i = 0; i < actor->count; i++)
		if (actor->records[i].member == member)
			return &actor->records[i];
	return NULL;
}

bool actor_is_isolated(const struct actor *actor, uint32_t member)
{
	const struct actor_record *record = actor_find_record(actor, member);

	return record && record->record.state == RECORD_ISOLATED;
}

static struct actor_record *add_record(struct actor *actor, uint32_t member)
{
	struct actor_record *records;

	if (actor->count == actor->capacity) {
		unsigned int capacity = actor->capacity ? actor->capacity * 2 : 8;

		records = reallocarray(actor->records, capacity, sizeof(*records));
		if (!records)
			return NULL;
		actor->records = records;
		actor->capacity = capacity;
	}
	actor->records[actor->count] = (struct actor_record){.member = member};
	return &actor->records[actor->count++];
}

int actor_take_record(struct actor *actor, uint32_t member, const struct isolation_record *record,
		      uint64_t revision, uint64_t now_ns)
{
	struct actor_record *known = actor_find_record(actor, member);
	bool was_isolated = known && known->record.state == RECORD_ISOLATED;

	if (!record) {
		if (known)
			memmove(known, known + 1,
				(size_t)(actor->records + --actor->count - known) * sizeof(*known));
		return 0;
	}
	if (!known)
		known = add_record(actor, member);
	if (!known)
		return -ENOMEM;
	if (record->state == RECORD_ISOLATED && !was_isolated) {
		known->isolated_ns = now_ns;
		known->healthy_ns = 0;
	}
	known->record = *record;
	known->revision = revision;
	known->doubted = false;
	known->asked_ns = 0;
	known->kept[0] = '\0';
	return 0;
}

void actor_doubt(struct actor *actor)
{
	for (size_t i = 0; i < actor->count; i++)
		actor->records[i].doubted = true;
}

int64_t actor_find_doubted(const struct actor *actor)
{
	for (size_t i = 0; i < actor->count; i++)
		if (actor->records[i].doubted)
			return actor->records[i].member;
	return -1;
}

void actor_renumber(struct actor *actor, const uint32_t *places)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < actor->count; i++) {
		actor->records[kept] = actor->records[i];
		actor->records[kept].member = places[actor->records[i].member];
		kept += actor->records[kept].member != MEMBERSHIP_NONE;
	}
	actor->count = kept;
	kept = 0;
	for (unsigned int i = 0; i < actor->refusal_count; i++) {
		actor->refusals[kept] = actor->refusals[i];
		actor->refusals[kept].subject = places[actor->refusals[i].subject];
		kept += actor->refusals[kept].subject != MEMBERSHIP_NONE;
	}
	actor->refusal_count = kept;
}

void actor_free(struct actor *actor)
{
	free(actor->records);
	*actor = (struct actor){0};
}

/* ---- isolating ---- */

/* What the rails ask of this node and the cluster, whatever the action. */
static struct rails_case common_case(const struct actor *actor, const struct actor_case *now)
{
	struct rails_case action = {
		.store_connected = now->store_connected,
		.actor = now->actor,
		.blind = now->blind,
		.distrust_ratio = now->distrust_ratio,
		.paused = now->paused,
		.nodes = now->view->membership->count,
		.looks_bad = now->judgement->lost,
		.majority_proven = now->judgement->majority_proven,
		.now_ns = now->now_ns,
		.max_ratio = now->max_ratio,
		.settle_ns = now->settle_ns,
		.interval_ns = now->interval_ns,
	};

	for (unsigned int i = 0; i < actor->count; i++) {
		const struct actor_record *known = &actor->records[i];

		if (known->record.single && known->isolated_ns > action.last_single_ns)
			action.last_single_ns = known->isolated_ns;
		if (known->record.state != RECORD_ISOLATED)
			continue;
		action.isolated++;
		action.isolated_singly += known->record.single;
		/* On the majority's side again, but still isolated. */
		action.looks_bad += now->judgement->side && now->judgement->side[known->member] ==
								    now->judgement->majority_side;
	}
	return action;
}

/* Members that host the store's own, and are neither lost nor isolated, nor among 'members'. */
static uint32_t store_members_left(const struct actor *actor, const struct actor_case *now,
				   const uint32_t *members, uint32_t count)
{
	uint32_t left = 0, at = 0;

	for (uint32_t i = 0; now->hosts_store && i < now->view->membership->count; i++) {
		bool lost = now->judgement->side &&
			    now->judgement->side[i] != now->judgement->majority_side;

		while (at < count && members[at] < i)
			at++;
		if (now->hosts_store[i] && !lost && !actor_is_isolated(actor, i) &&
		    !(at < count && members[at] == i))
			left++;
	}
	return left;
}

/* What isolating 'members' does to the store, and to what a person has said. */
static void note_members(const struct actor *actor, const struct actor_case *now,
			 const uint32_t *members, uint32_t count, struct rails_case *action)
{
	action->store_members = now->store_members;
	action->store_members_left = store_members_left(actor, now, members, count);
	for (uint32_t i = 0; now->store_singly && now->hosts_store && i < count; i++)
		action->store_singly |= now->hosts_store[members[i]];
	for (uint32_t i = 0; now->left_alone && i < count; i++)
		action->includes_paused |= now->left_alone[members[i]];
}

static struct actor_refusal *find_refusal(struct actor *actor, const struct standing *standing)
{
	uint32_t subject = standing->subject_count ? standing->subjects[0] : 0;

	for (unsigned int i = 0; i < actor->refusal_count; i++) {
		struct actor_refusal *refusal = &actor->refusals[i];

		if (refusal->class == standing->class && refusal->subject == subject &&
		    refusal->first_ns == standing->first_ns)
			return refusal;
	}
	return NULL;
}

/* Those of verdicts that do not stand any more are forgotten. */
static void clean_refusals(struct actor *actor, const struct verdicts *verdicts)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < actor->refusal_count; i++)
		for (unsigned int j = 0; j < verdicts->count; j++)
			if (verdicts->standing[j].class == actor->refusals[i].class &&
			    verdicts->standing[j].first_ns == actor->refusals[i].first_ns) {
				actor->refusals[kept++] = actor->refusals[i];
				break;
			}
	actor->refusal_count = kept;
}

/* Whether this outcome of a verdict is news. What is not in force yet is to be tried again; advice
 * is given once. */
static bool is_news(struct actor *actor, const struct standing *standing, enum rail rail,
		    const struct actor_case *now)
{
	struct actor_refusal *known = find_refusal(actor, standing);

	if (known && known->rail == rail &&
	    (rail != RAIL_NONE || now->advises || now->now_ns - known->told_ns < ASK_AGAIN_NS))
		return false;
	if (!known && actor->refusal_count < VERDICTS_MAX)
		known = &actor->refusals[actor->refusal_count++];
	if (known)
		*known = (struct actor_refusal){
			.class = standing->class,
			.first_ns = standing->first_ns,
			.subject = standing->subject_count ? standing->subjects[0] : 0,
			.rail = rail,
			.told_ns = now->now_ns};
	return true;
}

static void consider(struct actor *actor, const struct actor_case *now,
		     const struct verdict *verdict, const struct actor_handlers *handlers)
{
	const struct standing *standing = verdicts_find(now->verdicts, verdict);
	struct rails_case action = common_case(actor, now);
	char words[160] = "";
	struct text reason = TEXT(words);
	uint32_t *members, count = 0;
	enum rail rail;

	if (!standing || !standing->raised)
		return;
	members = calloc(verdict->subject_count + 1, sizeof(*members));
	if (!members)
		return;
	for (uint32_t i = 0; i < verdict->subject_count; i++) {
		action.includes_self |= verdict->subjects[i] == now->self;
		if (!actor_is_isolated(actor, verdict->subjects[i]))
			members[count++] = verdict->subjects[i];
	}
	action.isolates = verdict->isolates;
	action.new_subjects = count;
	action.partition = verdict->subject_count > 1;
	action.since_ns = standing->first_ns;
	note_members(actor, now, members, count, &action);
	rail = count ? rails_check(&action, &reason) : RAIL_SETTLE;
	/* Somebody else's turn, or not yet: neither is a refusal. */
	if (rail != RAIL_ACTOR && rail != RAIL_SETTLE && is_news(actor, standing, rail, now)) {
		if (rail == RAIL_NONE)
			handlers->isolate(handlers->context, verdict, members, count,
					  !action.partition);
		else
			handlers->refuse(handlers->context, verdict, rail, words);
	}
	free(members);
}

struct rails_case actor_case_by_hand(const struct actor *actor, const struct actor_case *now,
				     uint32_t member, bool force)
{
	struct rails_case action = common_case(actor, now);

	action.by_hand = true;
	action.force = force;
	action.includes_self = member == now->self;
	action.new_subjects = !actor_is_isolated(actor, member);
	action.since_ns = now->now_ns;
	note_members(actor, now, &member, 1, &action);
	return action;
}

static const struct verdict *isolating(const struct actor_case *now, uint32_t member)
{
	for (unsigned int i = 0; i < now->judgement->verdict_count; i++) {
		const struct verdict *verdict = &now->judgement->verdicts[i];

		for (uint32_t j = 0; verdict->isolates && j < verdict->subject_count; j++)
			if (verdict->subjects[j] == member)
				return verdict;
	}
	return NULL;
}

bool actor_would_isolate(const struct actor_case *now, uint32_t member)
{
	return isolating(now, member);
}

bool actor_has_lost(const struct actor_case *now, uint32_t member)
{
	const struct verdict *verdict = isolating(now, member);
	const struct standing *standing = verdict ? verdicts_find(now->verdicts, verdict) : NULL;

	return standing && standing->raised;
}

/* ---- releasing ---- */

static bool is_subject(const struct judgement *judgement, uint32_t member)
{
	for (unsigned int i = 0; i < judgement->verdict_count; i++) {
		const struct verdict *verdict = &judgement->verdicts[i];

		if (verdict->class == VERDICT_LOSSY_LINK)
			continue;
		for (uint32_t j = 0; j < verdict->subject_count; j++)
			if (verdict->subjects[j] == member)
				return true;
	}
	return false;
}

/* It reaches the majority both ways, over all its links, and its lease is renewed. */
static bool is_healthy(const struct actor_case *now, uint32_t member)
{
	const struct judgement *judgement = now->judgement;

	return judgement->majority_proven && judgement->side[member] == judgement->majority_side &&
	       view_row_current(now->view, member, now->now_ns) && !is_subject(judgement, member);
}

static uint64_t healthy_ms(const struct actor_record *known, const struct actor_case *now)
{
	return (now->now_ns - known->healthy_ns) / 1000000;
}

bool actor_may_release(const struct actor_record *known, const struct actor_case *now)
{
	const struct isolation_record *record = &known->record;

	return record->state == RECORD_ISOLATED && known->healthy_ns &&
	       healthy_ms(known, now) >= record_hold_down_ms(record, now->hold_down_ms) &&
	       !record_waits_for_person(record) && now->actor && now->store_connected &&
	       !now->paused && !(now->left_alone && now->left_alone[known->member]);
}

static void watch_record(struct actor_record *known, const struct actor_case *now,
			 const struct actor_handlers *handlers)
{
	if (known->record.state == RECORD_RELEASED) {
		if (now->actor && record_is_forgotten(&known->record, now->now_ms) &&
		    now->now_ns - known->asked_ns > ASK_AGAIN_NS) {
			known->asked_ns = now->now_ns;
			handlers->forget(handlers->context, known);
		}
		return;
	}
	if (!is_healthy(now, known->member)) {
		known->healthy_ns = 0;
		known->kept[0] = '\0';
		return;
	}
	if (!known->healthy_ns)
		known->healthy_ns = now->now_ns;
	if (!actor_may_release(known, now) ||
	    (known->asked_ns && now->now_ns - known->asked_ns < ASK_AGAIN_NS))
		return;
	known->asked_ns = now->now_ns;
	handlers->release(handlers->context, known, healthy_ms(known, now));
}

void actor_update(struct actor *actor, const struct actor_case *now,
		  const struct actor_handlers *handlers)
{
	clean_refusals(actor, now->verdicts);
	for (unsigned int i = 0; i < now->judgement->verdict_count; i++)
		switch (now->judgement->verdicts[i].class) {
		case VERDICT_LOSSY_LINK:
		case VERDICT_AGENT_DOWN:
		case VERDICT_NODE_OVERLOADED:
		case VERDICT_SERVICE_DOWN:
		case VERDICT_VIEW_INCOMPLETE:
			/* Nobody would think of isolating for these. */
			break;
		default:
			consider(actor, now, &now->judgement->verdicts[i], handlers);
		}
	for (unsigned int i = 0; i < actor->count; i++)
		watch_record(&actor->records[i], now, handlers);
}
