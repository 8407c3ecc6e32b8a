/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_LEFT_OPEN_H
#define TOCSIN_REPORT_LEFT_OPEN_H

/*
 * What the agent before this one has left open in the journal, and when it may be said to have
 * ended while nobody watched. What this agent finds bad itself ends in the journal by itself. Pure.
 */

#include "base/text.h"
#include "report/incidents.h"

/* More than that stay open. */
#define LEFT_OPEN_MAX 1024

enum left_kind { LEFT_EDGE, LEFT_VERDICT, LEFT_ISOLATION, LEFT_FINDING, LEFT_KINDS };

struct left {
	enum left_kind kind;
	char name[INCIDENT_NAME_MAX];  /* of a peer, a member, or a finding's subject */
	char class[INCIDENT_NAME_MAX]; /* the incident's; of a finding its name */
	enum edge_state edge_state;    /* of LEFT_EDGE: as it was recorded last */
	uint64_t since_ns;	       /* when the word below was first said; 0: never */
	enum left_word {
		LEFT_UNKNOWN, /* nobody can say yet */
		LEFT_BAD,     /* this agent has found it bad itself */
		LEFT_WELL,
		LEFT_GONE, /* there is nothing of that name here any more */
	} word;
};

struct left_open {
	struct left list[LEFT_OPEN_MAX];
	size_t count;
	size_t left_out; /* for want of room */
};

/* Adds all that keeps incidents open. */
void left_open_add(struct left_open *left, const struct incidents *incidents);

/* Whether its incident still waits for it, as far as the journal goes. */
bool left_is_open(const struct left *left, const struct incidents *incidents);

enum left_end {
	LEFT_STAYS,
	LEFT_DROPPED, /* nothing more to do */
	LEFT_ENDED,   /* its end is to be recorded, with left_explain()'s sentence */
};

/* Takes in what can be said of it now (any clock that is never set back). It must have been said
 * for as long as it takes to find it bad. */
enum left_end left_judge(struct left *left, enum left_word word, uint64_t now_ns);

/* "recovered while the agent was away, after 2026-11-26T13:00:00.000Z: well for the 10 s ..." */
void left_explain(const struct left *left, uint64_t last_time_ns, uint64_t now_ns,
		  struct text *sentence);

/* The record of its end, for journal_append(). */
json_t *left_record(const struct left *left, const char *sentence, uint64_t last_time_ns);

#endif
