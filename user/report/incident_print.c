// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/incident_print.h"

#include "base/clock.h"
#include "report/terminal.h"

#include <inttypes.h>
#include <string.h>

#define CELL_BYTES 256
#define LINE_BYTES 8192
/* A cell that names a set of nodes. */
#define NAMES_SHOWN 4

typedef void cell_function(struct text *cell, const struct incident *incident);

static void cell_time(struct text *cell, const struct incident *incident)
{
	char time[CLOCK_TEXT_MAX];

	clock_format_utc(incident->first_evidence_time_ns, time);
	text_printf(cell, "%s", time);
}

/* The nodes that someone named; when nobody has, those whose edges are the evidence. */
static size_t subjects(const struct incident *incident, const char **ret_names, size_t room)
{
	size_t named = 0, count = 0;

	for (size_t i = 0; i < incident->member_count; i++)
		named += incident->members[i].named;
	for (size_t i = 0; i < incident->member_count; i++) {
		if (named && !incident->members[i].named)
			continue;
		if (count < room)
			ret_names[count] = incident->members[i].name;
		count++;
	}
	return count;
}

static void cell_subject(struct text *cell, const struct incident *incident)
{
	const char *names[NAMES_SHOWN];
	size_t count = subjects(incident, names, NAMES_SHOWN);

	for (size_t i = 0; i < count && i < NAMES_SHOWN; i++) {
		text_printf(cell, "%s", i ? "," : "");
		terminal_append_clean(cell, names[i]);
	}
	if (count > NAMES_SHOWN)
		text_printf(cell, " and %zu more", count - NAMES_SHOWN);
}

static void cell_class(struct text *cell, const struct incident *incident)
{
	terminal_append_clean(cell, incident->class);
}

static void append_duration(struct text *text, uint64_t duration_ns)
{
	if (duration_ns == INCIDENT_NEVER)
		text_printf(text, "-");
	else
		terminal_append_duration(text, duration_ns / NS_PER_MS);
}

static void cell_detect(struct text *cell, const struct incident *incident)
{
	append_duration(cell, incident_detect_ns(incident));
}

static void cell_isolate(struct text *cell, const struct incident *incident)
{
	append_duration(cell, incident_isolate_ns(incident));
}

static void cell_recover(struct text *cell, const struct incident *incident)
{
	if (incident->unseen_ns)
		text_printf(cell, "<");
	append_duration(cell, incident_recover_ns(incident));
}

static void cell_state(struct text *cell, const struct incident *incident)
{
	text_printf(cell, "%s", incident->open ? "open" : "recovered");
}

static const struct {
	const char *title;
	cell_function *format;
	bool left; /* aligned; durations are not */
} columns[] = {
	{"FIRST EVIDENCE", cell_time, true}, {"SUBJECT", cell_subject, true},
	{"CLASS", cell_class, true},	     {"DETECT", cell_detect, false},
	{"ISOLATE", cell_isolate, false},    {"RECOVER", cell_recover, false},
	{"STATE", cell_state, true},
};

#define COLUMNS (sizeof(columns) / sizeof(*columns))

static void print_cell(FILE *stream, size_t column, const char *cell, int width)
{
	int padding = width - terminal_width(cell);

	fprintf(stream, "%s%*s%s%*s", column ? "  " : "", columns[column].left ? 0 : padding, "",
		cell, columns[column].left && column + 1 < COLUMNS ? padding : 0, "");
}

/* "    WORDS: STRING", with more behind it if there is more. */
static void print_line(FILE *stream, const char *words, const char *string)
{
	char buffer[LINE_BYTES] = "";
	struct text line = TEXT(buffer);

	terminal_append_clean(&line, string);
	fprintf(stream, "    %s%s%s\n", words, *words && *buffer ? ": " : "", buffer);
}

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

static void print_actions(FILE *stream, const json_t *actions)
{
	const json_t *action;
	size_t i;

	json_array_foreach(actions, i, action)
	{
		char buffer[CELL_BYTES] = "";
		struct text words = TEXT(buffer);

		terminal_append_clean(&words, string_of(action, "action"));
		text_printf(&words, " ");
		terminal_append_clean(&words, string_of(action, "outcome"));
		print_line(stream, buffer, string_of(action, "detail"));
	}
}

