// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/command.h"

#include "isolate/fence.h"
#include "probe/family.h"
#include "probe/feature.h"
#include "probe/tcp.h"
#include "trace/runner.h"

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static const struct argp_option options[] = {
	{"json", 'j', 0, 0, "one JSON object on one line", 0},
	{0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	bool *json = state->input;

	switch (key) {
	case 'j':
		*json = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const char *const verdict_names[] = {
	[FEATURE_YES] = "yes",
	[FEATURE_NO] = "no",
	[FEATURE_UNKNOWN] = "unknown",
};

/* What was found out, as rows of one shape: features first, then programs. */
struct finding {
	const char *kind, *name, *usable, *detail;
	bool required;
};

#define TRACES_MAX  32
#define ACTIONS_MAX 1
/* A reason, and what is lost for it. */
#define DETAIL_MAX   (PROGRAM_REASON_MAX + 128)
#define FINDINGS_MAX (FEATURES_MAX + TRACES_MAX + ACTIONS_MAX + 32)

static size_t find_features(struct feature features[static FEATURES_MAX],
			    struct finding findings[static FINDINGS_MAX], bool *able)
{
	size_t count = feature_check(features);

	for (size_t i = 0; i < count; i++) {
		findings[i] = (struct finding){
			.kind = "kernel",
			.name = features[i].name,
			.usable = verdict_names[features[i].verdict],
			.detail = features[i].detail,
			.required = features[i].required,
		};
		if (features[i].required && features[i].verdict == FEATURE_NO)
			*able = false;
	}
	return count;
}

/* Room for one more text, which lives as long as the program; NULL when there is none. */
static struct text *next_detail(void)
{
	static char details[FINDINGS_MAX][DETAIL_MAX];
	static struct text texts[FINDINGS_MAX];
	static size_t used;

	if (used == FINDINGS_MAX)
		return NULL;
	texts[used] = TEXT(details[used]);
	return &texts[used++];
}

static const char *describe_program(const struct program_status *program)
{
	struct text *detail = next_detail();

	if (!detail)
		return program->attached ? program->program->purpose : program->reason;
	program_describe(program, detail);
	return detail->data;
}

static const char *describe_missing_family(const char *lost, const char *reason)
{
	struct text *detail = next_detail();

	if (!detail)
		return reason;
	text_printf(detail, "without %s: %s", lost, reason);
	return detail->data;
}

/* The only proof is to load and attach them; they are taken off again at once. */
static size_t find_programs(const struct program_status *programs, size_t count,
			    struct finding *findings, size_t room, bool main_job, bool *able)
{
	for (size_t i = 0; i < count && i < room; i++) {
		findings[i] = (struct finding){
			.kind = "probe",
			.name = programs[i].program->name,
			.usable = programs[i].attached ? "yes" : "no",
			.detail = describe_program(&programs[i]),
			.required = main_job && programs[i].program->required,
		};
		if (findings[i].required && !programs[i].attached)
			*able = false;
	}
	return count < room ? count : room;
}

/* What `tocsin trace` can show. 'details' must live as long as the findings. */
static size_t find_traces(struct finding *findings, size_t room, char details[][512])
{
	size_t count = trace_count < room ? trace_count : room;

	for (size_t i = 0; i < count; i++) {
		struct text detail = {.data = details[i], .size = sizeof(details[i])};
		bool usable = trace_usable(traces[i], &detail);

		findings[i] = (struct finding){
			.kind = "trace",
			.name = traces[i]->name,
			.usable = usable ? "yes" : "no",
			.detail = detail.length ? details[i] : traces[i]->summary,
		};
	}
	return count;
}

/* What could be done to this node. 'detail' must live as long as the finding. */
static struct finding find_fence(struct text *detail)
{
	bool usable = !fence_check(detail);

	return (struct finding){
		.kind = "action",
		.name = "fence",
		.usable = usable ? "yes" : "no",
		.detail = usable ? "nf_tables takes the rules that block an isolated node's traffic"
				 : detail->data,
	};
}

static void print_table(const struct finding *findings, size_t count, bool able)
{
	for (size_t i = 0; i < count; i++)
		printf("%-8s %-24s %-8s %s%s\n", findings[i].kind, findings[i].name,
		       findings[i].usable, findings[i].detail,
		       findings[i].required ? "" : " (optional)");
	puts(able ? "tocsin can do its main job here."
		  : "tocsin cannot do its main job here: see each 'no' that is not optional.");
}

static int print_json(const struct finding *findings, size_t count, bool able)
{
	json_t *list = json_array();
	json_t *report = json_pack("{s:b, s:o}", "able", able, "findings", list);
	int r = report ? 0 : -1;

	for (size_t i = 0; !r && i < count; i++)
		r = json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:b, s:s}", "kind", findings[i].kind, "name",
				  findings[i].name, "usable", findings[i].usable, "required",
				  findings[i].required, "detail", findings[i].detail));
	if (!r)
		r = json_dumpf(report, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(report);
	return r;
}

int cmd_doctor(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Say what this kernel and these privileges allow, probe by probe, and why "
		       "not. "
		       "Exit status 1 when the main job cannot run.",
	};
	const struct tcp_probe_settings settings = {
		.max_peers = 16, .max_groups = 16, .loopback = true};
	struct feature features[FEATURES_MAX];
	struct finding findings[FINDINGS_MAX];
	struct tcp_probe *probe = NULL;
	static char details[TRACES_MAX][512];
	char reason[512] = "";
	struct text error = TEXT(reason);
	static const struct probe_settings probe_settings = {.max_groups = 16};
	static struct probes probes;
	char fence_reason[512] = "";
	struct text fence_error = TEXT(fence_reason);
	const struct program_status *programs;
	size_t program_count;
	char name[] = "tocsin doctor";
	bool json = false, able = true;
	size_t count;
	int r = 0;

	argp_err_exit_status = EXIT_USAGE;
	argv[0] = name;
	if (argp_parse(&argp, argc, argv, 0, NULL, &json))
		return EXIT_USAGE;
	count = find_features(features, findings, &able);
	if (tcp_probe_open(&probe, &settings, &error)) {
		findings[count++] = (struct finding){"probe", "tcp", "no", reason, true};
		able = false;
	} else {
		programs = tcp_probe_programs(probe, &program_count);
		count +=
			find_programs(programs, program_count, findings + count,
				      FINDINGS_MAX - TRACES_MAX - ACTIONS_MAX - count, true, &able);
	}
	/* These are not the main job: peers are judged without them. */
	probes_open(&probes, &probe_settings);
	for (unsigned int kind = 0; kind < PROBE_KINDS; kind++) {
		if (!probes.open[kind])
			findings[count++] =
				(struct finding){"probe", probe_families[kind].name, "no",
						 describe_missing_family(probe_families[kind].lost,
									 probes.errors[kind]),
						 false};
		programs = probes_programs(&probes, kind, &program_count);
		count += find_programs(programs, program_count, findings + count,
				       FINDINGS_MAX - TRACES_MAX - ACTIONS_MAX - count, false,
				       &able);
	}
	count += find_traces(findings + count, TRACES_MAX, details);
	findings[count++] = find_fence(&fence_error);
	if (json)
		r = print_json(findings, count, able);
	else
		print_table(findings, count, able);
	if (r || fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "tocsin doctor: cannot write the report to standard output\n");
		able = false;
	}
	tcp_probe_close(probe);
	probes_close(&probes);
	return able ? EXIT_DONE : EXIT_FAILED;
}
