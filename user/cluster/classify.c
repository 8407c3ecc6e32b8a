// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/classify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Lists in the pool: the lost, the ends of four kinds of links, the bridges, the overloaded, and
 * those with a service down. */
#define POOL_LISTS 8

static const char *const class_names[VERDICT_CLASSES] = {
	[VERDICT_NODE_DOWN] = "node-down",
	[VERDICT_NODE_ISOLATED] = "node-isolated",
	[VERDICT_NODE_UNREACHABLE] = "node-unreachable",
	[VERDICT_ONE_WAY] = "one-way",
	[VERDICT_COMPLETE_PARTITION] = "complete-partition",
	[VERDICT_ZONE_CUT] = "zone-cut",
	[VERDICT_PARTIAL_PARTITION] = "partial-partition",
	[VERDICT_LOSSY_LINK] = "lossy-link",
	[VERDICT_AGENT_DOWN] = "agent-down",
	[VERDICT_NODE_OVERLOADED] = "node-overloaded",
	[VERDICT_SERVICE_DOWN] = "service-down",
	[VERDICT_VIEW_INCOMPLETE] = "view-incomplete",
};

const char *verdict_class_name(enum verdict_class class)
{
	return class_names[class];
}

/* Members that reach each other both ways, and their links to the majority. */
struct classifier_side {
	uint32_t size, rows;
	uint32_t links, cut;	/* to the majority: all, and those known to be cut */
	uint32_t unheard, deaf; /* of the cut ones: one way only, by direction */
	uint64_t since_ns;	/* first word of a cut link */
};

int classifier_init(struct classifier *classifier, const struct membership *membership)
{
	uint32_t count = membership->count;
	uint32_t slots = count ? membership->start[count] : 0;

	*classifier =
		(struct classifier){.membership = membership, .pool_size = count * POOL_LISTS};
	classifier->pairs = calloc(slots + 1, sizeof(*classifier->pairs));
	classifier->side = calloc(count + 1, sizeof(*classifier->side));
	classifier->sides = calloc(count + 1, sizeof(*classifier->sides));
	classifier->order = calloc(count + 1, sizeof(*classifier->order));
	classifier->mark = calloc(count + 1, sizeof(*classifier->mark));
	classifier->accusations = calloc(count + 1, sizeof(*classifier->accusations));
	classifier->pool = calloc(classifier->pool_size + 1, sizeof(*classifier->pool));
	return classifier->pairs && classifier->side && classifier->sides && classifier->order &&
			       classifier->mark && classifier->accusations && classifier->pool
		       ? 0
		       : -ENOMEM;
}

void classifier_free(struct classifier *classifier)
{
	free(classifier->pairs);
	free(classifier->side);
	free(classifier->sides);
	free(classifier->order);
	free(classifier->mark);
	free(classifier->accusations);
	free(classifier->pool);
	*classifier = (struct classifier){0};
}

static bool is_up(enum view_link link)
{
	return link == VIEW_LINK_UP || link == VIEW_LINK_LOSSY;
}

static bool is_one_way(enum view_link link)
{
	return link == VIEW_LINK_ONE_WAY_FROM || link == VIEW_LINK_ONE_WAY_TO;
}

static bool is_cut(enum view_link link)
{
	return link == VIEW_LINK_DOWN || is_one_way(link);
}

static void note_since(uint64_t *since_ns, uint64_t word_since_ns)
{
	if (!*since_ns || word_since_ns < *since_ns)
		*since_ns = word_since_ns;
}

/* All links of all members, each seen from both of its ends. */
#define for_each_link(classifier, member, at)                                             \
	for (uint32_t member = 0; (member) < (classifier)->membership->count; (member)++) \
		for (uint32_t at = (classifier)->membership->start[member];               \
		     (at) < (classifier)->membership->start[(member) + 1]; (at)++)

/* ---- sides: union and find, the lowest member stands for its side ---- */

static uint32_t find_side(uint32_t *side, uint32_t member)
{
	while (side[member] != member) {
		side[member] = side[side[member]];
		member = side[member];
	}
	return member;
}

static void join_sides(uint32_t *side, uint32_t one, uint32_t other)
{
	one = find_side(side, one);
	other = find_side(side, other);
	if (one < other)
		side[other] = one;
	else
		side[one] = other;
}

