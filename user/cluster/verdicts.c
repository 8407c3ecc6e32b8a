// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/verdicts.h"

#include <stdlib.h>
#include <string.h>

/* An agent may be late once, and rows may be late after the store was away: neither isolates. */
static uint64_t steady_ns(const struct verdict *verdict)
{
	if (verdict->class == VERDICT_VIEW_INCOMPLETE)
		return VERDICTS_INCOMPLETE_NS;
	if (verdict->class == VERDICT_AGENT_DOWN || verdict->class == VERDICT_NODE_OVERLOADED)
		return VERDICTS_AGENT_NS;
	/* The node itself says so, and nobody else can know better. */
	if (verdict->class == VERDICT_SERVICE_DOWN)
		return 0;
	return VERDICTS_STEADY_NS;
}

static bool same_subjects(const struct standing *standing, const uint32_t *subjects, uint32_t count)
{
	return standing->subject_count == count &&
	       !memcmp(standing->subjects, subjects, count * sizeof(*subjects));
}

static struct standing *find(struct verdicts *verdicts, const struct verdict *verdict)
{
	for (unsigned int i = 0; i < verdicts->count; i++) {
		struct standing *standing = &verdicts->standing[i];

		if (standing->class == verdict->class &&
		    same_subjects(standing, verdict->subjects, verdict->subject_count))
			return standing;
	}
	return NULL;
}

const struct standing *verdicts_find(const struct verdicts *verdicts, const struct verdict *verdict)
{
	return find((struct verdicts *)verdicts, verdict);
}

static struct standing *add(struct verdicts *verdicts, const struct verdict *verdict,
			    uint64_t now_ns)
{
	struct standing *standing;
	uint32_t *subjects;

	if (verdicts->count == VERDICTS_MAX)
		return NULL;
	/* One more than needed: a verdict without subjects is one, too. */
	subjects = calloc(verdict->subject_count + 1, sizeof(*subjects));
	if (!subjects)
		return NULL;
	memcpy(subjects, verdict->subjects, verdict->subject_count * sizeof(*subjects));
	standing = &verdicts->standing[verdicts->count++];
	*standing = (struct standing){.class = verdict->class,
				      .subjects = subjects,
				      .subject_count = verdict->subject_count,
				      .evidence_ns = verdict->since_ns,
				      .first_ns = now_ns};
	return standing;
}

static void drop(struct verdicts *verdicts, unsigned int index)
{
	free(verdicts->standing[index].subjects);
	memmove(&verdicts->standing[index], &verdicts->standing[index + 1],
		(--verdicts->count - index) * sizeof(*verdicts->standing));
}

/* Of a service, and not of the node: none of the other classes goes on where that ends. */
static bool is_apart(const struct standing *standing)
{
	return standing->class == VERDICT_SERVICE_DOWN;
}

/* It goes on under another name, which is not raised yet. */
static bool is_succeeded(const struct verdicts *verdicts, const struct standing *standing)
{
	for (unsigned int i = 0; i < verdicts->count; i++) {
		const struct standing *other = &verdicts->standing[i];

		if (other != standing && other->present && !other->raised && !is_apart(other) &&
		    !is_apart(standing) &&
		    same_subjects(other, standing->subjects, standing->subject_count))
			return true;
	}
	return false;
}

/* It is raised under another class. */
static bool has_predecessor(const struct verdicts *verdicts, const struct standing *standing)
{
	for (unsigned int i = 0; i < verdicts->count; i++) {
		const struct standing *other = &verdicts->standing[i];

		if (other != standing && other->raised && !is_apart(other) && !is_apart(standing) &&
		    same_subjects(other, standing->subjects, standing->subject_count))
			return true;
	}
	return false;
}

void verdicts_update(struct verdicts *verdicts, const struct judgement *judgement, uint64_t now_ns,
		     verdicts_function *raised, verdicts_function *cleared, void *context)
{
	for (unsigned int i = 0; i < verdicts->count; i++)
		verdicts->standing[i].present = false;
	for (unsigned int i = 0; i < judgement->verdict_count; i++) {
		const struct verdict *verdict = &judgement->verdicts[i];
		struct standing *standing =
			find(verdicts, verdict) ?: add(verdicts, verdict, now_ns);
		uint64_t needed_ns = verdict->pending ? VERDICTS_PENDING_NS : steady_ns(verdict);

		if (!standing)
			continue;
		standing->present = true;
		standing->last_ns = now_ns;
		if (standing->raised ||
		    now_ns - standing->first_ns <
			    (has_predecessor(verdicts, standing) ? VERDICTS_CHANGE_NS : needed_ns))
			continue;
		standing->raised = true;
		raised(context, standing, verdict);
	}
	for (unsigned int i = 0; i < verdicts->count;) {
		struct standing *standing = &verdicts->standing[i];

		if (standing->present ||
		    (standing->raised && (now_ns - standing->last_ns < VERDICTS_STEADY_NS ||
					  is_succeeded(verdicts, standing)))) {
			i++;
			continue;
		}
		if (standing->raised)
			cleared(context, standing, NULL);
		drop(verdicts, i);
	}
}

static bool has_left(const struct standing *standing, const uint32_t *places)
{
	for (uint32_t i = 0; i < standing->subject_count; i++)
		if (places[standing->subjects[i]] == MEMBERSHIP_NONE)
			return true;
	return false;
}

void verdicts_renumber(struct verdicts *verdicts, const uint32_t *places,
		       verdicts_function *cleared, void *context)
{
	for (unsigned int i = 0; i < verdicts->count;) {
		struct standing *standing = &verdicts->standing[i];

		if (has_left(standing, places)) {
			if (standing->raised)
				cleared(context, standing, NULL);
			drop(verdicts, i);
			continue;
		}
		for (uint32_t j = 0; j < standing->subject_count; j++)
			standing->subjects[j] = places[standing->subjects[j]];
		i++;
	}
}

void verdicts_free(struct verdicts *verdicts)
{
	while (verdicts->count)
		drop(verdicts, verdicts->count - 1);
}
