/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_JOURNAL_RECORD_H
#define TOCSIN_REPORT_JOURNAL_RECORD_H

/*
 * What the journal's records say: one JSON object each, with "kind" and the fields of that kind;
 * journal_append() adds when, and who. docs/journal.md describes each field. A reader skips kinds
 * and fields that it does not know, so that both may be added without another version.
 *
 * The functions return a new reference for journal_append(), which takes it, also when it is NULL
 * because memory ran out. Strings that are NULL are left out, long ones are cut, and what is not
 * UTF-8 in them becomes '?'.
 */

#include "detect/edge.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_STRING_MAX 4096 /* bytes of one string */

enum journal_kind {
	JOURNAL_EDGE,	  /* what this node observes of a peer has changed */
	JOURNAL_VERDICT,  /* what the cluster's view says of a node or a set of nodes has changed */
	JOURNAL_DECISION, /* to act on a verdict, or in mode advise that one would */
	JOURNAL_REFUSAL,  /* a rail forbade it */
	JOURNAL_ACTION,	  /* an action was taken, or failed */
	JOURNAL_RELEASE,  /* an isolation has ended */
	JOURNAL_FINDING,  /* of the node's own health: raised or cleared */
	JOURNAL_AGENT,	  /* it started or stopped */
	JOURNAL_LOST,	  /* records that found no room are missing here */
	JOURNAL_KINDS,
};

/* "edge", "verdict", ... */
const char *journal_kind_name(enum journal_kind kind);

/* The kind of a record; JOURNAL_KINDS when it is none that this version knows. */
enum journal_kind journal_kind_of(const json_t *record);

/* One node, or a set of them. */
struct journal_names {
	const char *const *names;
	size_t count;
};

struct journal_verdict {
	struct journal_names subject;
	const char *class; /* "node-isolated", ...; "healthy" ends what was said before */
	const char *sentence;
	struct journal_names witnesses; /* whose edges say so */
	struct journal_names minority;	/* the side that has to yield, in a partition */
	uint64_t evidence_age_ns;	/* how long ago the first sign was; 0: not known */
};

/* Words of "outcome". */
#define JOURNAL_DONE   "done"
#define JOURNAL_FAILED "failed"

/* 'evidence_age_ns': how long ago the first sign of the new state was (the beginning of the
 * silence), by a clock that nobody sets. */
json_t *journal_edge(const char *peer, enum edge_state from, enum edge_state to,
		     const char *evidence, uint64_t evidence_age_ns);
json_t *journal_verdict(const struct journal_verdict *verdict);
/* 'acts': false in mode advise. */
json_t *journal_decision(const char *subject, bool acts, const char *sentence);
json_t *journal_refusal(const char *subject, const char *rule, const char *sentence);
/* The actions that isolate a node: its record is in force; it has put up its own fence; and the end
 * of the latter. A release ends the former. */
#define JOURNAL_ISOLATION "isolation"
#define JOURNAL_FENCE	  "fence"
#define JOURNAL_UNFENCE	  "unfence"

/* 'action': one of these, or "hook", "record", ...; 'outcome': JOURNAL_DONE or JOURNAL_FAILED. */
json_t *journal_action(const char *subject, const char *action, const char *outcome,
		       const char *detail);
json_t *journal_release(const char *subject, const char *sentence);
json_t *journal_finding(const char *finding, const char *subject, bool raised, const char *sentence,
			uint64_t evidence_age_ns);
/* 'event': "started" or "stopped". */
json_t *journal_agent(const char *event, const char *version);
/* Marks a record of what has ended while nobody watched, some time since this time of the wall
 * clock. Takes the reference, and gives it back. */
json_t *journal_unseen(json_t *record, uint64_t since_ns);
/* Written by the journal itself. */
json_t *journal_lost(uint64_t records, uint64_t since_ns);

#endif