static enum view_link turned(enum view_link link)
{
	if (link == VIEW_LINK_ONE_WAY_FROM)
		return VIEW_LINK_ONE_WAY_TO;
	return link == VIEW_LINK_ONE_WAY_TO ? VIEW_LINK_ONE_WAY_FROM : link;
}

static void find_links(struct classifier *classifier, const struct view *view, uint64_t now_ns,
		       struct judgement *judgement)
{
	const struct membership *membership = classifier->membership;

	for (uint32_t i = 0; i < membership->count; i++) {
		classifier->side[i] = i;
		classifier->accusations[i] = view_accusation_of(view, i, now_ns);
	}
	for_each_link(classifier, member, at)
	{
		uint32_t peer = membership->observers[at];
		struct view_pair pair;

		if (peer < member)
			continue;
		pair = view_pair_of(view, member, at - membership->start[member],
				    classifier->accusations, now_ns);
		judgement->pending |= pair.pending;
		if (is_up(pair.link))
			join_sides(classifier->side, member, peer);
		classifier->pairs[at] = pair;
		pair.link = turned(pair.link);
		classifier->pairs[membership_slot(membership, peer, member)] = pair;
	}
}

/* Returns the largest side. */
static uint32_t find_sides(struct classifier *classifier, const struct view *view, uint64_t now_ns,
			   struct judgement *judgement)
{
	const struct membership *membership = classifier->membership;
	struct classifier_side *sides = classifier->sides;
	uint32_t largest = 0;

	memset(sides, 0, membership->count * sizeof(*sides));
	for (uint32_t i = 0; i < membership->count; i++) {
		bool current = view_row_current(view, i, now_ns);
		uint32_t lowest = classifier->side[i] = find_side(classifier->side, i);

		judgement->current_rows += current;
		sides[lowest].rows += current;
		if (++sides[lowest].size > sides[largest].size)
			largest = lowest;
	}
	for_each_link(classifier, member, at)
	{
		const struct view_pair *pair = &classifier->pairs[at];
		struct classifier_side *side = &sides[classifier->side[member]];

		if (classifier->side[member] == largest ||
		    classifier->side[membership->observers[at]] != largest)
			continue;
		side->links++;
		if (!is_cut(pair->link))
			continue;
		side->cut++;
		side->unheard += pair->link == VIEW_LINK_ONE_WAY_TO;
		side->deaf += pair->link == VIEW_LINK_ONE_WAY_FROM;
		note_since(&side->since_ns, pair->since_ns);
	}
	judgement->side = classifier->side;
	judgement->majority_side = largest;
	judgement->majority = sides[largest].size;
	judgement->majority_proven = sides[largest].size >= membership_quorum(membership) &&
				     sides[largest].rows >= membership_quorum(membership);
	return largest;
}

/* More than half of its links to the majority are known to be cut, and two at least where there are
 * two: a slow reporter or two lose nobody. */
static bool is_lost(const struct classifier_side *side)
{
	return side->cut * 2 > side->links && (side->cut >= 2 || side->links == 1);
}

/* ---- verdicts and their lists ---- */

static struct verdict *add_verdict(struct classifier *classifier, struct judgement *judgement,
				   enum verdict_class class)
{
	struct verdict *verdict;

	if (judgement->verdict_count == VERDICTS_MAX) {
		judgement->verdicts_left_out++;
		return NULL;
	}
	verdict = &judgement->verdicts[judgement->verdict_count++];
	*verdict = (struct verdict){.class = class,
				    .subjects = classifier->pool + classifier->pool_used};
	return verdict;
}

/* The members whose marks are 'marks' as far as 'mask' goes, as a list. */
static uint32_t list_marked(struct classifier *classifier, uint32_t mask, uint32_t marks)
{
	uint32_t before = classifier->pool_used;

	for (uint32_t i = 0; i < classifier->membership->count; i++)
		if ((classifier->mark[i] & mask) == marks &&
		    classifier->pool_used < classifier->pool_size)
			classifier->pool[classifier->pool_used++] = i;
	return classifier->pool_used - before;
}