static void print_refusals(FILE *stream, const json_t *refusals)
{
	const json_t *refusal;
	size_t i;

	json_array_foreach(refusals, i, refusal)
	{
		json_int_t count = json_integer_value(json_object_get(refusal, "count"));
		char buffer[CELL_BYTES] = "";
		struct text words = TEXT(buffer);

		text_printf(&words, "refused by ");
		terminal_append_clean(&words, string_of(refusal, "rule"));
		if (count > 1)
			text_printf(&words, ", %" JSON_INTEGER_FORMAT " times", count);
		print_line(stream, buffer, string_of(refusal, "sentence"));
	}
}

static void print_unseen(FILE *stream, const struct incident *incident)
{
	char buffer[CELL_BYTES] = "";
	struct text line = TEXT(buffer);

	append_duration(&line, incident_recover_ns(incident) - incident->unseen_ns);
	text_printf(&line, " and ");
	append_duration(&line, incident_recover_ns(incident));
	fprintf(stream, "    recovered unseen, between %s after the first evidence\n", buffer);
}

static void print_details(FILE *stream, const struct incident *incident)
{
	const char *sentence = json_string_value(incident->sentence) ?: "";

	if (*sentence)
		print_line(stream, "", sentence);
	if (incident->decision)
		print_line(stream,
			   json_is_false(json_object_get(incident->decision, "acts"))
				   ? "would act"
				   : "decided to act",
			   string_of(incident->decision, "sentence"));
	print_refusals(stream, incident->refusals);
	print_actions(stream, incident->actions);
	if (incident->agent_restarts)
		fprintf(stream, "    the agent was restarted %" PRIu64 " time%s meanwhile\n",
			incident->agent_restarts, incident->agent_restarts == 1 ? "" : "s");
	if (incident->unseen_ns)
		print_unseen(stream, incident);
	if (incident->records_lost)
		fprintf(stream, "    records were lost meanwhile: something may be missing here\n");
}

void incidents_print_table(FILE *stream, const struct incident *const *incidents, size_t count)
{
	int widths[COLUMNS];

	for (size_t column = 0; column < COLUMNS; column++) {
		widths[column] = terminal_width(columns[column].title);
		for (size_t i = 0; i < count; i++) {
			char buffer[CELL_BYTES] = "";
			struct text cell = TEXT(buffer);

			columns[column].format(&cell, incidents[i]);
			if (terminal_width(buffer) > widths[column])
				widths[column] = terminal_width(buffer);
		}
	}
	for (size_t column = 0; column < COLUMNS; column++)
		print_cell(stream, column, columns[column].title, widths[column]);
	fputc('\n', stream);
	for (size_t i = 0; i < count; i++) {
		for (size_t column = 0; column < COLUMNS; column++) {
			char buffer[CELL_BYTES] = "";
			struct text cell = TEXT(buffer);

			columns[column].format(&cell, incidents[i]);
			print_cell(stream, column, buffer, widths[column]);
		}
		fputc('\n', stream);
		print_details(stream, incidents[i]);
	}
}

/* The sum over all classes, in the place of one. */
static struct incident_class sum_of(const struct incident_totals *totals)
{
	struct incident_class sum = {0};

	for (size_t i = 0; i < totals->class_count; i++) {
		const struct incident_class *class = &totals->classes[i];

		sum.closed += class->closed;
		sum.open += class->open;
		sum.detect.count += class->detect.count;
		sum.detect.sum_ns += class->detect.sum_ns;
		sum.isolate.count += class->isolate.count;
		sum.isolate.sum_ns += class->isolate.sum_ns;
		sum.recover.count += class->recover.count;
		sum.recover.sum_ns += class->recover.sum_ns;
	}
	return sum;
}

static void append_mean(struct text *line, const char *words, const struct incident_times *times)
{
	text_printf(line, "%s ", words);
	append_duration(line, times->count ? times->sum_ns / times->count : INCIDENT_NEVER);
	text_printf(line, " (%" PRIu64 ")", times->count);
}

