// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int view_init(struct view *view, const struct membership *membership)
{
	uint32_t count = membership->count;
	uint32_t slots = count ? membership->start[count] : 0;

	*view = (struct view){.membership = membership};
	view->rows = calloc(count + 1, sizeof(*view->rows));
	view->words = calloc(slots + 1, sizeof(*view->words));
	view->word_since_ns = calloc(slots + 1, sizeof(*view->word_since_ns));
	view->word_revision = calloc(slots + 1, sizeof(*view->word_revision));
	return view->rows && view->words && view->word_since_ns && view->word_revision ? 0
										       : -ENOMEM;
}

static void set_word(struct view *view, uint32_t at, enum row_word word, uint64_t revision,
		     uint64_t now_ns)
{
	if (!view->word_revision[at])
		view->word_revision[at] = revision;
	if (view->words[at] == word)
		return;
	view->words[at] = (uint8_t)word;
	view->word_since_ns[at] = now_ns;
	view->word_revision[at] = revision;
}

static bool same_findings(const struct view_row *known, const struct row *row)
{
	if (known->finding_count != row->finding_count)
		return false;
	for (unsigned int i = 0; i < row->finding_count; i++)
		if (strcmp(known->findings[i].name, row->findings[i].name) != 0 ||
		    strcmp(known->findings[i].subject, row->findings[i].subject) != 0)
			return false;
	return true;
}

static void take_findings(struct view_row *known, const struct row *row, uint64_t now_ns)
{
	size_t bytes = row->finding_count * sizeof(*row->findings);
	struct row_finding *findings = NULL;

	if (!same_findings(known, row))
		known->findings_ns = now_ns;
	/* Without memory for them the row counts as one without findings. */
	if (bytes)
		findings = malloc(bytes);
	if (findings)
		memcpy(findings, row->findings, bytes);
	free(known->findings);
	known->findings = findings;
	known->finding_count = findings ? row->finding_count : 0;
}

bool view_put(struct view *view, const struct row *row, uint64_t revision, uint64_t now_ns)
{
	const struct membership *membership = view->membership;
	struct view_row *known = &view->rows[row->member];
	bool same_boot = !strcmp(known->boot_id, row->boot_id);
	uint32_t start = membership->start[row->member];

	if (known->arrived_ns && same_boot &&
	    (row->epoch < known->epoch ||
	     (row->epoch == known->epoch && row->sequence < known->sequence)))
		return false;
	/* The same once more, after a gap of the watch: news only if it had been taken for gone. */
	if (known->present && same_boot && row->epoch == known->epoch &&
	    row->sequence == known->sequence)
		return false;
	if (*known->boot_id && !same_boot)
		known->restarted_ns = now_ns;
	known->present = true;
	known->other_members = row->members != membership->hash;
	known->arrived_ns = now_ns;
	/* What is written once more, unchanged, says no more than before. */
	if (!known->revision || !same_boot || row->epoch != known->epoch ||
	    row->sequence != known->sequence)
		known->revision = revision;
	known->ended_ns = 0;
	known->epoch = row->epoch;
	known->sequence = row->sequence;
	known->considered_revision = row->considered_revision;
	known->flags = row->flags;
	known->distrust_ratio = row->distrust_ratio;
	take_findings(known, row, now_ns);
	memcpy(known->boot_id, row->boot_id, sizeof(known->boot_id));
	/* What one with other members said before is void, but may be what it says afterwards. */
	for (uint32_t i = start; !known->other_members && i < membership->start[row->member + 1];
	     i++)
		set_word(view, i, (enum row_word)row->words[i - start], revision, now_ns);
	return true;
}

void view_written(struct view *view, const struct row *row, uint64_t revision)
{
	struct view_row *known = &view->rows[row->member];
	uint32_t start = view->membership->start[row->member];

	if (strcmp(known->boot_id, row->boot_id) != 0 || known->epoch != row->epoch)
		return;
	if (known->sequence == row->sequence && known->revision == VIEW_REVISION_NONE)
		known->revision = revision;
	for (uint32_t i = start; i < view->membership->start[row->member + 1]; i++)
		if (view->word_revision[i] == VIEW_REVISION_NONE &&
		    view->words[i] == row->words[i - start])
			view->word_revision[i] = revision;
}