static void add_witness(struct verdict *verdict, uint32_t member)
{
	if (verdict->witness_count < VERDICT_WITNESSES_MAX)
		verdict->witnesses[verdict->witness_count] = member;
	verdict->witness_count++;
}

/* ---- what the majority has lost ---- */

/* A node by itself is lost: what is known of why. */
static enum verdict_class class_of_node(const struct classifier *classifier,
					const struct view *view, uint32_t member, uint64_t now_ns)
{
	const struct classifier_side *side = &classifier->sides[member];
	const struct membership *membership = classifier->membership;
	uint32_t slots = membership->start[member + 1] - membership->start[member];

	if (view->rows[member].flags & ROW_FLAG_HALTING ||
	    view->rows[member].restarted_ns > side->since_ns)
		return VERDICT_NODE_DOWN;
	if (side->unheard == side->cut || side->deaf == side->cut)
		return VERDICT_ONE_WAY;
	for (uint32_t slot = 0; slot < slots; slot++) {
		enum row_word word = view_word(view, member, slot, now_ns);

		if (word >= ROW_WORD_SUSPECT && word <= ROW_WORD_INGRESS_CUT)
			return VERDICT_NODE_ISOLATED;
	}
	return VERDICT_NODE_UNREACHABLE;
}

/* Whether the members of a list are all that their zones have. */
static bool are_whole_zones(struct classifier *classifier, const uint32_t *list, uint32_t count)
{
	const struct member *members = classifier->membership->members;
	uint32_t *found = classifier->mark;

	for (uint32_t i = 0; i < count; i++)
		found[members[list[i]].zone_lowest] = 0;
	for (uint32_t i = 0; i < count; i++)
		found[members[list[i]].zone_lowest]++;
	for (uint32_t i = 0; i < count; i++)
		if (!*members[list[i]].zone ||
		    found[members[list[i]].zone_lowest] != members[list[i]].zone_size)
			return false;
	return true;
}

/* A verdict on sides that were lost together: order[from] up to order[to]. */
static void add_lost(struct classifier *classifier, const struct view *view, uint64_t now_ns,
		     uint32_t from, uint32_t to, uint32_t majority, struct judgement *judgement)
{
	const struct membership *membership = classifier->membership;
	struct verdict *verdict = add_verdict(classifier, judgement, VERDICT_COMPLETE_PARTITION);

	if (!verdict)
		return;
	memset(classifier->mark, 0, membership->count * sizeof(*classifier->mark));
	for (uint32_t i = from; i < to; i++)
		classifier->mark[classifier->order[i]] = 1;
	for (uint32_t i = 0; i < membership->count; i++)
		classifier->mark[i] = classifier->mark[classifier->side[i]];
	verdict->subject_count = list_marked(classifier, 1, 1);
	verdict->since_ns = classifier->sides[classifier->order[from]].since_ns;
	verdict->isolates = judgement->majority_proven;
	for (uint32_t i = 0; i < membership->count; i++) {
		bool witness = false;

		if (classifier->side[i] != majority)
			continue;
		for (uint32_t at = membership->start[i]; at < membership->start[i + 1]; at++) {
			bool cut = classifier->mark[membership->observers[at]] &&
				   is_cut(classifier->pairs[at].link);

			verdict->links += cut;
			witness |= cut;
		}
		if (witness)
			add_witness(verdict, i);
	}
	if (verdict->subject_count == 1) {
		uint32_t member = *verdict->subjects;

		verdict->class = class_of_node(classifier, view, member, now_ns);
		verdict->deaf = classifier->sides[member].deaf == classifier->sides[member].cut;
	} else if (are_whole_zones(classifier, verdict->subjects, verdict->subject_count)) {
		verdict->class = VERDICT_ZONE_CUT;
	}
}

static int compare_lost(const void *a, const void *b, void *context)
{
	const struct classifier_side *sides = context;
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	if (sides[one].since_ns != sides[other].since_ns)
		return sides[one].since_ns < sides[other].since_ns ? -1 : 1;
	return (one > other) - (one < other);
}

