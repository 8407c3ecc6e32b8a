// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/node_wish.h"

#include "unit/cluster_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_NS	(5000 * CLUSTER_MS)
#define MEMBER	1U
#define MEMBERS 3U

static void add(struct findings *findings, enum finding_kind kind, const char *subject,
		const char *sentence)
{
	struct finding *finding = &findings->standing[findings->count++];

	finding->kind = kind;
	snprintf(finding->subject, sizeof(finding->subject), "%s", subject);
	snprintf(finding->sentence, sizeof(finding->sentence), "%s", sentence);
}

/* Which conditions hold, as bits. */
static unsigned int held(const struct node_wish *wish)
{
	unsigned int bits = 0;

	for (unsigned int kind = CONDITION_NONE; kind < CONDITION_KINDS; kind++)
		bits |= (unsigned int)wish->conditions[kind].holds << kind;
	return bits;
}

static unsigned int mine(const struct node_wish *wish)
{
	unsigned int bits = 0;

	for (unsigned int kind = CONDITION_NONE; kind < CONDITION_KINDS; kind++)
		bits |= (unsigned int)wish->conditions[kind].mine << kind;
	return bits;
}

static unsigned int bit_of(enum condition_kind kind)
{
	return kind == CONDITION_NONE ? 0 : 1U << kind;
}

/* All kinds: one that is new here must be thought of. */
static void test_condition_of_each_finding(void **state)
{
	static const struct {
		enum condition_kind condition;
		const char *reason;
	} expected[] = {
		[FINDING_DISK_SLOW] = {CONDITION_DISK_SLOW, "DiskSlow"},
		[FINDING_DISK_STALLED] = {CONDITION_DISK_STALLED, "DiskStalled"},
		[FINDING_DISK_HUNG_REQUEST] = {CONDITION_DISK_STALLED, "DiskHungRequest"},
		[FINDING_DISK_ERRORS] = {CONDITION_NONE, ""},
		[FINDING_CPU_OVERLOAD] = {CONDITION_OVERLOADED, "CpuOverload"},
		[FINDING_MEMORY_PRESSURE] = {CONDITION_OVERLOADED, "MemoryPressure"},
		[FINDING_IO_PRESSURE] = {CONDITION_OVERLOADED, "IoPressure"},
		[FINDING_ACCEPT_OVERFLOW] = {CONDITION_NONE, ""},
		[FINDING_RECEIVE_DROPS] = {CONDITION_NONE, ""},
		[FINDING_PEER_OVERLOADED] = {CONDITION_NONE, ""},
		[FINDING_CRASH_LOOP] = {CONDITION_NONE, ""},
		[FINDING_WATCHED_PROCESS_DIED] = {CONDITION_NONE, ""},
		[FINDING_TASK_HUNG] = {CONDITION_NONE, ""},
		[FINDING_CLOCK_SKEW] = {CONDITION_NONE, ""},
		[FINDING_CAPACITY] = {CONDITION_NONE, ""},
		[FINDING_FILESYSTEM] = {CONDITION_NONE, ""},
	};

	(void)state;
	assert_int_equal(sizeof(expected) / sizeof(*expected), FINDING_KINDS);
	for (unsigned int kind = 0; kind < FINDING_KINDS; kind++) {
		struct finding_settings settings[FINDING_KINDS] = {0};
		struct findings findings = {0};
		struct node_wish wish = {0};
		const struct condition_wish *condition = &wish.conditions[expected[kind].condition];
		bool whole = expected[kind].condition == CONDITION_OVERLOADED;

		settings[kind].response = FINDING_RESPONSE_ROW;
		add(&findings, (enum finding_kind)kind, whole ? "node" : "sda", "it is bad");
		node_wish_findings(&wish, &findings, settings);
		if (held(&wish) != bit_of(expected[kind].condition))
			fail_msg("%s: conditions %#x", finding_kind_name((enum finding_kind)kind),
				 held(&wish));
		assert_string_equal(condition->reason, expected[kind].reason);
		if (held(&wish))
			assert_string_equal(condition->message,
					    whole ? "it is bad" : "sda: it is bad");
		else
			assert_string_equal(condition->message, "");
	}
}

/* A container that has no room left within its own limit does not overload its node. */
static void test_limit_of_a_container(void **state)
{
	struct finding_settings settings[FINDING_KINDS] = {
		[FINDING_MEMORY_PRESSURE] = {.response = FINDING_RESPONSE_ROW}};
	struct findings findings = {0};
	struct node_wish wish = {0};

	(void)state;
	add(&findings, FINDING_MEMORY_PRESSURE, "pod shop/web-1", "killed");
	node_wish_findings(&wish, &findings, settings);
	assert_int_equal(held(&wish), 0);
	add(&findings, FINDING_MEMORY_PRESSURE, "node", "everything waits");
	node_wish_findings(&wish, &findings, settings);
	assert_int_equal(held(&wish), bit_of(CONDITION_OVERLOADED));
	assert_string_equal(wish.conditions[CONDITION_OVERLOADED].message, "everything waits");
}

