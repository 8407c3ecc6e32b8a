/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_VIEW_H
#define TOCSIN_CLUSTER_VIEW_H

/*
 * All rows, as one node has them from the store, and what they say of each pair of nodes. Pure: no
 * I/O, no clock of its own. Times are the reader's CLOCK_BOOTTIME ns, never the writers' clocks.
 *
 * A row is only written when it changes, so that it cannot be told from its age whether its writer
 * still stands by it. But a node that is accused while it sees nothing wrong writes its row again
 * at once (SWIM's refutation): what it said before the accusation counts no more a moment later,
 * and what it says after is a contradiction. So do the others who observe the accused: until they
 * have, more is about to be known.
 */

#include "cluster/membership.h"
#include "cluster/row.h"

#include <stdbool.h>
#include <stdint.h>

/* How long an accused node has to contradict: a few round trips to the store. One whom more than
 * half of its observers accuse is not waited for. */
#define VIEW_REBUTTAL_NS (200 * 1000000ULL)
/*
 * The others who observe an accused node say VIEW_CONFIRM_AFTER_NS after they have learnt of it
 * whether they still see nothing: by then whoever is to see the same has seen it (edges of one cut
 * are found some 100 ms apart). Their rows say by the store's revisions what they have considered
 * so: when rows come says nothing after a time in which the store did not answer. What was said
 * before says nothing; VIEW_CONFIRM_NS is how long they are waited for, and everybody after such a
 * time: as long as a lease lives, or a client takes to find another member of a store that has to
 * find another leader.
 */
#define VIEW_CONFIRM_AFTER_NS (250 * 1000000ULL)
#define VIEW_CONFIRM_NS	      (3000 * 1000000ULL)
/* A node that was not scheduled in time for more than this share of late accuses nobody, and does
 * not act. */
#define VIEW_DISTRUST_MAX 0.5
/* What the last row of a node said of overload counts for so long after its lease has ended. */
#define VIEW_OVERLOAD_NS (30 * 1000000000ULL)
/* An agent that has said that it stops is not missed for so long after its lease has ended: as long
 * as an upgrade takes, or a restart of its machine. */
#define VIEW_STOPPING_NS (120 * 1000000000ULL)

/* Of this node's own words that are not in the store yet: they will be newer than all that are. */
#define VIEW_REVISION_NONE UINT64_MAX

struct view_row {
	bool present;	     /* its lease is alive */
	bool other_members;  /* its writer has another configuration: it says nothing here */
	uint64_t arrived_ns; /* when its present version came; 0: never any */
	uint64_t revision;   /* with which it was written; VIEW_REVISION_NONE: not yet */
	uint64_t considered_revision; /* as in its row */
	uint64_t ended_ns;	      /* when its lease ended; 0: it has not */
	uint64_t epoch, sequence;
	uint64_t restarted_ns; /* when its boot id was seen to change last; 0: never */
	char boot_id[ROW_BOOT_ID_MAX];
	uint32_t flags; /* ROW_FLAG_* */
	double distrust_ratio;
	/* What its writer finds of its own health; NULL: nothing. */
	struct row_finding *findings;
	unsigned int finding_count;
	uint64_t findings_ns; /* when they last became others */
};

struct view {
	const struct membership *membership;
	struct view_row *rows; /* by member */
	/*
	 * What member i says of its observers, by slot of member i: enum row_word, since when it is
	 * known here, and the revision with which it came into the store. Who spoke last goes by
	 * revisions: after the store did not answer, all that was said meanwhile arrives at once.
	 */
	uint8_t *words;
	uint64_t *word_since_ns;
	uint64_t *word_revision;
	uint64_t stalled_ns; /* when the store was last not answering; the holder's to set */
};

/* Returns 0 or -ENOMEM; in either case view_free() is right. The membership must outlive it. */
int view_init(struct view *view, const struct membership *membership);

/*
 * Takes in a row, written with this revision. Returns true when it is news; false when it is older
 * than what is known (of the same boot and epoch).
 */
