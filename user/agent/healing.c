// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/healing.h"

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

struct healing {
	struct agent *agent;
	struct hook_runner *hooks;
	unsigned int next_command; /* which is run next; 0: none is running */
	bool again;		   /* once more after these */
};

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

static int run_command(struct healing *healing, const char *path)
{
	const struct config *config = &healing->agent->config;
	const char *const argv[] = {path, NULL};
	char time[CLOCK_TEXT_MAX];
	char *document;
	json_t *root;
	int r;

	clock_format_utc(clock_realtime_ns(), time);
	root = json_pack("{ss ss ss}", "action", "after-heal", "node", config->node, "time", time);
	document = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	r = document ? hook_run(healing->hooks, argv, config->isolation.hook.timeout_ms, document,
				on_command_ended, healing)
		     : -ENOMEM;
	free(document);
	return r;
}

static void run_next(struct healing *healing)
{
	const struct config *config = &healing->agent->config;

	while (healing->next_command < config->isolation.after_heal_count) {
		const char *path = config->isolation.after_heal[healing->next_command++];
		int r = run_command(healing, path);

		if (!r)
			return;
		log_error("after-heal command not run", log_string("command", path),
			  log_errno("error", r));
		agent_journal(healing->agent, journal_action(config->node, "after-heal",
							     JOURNAL_FAILED, strerror(-r)));
	}
	healing->next_command = 0;
	if (healing->again)
		healing_run_commands(healing);
}

void healing_run_commands(struct healing *healing)
{
	healing->again = healing->next_command != 0;
	if (!healing->again)
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
