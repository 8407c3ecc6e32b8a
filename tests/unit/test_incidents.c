// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Incidents from sequences of records: what belongs together, and how long it took. */
#include "report/incidents.h"

#include "base/clock.h"
#include "base/text.h"
#include "report/incident_print.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_BYTES 8192
/* 2026-11-23T07:12:46Z, when a node of these tests has been up for an hour. */
#define WALL_MS UINT64_C(1795417966000)
#define UP_MS	3600000

/* One record of node n1. Its time is in ms after the beginning, by the clock that nobody sets;
 * 'age_ms' is that of the first sign. Fields are JSON with ' for ". */
struct event {
	uint64_t ms;
	const char *fields;
	uint64_t age_ms;
	int64_t step_ms; /* how far the wall clock has been set away from the truth */
	const char *boot;
	uint64_t reboot_ms; /* when that boot began, in ms after the beginning */
};

struct outcome {
	char buffer[TEXT_BYTES];
	struct text text;
	struct incidents *incidents;
	struct incident **closed;
	size_t closed_count;
};

static json_t *make_record(const struct event *event)
{
	uint64_t up_ms = event->boot ? event->ms - event->reboot_ms : UP_MS + event->ms;
	uint64_t wall_ms = (uint64_t)((int64_t)(WALL_MS + event->ms) + event->step_ms);
	char fields[1024];
	json_error_t error;
	json_t *record;

	snprintf(fields, sizeof(fields), "{%s}", event->fields);
	for (char *c = fields; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	record = json_loads(fields, 0, &error);
	if (!record)
		fail_msg("%s: %s", fields, error.text);
	assert_int_equal(json_object_set_new(record, "node", json_string("n1")), 0);
	json_object_set_new(record, "time_ns", json_integer((json_int_t)(wall_ms * NS_PER_MS)));
	json_object_set_new(record, "boottime_ns", json_integer((json_int_t)(up_ms * NS_PER_MS)));
	json_object_set_new(record, "boot_id", json_string(event->boot ?: "first"));
	if (event->age_ms)
		json_object_set_new(
			record, "first_evidence_ns",
			json_integer((json_int_t)((wall_ms - event->age_ms) * NS_PER_MS)));
	return record;
}

static void append_time(struct text *text, const char *words, uint64_t duration_ns)
{
	if (duration_ns != INCIDENT_NEVER)
		text_printf(text, " %s=%" PRIu64, words, duration_ns / NS_PER_MS);
}

/* "n3 node-isolated cluster detect=268 recover=4000 recovered" */
static void append_incident(struct text *text, const struct incident *incident)
{
	size_t named = 0, shown = 0;

	for (size_t i = 0; i < incident->member_count; i++)
		named += incident->members[i].named;
	for (size_t i = 0; i < incident->member_count; i++)
		if (!named || incident->members[i].named)
			text_printf(text, "%s%s", shown++ ? "," : "", incident->members[i].name);
	text_printf(text, " %s %s", incident->class, incident_source_name(incident->source));
	append_time(text, "detect", incident_detect_ns(incident));
	append_time(text, "isolate", incident_isolate_ns(incident));
	append_time(text, "recover", incident_recover_ns(incident));
	if (incident->unseen_ns)
		append_time(text, "unseen", incident->unseen_ns);
	if (incident->agent_restarts)
		text_printf(text, " restarts=%" PRIu64, incident->agent_restarts);
	text_printf(text, "%s %s\n", incident->records_lost ? " lost" : "",
		    incident->open ? "open" : "recovered");
}

static void on_closed(void *context, struct incident *incident)
{
	struct outcome *outcome = context;

	assert_false(incident->open);
	append_incident(&outcome->text, incident);
	outcome->closed =
		reallocarray(outcome->closed, outcome->closed_count + 1, sizeof(*outcome->closed));
	assert_non_null(outcome->closed);
	outcome->closed[outcome->closed_count++] = incident;
}

static struct outcome *take_all(const struct event *events, size_t count)
{
	struct outcome *outcome = calloc(1, sizeof(*outcome));
	const struct incident *open;

	assert_non_null(outcome);
	outcome->text = TEXT(outcome->buffer);
	outcome->incidents = incidents_new(on_closed, outcome);
	assert_non_null(outcome->incidents);
	for (size_t i = 0; i < count; i++) {
		json_t *record = make_record(&events[i]);

		assert_int_equal(incidents_take(outcome->incidents, record), 0);
		json_decref(record);
	}
	for (size_t i = 0; (open = incidents_open_at(outcome->incidents, i)); i++)
		append_incident(&outcome->text, open);
	return outcome;
}

static void discard(struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->closed_count; i++)
		incident_free(outcome->closed[i]);
	free(outcome->closed);
	incidents_free(outcome->incidents);
	free(outcome);
}

