// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/healing.h"

#include "agent/agent.h"
#include "agent/cluster.h"
#include "agent/journal.h"
#include "base/clock.h"
#include "base/log.h"
#include "isolate/healing.h"
#include "isolate/hook.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct healing {
	struct agent *agent;

	/* The check that is under way. */
	healing_checked checked; /* NULL: none is */
	void *context;
	const char *endpoint;
	struct etcd_member other;

	struct hook_runner *hooks;
	unsigned int next_command; /* which is run next; 0: none is running */
};

static void end_check(struct healing *healing, const char *reason)
{
	healing_checked checked = healing->checked;

	healing->checked = NULL;
	checked(healing->context, reason);
}

static void on_member(void *context, const char *endpoint, const struct etcd_member *member,
		      const char *reason)
{
	struct healing *healing = context;
	char words[256] = "";
	struct text text = TEXT(words);

	(void)endpoint;
	if (!member)
		text_printf(&text, "%s", reason);
	else
		(void)healing_member_caught_up(&healing->other, member, &text);
	end_check(healing, words);
}

static void on_other(void *context, const char *endpoint, const struct etcd_member *member,
		     const char *reason)
{
	struct healing *healing = context;

	(void)endpoint;
	if (!member) {
		end_check(healing, reason);
		return;
	}
	healing->other = *member;
	if (etcd_member_status(healing->agent->cluster->store, healing->endpoint, on_member,
			       healing))
		end_check(healing, "its member of etcd cannot be asked");
}

/* The endpoint in use is known to work; where it is the healed member's own, any other. */
static const char *other_endpoint(const struct healing *healing, const char *endpoint)
{
	const struct config *config = &healing->agent->config;
	const char *used = etcd_endpoint(healing->agent->cluster->store);

	if (*used && strcmp(used, endpoint))
		return used;
	for (unsigned int i = 0; i < config->etcd.endpoint_count; i++)
		if (strcmp(config->etcd.endpoints[i], endpoint))
			return config->etcd.endpoints[i];
	return NULL;
}

int healing_check(struct healing *healing, const char *endpoint, healing_checked checked,
		  void *context)
{
	const char *other = other_endpoint(healing, endpoint);
	int r;

	if (healing->checked)
		return -EBUSY;
	if (!other)
		return -ENOENT;
	r = etcd_member_status(healing->agent->cluster->store, other, on_other, healing);
	if (r)
		return r;
	healing->checked = checked;
	healing->context = context;
	healing->endpoint = endpoint;
	return 0;
}

/* ---- after-heal commands ---- */

static void run_next(struct healing *healing);

static void on_command_ended(void *context, const struct hook_result *result)
{
	struct healing *healing = context;
	const struct config *config = &healing->agent->config;
	bool good = result->end == HOOK_EXITED && !result->code;
	char detail[512] = "";
	struct text text = TEXT(detail);

	text_printf(&text, "%s ", config->isolation.after_heal[healing->next_command - 1]);
	hook_describe(result, &text);
	if (result->output_bytes)
		text_printf(&text, "; it wrote: %.*s", (int)result->output_bytes, result->output);
	log_fields(good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "after-heal command",
		   log_string("outcome", detail));
	agent_journal(healing->agent, journal_action(config->node, "after-heal",
						     good ? JOURNAL_DONE : JOURNAL_FAILED, detail));
	run_next(healing);
}

static void run_next(struct healing *healing)
{
	const struct config *config = &healing->agent->config;
	const char *argv[2] = {NULL};
	char time[CLOCK_TEXT_MAX];
	char *document;
	json_t *root;
	int r;

	/* The list may have become shorter meanwhile. */
	if (healing->next_command >= config->isolation.after_heal_count) {
		healing->next_command = 0;
		return;
	}
	argv[0] = config->isolation.after_heal[healing->next_command++];
	clock_format_utc(clock_realtime_ns(), time);
	root = json_pack("{ss ss ss}", "action", "after-heal", "node", config->node, "time", time);
	document = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	r = document ? hook_run(healing->hooks, argv, config->isolation.hook.timeout_ms, document,
				on_command_ended, healing)
		     : -ENOMEM;
	free(document);
	if (!r)
		return;
	log_error("after-heal commands not run", log_string("command", argv[0]),
		  log_errno("error", r));
	agent_journal(healing->agent,
		      journal_action(config->node, "after-heal", JOURNAL_FAILED, strerror(-r)));
	healing->next_command = 0;
}

void healing_run_commands(struct healing *healing)
{
	if (!healing->next_command)
		run_next(healing);
}

int healing_open(struct healing **ret_healing, struct agent *agent)
{
	struct healing *healing = calloc(1, sizeof(*healing));

	*ret_healing = healing;
	if (!healing)
		return -ENOMEM;
	healing->agent = agent;
	return hook_open(&healing->hooks, &agent->loop);
}

void healing_close(struct healing *healing)
{
	if (!healing)
		return;
	hook_cancel(healing->hooks);
	free(healing);
}