void view_drop(struct view *view, uint32_t member, uint64_t now_ns)
{
	struct view_row *row = &view->rows[member];

	if (!row->present)
		return;
	row->present = false;
	row->ended_ns = now_ns;
	for (uint32_t i = view->membership->start[member]; i < view->membership->start[member + 1];
	     i++)
		set_word(view, i, ROW_WORD_NONE, row->revision, now_ns);
}

void view_reset(struct view *view)
{
	const struct membership *membership = view->membership;

	for (uint32_t i = 0; i < membership->count; i++) {
		view->rows[i].present = false;
		view->rows[i].revision = 0;
	}
	memset(view->word_revision, 0,
	       membership->start[membership->count] * sizeof(*view->word_revision));
}

static void take_over_words(struct view *view, uint32_t member, const struct view *from,
			    uint32_t former, const uint32_t *places)
{
	const struct membership *members = from->membership;

	for (uint32_t i = members->start[former]; i < members->start[former + 1]; i++) {
		uint32_t observer = places[members->observers[i]];
		int64_t at = observer == MEMBERSHIP_NONE
				     ? -1
				     : membership_slot(view->membership, member, observer);

		if (at < 0)
			continue;
		view->words[at] = from->words[i];
		view->word_since_ns[at] = from->word_since_ns[i];
		view->word_revision[at] = from->word_revision[i];
	}
}

void view_take_over(struct view *view, struct view *from, const uint32_t *places)
{
	bool same = from->membership->hash == view->membership->hash;

	for (uint32_t former = 0; former < from->membership->count; former++) {
		struct view_row *row = &from->rows[former];

		if (places[former] == MEMBERSHIP_NONE)
			continue;
		take_over_words(view, places[former], from, former, places);
		/* Whether its writer has these members, too, is not known before its next row. */
		row->other_members |= !same;
		view->rows[places[former]] = *row;
		*row = (struct view_row){0};
	}
	view->stalled_ns = from->stalled_ns;
}

/* Whether it came within two periods, and some; one that is older is its writer's no more, whatever
 * its lease says. */
static bool is_fresh(const struct view *view, const struct view_row *row, uint64_t now_ns)
{
	uint64_t period_ns = row_period_ns(view->membership->count);

	return row->present && now_ns < row->arrived_ns + period_ns * 12 / 5;
}

bool view_disagrees(const struct view *view, uint64_t now_ns)
{
	const struct membership *membership = view->membership;
	uint32_t rows = 0, agreeing = 0;

	for (uint32_t i = 0; i < membership->count; i++) {
		rows += is_fresh(view, &view->rows[i], now_ns);
		agreeing += view_row_current(view, i, now_ns);
	}
	return rows >= membership_quorum(membership) && agreeing < membership_quorum(membership);
}

void view_unwritten(struct view *view, uint32_t member)
{
	const struct membership *membership = view->membership;

	view->rows[member].present = true;
	view->rows[member].revision = VIEW_REVISION_NONE;
	for (uint32_t i = membership->start[member]; i < membership->start[member + 1]; i++)
		view->word_revision[i] = VIEW_REVISION_NONE;
}

bool view_row_current(const struct view *view, uint32_t member, uint64_t now_ns)
{
	const struct view_row *row = &view->rows[member];

	return !row->other_members && is_fresh(view, row, now_ns);
}

const struct row_finding *view_finding(const struct view *view, uint32_t member, const char *name)
{
	const struct view_row *row = &view->rows[member];

	for (unsigned int i = 0; i < row->finding_count; i++)
		if (!strcmp(row->findings[i].name, name))
			return &row->findings[i];
	return NULL;
}