#define EDGE(peer, to) "'kind': 'edge', 'peer': '" peer "', 'to': '" to "'"
#define VERDICT(subject, class) \
	"'kind': 'verdict', 'subject': " subject ", 'class': '" class "', 'sentence': 'so it is'"
#define ACTION(subject, outcome)                                                              \
	"'kind': 'action', 'subject': '" subject "', 'action': 'fence', 'outcome': '" outcome \
	"', 'detail': 'nft'"
#define DONE(subject, action)                                                             \
	"'kind': 'action', 'subject': '" subject "', 'action': '" action "', 'outcome': " \
	"'done', 'detail': 'it is'"
#define UNSEEN(fields, since) fields ", 'unseen_since_ns': " since
#define RELEASE(subject)      "'kind': 'release', 'subject': '" subject "'"
#define FINDING(finding, subject, state)                                          \
	"'kind': 'finding', 'finding': '" finding "', 'subject': '" subject "', " \
	"'state': '" state "', 'sentence': 'slow'"
#define STARTED "'kind': 'agent', 'event': 'started'"
#define REFUSAL "'kind': 'refusal', 'subject': 'n3', 'rule': 'freeze', 'sentence': 'half is bad'"

static const struct {
	const char *what;
	struct event events[16];
	const char *expected;
} cases[] = {
	{"nothing", {{.ms = 0, STARTED}}, ""},
	{"seen by this node alone",
	 {{.ms = 0, EDGE("n3", "suspect"), 200},
	  {.ms = 50, EDGE("n3", "unreachable"), 250},
	  {.ms = 5000, EDGE("n3", "healthy")}},
	 "n3 node-unreachable edge detect=250 recover=5200 recovered\n"},
	{"a suspicion is none",
	 {{.ms = 0, EDGE("n3", "suspect"), 200}, {.ms = 50, EDGE("n3", "healthy")}},
	 ""},
	{"a suspicion is not shown as open", {{.ms = 0, EDGE("n3", "suspect"), 200}}, ""},
	{"from evidence to release",
	 {{.ms = 0, EDGE("n3", "suspect"), 168},
	  {.ms = 100, EDGE("n3", "unreachable"), 268},
	  {.ms = 400, VERDICT("'n3'", "node-isolated")},
	  {.ms = 410, "'kind': 'decision', 'subject': 'n3', 'acts': true"},
	  {.ms = 900, ACTION("n3", "done")},
	  {.ms = 950, ACTION("n3", "done")},
	  {.ms = 9000, EDGE("n3", "healthy")},
	  {.ms = 9500, VERDICT("'n3'", "healthy")},
	  {.ms = 40000, RELEASE("n3")}},
	 "n3 node-isolated cluster detect=268 isolate=1068 recover=40168 recovered\n"},
	{"released by hand while it is cut off",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 100, ACTION("n3", "done")},
	  {.ms = 200, RELEASE("n3")},
	  {.ms = 9000, EDGE("n3", "healthy")}},
	 "n3 node-unreachable edge detect=300 isolate=400 recover=9300 recovered\n"},
	{"open until all has ended",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 100, VERDICT("'n3'", "node-down")},
	  {.ms = 9000, EDGE("n3", "healthy")}},
	 "n3 node-down cluster detect=300 open\n"},
	{"a verdict without an edge of this node's",
	 {{.ms = 0, VERDICT("'n7'", "node-down"), 700}, {.ms = 1000, VERDICT("'n7'", "healthy")}},
	 "n7 node-down cluster detect=700 recover=1700 recovered\n"},
	{"the verdict is refined",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 100, VERDICT("'n3'", "node-unreachable")},
	  {.ms = 200, VERDICT("'n3'", "node-down")}},
	 "n3 node-down cluster detect=300 open\n"},
	{"two in a row",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 1000, EDGE("n3", "healthy")},
	  {.ms = 2000, EDGE("n3", "unreachable"), 400},
	  {.ms = 4000, EDGE("n3", "healthy")}},
	 "n3 node-unreachable edge detect=300 recover=1300 recovered\n"
	 "n3 node-unreachable edge detect=400 recover=2400 recovered\n"},
	{"the worst class stays",
	 {{.ms = 0, EDGE("n3", "lossy"), 100},
	  {.ms = 100, EDGE("n3", "unreachable"), 200},
	  {.ms = 200, EDGE("n3", "lossy")},
	  {.ms = 300, EDGE("n3", "healthy")}},
	 "n3 node-unreachable edge detect=100 recover=400 recovered\n"},
	{"two nodes at once are two incidents ...",
	 {{.ms = 0, EDGE("n4", "unreachable"), 300},
	  {.ms = 10, EDGE("n5", "egress-cut"), 500},
	  {.ms = 1000, EDGE("n4", "healthy")},
	  {.ms = 2000, EDGE("n5", "healthy")}},
	 "n4 node-unreachable edge detect=300 recover=1300 recovered\n"
	 "n5 one-way edge detect=500 recover=2490 recovered\n"},
	{"... until a verdict says that they are one",
	 {{.ms = 0, EDGE("n4", "unreachable"), 300},
	  {.ms = 10, EDGE("n5", "unreachable"), 500},
	  {.ms = 20, EDGE("n3", "lossy"), 10},
	  {.ms = 400, VERDICT("['n4', 'n5']", "complete-partition")},
	  {.ms = 500, ACTION("n5", "done")},
	  {.ms = 600, ACTION("n4", "done")},
	  {.ms = 1000, EDGE("n4", "healthy")},
	  {.ms = 1100, VERDICT("['n4', 'n5']", "healthy")},
	  {.ms = 1200, EDGE("n5", "healthy")},
	  {.ms = 1300, RELEASE("n5")},
	  {.ms = 1400, RELEASE("n4")}},
	 "n4,n5 complete-partition cluster detect=490 isolate=990 recover=1890 recovered\n"
	 "n3 lossy-link edge detect=10 open\n"},
	{"this node is the one that is cut off: what it sees of all others is one incident",
	 {{.ms = 0, EDGE("n2", "unreachable"), 300},
	  {.ms = 10, EDGE("n3", "unreachable"), 310},
	  {.ms = 400, VERDICT("'n1'", "node-isolated")},
	  {.ms = 410, EDGE("n4", "unreachable"), 500},
	  {.ms = 500, ACTION("n1", "done")},
	  {.ms = 1000, EDGE("n2", "healthy")},
	  {.ms = 1010, EDGE("n3", "healthy")},
	  {.ms = 1020, EDGE("n4", "healthy")},
	  {.ms = 1030, VERDICT("'n1'", "healthy")},
	  {.ms = 1040, RELEASE("n1")}},
	 "n1 node-isolated cluster detect=300 isolate=800 recover=1340 recovered\n"},
	{"a failed action isolates nobody; refusals are counted",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 100, REFUSAL},
	  {.ms = 200, REFUSAL},
	  {.ms = 300, ACTION("n3", "failed")},
	  {.ms = 1000, EDGE("n3", "healthy")}},
	 "n3 node-unreachable edge detect=300 recover=1300 recovered\n"},
	{"by hand",
	 {{.ms = 0, REFUSAL}, {.ms = 100, ACTION("n3", "done")}, {.ms = 5000, RELEASE("n3")}},
	 "n3 manual manual isolate=0 recover=4900 recovered\n"},
	{"what belongs to a release may come after it, and isolates nobody",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 100, DONE("n3", "record")},
	  {.ms = 110, DONE("n3", "isolation")},
	  {.ms = 120, DONE("n3", "hook")},
	  {.ms = 1000, EDGE("n3", "healthy")},
	  {.ms = 2000, RELEASE("n3")},
	  {.ms = 2010, DONE("n3", "record")},
	  {.ms = 2020, DONE("n3", "after-heal")}},
	 "n3 node-unreachable edge detect=300 isolate=410 recover=2300 recovered\n"},
	{"what healed while nobody watched",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 5000, "'kind': 'agent', 'event': 'started'"},
	  {.ms = 15000, UNSEEN(EDGE("n3", "healthy"), "1795417967000000000")}},
	 "n3 node-unreachable edge detect=300 recover=15300 unseen=14000 restarts=1 recovered\n"},
	{"the last end was seen",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 10, VERDICT("'n3'", "node-down")},
	  {.ms = 15000, UNSEEN(EDGE("n3", "healthy"), "1795417967000000000")},
	  {.ms = 20000, VERDICT("'n3'", "healthy")}},
	 "n3 node-down cluster detect=300 recover=20300 recovered\n"},
	{"it did not end before it began, nor after its end was found",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 100, UNSEEN(EDGE("n3", "healthy"), "1")},
	  {.ms = 200, EDGE("n3", "unreachable"), 300},
	  {.ms = 300, UNSEEN(EDGE("n3", "healthy"), "1895417967100000000")}},
	 "n3 node-unreachable edge detect=300 recover=400 unseen=400 recovered\n"
	 "n3 node-unreachable edge detect=300 recover=400 unseen=0 recovered\n"},
	{"a node that fenced itself lets itself out",
	 {{.ms = 0, DONE("n1", "fence")}, {.ms = 3000, DONE("n1", "unfence")}},
	 "n1 manual manual isolate=0 recover=3000 recovered\n"},
	{"findings are incidents of their own",
	 {{.ms = 0, FINDING("disk-slow", "sda", "raised"), 15000},
	  {.ms = 10, FINDING("disk-errors", "sda", "raised"), 20},
	  {.ms = 20, FINDING("cpu-overload", "n1", "raised"), 5000},
	  {.ms = 30, EDGE("n3", "unreachable"), 300},
	  {.ms = 40, FINDING("disk-slow", "sda", "raised"), 1},
	  {.ms = 50, FINDING("disk-errors", "sda", "cleared")},
	  {.ms = 60, VERDICT("'n1'", "healthy")},
	  {.ms = 100, FINDING("disk-slow", "sda", "cleared")}},
	 "sda disk-errors finding detect=20 recover=60 recovered\n"
	 "sda disk-slow finding detect=15000 recover=15100 recovered\n"
	 "n1 cpu-overload finding detect=5000 open\n"
	 "n3 node-unreachable edge detect=300 open\n"},
	{"a restart neither loses nor splits it",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 1000, "'kind': 'agent', 'event': 'stopped'"},
	  {.ms = 2000, STARTED},
	  {.ms = 3000, EDGE("n3", "suspect"), 200},
	  {.ms = 3100, EDGE("n3", "unreachable"), 300},
	  {.ms = 3200, STARTED},
	  {.ms = 9000, EDGE("n3", "healthy")}},
	 "n3 node-unreachable edge detect=300 recover=9300 restarts=2 recovered\n"},
	{"nor does a reboot",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 60000, STARTED, 0, 0, "second", 40000},
	  {.ms = 90000, EDGE("n3", "healthy"), 0, 0, "second", 40000}},
	 "n3 node-unreachable edge detect=300 recover=90300 restarts=1 recovered\n"},
	{"a reboot with the clock a day back: at least the new boot's age has passed",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 60000, STARTED, 0, -86400000, "second", 40000},
	  {.ms = 90000, EDGE("n3", "healthy"), 0, -86400000, "second", 40000}},
	 "n3 node-unreachable edge detect=300 recover=50300 restarts=1 recovered\n"},
	{"a reboot with the clock in the year 2255, that none is in: the same",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 60000, STARTED, 0, INT64_C(7200000000000), "second", 40000},
	  {.ms = 90000, EDGE("n3", "healthy"), 0, INT64_C(7200000000000), "second", 40000}},
	 "n3 node-unreachable edge detect=300 recover=50300 restarts=1 recovered\n"},
	{"the clock is set a day back",
	 {{.ms = 0, EDGE("n3", "suspect"), 200},
	  {.ms = 50, EDGE("n3", "unreachable"), 250, -86400000},
	  {.ms = 5000, EDGE("n3", "healthy"), 0, -86400000}},
	 "n3 node-unreachable edge detect=250 recover=5200 recovered\n"},
	{"and forth, between the sign and its record",
	 {{.ms = 0, EDGE("n3", "unreachable"), 86400000 + 300, 86400000},
	  {.ms = 5000, EDGE("n3", "healthy"), 0, 86400000}},
	 "n3 node-unreachable edge detect=0 recover=5000 recovered\n"},
	{"records are missing",
	 {{.ms = 0, EDGE("n3", "unreachable"), 300},
	  {.ms = 50, "'kind': 'lost', 'records': 7"},
	  {.ms = 60, EDGE("n4", "unreachable"), 300},
	  {.ms = 5000, EDGE("n3", "healthy")}},
	 "n3 node-unreachable edge detect=300 recover=5300 lost recovered\n"
	 "n4 node-unreachable edge detect=300 open\n"},
	{"what nobody knows",
	 {{.ms = 0, "'kind': 'new', 'subject': 'n3'"},
	  {.ms = 1, "'kind': 7"},
	  {.ms = 2, "'peer': 'n3'"},
	  {.ms = 3, "'kind': 'edge', 'to': 'unreachable'"},
	  {.ms = 4, EDGE("n3", "unheard-of")},
	  {.ms = 5, "'kind': 'verdict', 'subject': [], 'class': 'node-down'"},
	  {.ms = 6, "'kind': 'verdict', 'subject': {}, 'class': 'node-down'"},
	  {.ms = 7, RELEASE("n3")},
	  {.ms = 8, EDGE("n3", "healthy")},
	  {.ms = 9, "'kind': 'finding', 'finding': 'x', 'subject': '', 'state': 'raised'"}},
	 ""},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t count = 0;
		struct outcome *outcome;

		while (count < 16 && cases[i].events[count].fields)
			count++;
		outcome = take_all(cases[i].events, count);
		if (strcmp(outcome->buffer, cases[i].expected) != 0)
			fail_msg("%s:\n%sexpected:\n%s", cases[i].what, outcome->buffer,
				 cases[i].expected);
		discard(outcome);
	}
}

