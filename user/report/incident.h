/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_INCIDENT_H
#define TOCSIN_REPORT_INCIDENT_H

/*
 * One incident: what belongs together from the first evidence about a node (or a set of nodes, or a
 * finding) to its recovery, and how long each step took; and the totals of many. incidents.h makes
 * them.
 */

#include "detect/edge.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INCIDENT_NAME_MAX    128
#define INCIDENT_CLASSES_MAX 32
#define INCIDENT_OPEN_MAX    16384 /* at once, and nodes of one */
#define INCIDENT_NEVER	     UINT64_MAX

/* What says that there is something wrong. */
enum incident_source {
	INCIDENT_BY_EDGE,    /* this node alone, of a peer */
	INCIDENT_BY_CLUSTER, /* the cluster's verdict */
	INCIDENT_BY_FINDING, /* this node, of its own health */
	INCIDENT_BY_HAND,    /* nothing: someone isolated a node */
};

/* A node of an incident, and what keeps it open. */
struct incident_member {
	char name[INCIDENT_NAME_MAX];
	bool named;		    /* by a verdict, an action or a finding, not by an edge alone */
	bool edge;		    /* this node's edge to it is not healthy */
	enum edge_state edge_state; /* while 'edge': the last */
	bool verdict;		    /* the cluster's verdict is not healthy */
	bool isolated;		    /* by a record */
	bool fenced;		    /* by itself */
};

struct incident {
	enum incident_source source;
	char class[INCIDENT_NAME_MAX];
	struct incident_member *members;
	size_t member_count;
	bool open;

	/* The wall clock of the first evidence; and moments in an axis that no clock step bends,
	 * only good for differences. INCIDENT_NEVER: has not come about. */
	uint64_t first_evidence_time_ns;
	uint64_t first_evidence_ns, detected_ns, isolated_ns, recovered_ns;

	json_t *sentence;	 /* a string; NULL: none */
	json_t *verdict;	 /* the cluster's last one, as it was recorded; NULL: none */
	json_t *actions;	 /* [{action, outcome, detail}], the latest */
	json_t *refusals;	 /* [{rule, sentence, count}] */
	json_t *decision;	 /* the last one, as it was recorded; NULL: none */
	uint64_t agent_restarts; /* while it was open */
	/* By how much it may have recovered earlier: that was not seen. 0: it was. */
	uint64_t unseen_ns;
	bool records_lost; /* while it was open: something may be missing here */
};

/* How long a step took; INCIDENT_NEVER when it has not come about. From the first evidence. */
uint64_t incident_detect_ns(const struct incident *incident);
uint64_t incident_isolate_ns(const struct incident *incident);
uint64_t incident_recover_ns(const struct incident *incident);

/* "edge", "cluster", "finding", "manual" */
const char *incident_source_name(enum incident_source source);

void incident_free(struct incident *incident);

struct incident_times {
	uint64_t count, sum_ns;
};

/* Of the incidents of one class. */
struct incident_class {
	char name[INCIDENT_NAME_MAX];
	uint64_t closed, open;
	struct incident_times detect, isolate, recover;
};

struct incident_totals {
	struct incident_class classes[INCIDENT_CLASSES_MAX]; /* the last one may be "other" */
	size_t class_count;
	uint64_t records;
	uint64_t suspicions;   /* that went away by themselves: no incidents */
	uint64_t lost_records; /* that the journal says are missing */
	uint64_t dropped;      /* more than INCIDENT_OPEN_MAX at once */
};

/* Adds an incident to the totals. */
void incident_totals_add(struct incident_totals *totals, const struct incident *incident);

/* The row of a class, made when it is new: that of "other" when there are too many. */
struct incident_class *incident_totals_class(struct incident_totals *totals, const char *name);

/* The node of this name, or NULL. */
struct incident_member *incident_find_member(const struct incident *incident, const char *name);

/* The same, added when it is new. NULL and errno: ENOMEM, or ENOBUFS when there are too many. */
struct incident_member *incident_add_member(struct incident *incident, const char *name);

/* Adds to an incident what is known of another one. Returns 0 or a negative errno. */
int incident_merge(struct incident *incident, const struct incident *other);

/* Names may be longer than what is kept of them. */
void incident_copy_name(char target[static INCIDENT_NAME_MAX], const char *name);
bool incident_same_name(const char *kept, const char *name);

/* Takes another reference in place of the one that was kept. */
void incident_keep(json_t **kept, json_t *value);

#endif