const struct row_finding *view_load(const struct view *view, uint32_t member)
{
	static const enum finding_kind kinds[] = {FINDING_CPU_OVERLOAD, FINDING_MEMORY_PRESSURE};
	const struct view_row *row = &view->rows[member];

	for (unsigned int i = 0; i < row->finding_count; i++)
		for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++)
			if (!strcmp(row->findings[i].name, finding_kind_name(kinds[kind])) &&
			    !strcmp(row->findings[i].subject, FINDING_SUBJECT_NODE))
				return &row->findings[i];
	return NULL;
}

bool view_is_overloaded(const struct view *view, uint32_t member, uint64_t now_ns)
{
	const struct view_row *row = &view->rows[member];

	if (!view_row_current(view, member, now_ns) &&
	    (!row->ended_ns || row->other_members || row->ended_ns + VIEW_OVERLOAD_NS <= now_ns))
		return false;
	return row->distrust_ratio > VIEW_DISTRUST_MAX || view_load(view, member);
}

bool view_is_stopping(const struct view *view, uint32_t member, uint64_t now_ns)
{
	const struct view_row *row = &view->rows[member];

	/* When the store was read anew and the row was not there, its end is not known. */
	return row->flags & ROW_FLAG_STOPPING &&
	       (row->ended_ns ?: row->arrived_ns) + VIEW_STOPPING_NS > now_ns;
}

static bool is_good(enum row_word word)
{
	return word == ROW_WORD_HEALTHY || word == ROW_WORD_LOSSY || word == ROW_WORD_AGENT_SILENT;
}

static bool is_bad(enum row_word word)
{
	return word == ROW_WORD_UNREACHABLE || word == ROW_WORD_EGRESS_CUT ||
	       word == ROW_WORD_INGRESS_CUT;
}

/* A word that its writer was about to change if the worst is true. */
static bool is_patient(enum row_word word)
{
	return is_good(word) || word == ROW_WORD_SUSPECT;
}

enum row_word view_word(const struct view *view, uint32_t member, uint32_t slot, uint64_t now_ns)
{
	const struct view_row *row = &view->rows[member];
	enum row_word word;

	if (!view_row_current(view, member, now_ns))
		return ROW_WORD_NONE;
	word = (enum row_word)view->words[view->membership->start[member] + slot];
	/* Who is starved or blind may find others well, but not accuse them. */
	if (!is_good(word) &&
	    (row->flags & ROW_FLAG_BLIND || row->distrust_ratio > VIEW_DISTRUST_MAX))
		return ROW_WORD_NONE;
	return word;
}

/* What a member's word says at first hand: whether it hears the other; and by hearsay: whether it
 * is heard. */
enum fact { FACT_UNKNOWN, FACT_YES, FACT_NO };

static enum fact hears(enum row_word word)
{
	if (is_good(word) || word == ROW_WORD_EGRESS_CUT)
		return FACT_YES;
	return is_bad(word) ? FACT_NO : FACT_UNKNOWN;
}

static enum fact is_heard(enum row_word word)
{
	if (is_good(word) || word == ROW_WORD_INGRESS_CUT)
		return FACT_YES;
	return word == ROW_WORD_EGRESS_CUT ? FACT_NO : FACT_UNKNOWN;
}

static enum view_link link_of(enum row_word one, enum row_word other)
{
	/* The way from one to the other: who hears knows best. */
	enum fact there = hears(other) ?: is_heard(one);
	enum fact back = hears(one) ?: is_heard(other);

	if (there == FACT_YES && back == FACT_YES)
		return one == ROW_WORD_LOSSY || other == ROW_WORD_LOSSY ? VIEW_LINK_LOSSY
									: VIEW_LINK_UP;
	if (there == FACT_YES && back == FACT_NO)
		return VIEW_LINK_ONE_WAY_FROM;
	if (there == FACT_NO && back == FACT_YES)
		return VIEW_LINK_ONE_WAY_TO;
	return VIEW_LINK_DOWN;
}

/* Whether something that was due at one time may still come: a store that did not answer meanwhile
 * has let nobody speak. */