static const struct event sample[] = {
	{.ms = 0, EDGE("n3", "suspect"), 168},
	{.ms = 100, EDGE("n3", "unreachable"), 268},
	{.ms = 400,
	 VERDICT("'n3'", "node-isolated") ", 'witnesses': ['n1', 'n2'], 'minority': ['n3']"},
	{.ms = 410,
	 "'kind': 'decision', 'subject': 'n3', 'acts': true, 'sentence': '2 of 3 agree'"},
	{.ms = 420, REFUSAL},
	{.ms = 430, REFUSAL},
	{.ms = 900, ACTION("n3", "done")},
	{.ms = 1000, EDGE("n4", "suspect"), 10},
	{.ms = 1010, EDGE("n4", "healthy")},
	{.ms = 2000, STARTED},
	{.ms = 9000, EDGE("n3", "healthy")},
	{.ms = 9500, VERDICT("'n3'", "healthy")},
	{.ms = 40000, RELEASE("n3")},
	{.ms = 50000, EDGE("n5", "lossy") ", 'evidence': '4.5 % lost\\u001b[2J'", 32},
	{.ms = 50001, "'kind': 'lost', 'records': 3"},
};

static void test_totals(void **state)
{
	struct outcome *outcome = take_all(sample, sizeof(sample) / sizeof(*sample));
	struct incident_totals totals;

	(void)state;
	incidents_totals(outcome->incidents, false, &totals);
	assert_int_equal(totals.class_count, 2);
	assert_string_equal(totals.classes[0].name, "node-isolated");
	assert_int_equal(totals.classes[0].closed, 1);
	assert_int_equal(totals.classes[0].open, 0);
	assert_int_equal(totals.classes[0].detect.count, 1);
	assert_int_equal(totals.classes[0].detect.sum_ns, 268 * NS_PER_MS);
	assert_int_equal(totals.classes[0].isolate.sum_ns, 1068 * NS_PER_MS);
	assert_int_equal(totals.classes[0].recover.sum_ns, 40168 * NS_PER_MS);
	assert_string_equal(totals.classes[1].name, "lossy-link");
	assert_int_equal(totals.classes[1].closed, 0);
	assert_int_equal(totals.classes[1].open, 1);
	assert_int_equal(totals.classes[1].detect.count, 0);
	assert_int_equal(totals.records, sizeof(sample) / sizeof(*sample));
	assert_int_equal(totals.suspicions, 1);
	assert_int_equal(totals.lost_records, 3);
	assert_int_equal(totals.dropped, 0);
	incidents_totals(outcome->incidents, true, &totals);
	assert_int_equal(totals.classes[1].open, 1);
	assert_int_equal(totals.classes[1].detect.count, 1);
	assert_int_equal(totals.classes[1].detect.sum_ns, 32 * NS_PER_MS);
	discard(outcome);
}