bool view_put(struct view *view, const struct row *row, uint64_t revision, uint64_t now_ns);

/* This node's own row, which was put without a revision, has been written with this one. */
void view_written(struct view *view, const struct row *row, uint64_t revision);

/* The lease behind a member's row has ended. What it said is void. */
void view_drop(struct view *view, uint32_t member, uint64_t now_ns);

/* Forgets all rows: the store's words are about to come anew, and it may be another store. */
void view_reset(struct view *view);

/*
 * Takes over what a view of other members has of those who are members of both; 'places' are theirs
 * in 'view', by those in 'from', which is left without.
 */
void view_take_over(struct view *view, struct view *from, const uint32_t *places);

/*
 * As many rows as make a majority are there, but fewer with these members: so it is after nodes
 * have joined or left, until all have taken that in.
 */
bool view_disagrees(const struct view *view, uint64_t now_ns);

/* A member's row, this node's own, is known all the same, whatever the store has. */
void view_unwritten(struct view *view, uint32_t member);

/* Whether a member's row is there and young enough to be its writer's word. */
bool view_row_current(const struct view *view, uint32_t member, uint64_t now_ns);

/* The first finding of this name in a member's row, which may have ended; NULL: there is none. */
const struct row_finding *view_finding(const struct view *view, uint32_t member, const char *name);

/* The finding by which it says that the node as a whole has too much to do; NULL: there is none.
 * That a container had no room left within its own limit is none of the node's. */
const struct row_finding *view_load(const struct view *view, uint32_t member);

/* It has said itself that it has too much to do, or that its agent was not scheduled in time. */
bool view_is_overloaded(const struct view *view, uint32_t member, uint64_t now_ns);

/* Its agent has said that it stops, and that is not too long ago. */
bool view_is_stopping(const struct view *view, uint32_t member, uint64_t now_ns);

/* What two members that observe each other have between them. */
enum view_link {
	VIEW_LINK_UNKNOWN, /* no valid word, or only doubt, or it must be waited for a rebuttal */
	VIEW_LINK_UP,
	VIEW_LINK_LOSSY,	/* both ways, but with loss */
	VIEW_LINK_ONE_WAY_FROM, /* only the first reaches the second */
	VIEW_LINK_ONE_WAY_TO,	/* only the second reaches the first */
	VIEW_LINK_DOWN,
	VIEW_LINK_CONTRADICTED, /* one says so, the other, newer, says no */
};

struct view_pair {
	enum view_link link;
	bool pending;	   /* more is expected soon: suspicion, or a rebuttal is waited for */
	uint8_t witnesses; /* of the link: 1 or 2 words */
	uint64_t since_ns; /* newest change of a word behind it */
};

/* When a member was first accused of a cut link by one who still does, and when last; 0: it is not.
 * And the revisions. */
struct view_accusation {
	uint64_t first_ns, last_ns;
	uint64_t first_revision, last_revision;
	bool by_most; /* by more than half of its observers, and two at least */
};

struct view_accusation view_accusation_of(const struct view *view, uint32_t member,
					  uint64_t now_ns);

/*
 * 'slot' is the place of the second among the observers of the first; accusations[] are those of
 * all members.
 */
struct view_pair view_pair_of(const struct view *view, uint32_t first, uint32_t slot,
			      const struct view_accusation *accusations, uint64_t now_ns);

/* The member's own valid word on the one in its slot, or ROW_WORD_NONE. */
enum row_word view_word(const struct view *view, uint32_t member, uint32_t slot, uint64_t now_ns);

/* The newest revision of others' words, on those whom this member observes, that it has known for
 * VIEW_CONFIRM_AFTER_NS: for its row. 0: none. */
uint64_t view_considered(const struct view *view, uint32_t member, uint64_t now_ns);

/* Whether it, or one that it observes, is accused, its own row calls the link good, and was written
 * before: it should write its row again. */
bool view_must_confirm(const struct view *view, uint32_t member, uint64_t now_ns);

void view_free(struct view *view);

#endif