static bool may_still_come(const struct view *view, uint64_t since_ns, uint64_t patience_ns,
			   uint64_t now_ns)
{
	if (view->stalled_ns > since_ns && view->stalled_ns + VIEW_CONFIRM_NS > now_ns)
		return true;
	return since_ns + patience_ns > now_ns;
}

/* Since when a link is what it is: a cut since it was first told, whatever became of the other's
 * row after that. */
static uint64_t since_of(enum row_word one, uint64_t one_since_ns, enum row_word other,
			 uint64_t other_since_ns)
{
	if (is_bad(one) != is_bad(other))
		return is_bad(one) ? one_since_ns : other_since_ns;
	if (is_bad(one))
		return one_since_ns < other_since_ns ? one_since_ns : other_since_ns;
	return one_since_ns > other_since_ns ? one_since_ns : other_since_ns;
}

/* One accuses, the other calls the link good. */
static struct view_pair weigh(const struct view *view, uint32_t praiser,
			      const struct view_accusation *of_praiser, uint32_t bad_at,
			      bool accuser_first, uint64_t now_ns)
{
	enum row_word bad = (enum row_word)view->words[bad_at];
	uint64_t bad_since_ns = view->word_since_ns[bad_at];
	struct view_pair pair = {.witnesses = 1, .since_ns = bad_since_ns};

	if (view->rows[praiser].revision > view->word_revision[bad_at]) {
		pair.link = VIEW_LINK_CONTRADICTED;
		pair.since_ns = view->rows[praiser].arrived_ns;
	} else if (!of_praiser->by_most &&
		   may_still_come(view, bad_since_ns, VIEW_REBUTTAL_NS, now_ns)) {
		pair.pending = true;
	} else {
		pair.link =
			accuser_first ? link_of(bad, ROW_WORD_NONE) : link_of(ROW_WORD_NONE, bad);
	}
	return pair;
}

struct view_accusation view_accusation_of(const struct view *view, uint32_t member, uint64_t now_ns)
{
	const struct membership *membership = view->membership;
	uint32_t start = membership->start[member], end = membership->start[member + 1];
	struct view_accusation accusation = {0};
	uint32_t accusers = 0;

	for (uint32_t at = start; at < end; at++) {
		uint32_t peer = membership->observers[at];
		uint32_t back = (uint32_t)membership_slot(membership, peer, member);
		uint64_t since_ns = view->word_since_ns[back];
		uint64_t revision = view->word_revision[back];

		if (!is_bad(view_word(view, peer, back - membership->start[peer], now_ns)))
			continue;
		accusers++;
		if (!accusation.first_ns || since_ns < accusation.first_ns)
			accusation.first_ns = since_ns;
		if (since_ns > accusation.last_ns)
			accusation.last_ns = since_ns;
		if (!accusation.first_revision || revision < accusation.first_revision)
			accusation.first_revision = revision;
		if (revision > accusation.last_revision)
			accusation.last_revision = revision;
	}
	accusation.by_most = accusers >= 2 && accusers * 2 > end - start;
	return accusation;
}

/* The member is accused, and has not written its row since. */
static bool is_silent(const struct view *view, uint32_t member,
		      const struct view_accusation *accusation)
{
	return view->rows[member].revision < accusation->first_revision;
}

static bool is_given_up(const struct view *view, const struct view_accusation *accusation,
			uint64_t now_ns)
{
	return accusation->by_most ||
	       !may_still_come(view, accusation->first_ns, VIEW_REBUTTAL_NS, now_ns);
}

/* A third accuses 'subject', and the row that calls the link to it good is from too early. */
static bool is_unconfirmed(const struct view *view, uint32_t praiser, enum row_word word,
			   const struct view_accusation *of_praiser,
			   const struct view_accusation *of_subject, uint64_t now_ns)
{
	/* From one that is accused itself no answer may come; its links are weighed by others. */
	return is_good(word) && !of_praiser->first_ns && of_subject->first_ns &&
	       view->rows[praiser].considered_revision < of_subject->first_revision &&
	       may_still_come(view, of_subject->first_ns, VIEW_CONFIRM_NS, now_ns);
}