static void find_lost(struct classifier *classifier, const struct view *view, uint64_t now_ns,
		      uint32_t majority, struct judgement *judgement)
{
	const struct classifier_side *sides = classifier->sides;
	uint32_t *order = classifier->order;
	uint32_t count = 0, from = 0;

	for (uint32_t i = 0; i < classifier->membership->count; i++) {
		if (i == majority || classifier->side[i] != i || !is_lost(&sides[i]))
			continue;
		order[count++] = i;
		judgement->lost += sides[i].size;
	}
	qsort_r(order, count, sizeof(*order), compare_lost, classifier->sides);
	for (uint32_t to = 1; to <= count; to++) {
		if (to < count &&
		    sides[order[to]].since_ns < sides[order[to - 1]].since_ns + VERDICT_TOGETHER_NS)
			continue;
		add_lost(classifier, view, now_ns, from, to, majority, judgement);
		from = to;
	}
}

/* ---- links that are cut or lossy between members of one side ---- */

/* Marks of a member: it has a cut link; it reaches both ends of one. */
#define CUT_END 1U
#define BRIDGE	2U

static void mark_bridges(struct classifier *classifier, uint32_t one, uint32_t other)
{
	const struct membership *membership = classifier->membership;

	for (uint32_t at = membership->start[one]; at < membership->start[one + 1]; at++) {
		uint32_t middle = membership->observers[at];
		int64_t on = membership_slot(membership, middle, other);

		if (on >= 0 && is_up(classifier->pairs[at].link) &&
		    is_up(classifier->pairs[on].link))
			classifier->mark[middle] |= BRIDGE;
	}
}

/* One verdict on all links of a side that are cut: those that are down make it partial. */
static void find_cut_links(struct classifier *classifier, struct judgement *judgement)
{
	const struct membership *membership = classifier->membership;
	struct verdict found = {.class = VERDICT_ONE_WAY}, *verdict;

	memset(classifier->mark, 0, membership->count * sizeof(*classifier->mark));
	for_each_link(classifier, member, at)
	{
		uint32_t peer = membership->observers[at];
		const struct view_pair *pair = &classifier->pairs[at];

		if (peer < member || classifier->side[member] != classifier->side[peer] ||
		    !is_cut(pair->link))
			continue;
		found.links++;
		note_since(&found.since_ns, pair->since_ns);
		classifier->mark[member] |= CUT_END;
		classifier->mark[peer] |= CUT_END;
		if (pair->link == VIEW_LINK_DOWN)
			found.class = VERDICT_PARTIAL_PARTITION;
		mark_bridges(classifier, member, peer);
	}
	verdict = found.links ? add_verdict(classifier, judgement, found.class) : NULL;
	if (!verdict)
		return;
	verdict->links = found.links;
	verdict->since_ns = found.since_ns;
	verdict->subject_count = list_marked(classifier, CUT_END, CUT_END);
	for (uint32_t i = 0; i < verdict->subject_count; i++)
		add_witness(verdict, verdict->subjects[i]);
	/* Those that have no cut of their own tell most; in a ring of majorities all have one. */
	verdict->bridges = classifier->pool + classifier->pool_used;
	verdict->bridge_count = list_marked(classifier, BRIDGE | CUT_END, BRIDGE);
	if (!verdict->bridge_count)
		verdict->bridge_count = list_marked(classifier, BRIDGE, BRIDGE);
}

static void find_lossy_links(struct classifier *classifier, struct judgement *judgement)
{
	const struct membership *membership = classifier->membership;
	struct verdict found = {0}, *verdict;
	uint32_t hub = UINT32_MAX;

	memset(classifier->mark, 0, membership->count * sizeof(*classifier->mark));
	for_each_link(classifier, member, at)
	{
		const struct view_pair *pair = &classifier->pairs[at];

		if (pair->link != VIEW_LINK_LOSSY)
			continue;
		classifier->mark[member]++;
		if (membership->observers[at] < member)
			continue;
		found.links++;
		note_since(&found.since_ns, pair->since_ns);
	}
	verdict = found.links ? add_verdict(classifier, judgement, VERDICT_LOSSY_LINK) : NULL;
	if (!verdict)
		return;
	verdict->links = found.links;
	verdict->since_ns = found.since_ns;
	for (uint32_t i = 0; i < membership->count; i++) {
		if (!classifier->mark[i])
			continue;
		add_witness(verdict, i);
		/* All of several links end at one node: it is that node's. */
		if (found.links > 1 && classifier->mark[i] == found.links)
			hub = i;
	}
	for (uint32_t i = 0; i < membership->count; i++)
		classifier->mark[i] = hub == UINT32_MAX ? classifier->mark[i] > 0 : i == hub;
	verdict->subject_count = list_marked(classifier, 1, 1);
}

