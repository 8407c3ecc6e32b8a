/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_JOURNAL_H
#define TOCSIN_AGENT_JOURNAL_H

#include "report/journal.h"
#include "report/journal_record.h"

struct agent;

/* Opens the journal of the agent's state directory; without one the agent goes on, and says so. */
void agent_open_journal(struct agent *agent);

/* Takes the reference of a record, and drops it when there is no journal. */
void agent_journal(struct agent *agent, json_t *record);

/* Tells what the journal's thread has met; to be called at each turn. */
void agent_tell_journal(struct agent *agent);

void agent_close_journal(struct agent *agent);

#endif
