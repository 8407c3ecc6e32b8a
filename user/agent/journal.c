// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/journal.h"

#include "agent/agent.h"
#include "agent/incidents.h"
#include "base/clock.h"
#include "base/log.h"

#define TELL_NS NS_PER_S
/* What is queued at the end has so long to reach the disk. */
#define CLOSE_MS 2000

void agent_open_journal(struct agent *agent)
{
	const struct journal_options options = {.directory = agent->config.state_dir,
						.node = agent->config.node,
						.on_append = agent_incidents_take,
						.context = agent};
	char reason[512] = "";
	struct text error = TEXT(reason);
	int r;

	if (journal_open(&agent->journal, &options, &error)) {
		log_error("no journal", log_string("reason", reason),
			  log_string("consequence", "incidents are in the log only"));
	} else {
		r = agent_incidents_open(&agent->incidents, agent,
					 journal_state(agent->journal).appended);
		if (r)
			log_error("the journal's past cannot be read", log_errno("error", r));
	}
	agent_journal(agent, journal_agent("started", TOCSIN_VERSION));
}

void agent_journal(struct agent *agent, json_t *record)
{
	/* What finds no room is counted there, and told by journal_tell(). */
	if (agent->journal)
		(void)journal_append(agent->journal, record);
	else
		json_decref(record);
}

void agent_tell_journal(struct agent *agent)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (!agent->journal || now_ns < agent->journal_told_ns + TELL_NS)
		return;
	agent->journal_told_ns = now_ns;
	journal_tell(agent->journal);
	if (agent->incidents)
		agent_incidents_turn(agent->incidents);
}

void agent_close_journal(struct agent *agent)
{
	uint64_t unwritten = 0;

	if (!agent->journal)
		return;
	agent_journal(agent, journal_agent("stopped", TOCSIN_VERSION));
	if (journal_close(agent->journal, CLOSE_MS, &unwritten))
		log_error("journal not written to its end", log_unsigned("records", unwritten));
	agent->journal = NULL;
	agent_incidents_close(agent->incidents);
	agent->incidents = NULL;
}