/* What the observers of a member say of its agent. */
struct silence {
	uint32_t words, silent, suspect;
	uint64_t since_ns; /* the first of them that is silent or suspect */
};

static struct silence silence_of(const struct classifier *classifier, const struct view *view,
				 uint32_t member, uint64_t now_ns)
{
	const struct membership *membership = classifier->membership;
	struct silence silence = {0};

	for (uint32_t at = membership->start[member]; at < membership->start[member + 1]; at++) {
		uint32_t peer = membership->observers[at];
		uint32_t back = (uint32_t)membership_slot(membership, peer, member);
		enum row_word word = view_word(view, peer, back - membership->start[peer], now_ns);

		silence.words += word != ROW_WORD_NONE;
		silence.silent += word == ROW_WORD_AGENT_SILENT;
		silence.suspect += word == ROW_WORD_SUSPECT;
		if (word == ROW_WORD_AGENT_SILENT || word == ROW_WORD_SUSPECT)
			note_since(&silence.since_ns, view->word_since_ns[back]);
	}
	return silence;
}

static bool are_most(uint32_t count, uint32_t words)
{
	return count * 2 > words && (count >= 2 || words == 1);
}

enum { MARK_SILENT = 1, MARK_OVERLOADED };

static void add_silent(struct classifier *classifier, const struct view *view, uint64_t now_ns,
		       uint32_t mark, enum verdict_class class, uint64_t since_ns,
		       struct judgement *judgement)
{
	const struct membership *membership = classifier->membership;
	struct verdict *verdict = add_verdict(classifier, judgement, class);

	if (!verdict)
		return;
	verdict->since_ns = since_ns;
	verdict->subject_count = list_marked(classifier, UINT32_MAX, mark);
	for (uint32_t i = 0; i < membership->count; i++)
		for (uint32_t at = membership->start[i]; at < membership->start[i + 1]; at++) {
			enum row_word word = view_word(view, i, at - membership->start[i], now_ns);

			if (classifier->mark[membership->observers[at]] != mark ||
			    (word != ROW_WORD_AGENT_SILENT &&
			     (word != ROW_WORD_SUSPECT || mark != MARK_OVERLOADED)))
				continue;
			add_witness(verdict, i);
			break;
		}
}

/* Nodes of whose agents nobody hears, while their kernels answer; and those that are too busy to be
 * heard in time, of whom suspicion is enough: they are not cut off. Who has said that it stops is
 * neither. */
static void find_silent_agents(struct classifier *classifier, const struct view *view,
			       uint64_t now_ns, uint32_t majority, struct judgement *judgement)
{
	uint32_t found[MARK_OVERLOADED + 1] = {0};
	uint64_t since_ns[MARK_OVERLOADED + 1] = {0};

	for (uint32_t i = 0; i < classifier->membership->count; i++) {
		struct silence silence = silence_of(classifier, view, i, now_ns);
		uint32_t side = classifier->side[i], mark = 0;

		if (view_is_stopping(view, i, now_ns))
			mark = 0;
		else if (are_most(silence.silent + silence.suspect, silence.words) &&
			 (side == majority || !is_lost(&classifier->sides[side])) &&
			 view_is_overloaded(view, i, now_ns))
			mark = MARK_OVERLOADED;
		else if (are_most(silence.silent, silence.words))
			mark = MARK_SILENT;
		classifier->mark[i] = mark;
		found[mark]++;
		if (mark)
			note_since(&since_ns[mark], silence.since_ns);
	}
	if (found[MARK_SILENT])
		add_silent(classifier, view, now_ns, MARK_SILENT, VERDICT_AGENT_DOWN,
			   since_ns[MARK_SILENT], judgement);
	if (found[MARK_OVERLOADED])
		add_silent(classifier, view, now_ns, MARK_OVERLOADED, VERDICT_NODE_OVERLOADED,
			   since_ns[MARK_OVERLOADED], judgement);
}

