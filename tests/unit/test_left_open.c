// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What an earlier agent left open: what may be said of it, and when that ends it. */
#include "report/left_open.h"

#include "base/clock.h"
#include "report/journal_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOOKS_MAX 8
/* 2026-11-26T13:00:00Z */
#define LAST_TIME_NS (UINT64_C(1795698000) * NS_PER_S)

struct look {
	enum left_word word;
	uint64_t s;
	enum left_end end;
};

static const struct {
	const char *name;
	enum left_kind kind;
	const char *class;
	enum edge_state edge_state;
	struct look looks[LOOKS_MAX]; /* up to the first that does not stay */
} cases[] = {
	{"an edge that is well for 10 s",
	 LEFT_EDGE,
	 "node-unreachable",
	 EDGE_UNREACHABLE,
	 {{LEFT_WELL, 100, LEFT_STAYS},
	  {LEFT_WELL, 109, LEFT_STAYS},
	  {LEFT_WELL, 110, LEFT_ENDED}}},
	{"an edge that is bad ends in the journal by itself",
	 LEFT_EDGE,
	 "one-way",
	 EDGE_EGRESS_CUT,
	 {{LEFT_WELL, 100, LEFT_STAYS}, {LEFT_BAD, 105, LEFT_DROPPED}}},
	{"what is not known begins anew",
	 LEFT_EDGE,
	 "node-unreachable",
	 EDGE_UNREACHABLE,
	 {{LEFT_UNKNOWN, 1, LEFT_STAYS},
	  {LEFT_UNKNOWN, 1000, LEFT_STAYS},
	  {LEFT_WELL, 1001, LEFT_STAYS},
	  {LEFT_UNKNOWN, 1010, LEFT_STAYS},
	  {LEFT_WELL, 1012, LEFT_STAYS},
	  {LEFT_WELL, 1021, LEFT_STAYS},
	  {LEFT_WELL, 1022, LEFT_ENDED}}},
	{"loss takes longer to show",
	 LEFT_EDGE,
	 "node-unreachable",
	 EDGE_LOSSY,
	 {{LEFT_WELL, 1, LEFT_STAYS}, {LEFT_WELL, 60, LEFT_STAYS}, {LEFT_WELL, 61, LEFT_ENDED}}},
	{"a suspicion",
	 LEFT_EDGE,
	 "",
	 EDGE_SUSPECT,
	 {{LEFT_WELL, 1, LEFT_STAYS}, {LEFT_WELL, 11, LEFT_ENDED}}},
	{"a peer that is no more",
	 LEFT_EDGE,
	 "node-unreachable",
	 EDGE_UNREACHABLE,
	 {{LEFT_GONE, 1, LEFT_STAYS}, {LEFT_GONE, 60, LEFT_STAYS}, {LEFT_GONE, 61, LEFT_ENDED}}},
	{"a peer that comes late is not gone",
	 LEFT_EDGE,
	 "node-unreachable",
	 EDGE_UNREACHABLE,
	 {{LEFT_GONE, 1, LEFT_STAYS},
	  {LEFT_WELL, 59, LEFT_STAYS},
	  {LEFT_WELL, 61, LEFT_STAYS},
	  {LEFT_WELL, 69, LEFT_ENDED}}},
	{"a verdict",
	 LEFT_VERDICT,
	 "complete-partition",
	 EDGE_HEALTHY,
	 {{LEFT_WELL, 1, LEFT_STAYS}, {LEFT_WELL, 10, LEFT_STAYS}, {LEFT_WELL, 11, LEFT_ENDED}}},
	{"a verdict of loss",
	 LEFT_VERDICT,
	 "lossy-link",
	 EDGE_HEALTHY,
	 {{LEFT_WELL, 1, LEFT_STAYS}, {LEFT_WELL, 60, LEFT_STAYS}, {LEFT_WELL, 61, LEFT_ENDED}}},
	{"an isolation is over by the store's word",
	 LEFT_ISOLATION,
	 "lossy-link",
	 EDGE_HEALTHY,
	 {{LEFT_UNKNOWN, 1, LEFT_STAYS}, {LEFT_WELL, 2, LEFT_ENDED}}},
	{"an isolation of one who is gone",
	 LEFT_ISOLATION,
	 "manual",
	 EDGE_HEALTHY,
	 {{LEFT_GONE, 1, LEFT_STAYS}, {LEFT_GONE, 61, LEFT_ENDED}}},
	{"a finding",
	 LEFT_FINDING,
	 "disk-slow",
	 EDGE_HEALTHY,
	 {{LEFT_WELL, 1, LEFT_STAYS}, {LEFT_WELL, 60, LEFT_STAYS}, {LEFT_WELL, 61, LEFT_ENDED}}},
};

static void test_judge(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct left left = {.kind = cases[i].kind, .edge_state = cases[i].edge_state};

		incident_copy_name(left.class, cases[i].class);
		for (size_t j = 0; cases[i].looks[j].s; j++) {
			const struct look *look = &cases[i].looks[j];

			if (left_judge(&left, look->word, look->s * NS_PER_S) != look->end)
				fail_msg("%s: look %zu", cases[i].name, j);
		}
	}
}