/* More classes than there are rows: the last row takes the rest. */
static void test_many_classes(void **state)
{
	struct incidents *incidents = incidents_new(NULL, NULL);
	struct incident_totals totals;
	uint64_t sum = 0;

	(void)state;
	assert_non_null(incidents);
	for (int i = 0; i < 100; i++) {
		char raised[128], cleared[128];
		const struct event events[] = {{.ms = 10 * i, raised}, {.ms = 10 * i + 5, cleared}};

		snprintf(raised, sizeof(raised), FINDING("f%d", "sda", "raised"), i);
		snprintf(cleared, sizeof(cleared), FINDING("f%d", "sda", "cleared"), i);
		for (size_t j = 0; j < 2; j++) {
			json_t *record = make_record(&events[j]);

			assert_int_equal(incidents_take(incidents, record), 0);
			json_decref(record);
		}
	}
	incidents_totals(incidents, false, &totals);
	assert_int_equal(totals.class_count, INCIDENT_CLASSES_MAX);
	assert_string_equal(totals.classes[INCIDENT_CLASSES_MAX - 1].name, "other");
	for (size_t i = 0; i < totals.class_count; i++)
		sum += totals.classes[i].closed;
	assert_int_equal(sum, 100);
	assert_int_equal(totals.classes[INCIDENT_CLASSES_MAX - 1].closed,
			 100 - (INCIDENT_CLASSES_MAX - 1));
	incidents_free(incidents);
}

