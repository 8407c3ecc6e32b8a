/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_INCIDENTS_H
#define TOCSIN_REPORT_INCIDENTS_H

/*
 * Incidents from the journal's records, taken in one after the other. Pure: no I/O and no clock.
 * docs/journal.md has the rules.
 */

#include "report/incident.h"

struct incidents;

/* Called for each incident that is over, which is the callee's from then on. */
typedef void incident_closed(void *context, struct incident *incident);

/* 'closed' may be NULL: then only the totals are kept. Returns NULL when memory ran out. */
struct incidents *incidents_new(incident_closed *closed, void *context);

/* Takes in the next record, which stays the caller's. Returns 0 or -ENOMEM. */
int incidents_take(struct incidents *incidents, json_t *record);

/* The incidents that are open, in the order in which they were opened, those aside that are no more
 * than a suspicion yet. NULL behind the last. */
const struct incident *incidents_open_at(const struct incidents *incidents, size_t index);

/*
 * What keeps an incident about this node open, as bits; 0: nothing. After a restart an agent tells
 * the journal of what has ended meanwhile: an edge that is healthy, a verdict, an isolation.
 */
enum {
	INCIDENT_WAITS_FOR_EDGE = 1,
	INCIDENT_WAITS_FOR_VERDICT = 2,
	INCIDENT_WAITS_FOR_RELEASE = 4
};
unsigned int incidents_waits_for(const struct incidents *incidents, const char *name);

/* Whether a finding about this subject is open. */
bool incidents_has_finding(const struct incidents *incidents, const char *finding,
			   const char *subject);

/* Called for each node that keeps an incident open, suspicions included, with the bits above; and
 * for each open finding with 0, whose name is the incident's class. */
typedef void incident_waits(void *context, const struct incident *incident,
			    const struct incident_member *member, unsigned int waits);
void incidents_each_wait(const struct incidents *incidents, incident_waits *each, void *context);

/*
 * The times of closed incidents, which only grow: counters. With 'with_open' also those that open
 * ones have so far.
 */
void incidents_totals(const struct incidents *incidents, bool with_open,
		      struct incident_totals *ret_totals);

/* Has them begin at zero. What is open stays so. */
void incidents_reset_totals(struct incidents *incidents);

void incidents_free(struct incidents *incidents);

#endif