/* What is not to leave the node, or not even looked for, is no condition of it. */
static void test_responses(void **state)
{
	static const struct {
		enum finding_response response;
		bool holds, taints;
	} cases[] = {
		{FINDING_RESPONSE_OFF, false, false},	 {FINDING_RESPONSE_LOG, false, false},
		{FINDING_RESPONSE_METRIC, false, false}, {FINDING_RESPONSE_ROW, true, false},
		{FINDING_RESPONSE_HOOK, true, false},	 {FINDING_RESPONSE_NO_SCHEDULE, true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct finding_settings settings[FINDING_KINDS] = {
			[FINDING_DISK_STALLED] = {.response = cases[i].response}};
		struct findings findings = {0};
		struct node_wish wish = {0};

		add(&findings, FINDING_DISK_STALLED, "sda", "it is bad");
		node_wish_findings(&wish, &findings, settings);
		assert_int_equal(wish.conditions[CONDITION_DISK_STALLED].holds, cases[i].holds);
		assert_int_equal(wish.unhealthy.parts, cases[i].taints ? TAINT_NO_SCHEDULE : 0);
		if (cases[i].taints)
			assert_string_equal(wish.unhealthy.value, "disk-stalled");
	}
}

/* Those of its own health are a node's own to write, also while all is well; the others are not. */
static void test_own(void **state)
{
	struct finding_settings settings[FINDING_KINDS] = {
		[FINDING_DISK_STALLED] = {.response = FINDING_RESPONSE_ROW},
		[FINDING_DISK_HUNG_REQUEST] = {.response = FINDING_RESPONSE_ROW},
		[FINDING_CPU_OVERLOAD] = {.response = FINDING_RESPONSE_ROW}};
	const unsigned int own = 1U << CONDITION_DISK_STALLED | 1U << CONDITION_DISK_SLOW |
				 1U << CONDITION_OVERLOADED;
	struct findings findings = {0};
	struct node_wish wish = {0};

	(void)state;
	node_wish_findings(&wish, &findings, settings);
	assert_int_equal(mine(&wish), own);
	assert_int_equal(held(&wish), 0);
	assert_true(wish.taints_unhealthy);
	assert_false(wish.taints_isolated);

	/* The first finding of a condition is told. */
	add(&findings, FINDING_DISK_HUNG_REQUEST, "sda", "one hangs");
	add(&findings, FINDING_CPU_OVERLOAD, "node", "the CPUs have too much to do");
	add(&findings, FINDING_DISK_STALLED, "sdb", "all hang");
	node_wish_findings(&wish, &findings, settings);
	assert_int_equal(mine(&wish), own);
	assert_int_equal(held(&wish), 1U << CONDITION_DISK_STALLED | 1U << CONDITION_OVERLOADED);
	assert_string_equal(wish.conditions[CONDITION_DISK_STALLED].reason, "DiskHungRequest");
	assert_string_equal(wish.conditions[CONDITION_DISK_STALLED].message, "sda: one hangs");
	/* What is about the node as a whole needs no name. */
	assert_string_equal(wish.conditions[CONDITION_OVERLOADED].message,
			    "the CPUs have too much to do");
}

/* One verdict stands of these members. */
static void stand(struct verdicts *verdicts, enum verdict_class class, uint32_t *subjects,
		  uint32_t count)
{
	verdicts->standing[verdicts->count++] = (struct standing){
		.class = class, .subjects = subjects, .subject_count = count, .raised = true};
}

static void test_condition_of_each_verdict(void **state)
{
	static const struct {
		enum condition_kind condition;
		const char *reason;
	} expected[] = {
		[VERDICT_NODE_DOWN] = {CONDITION_NONE, ""},
		[VERDICT_NODE_ISOLATED] = {CONDITION_NETWORK_PARTITIONED, "NodeIsolated"},
		[VERDICT_NODE_UNREACHABLE] = {CONDITION_NETWORK_PARTITIONED, "NodeUnreachable"},
		[VERDICT_ONE_WAY] = {CONDITION_NETWORK_PARTITIONED, "OneWay"},
		[VERDICT_COMPLETE_PARTITION] = {CONDITION_NETWORK_PARTITIONED, "CompletePartition"},
		[VERDICT_ZONE_CUT] = {CONDITION_NETWORK_PARTITIONED, "ZoneCut"},
		[VERDICT_PARTIAL_PARTITION] = {CONDITION_NETWORK_PARTITIONED, "PartialPartition"},
		[VERDICT_LOSSY_LINK] = {CONDITION_NETWORK_DEGRADED, "LossyLink"},
		[VERDICT_AGENT_DOWN] = {CONDITION_NONE, ""},
		[VERDICT_NODE_OVERLOADED] = {CONDITION_NONE, ""},
		[VERDICT_SERVICE_DOWN] = {CONDITION_NONE, ""},
		[VERDICT_VIEW_INCOMPLETE] = {CONDITION_NONE, ""},
	};
	uint32_t subjects[] = {0, MEMBER};
	const struct judgement judgement = {0};
	struct cluster cluster;

	(void)state;
	cluster_make(&cluster, MEMBERS, NULL);
	assert_int_equal(sizeof(expected) / sizeof(*expected), VERDICT_CLASSES);
	for (unsigned int class = 0; class < VERDICT_CLASSES; class ++) {
		const char *name = verdict_class_name((enum verdict_class) class);
		char words[128];
		struct verdicts verdicts = {0};
		struct node_wish wish = {0};
		const struct condition_wish *condition =
			&wish.conditions[expected[class].condition];

		stand(&verdicts, (enum verdict_class) class, subjects, 2);
		node_wish_verdicts(&wish, &verdicts, &judgement, &cluster.view, MEMBER, NOW_NS);
		if (held(&wish) != bit_of(expected[class].condition))
			fail_msg("%s: conditions %#x", name, held(&wish));
		assert_string_equal(condition->reason, expected[class].reason);
		/* The last judgement did not say it again. */
		snprintf(words, sizeof(words), "%s of n1, n%u, which the last look did not find",
			 name, MEMBER + 1);
		assert_string_equal(condition->message, held(&wish) ? words : "");
	}
	cluster_free(&cluster);
}

/* Not what is about others, nor what has not stood for long enough. */
static void test_other_verdicts(void **state)
{
	uint32_t subject = MEMBER;
	const struct judgement judgement = {0};
	struct verdicts verdicts = {0};
	struct node_wish wish = {0};
	struct cluster cluster;

	(void)state;
	cluster_make(&cluster, MEMBERS, NULL);
	stand(&verdicts, VERDICT_LOSSY_LINK, &subject, 1);
	node_wish_verdicts(&wish, &verdicts, &judgement, &cluster.view, MEMBER + 1, NOW_NS);
	assert_int_equal(held(&wish), 0);
	verdicts.standing[0].raised = false;
	node_wish_verdicts(&wish, &verdicts, &judgement, &cluster.view, MEMBER, NOW_NS);
	assert_int_equal(held(&wish), 0);
	verdicts.standing[0].raised = true;
	node_wish_verdicts(&wish, &verdicts, &judgement, &cluster.view, MEMBER, NOW_NS);
	assert_int_equal(held(&wish), 1U << CONDITION_NETWORK_DEGRADED);
	cluster_free(&cluster);
}

/* The message is what `tocsin cluster` says of the verdict. */
static void test_verdict_in_words(void **state)
{
	uint32_t subjects[] = {0, MEMBER};
	struct judgement judgement = {.verdict_count = 1};
	struct verdicts verdicts = {0};
	struct node_wish wish = {0};
	struct cluster cluster;
	char words[512] = "";
	struct text text = TEXT(words);

	(void)state;
	cluster_make(&cluster, MEMBERS, NULL);
	judgement.verdicts[0] = (struct verdict){
		.class = VERDICT_LOSSY_LINK, .subjects = subjects, .subject_count = 2, .links = 1};
	stand(&verdicts, VERDICT_LOSSY_LINK, subjects, 2);
	verdict_explain(&judgement.verdicts[0], &judgement, &cluster.view, NOW_NS, &text);
	assert_non_null(strstr(words, "n2"));
	node_wish_verdicts(&wish, &verdicts, &judgement, &cluster.view, MEMBER, NOW_NS);
	assert_string_equal(wish.conditions[CONDITION_NETWORK_DEGRADED].message, words);
	cluster_free(&cluster);
}

/* Whose the network's conditions are, by what the Node shows of NetworkDegraded. */
static void test_claims_network(void **state)
{
	static const struct {
		const char *status; /* NULL: nothing */
		bool holds, mine;
	} cases[] = {
		{NULL, false, false}, {NULL, true, true},     {"True", false, true},
		{"True", true, true}, {"False", false, true}, {"False", true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct node_wish wish = {0};
		json_t *node = cases[i].status ? json_pack("{s{s[{ss ss}]}}", "status",
							   "conditions", "type", "NetworkDegraded",
							   "status", cases[i].status)
					       : json_object();

		wish.conditions[CONDITION_NETWORK_DEGRADED].holds = cases[i].holds;
		node_wish_claim_network(&wish, node);
		if (mine(&wish) != (unsigned int)cases[i].mine << CONDITION_NETWORK_DEGRADED)
			fail_msg("case %zu: %#x", i, mine(&wish));
		json_decref(node);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_condition_of_each_finding),
		cmocka_unit_test(test_limit_of_a_container),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_condition_of_each_verdict),
		cmocka_unit_test(test_other_verdicts),
		cmocka_unit_test(test_verdict_in_words),
		cmocka_unit_test(test_claims_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
