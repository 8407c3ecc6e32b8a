// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/condition.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW_NS (1795732454 * NS_PER_S + 1) /* 2026-11-26T22:34:14Z */
#define NOW    "2026-11-26T22:34:14Z"
#define BEFORE "2026-11-26T22:34:00Z"
#define PAST   "2026-11-26T22:29:13Z" /* more than five minutes ago */

static json_t *parse(const char *text)
{
	json_t *root = json_loads(text, 0, NULL);

	if (!root)
		fail_msg("no JSON: %s", text);
	return root;
}

static const struct {
	const char *conditions; /* of the Node */
	bool mine, holds;
	const char *patch; /* its list; NULL: nothing is to be done */
	bool turns;
} cases[] = {
	/* Not this agent's. */
	{"[]", false, true, NULL, false},
	/* The first word of it, which is no news when all is well. */
	{"[]", true, false,
	 "[{\"type\":\"DiskSlow\",\"status\":\"False\",\"reason\":\"DisksAreAsUsual\","
	 "\"message\":\"no disk is slower than usual\",\"lastHeartbeatTime\":\"" NOW
	 "\",\"lastTransitionTime\":\"" NOW "\"}]",
	 false},
	{"[{\"type\":\"Ready\",\"status\":\"True\"}]", true, true,
	 "[{\"type\":\"DiskSlow\",\"status\":\"True\",\"reason\":\"DiskSlow\","
	 "\"message\":\"sda is slow\",\"lastHeartbeatTime\":\"" NOW
	 "\",\"lastTransitionTime\":\"" NOW "\"}]",
	 true},
	/* As it should be, and young. */
	{"[{\"type\":\"DiskSlow\",\"status\":\"True\",\"reason\":\"DiskSlow\","
	 "\"lastHeartbeatTime\":\"" BEFORE "\",\"lastTransitionTime\":\"" BEFORE "\"}]",
	 true, true, NULL, false},
	/* And old: it is written again, and has not turned. */
	{"[{\"type\":\"DiskSlow\",\"status\":\"True\",\"reason\":\"DiskSlow\","
	 "\"lastHeartbeatTime\":\"" PAST "\",\"lastTransitionTime\":\"" PAST "\"}]",
	 true, true,
	 "[{\"type\":\"DiskSlow\",\"status\":\"True\",\"reason\":\"DiskSlow\","
	 "\"message\":\"sda is slow\",\"lastHeartbeatTime\":\"" NOW
	 "\",\"lastTransitionTime\":\"" PAST "\"}]",
	 false},
	/* Cleared, also what an agent before this one wrote. */
	{"[{\"type\":\"DiskSlow\",\"status\":\"True\",\"reason\":\"DiskSlow\","
	 "\"lastHeartbeatTime\":\"" BEFORE "\",\"lastTransitionTime\":\"" PAST "\"}]",
	 true, false,
	 "[{\"type\":\"DiskSlow\",\"status\":\"False\",\"reason\":\"DisksAreAsUsual\","
	 "\"message\":\"no disk is slower than usual\",\"lastHeartbeatTime\":\"" NOW
	 "\",\"lastTransitionTime\":\"" NOW "\"}]",
	 true},
	/* Times that are none, or of the future. */
	{"[{\"type\":\"DiskSlow\",\"status\":\"True\",\"reason\":\"DiskSlow\","
	 "\"lastHeartbeatTime\":\"soon\"}]",
	 true, true,
	 "[{\"type\":\"DiskSlow\",\"status\":\"True\",\"reason\":\"DiskSlow\","
	 "\"message\":\"sda is slow\",\"lastHeartbeatTime\":\"" NOW
	 "\",\"lastTransitionTime\":\"" NOW "\"}]",
	 false},
	{"[{\"type\":\"DiskSlow\",\"status\":\"True\",\"reason\":\"DiskSlow\","
	 "\"lastHeartbeatTime\":\"2126-11-26T22:34:14Z\",\"lastTransitionTime\":\"" PAST "\"}]",
	 true, true,
	 "[{\"type\":\"DiskSlow\",\"status\":\"True\",\"reason\":\"DiskSlow\","
	 "\"message\":\"sda is slow\",\"lastHeartbeatTime\":\"" NOW
	 "\",\"lastTransitionTime\":\"" PAST "\"}]",
	 false},
};

