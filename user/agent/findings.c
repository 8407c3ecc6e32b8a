// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/findings.h"

#include "agent/agent.h"
#include "agent/journal.h"
#include "base/clock.h"
#include "base/log.h"
#include "isolate/hook.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which finding a hook runs for: told when it ends. */
struct hook_subject {
	struct agent *agent;
	char name[FINDING_SUBJECT_MAX + 32]; /* "disk-stalled sda"; "": free */
};

struct agent_findings {
	struct agent *agent;
	struct findings list;
	struct hook_runner *hooks;
	struct hook_subject running[HOOK_RUNNING_MAX];
};

static const struct finding_settings *settings_of(const struct agent_findings *findings,
						  enum finding_kind kind)
{
	return &findings->agent->config.findings.settings[kind];
}

static void tell_hook(struct agent *agent, const char *name, bool done, const char *text)
{
	log_fields(done ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "finding's hook",
		   log_string("finding", name), log_string("outcome", text));
	agent_journal(agent,
		      journal_action(name, "hook", done ? JOURNAL_DONE : JOURNAL_FAILED, text));
}

static void on_hook_ended(void *context, const struct hook_result *result)
{
	struct hook_subject *subject = context;
	char buffer[512] = "";
	struct text text = TEXT(buffer);

	hook_describe(result, &text);
	tell_hook(subject->agent, subject->name, result->end == HOOK_EXITED && !result->code,
		  buffer);
	*subject->name = '\0';
}

static struct hook_subject *free_subject(struct agent_findings *findings)
{
	for (size_t i = 0; i < HOOK_RUNNING_MAX; i++)
		if (!*findings->running[i].name)
			return &findings->running[i];
	return NULL;
}

static void run_hook(struct agent_findings *findings, const struct finding *finding,
		     const char *change, const char *sentence)
{
	const struct finding_settings *settings = settings_of(findings, finding->kind);
	const struct config *config = &findings->agent->config;
	const char *argv[FINDING_HOOK_ARGUMENTS_MAX + 1] = {NULL};
	struct hook_subject *subject = free_subject(findings);
	json_t *object;
	char *document;
	int r;

	if (!settings->hook_argument_count)
		return;
	for (unsigned int i = 0; i < settings->hook_argument_count; i++)
		argv[i] = settings->hook[i];
	object = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s}", "version", 1, "node", config->node,
			   "finding", finding_kind_name(finding->kind), "subject", finding->subject,
			   "change", change, "sentence", sentence);
	document = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (!document)
		r = -ENOMEM;
	else if (!subject)
		r = -EBUSY;
	else
		r = hook_run(findings->hooks, argv, config->findings.hook_timeout_ms, document,
			     on_hook_ended, subject);
	free(document);
	if (r) {
		tell_hook(findings->agent, finding_kind_name(finding->kind), false, strerror(-r));
		return;
	}
	subject->agent = findings->agent;
	snprintf(subject->name, sizeof(subject->name), "%s %s", finding_kind_name(finding->kind),
		 finding->subject);
}

static void on_raised(void *context, const struct finding *finding)
{
	struct agent_findings *findings = context;

	log_warning("finding", log_string("finding", finding_kind_name(finding->kind)),
		    log_string("subject", finding->subject),
		    log_string("sentence", finding->sentence),
		    log_unsigned("monotonic_ns", finding->raised_ns));
	agent_journal(findings->agent,
		      journal_finding(finding_kind_name(finding->kind), finding->subject, true,
				      finding->sentence, finding->raised_ns - finding->since_ns));
	run_hook(findings, finding, "raised", finding->sentence);
}

static void on_cleared(void *context, const struct finding *finding, const char *why,
		       uint64_t now_ns)
{
	struct agent_findings *findings = context;

	log_info("finding cleared", log_string("finding", finding_kind_name(finding->kind)),
		 log_string("subject", finding->subject), log_string("sentence", why),
		 log_unsigned("lasted_ms", (now_ns - finding->raised_ns) / NS_PER_MS),
		 log_unsigned("monotonic_ns", now_ns));
	agent_journal(findings->agent, journal_finding(finding_kind_name(finding->kind),
						       finding->subject, false, why, 0));
	run_hook(findings, finding, "cleared", why);
}

static void on_blinded(void *context, enum finding_kind kind, const char *reason)
{
	(void)context;
	if (*reason)
		log_warning("cannot be found", log_string("finding", finding_kind_name(kind)),
			    log_string("reason", reason));
	else
		log_info("can be found again", log_string("finding", finding_kind_name(kind)));
}

int agent_findings_open(struct agent_findings **ret_findings, struct agent *agent)
{
	struct agent_findings *findings = calloc(1, sizeof(*findings));

	*ret_findings = findings;
	if (!findings)
		return -ENOMEM;
	findings->agent = agent;
	findings->list.handlers =
		(struct findings_handlers){findings, on_raised, on_cleared, on_blinded};
	return hook_open(&findings->hooks, &agent->loop);
}

struct findings *agent_findings_list(struct agent_findings *findings)
{
	return &findings->list;
}

bool agent_findings_row(const struct agent_findings *findings, struct row *row)
{
	unsigned int count = 0, was = row->finding_count;
	bool news = false;

	for (unsigned int i = 0; findings && i < findings->list.count && count < ROW_FINDINGS_MAX;
	     i++) {
		const struct finding *finding = &findings->list.standing[i];
		struct row_finding *to = &row->findings[count];

		if (settings_of(findings, finding->kind)->response < FINDING_RESPONSE_ROW)
			continue;
		/* The sentence's numbers change all the time: that alone is no news. */
		if (count >= was || strcmp(to->name, finding_kind_name(finding->kind)) ||
		    strcmp(to->subject, finding->subject)) {
			*to = (struct row_finding){0};
			snprintf(to->name, sizeof(to->name), "%s",
				 finding_kind_name(finding->kind));
			snprintf(to->subject, sizeof(to->subject), "%s", finding->subject);
			news = true;
		}
		snprintf(to->sentence, sizeof(to->sentence), "%s", finding->sentence);
		count++;
	}
	row->finding_count = count;
	return news || count != was;
}

void agent_findings_close(struct agent_findings *findings)
{
	if (!findings)
		return;
	hook_cancel(findings->hooks);
	free(findings);
}
