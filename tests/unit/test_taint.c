// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/taint.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Nodes, written with ' for ". */
#define OTHERS	    "{'key':'node.kubernetes.io/unreachable','effect':'NoExecute','timeAdded':'x'}"
#define OURS	    "{'key':'tocsin.dev/isolated','value':'node-unreachable','effect':'NoSchedule'}"
#define EVICTS	    "{'key':'tocsin.dev/isolated','value':'node-unreachable','effect':'NoExecute'}"
#define ADDED(list) "'annotations':{'tocsin.dev/isolated-added':" list "}"

static json_t *parse(const char *text)
{
	char buffer[2048];
	json_t *root;

	assert_true(strlen(text) < sizeof(buffer));
	strcpy(buffer, text);
	for (char *c = buffer; *c; c++)
		if (*c == '\'')
			*c = '"';
	root = json_loads(buffer, JSON_DECODE_ANY, NULL);
	if (!root)
		fail_msg("no JSON: %s", buffer);
	return root;
}

static const struct {
	const char *node;
	unsigned int parts;
	const char *patch; /* NULL: nothing is to be done */
	int error;
} cases[] = {
	/* Nothing wanted, nothing there. */
	{"{'metadata':{'resourceVersion':'7'},'spec':{}}", 0, NULL, 0},
	{"{'metadata':{'resourceVersion':'7'},'spec':{'taints':[" OTHERS "],'unschedulable':true}}",
	 0, NULL, 0},
	/* The first part, beside another's taint. */
	{"{'metadata':{'resourceVersion':'7'},'spec':{'taints':[" OTHERS "]}}", TAINT_NO_SCHEDULE,
	 "{'metadata':{'resourceVersion':'7'," ADDED("'NoSchedule'") "},"
								     "'spec':{'taints':[" OTHERS
								     "," OURS "]}}",
	 0},
	{"{'metadata':{'resourceVersion':'7'},'spec':{}}", TAINT_NO_SCHEDULE | TAINT_CORDON,
	 "{'metadata':{'resourceVersion':'7'," ADDED(
		 "'NoSchedule,cordon'") "},"
					"'spec':{'taints':[" OURS "],'unschedulable':true}}",
	 0},
	/* The next one comes when it is proven. */
	{"{'metadata':{'resourceVersion':'8'," ADDED("'NoSchedule'") "},'spec':{'taints':[" OURS
								     "]}}",
	 TAINT_NO_SCHEDULE | TAINT_NO_EXECUTE,
	 "{'metadata':{'resourceVersion':'8'," ADDED(
		 "'NoSchedule,NoExecute'") "},"
					   "'spec':{'taints':[" OURS "," EVICTS "]}}",
	 0},
	/* It is so already. */
	{"{'metadata':{'resourceVersion':'8'," ADDED("'NoSchedule'") "},'spec':{'taints':[" OURS
								     "]}}",
	 TAINT_NO_SCHEDULE, NULL, 0},
	/* Somebody else has cordoned it, or tainted it so: not remembered, and not removed. */
	{"{'metadata':{'resourceVersion':'7'},'spec':{'unschedulable':true}}",
	 TAINT_NO_SCHEDULE | TAINT_CORDON,
	 "{'metadata':{'resourceVersion':'7'," ADDED("'NoSchedule'") "},"
								     "'spec':{'taints':[" OURS
								     "]}}",
	 0},
	{"{'metadata':{'resourceVersion':'7'},'spec':{'taints':[" OURS "]}}", TAINT_NO_SCHEDULE,
	 NULL, 0},
	{"{'metadata':{'resourceVersion':'7'},'spec':{'taints':[" OURS "]}}", 0, NULL, 0},
	{"{'metadata':{'resourceVersion':'9'," ADDED(
		 "'NoSchedule'") "},"
				 "'spec':{'taints':[" OTHERS "," OURS "],'unschedulable':true}}",
	 0, "{'metadata':{'resourceVersion':'9'," ADDED("null") "},'spec':{'taints':[" OTHERS "]}}",
	 0},
	/* All of it is removed, and only what was added. */
	{"{'metadata':{'resourceVersion':'9'," ADDED(
		 "'NoSchedule,NoExecute,cordon'") "},"
						  "'spec':{'taints':[" OURS "," OTHERS "," EVICTS
						  "],'unschedulable':true}}",
	 0,
	 "{'metadata':{'resourceVersion':'9'," ADDED("null") "},"
							     "'spec':{'taints':[" OTHERS
							     "],'unschedulable':null}}",
	 0},
	/* Somebody has taken it away: that is only forgotten, and the next cordon is a person's. */
	{"{'metadata':{'resourceVersion':'9'," ADDED("'NoSchedule,cordon'") "},'spec':{}}", 0,
	 "{'metadata':{'resourceVersion':'9'," ADDED("null") "},'spec':{}}", 0},
	/* It is wanted still: added again. */
	{"{'metadata':{'resourceVersion':'9'," ADDED("'NoSchedule'") "},'spec':{}}",
	 TAINT_NO_SCHEDULE,
	 "{'metadata':{'resourceVersion':'9'," ADDED("'NoSchedule'") "},"
								     "'spec':{'taints':[" OURS
								     "]}}",
	 0},
	/* Paused: neither added nor removed; where there is nothing to do, it does not matter. */
	{"{'metadata':{'resourceVersion':'7','annotations':{'tocsin.dev/pause':''}},'spec':{}}",
	 TAINT_NO_SCHEDULE, NULL, -EPERM},
	{"{'metadata':{'resourceVersion':'7','annotations':{'tocsin.dev/pause':'true',"
	 "'tocsin.dev/isolated-added':'NoSchedule'}},'spec':{'taints':[" OURS "]}}",
	 0, NULL, -EPERM},
	{"{'metadata':{'resourceVersion':'7','annotations':{'tocsin.dev/pause':'true'}},'spec':{}}",
	 0, NULL, 0},
	{"{'metadata':{'resourceVersion':'7','annotations':{'tocsin.dev/"
	 "pause':'false'}},'spec':{}}",
	 TAINT_NO_SCHEDULE,
	 "{'metadata':{'resourceVersion':'7'," ADDED("'NoSchedule'") "},"
								     "'spec':{'taints':[" OURS
								     "]}}",
	 0},
	/* Whatever a person may have written there. */
	{"{'metadata':{'resourceVersion':'7'," ADDED("'no-such,,NoScheduleX'") "},'spec':{}}", 0,
	 NULL, 0},
	{"{'metadata':{'resourceVersion':'7','annotations':[]},'spec':{'taints':{}}}", 0, NULL, 0},
	{"{}", 0, NULL, 0},
};

