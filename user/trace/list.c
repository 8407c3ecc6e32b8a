// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/runner.h"

#include "base/exit_code.h"
#include "trace/prepare.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

static json_t *describe_json(const struct trace *trace, const struct program_status *statuses,
			     const char *reason)
{
	json_t *hooks = json_array();

	for (size_t i = 0; i < trace->program_count; i++)
		json_array_append_new(hooks, json_pack("{s:s, s:b, s:b, s:s}", "hook",
						       trace->programs[i].hook, "attached",
						       statuses[i].attached, "required",
						       trace->programs[i].required, "reason",
						       statuses[i].reason));
	return json_pack("{s:s, s:s, s:b, s:s, s:o}", "probe", trace->name, "shows", trace->summary,
			 "usable", !*reason, "reason", reason, "hooks", hooks);
}

static void describe(const struct trace *trace, const struct program_status *statuses,
		     const char *reason)
{
	printf("%-8s %-4s %s\n", trace->name, *reason ? "no" : "yes",
	       *reason ? reason : trace->summary);
	for (size_t i = 0; i < trace->program_count; i++)
		printf("%-13s  %s%s%s\n", "", trace->programs[i].hook,
		       statuses[i].attached ? "" : ": not available: ",
		       statuses[i].attached ? "" : statuses[i].reason);
}

int trace_list(const struct trace_options *options)
{
	bool json = options->format == TRACE_FORMAT_JSON;

	for (size_t i = 0; i < trace_count; i++) {
		struct trace_options plain = {.trace = traces[i], .mode = traces[i]->mode};
		struct program_status statuses[PROGRAMS_MAX];
		struct object *object = NULL;
		char reason[512] = "";
		struct text error = TEXT(reason);

		if (plain.mode == TRACE_MODE_HISTOGRAM)
			plain.grouping = &traces[i]->groupings[0];
		/* The reason says all; the list goes on with the others. */
		(void)trace_prepare(&object, &plain, statuses, &error);
		if (json) {
			json_t *line = describe_json(traces[i], statuses, reason);

			json_dumpf(line, stdout, JSON_COMPACT);
			json_decref(line);
			putchar('\n');
		} else {
			describe(traces[i], statuses, reason);
		}
		object_close(object);
	}
	if (fflush(stdout) && errno != EPIPE) {
		fprintf(stderr, "tocsin trace: cannot write the list to standard output\n");
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}