/* Nodes that say that a process which is watched there has died. Their own word is enough: that
 * they can say so, and are not lost, shows that they are up. */
static void find_services_down(struct classifier *classifier, const struct view *view,
			       uint64_t now_ns, uint32_t majority, struct judgement *judgement)
{
	const char *name = finding_kind_name(FINDING_WATCHED_PROCESS_DIED);

	for (uint32_t i = 0; i < classifier->membership->count; i++) {
		struct verdict *verdict;

		if (classifier->side[i] != majority || !view_row_current(view, i, now_ns) ||
		    !view_finding(view, i, name))
			continue;
		verdict = add_verdict(classifier, judgement, VERDICT_SERVICE_DOWN);
		if (!verdict)
			continue;
		classifier->pool[classifier->pool_used++] = i;
		verdict->subject_count = 1;
		verdict->since_ns = view->rows[i].findings_ns;
		add_witness(verdict, i);
	}
}

static bool has_pending_link(const struct classifier *classifier, uint32_t member)
{
	const uint32_t *start = classifier->membership->start;

	for (uint32_t at = start[member]; at < start[member + 1]; at++)
		if (classifier->pairs[at].pending)
			return true;
	return false;
}

/* Whether more is about to be known of any link of a verdict's subjects; or, where they are lost,
 * of one that is accused at the same time: it may be lost with them. */
static bool is_pending(struct classifier *classifier, const struct verdict *verdict,
		       const struct judgement *judgement, uint64_t now_ns)
{
	bool lost = verdict->subject_count &&
		    judgement->side[verdict->subjects[0]] != judgement->majority_side;
	uint32_t count = classifier->membership->count;

	/* That does not rest on links. */
	if (verdict->class == VERDICT_SERVICE_DOWN)
		return false;
	for (uint32_t i = 0; i < verdict->subject_count; i++)
		if (has_pending_link(classifier, verdict->subjects[i]))
			return true;
	for (uint32_t i = 0; i < count && lost; i++)
		if (classifier->side[i] == judgement->majority_side &&
		    classifier->accusations[i].first_ns &&
		    classifier->accusations[i].first_ns + VERDICT_TOGETHER_NS > now_ns &&
		    has_pending_link(classifier, i))
			return true;
	return false;
}

void classify(struct classifier *classifier, const struct view *view, uint64_t now_ns,
	      struct judgement *ret_judgement)
{
	const struct membership *membership = classifier->membership;
	struct verdict *incomplete;
	uint32_t majority;

	*ret_judgement = (struct judgement){0};
	classifier->pool_used = 0;
	if (!membership->count)
		return;
	find_links(classifier, view, now_ns, ret_judgement);
	majority = find_sides(classifier, view, now_ns, ret_judgement);
	/* With half the rows missing, what is missing may be the better half. */
	if (ret_judgement->current_rows < membership_quorum(membership)) {
		incomplete = add_verdict(classifier, ret_judgement, VERDICT_VIEW_INCOMPLETE);
		memset(classifier->mark, 0, membership->count * sizeof(*classifier->mark));
		for (uint32_t i = 0; i < membership->count; i++)
			classifier->mark[i] = !view_row_current(view, i, now_ns);
		incomplete->subject_count = list_marked(classifier, 1, 1);
		return;
	}
	find_lost(classifier, view, now_ns, majority, ret_judgement);
	find_cut_links(classifier, ret_judgement);
	find_lossy_links(classifier, ret_judgement);
	find_silent_agents(classifier, view, now_ns, majority, ret_judgement);
	find_services_down(classifier, view, now_ns, majority, ret_judgement);
	for (unsigned int i = 0; i < ret_judgement->verdict_count; i++)
		ret_judgement->verdicts[i].pending =
			is_pending(classifier, &ret_judgement->verdicts[i], ret_judgement, now_ns);
}

bool verdict_same(const struct verdict *one, const struct verdict *other)
{
	return one->class == other->class && one->subject_count == other->subject_count &&
	       !memcmp(one->subjects, other->subjects, one->subject_count * sizeof(*one->subjects));
}
