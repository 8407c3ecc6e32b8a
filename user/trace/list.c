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
						       trace->programs[i].hook, "usable",
						       !*reason && !statuses[i].reason[0],
						       "required", trace->programs[i].required,
						       "reason", statuses[i].reason));
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
		       statuses[i].reason[0] ? ": not available: " : "", statuses[i].reason);
}

/* Loads and attaches a trace in its usual mode. Returns whether that worked; 'error' says why not.
 */
static bool try_trace(const struct trace *trace,
		      struct program_status statuses[static PROGRAMS_MAX], struct text *error)
{
	struct trace_options plain = {.trace = trace, .mode = trace->mode};
	struct object *object = NULL;
	int r;

	if (plain.mode == TRACE_MODE_HISTOGRAM)
		plain.grouping = &trace->groupings[0];
	r = trace_prepare(&object, &plain, statuses, error);
	object_close(object);
	return !r;
}

bool trace_usable(const struct trace *trace, struct text *detail)
{
	struct program_status statuses[PROGRAMS_MAX];

	if (!try_trace(trace, statuses, detail))
		return false;
	for (size_t i = 0; i < trace->program_count; i++) {
		const char *separator = detail->length ? "; " : "";

		if (statuses[i].reason[0])
			text_printf(detail, "%swithout %s: %s", separator,
				    trace->programs[i].purpose, statuses[i].reason);
		else if (statuses[i].untold)
			text_printf(detail, "%sthis kernel does not tell %s", separator,
				    statuses[i].untold);
	}
	return true;
}

int trace_list(const struct trace_options *options)
{
	for (size_t i = 0; i < trace_count; i++) {
		struct program_status statuses[PROGRAMS_MAX];
		char reason[512] = "";
		struct text error = TEXT(reason);

		/* The reason says all; the list goes on with the others. */
		(void)try_trace(traces[i], statuses, &error);
		if (options->format == TRACE_FORMAT_JSON) {
			json_t *line = describe_json(traces[i], statuses, reason);

			json_dumpf(line, stdout, JSON_COMPACT);
			json_decref(line);
			putchar('\n');
		} else {
			describe(traces[i], statuses, reason);
		}
	}
	errno = 0;
	if (fflush(stdout) && errno != EPIPE) {
		fprintf(stderr, "tocsin trace: cannot write the list to standard output\n");
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}