static void test_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct condition_wish wishes[CONDITION_KINDS] = {
			[CONDITION_DISK_SLOW] = {.mine = cases[i].mine, .holds = cases[i].holds}};
		json_t *conditions = parse(cases[i].conditions);
		json_t *node = json_pack("{s{sO}}", "status", "conditions", conditions), *patch;
		json_t *expected = cases[i].patch ? parse(cases[i].patch) : NULL, *found;
		unsigned int changed;

		condition_reason("disk-slow", wishes[CONDITION_DISK_SLOW].reason);
		strcpy(wishes[CONDITION_DISK_SLOW].message, "sda is slow");
		assert_int_equal(condition_plan(node, wishes, NOW_NS, &patch, &changed), 0);
		found = json_object_get(json_object_get(patch, "status"), "conditions");
		if (!found != !expected || (found && !json_equal(found, expected)))
			fail_msg("case %zu: %s, expected %s", i,
				 found ? json_dumps(found, JSON_COMPACT) : "nothing",
				 cases[i].patch ?: "nothing");
		assert_int_equal(changed, cases[i].turns ? 1U << CONDITION_DISK_SLOW : 0);
		json_decref(expected);
		json_decref(patch);
		json_decref(node);
		json_decref(conditions);
	}
}

/* What is young is written with what is old, and neither turns. */
static void test_grow_old_together(void **state)
{
	static const char *const times[][2] = {
		{PAST, BEFORE}, {BEFORE, PAST}, {PAST, PAST}, {BEFORE, BEFORE}};
	const struct condition_wish wishes[CONDITION_KINDS] = {
		[CONDITION_DISK_STALLED] = {.mine = true}, [CONDITION_DISK_SLOW] = {.mine = true}};

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		json_t *node = json_pack("{s{s[{ss ss ss ss ss}{ss ss ss ss ss}]}}", "status",
					 "conditions", "type", "DiskStalled", "status", "False",
					 "reason", "DisksAnswer", "lastHeartbeatTime", times[i][0],
					 "lastTransitionTime", PAST, "type", "DiskSlow", "status",
					 "False", "reason", "DisksAreAsUsual", "lastHeartbeatTime",
					 times[i][1], "lastTransitionTime", PAST);
		const json_t *list, *condition;
		unsigned int changed;
		json_t *patch;
		size_t at;

		assert_int_equal(condition_plan(node, wishes, NOW_NS, &patch, &changed), 0);
		list = json_object_get(json_object_get(patch, "status"), "conditions");
		assert_int_equal(json_array_size(list), i < 3 ? 2 : 0);
		assert_int_equal(changed, 0);
		json_array_foreach(list, at, condition)
		{
			assert_string_equal(
				json_string_value(json_object_get(condition, "lastHeartbeatTime")),
				NOW);
			assert_string_equal(
				json_string_value(json_object_get(condition, "lastTransitionTime")),
				PAST);
		}
		json_decref(patch);
		json_decref(node);
	}
}

/* Each kind has words for a Node on which all is well. */
static void test_words_of_all_kinds(void **state)
{
	static const char *const words[CONDITION_KINDS] = {
		[CONDITION_NETWORK_PARTITIONED] = "no cut of the network concerns this node",
		[CONDITION_NETWORK_DEGRADED] = "no link of this node loses packets",
		[CONDITION_DISK_STALLED] = "no disk holds its I/O back",
		[CONDITION_DISK_SLOW] = "no disk is slower than usual",
		[CONDITION_OVERLOADED] = "the node keeps up with its work",
	};

	(void)state;
	for (unsigned int kind = CONDITION_NONE + 1; kind < CONDITION_KINDS; kind++)
		assert_string_equal(condition_good_message(kind), words[kind]);
}

static void test_reasons(void **state)
{
	static const char *const names[][2] = {
		{"node-unreachable", "NodeUnreachable"},
		{"disk", "Disk"},
		{"-a--b-", "AB"},
		{"", ""},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	};
	char reason[64];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		condition_reason(names[i][0], reason);
		assert_string_equal(reason, names[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_grow_old_together),
		cmocka_unit_test(test_words_of_all_kinds),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