static void test_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct taint_wish wish = {.key = TAINT_ISOLATED,
						.value = "node-unreachable",
						.parts = cases[i].parts};
		json_t *node = parse(cases[i].node), *patch = NULL;
		json_t *expected = cases[i].patch ? parse(cases[i].patch) : NULL;
		int r = taint_plan(node, &wish, &patch);

		if (r != cases[i].error)
			fail_msg("case %zu: %d, expected %d", i, r, cases[i].error);
		if (!patch != !expected || (patch && !json_equal(patch, expected)))
			fail_msg("case %zu: %s, expected %s", i,
				 patch ? json_dumps(patch, JSON_COMPACT) : "nothing",
				 cases[i].patch ?: "nothing");
		json_decref(expected);
		json_decref(patch);
		json_decref(node);
	}
}

/* The other key has a memory of its own. */
static void test_keys_apart(void **state)
{
	const struct taint_wish wish = {TAINT_UNHEALTHY, "disk-stalled", TAINT_NO_SCHEDULE};
	json_t *node = parse("{'metadata':{'resourceVersion':'8'," ADDED(
		"'NoSchedule'") "},"
				"'spec':{'taints':[" OURS "]}}");
	json_t *expected = parse(
		"{'metadata':{'resourceVersion':'8','annotations':{'tocsin.dev/unhealthy-added':"
		"'NoSchedule'}},'spec':{'taints':[" OURS ",{'key':'tocsin.dev/unhealthy',"
		"'value':'disk-stalled','effect':'NoSchedule'}]}}");
	json_t *patch;

	(void)state;
	assert_int_equal(taint_added(node, TAINT_ISOLATED), TAINT_NO_SCHEDULE);
	assert_int_equal(taint_added(node, TAINT_UNHEALTHY), 0);
	assert_int_equal(taint_plan(node, &wish, &patch), 0);
	assert_true(json_equal(patch, expected));
	json_decref(patch);
	json_decref(expected);
	json_decref(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_keys_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
