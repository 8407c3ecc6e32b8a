/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_INCIDENTS_H
#define TOCSIN_AGENT_INCIDENTS_H

/*
 * The incidents as the journal has them, those that an earlier agent left open included; and the
 * end of such as healed while no agent watched, which this one records.
 */

#include "report/incident.h"

struct agent;
struct agent_incidents;

/* Begins to read what the journal told up to the record of this sequence. Returns 0 or a negative
 * errno. */
int agent_incidents_open(struct agent_incidents **ret_incidents, struct agent *agent,
			 uint64_t last_sequence);

/* A journal's on_append, whose context is the agent. */
void agent_incidents_take(void *context, json_t *record);

/* Looks at what was left open; to be called about once a second. */
void agent_incidents_turn(struct agent_incidents *incidents);

/* Of incidents closed since the start, with how many are open. False while the journal is read. */
bool agent_incidents_totals(const struct agent_incidents *incidents,
			    struct incident_totals *ret_totals);

/* NULL is allowed. */
void agent_incidents_close(struct agent_incidents *incidents);

#endif