/* What an agent that was restarted has to tell the journal. */
static void test_waits_for(void **state)
{
	const struct event events[] = {
		{.ms = 0, EDGE("n3", "unreachable"), 300},
		{.ms = 100, VERDICT("'n3'", "node-down")},
		{.ms = 200, ACTION("n3", "done")},
		{.ms = 300, EDGE("n4", "suspect"), 10},
		{.ms = 400, EDGE("n3", "healthy")},
		{.ms = 500, FINDING("disk-slow", "n5", "raised")},
	};
	struct outcome *outcome = take_all(events, sizeof(events) / sizeof(*events));

	(void)state;
	assert_int_equal(incidents_waits_for(outcome->incidents, "n3"),
			 INCIDENT_WAITS_FOR_VERDICT | INCIDENT_WAITS_FOR_RELEASE);
	assert_int_equal(incidents_waits_for(outcome->incidents, "n4"), INCIDENT_WAITS_FOR_EDGE);
	assert_int_equal(incidents_waits_for(outcome->incidents, "n5"), 0);
	assert_int_equal(incidents_waits_for(outcome->incidents, "n1"), 0);
	discard(outcome);
}

static void test_table(void **state)
{
	static const char expected[] =
		"FIRST EVIDENCE            SUBJECT  CLASS          DETECT  ISOLATE  RECOVER  "
		"STATE\n"
		"2026-11-23T07:12:45.832Z  n3       node-isolated   268ms     1.0s    40.1s  "
		"recovered\n"
		"    so it is\n"
		"    decided to act: 2 of 3 agree\n"
		"    refused by freeze, 2 times: half is bad\n"
		"    fence done: nft\n"
		"    the agent was restarted 1 time meanwhile\n"
		"2026-11-23T07:13:35.968Z  n5       lossy-link       32ms        -        -  "
		"open\n"
		"    4.5 % lost?[2J\n"
		"    records were lost meanwhile: something may be missing here\n"
		"2 incidents, 1 open; mean time (of how many) to detect 150ms (2), to isolate 1.0s "
		"(1), to recover 40.1s (1)\n"
		"by class: node-isolated 1, lossy-link 1\n"
		"1 suspicion went away by itself\n"
		"3 records were lost for want of room: incidents may be missing\n";
	struct outcome *outcome = take_all(sample, sizeof(sample) / sizeof(*sample));
	const struct incident *all[] = {outcome->closed[0],
					incidents_open_at(outcome->incidents, 0)};
	struct incident_totals totals;
	char *written = NULL;
	size_t size;
	FILE *stream = open_memstream(&written, &size);

	(void)state;
	assert_non_null(stream);
	incidents_print_table(stream, all, 2);
	incidents_totals(outcome->incidents, true, &totals);
	incident_totals_print(stream, &totals);
	assert_int_equal(fclose(stream), 0);
	assert_string_equal(written, expected);
	free(written);
	discard(outcome);
}