void incident_totals_print(FILE *stream, const struct incident_totals *totals)
{
	const struct incident_class sum = sum_of(totals);
	uint64_t count = sum.closed + sum.open;
	char buffer[LINE_BYTES] = "";
	struct text line = TEXT(buffer);

	text_printf(&line, "%" PRIu64 " incident%s, %" PRIu64 " open; mean time (of how many) ",
		    count, count == 1 ? "" : "s", sum.open);
	append_mean(&line, "to detect", &sum.detect);
	append_mean(&line, ", to isolate", &sum.isolate);
	append_mean(&line, ", to recover", &sum.recover);
	text_printf(&line, "\n");
	for (size_t i = 0; i < totals->class_count; i++) {
		const struct incident_class *class = &totals->classes[i];

		text_printf(&line, "%s", i ? ", " : "by class: ");
		terminal_append_clean(&line, class->name);
		text_printf(&line, " %" PRIu64, class->closed + class->open);
	}
	text_printf(&line, "%s", totals->class_count ? "\n" : "");
	if (totals->suspicions)
		text_printf(&line, "%" PRIu64 " suspicion%s went away by %s\n", totals->suspicions,
			    totals->suspicions == 1 ? "" : "s",
			    totals->suspicions == 1 ? "itself" : "themselves");
	if (totals->lost_records)
		text_printf(&line,
			    "%" PRIu64
			    " records were lost for want of room: incidents may be missing\n",
			    totals->lost_records);
	if (totals->dropped)
		text_printf(&line,
			    "%" PRIu64 " records were passed over: more than %d at once is open\n",
			    totals->dropped, INCIDENT_OPEN_MAX);
	fprintf(stream, "%s", buffer);
}

static json_t *number(uint64_t value)
{
	return value == INCIDENT_NEVER
		       ? json_null()
		       : json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

static json_t *subjects_json(const struct incident *incident)
{
	json_t *array = json_array();
	size_t count = 0;
	const char *none;

	if (!subjects(incident, &none, 0))
		return array;
	for (size_t i = 0; i < incident->member_count; i++)
		count += incident->members[i].named;
	for (size_t i = 0; i < incident->member_count; i++)
		if (!count || incident->members[i].named)
			/* A name that was cut within a character is none. */
			json_array_append_new(array, json_string(incident->members[i].name)
							     ?: json_string("?"));
	return array;
}

json_t *incident_json(const struct incident *incident)
{
	char time[CLOCK_TEXT_MAX];

	clock_format_utc(incident->first_evidence_time_ns, time);
	return json_pack(
		"{s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:O?, s:O?, s:O?, s:O?, s:O, "
		"s:O, s:o, s:o, s:b}",
		"kind", "incident", "subject", subjects_json(incident), "class",
		json_string(incident->class) ?: json_string("?"), "by",
		incident_source_name(incident->source), "state",
		incident->open ? "open" : "recovered", "first_evidence", time, "first_evidence_ns",
		number(incident->first_evidence_time_ns), "detect_ns",
		number(incident_detect_ns(incident)), "isolate_ns",
		number(incident_isolate_ns(incident)), "recover_ns",
		number(incident_recover_ns(incident)), "sentence", incident->sentence, "witnesses",
		json_object_get(incident->verdict, "witnesses"), "minority",
		json_object_get(incident->verdict, "minority"), "decision", incident->decision,
		"refusals", incident->refusals, "actions", incident->actions, "agent_restarts",
		number(incident->agent_restarts), "unseen_ns", number(incident->unseen_ns),
		"records_lost", incident->records_lost);
}

static json_t *times_json(const struct incident_times *times)
{
	return json_pack("{s:o, s:o, s:o}", "count", number(times->count), "sum_ns",
			 number(times->sum_ns), "mean_ns",
			 number(times->count ? times->sum_ns / times->count : INCIDENT_NEVER));
}

static json_t *class_json(const struct incident_class *class)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "incidents",
			 number(class->closed + class->open), "open", number(class->open), "detect",
			 times_json(&class->detect), "isolate", times_json(&class->isolate),
			 "recover", times_json(&class->recover));
}

json_t *incident_totals_json(const struct incident_totals *totals)
{
	const struct incident_class sum = sum_of(totals);
	json_t *json = json_pack("{s:s}", "kind", "totals");
	json_t *classes = json_object();

	for (size_t i = 0; i < totals->class_count; i++)
		json_object_set_new(classes, totals->classes[i].name,
				    class_json(&totals->classes[i]));
	if (json_object_update_new(json, class_json(&sum)) ||
	    json_object_set_new(json, "suspicions", number(totals->suspicions)) ||
	    json_object_set_new(json, "lost_records", number(totals->lost_records)) ||
	    json_object_set_new(json, "classes", json_incref(classes))) {
		json_decref(json);
		json = NULL;
	}
	json_decref(classes);
	return json;
}