/* Takes in a record as if it were read, each a second after the last. */
static void take(struct incidents *incidents, json_t *record)
{
	static unsigned int seconds;

	seconds++;
	assert_non_null(record);
	json_object_set_new(record, "node", json_string("n1"));
	json_object_set_new(record, "boot_id", json_string("first"));
	json_object_set_new(record, "time_ns",
			    json_integer((json_int_t)(LAST_TIME_NS + seconds * NS_PER_S)));
	json_object_set_new(record, "boottime_ns", json_integer(seconds * NS_PER_S));
	assert_int_equal(incidents_take(incidents, record), 0);
	json_decref(record);
}

static struct incidents *make_incidents(void)
{
	static const char *const n3[] = {"n3"};
	struct incidents *incidents = incidents_new(NULL, NULL);

	assert_non_null(incidents);
	take(incidents, journal_edge("n2", EDGE_HEALTHY, EDGE_LOSSY, "4 % lost", 0));
	take(incidents, journal_edge("n4", EDGE_HEALTHY, EDGE_SUSPECT, "silent", 0));
	take(incidents, journal_edge("n3", EDGE_HEALTHY, EDGE_UNREACHABLE, "silent", 0));
	take(incidents, journal_verdict(&(struct journal_verdict){.subject = {n3, 1},
								  .class = "node-isolated"}));
	take(incidents, journal_action("n3", JOURNAL_ISOLATION, JOURNAL_DONE, "so it is"));
	take(incidents, journal_finding("disk-slow", "sda", true, "slow", 0));
	return incidents;
}

/* What each of them records ends what it stands for, and nothing else. */
static void test_records(void **state)
{
	struct incidents *incidents = make_incidents();
	struct left_open *left = calloc(1, sizeof(*left));
	struct incident_totals totals;

	(void)state;
	assert_non_null(left);
	left_open_add(left, incidents);
	assert_int_equal(left->count, 6);
	assert_int_equal(left->left_out, 0);
	for (size_t i = 0; i < left->count; i++)
		assert_true(left_is_open(&left->list[i], incidents));
	for (size_t i = 0; i < left->count; i++) {
		take(incidents, left_record(&left->list[i], "it is over", LAST_TIME_NS));
		for (size_t j = 0; j < left->count; j++)
			if (left_is_open(&left->list[j], incidents) != (j > i))
				fail_msg("the end of %zu does not fit for %zu", i, j);
	}
	assert_null(incidents_open_at(incidents, 0));
	incidents_totals(incidents, true, &totals);
	assert_int_equal(totals.class_count, 3);
	for (size_t i = 0; i < totals.class_count; i++) {
		assert_int_equal(totals.classes[i].closed, 1);
		assert_int_equal(totals.classes[i].detect.count, 1);
		/* Nobody knows how long it took. */
		assert_int_equal(totals.classes[i].recover.count, 0);
	}
	assert_int_equal(totals.suspicions, 1);
	incidents_reset_totals(incidents);
	incidents_totals(incidents, true, &totals);
	assert_int_equal(totals.class_count, 0);
	free(left);
	incidents_free(incidents);
}

static void test_explain(void **state)
{
	static const struct {
		enum left_kind kind;
		enum left_word word;
		const char *sentence;
	} sentences[] = {
		{LEFT_EDGE, LEFT_WELL,
		 "recovered while the agent was away, some time after 2026-11-26T13:00:00.000Z: "
		 "heard and healthy for the last 12 s"},
		{LEFT_VERDICT, LEFT_GONE,
		 "went out of sight while the agent was away, some time after "
		 "2026-11-26T13:00:00.000Z: no member of the cluster for the last 12 s"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sentences) / sizeof(*sentences); i++) {
		const struct left left = {
			.kind = sentences[i].kind, .word = sentences[i].word, .since_ns = NS_PER_S};
		char buffer[256] = "";
		struct text text = TEXT(buffer);

		left_explain(&left, LAST_TIME_NS, 13 * NS_PER_S, &text);
		assert_string_equal(buffer, sentences[i].sentence);
	}
}

static void test_too_many(void **state)
{
	struct incidents *incidents = incidents_new(NULL, NULL);
	struct left_open *left = calloc(1, sizeof(*left));

	(void)state;
	assert_non_null(incidents);
	assert_non_null(left);
	for (unsigned int i = 0; i < LEFT_OPEN_MAX + 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		take(incidents, journal_edge(name, EDGE_HEALTHY, EDGE_UNREACHABLE, "silent", 0));
	}
	left_open_add(left, incidents);
	assert_int_equal(left->count, LEFT_OPEN_MAX);
	assert_int_equal(left->left_out, 3);
	free(left);
	incidents_free(incidents);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests_name("left open", tests, NULL, NULL);
}