static void expect_json(json_t *json, const char *expected)
{
	char *written = json_dumps(json, JSON_COMPACT), *copy = strdup(expected);

	assert_non_null(written);
	assert_non_null(copy);
	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	assert_string_equal(written, copy);
	free(written);
	free(copy);
	json_decref(json);
}

static void test_json(void **state)
{
	struct outcome *outcome = take_all(sample, sizeof(sample) / sizeof(*sample));
	struct incident_totals totals;

	(void)state;
	incidents_totals(outcome->incidents, true, &totals);
	json_object_del(outcome->closed[0]->decision, "boot_id");
	expect_json(incident_json(outcome->closed[0]),
		    "{'kind':'incident','subject':['n3'],'class':'node-isolated','by':'cluster',"
		    "'state':'recovered','first_evidence':'2026-11-23T07:12:45.832Z',"
		    "'first_evidence_ns':1795417965832000000,'detect_ns':268000000,"
		    "'isolate_ns':1068000000,'recover_ns':40168000000,'sentence':'so it is',"
		    "'witnesses':['n1','n2'],'minority':['n3'],"
		    "'decision':{'kind':'decision','subject':'n3','acts':true,"
		    "'sentence':'2 of 3 agree','node':'n1','time_ns':1795417966410000000,"
		    "'boottime_ns':3600410000000},"
		    "'refusals':[{'rule':'freeze','sentence':'half is bad','count':2}],"
		    "'actions':[{'action':'fence','outcome':'done','detail':'nft'}],"
		    "'agent_restarts':1,'unseen_ns':0,'records_lost':false}");
	expect_json(incident_json(incidents_open_at(outcome->incidents, 0)),
		    "{'kind':'incident','subject':['n5'],'class':'lossy-link','by':'edge',"
		    "'state':'open','first_evidence':'2026-11-23T07:13:35.968Z',"
		    "'first_evidence_ns':1795418015968000000,'detect_ns':32000000,"
		    "'isolate_ns':null,'recover_ns':null,'sentence':'4.5 % lost\\u001B[2J',"
		    "'witnesses':null,'minority':null,'decision':null,'refusals':[],'actions':[],"
		    "'agent_restarts':0,'unseen_ns':0,'records_lost':true}");
	expect_json(incident_totals_json(&totals),
		    "{'kind':'totals','incidents':2,'open':1,"
		    "'detect':{'count':2,'sum_ns':300000000,'mean_ns':150000000},"
		    "'isolate':{'count':1,'sum_ns':1068000000,'mean_ns':1068000000},"
		    "'recover':{'count':1,'sum_ns':40168000000,'mean_ns':40168000000},"
		    "'suspicions':1,'lost_records':3,'classes':{"
		    "'node-isolated':{'incidents':1,'open':0,"
		    "'detect':{'count':1,'sum_ns':268000000,'mean_ns':268000000},"
		    "'isolate':{'count':1,'sum_ns':1068000000,'mean_ns':1068000000},"
		    "'recover':{'count':1,'sum_ns':40168000000,'mean_ns':40168000000}},"
		    "'lossy-link':{'incidents':1,'open':1,"
		    "'detect':{'count':1,'sum_ns':32000000,'mean_ns':32000000},"
		    "'isolate':{'count':0,'sum_ns':0,'mean_ns':null},"
		    "'recover':{'count':0,'sum_ns':0,'mean_ns':null}}}}");
	discard(outcome);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),	     cmocka_unit_test(test_totals),
		cmocka_unit_test(test_many_classes), cmocka_unit_test(test_waits_for),
		cmocka_unit_test(test_table),	     cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests_name("incidents", tests, NULL, NULL);
}