struct view_pair view_pair_of(const struct view *view, uint32_t first, uint32_t slot,
			      const struct view_accusation *accusations, uint64_t now_ns)
{
	const struct membership *membership = view->membership;
	uint32_t at = membership->start[first] + slot;
	uint32_t second = membership->observers[at];
	uint32_t back_at = (uint32_t)membership_slot(membership, second, first);
	enum row_word one = view_word(view, first, slot, now_ns);
	enum row_word other = view_word(view, second, back_at - membership->start[second], now_ns);
	const struct view_accusation *of_first = &accusations[first];
	const struct view_accusation *of_second = &accusations[second];
	uint64_t one_since_ns = view->word_since_ns[at];
	uint64_t other_since_ns = view->word_since_ns[back_at];
	struct view_pair pair = {.since_ns = since_of(one, one_since_ns, other, other_since_ns)};
	bool silent_first = is_patient(one) && !is_good(other) && is_silent(view, first, of_first);
	bool silent_second =
		is_patient(other) && !is_good(one) && is_silent(view, second, of_second);

	if (is_bad(one) && is_good(other))
		return weigh(view, second, of_second, at, true, now_ns);
	if (is_bad(other) && is_good(one))
		return weigh(view, first, of_first, back_at, false, now_ns);
	/* Whoever is accused and does not contradict is not there: where nobody else has a good
	 * word for the link, its own is void. */
	if (silent_first && is_given_up(view, of_first, now_ns))
		one = ROW_WORD_NONE;
	if (silent_second && is_given_up(view, of_second, now_ns))
		other = ROW_WORD_NONE;
	pair.witnesses =
		(uint8_t)((is_good(one) || is_bad(one)) + (is_good(other) || is_bad(other)));
	if (pair.witnesses)
		pair.link = link_of(one, other);
	pair.pending = (silent_first && one) || (silent_second && other) ||
		       one == ROW_WORD_SUSPECT || other == ROW_WORD_SUSPECT ||
		       is_unconfirmed(view, first, one, of_first, of_second, now_ns) ||
		       is_unconfirmed(view, second, other, of_second, of_first, now_ns);
	return pair;
}

uint64_t view_considered(const struct view *view, uint32_t member, uint64_t now_ns)
{
	const struct membership *membership = view->membership;
	uint64_t newest = 0;

	for (uint32_t at = membership->start[member]; at < membership->start[member + 1]; at++) {
		uint32_t peer = membership->observers[at];

		for (uint32_t of = membership->start[peer]; of < membership->start[peer + 1];
		     of++) {
			uint32_t other = membership->observers[of];
			uint32_t back = (uint32_t)membership_slot(membership, other, peer);

			if (other != member && is_bad((enum row_word)view->words[back]) &&
			    view->word_revision[back] > newest &&
			    view->word_since_ns[back] + VIEW_CONFIRM_AFTER_NS <= now_ns)
				newest = view->word_revision[back];
		}
	}
	return newest;
}

bool view_must_confirm(const struct view *view, uint32_t member, uint64_t now_ns)
{
	const struct membership *membership = view->membership;
	const struct view_row *row = &view->rows[member];
	uint64_t considered;

	if (!view_row_current(view, member, now_ns))
		return false;
	if (view_accusation_of(view, member, now_ns).last_revision >= row->revision)
		return true;
	considered = view_considered(view, member, now_ns);
	if (considered <= row->considered_revision)
		return false;
	for (uint32_t at = membership->start[member]; at < membership->start[member + 1]; at++) {
		uint64_t accused =
			view_accusation_of(view, membership->observers[at], now_ns).first_revision;

		if (is_good((enum row_word)view->words[at]) && accused > row->considered_revision &&
		    accused <= considered)
			return true;
	}
	return false;
}

void view_free(struct view *view)
{
	for (uint32_t i = 0; view->rows && i < view->membership->count; i++)
		free(view->rows[i].findings);
	free(view->rows);
	free(view->words);
	free(view->word_since_ns);
	free(view->word_revision);
	*view = (struct view){0};
}
