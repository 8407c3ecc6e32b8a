// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Every rail in a case in which it alone refuses, and in one just beside, in which it does not. */
#include "isolate/rails.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

/* A case in which nothing refuses: one of ten nodes, by a verdict that has stood for a second. */
static const struct rails_case good = {
	.store_connected = true,
	.actor = true,
	.nodes = 10,
	.looks_bad = 1,
	.majority_proven = true,
	.isolates = true,
	.new_subjects = 1,
	.since_ns = 99000 * MS,
	.now_ns = 100000 * MS,
	.max_ratio = 0.1,
	.settle_ns = 500 * MS,
	.interval_ns = 10000 * MS,
};

struct row {
	enum rail rail;
	struct rails_case refused, allowed;
	const char *reason;
};

#define CASE(...)                               \
	({                                      \
		struct rails_case case_ = good; \
		struct rails_case *c = &case_;  \
		__VA_ARGS__;                    \
		case_;                          \
	})

static enum rail check(const struct rails_case *action, char *reason, size_t size)
{
	struct text text = {.data = reason, .size = size};

	*reason = '\0';
	return rails_check(action, &text);
}

static void test_each_rail(void **state)
{
	const struct row rows[] = {
		{RAIL_STORE, CASE(c->store_connected = false), good, "the store is not reached"},
		{RAIL_ACTOR, CASE(c->actor = false), good, "this node is not the elected actor"},
		{RAIL_BLIND, CASE(c->blind = true), good, "a probe of the main job is missing"},
		{RAIL_STARVED, CASE(c->distrust_ratio = 0.51), CASE(c->distrust_ratio = 0.5),
		 "this agent was not scheduled in time for 51 % of late"},
		{RAIL_PAUSED, CASE(c->paused = true), good, "acting is paused"},
		{RAIL_CLASS, CASE(c->isolates = false), good, "no single node or minority"},
		{RAIL_MAJORITY, CASE(c->majority_proven = false), good, "no side is proven"},
		{RAIL_SETTLE, CASE(c->since_ns = 99501 * MS), CASE(c->since_ns = 99500 * MS),
		 "the verdict has stood for 499 ms, expected 500 ms"},
		{RAIL_FREEZE, CASE(c->looks_bad = 5), CASE(c->looks_bad = 4),
		 "5 of 10 nodes look bad: half or more"},
		{RAIL_SELF, CASE(c->includes_self = true), good, "the actor does not isolate"},
		{RAIL_QUORUM, CASE(c->partition = true; c->new_subjects = 3; c->isolated = 2),
		 CASE(c->partition = true; c->new_subjects = 3; c->isolated = 1),
		 "5 of 10 nodes would be left, expected at least 6"},
		{RAIL_STORE_QUORUM, CASE(c->store_members = 3; c->store_members_left = 1),
		 CASE(c->store_members = 3; c->store_members_left = 2),
		 "1 of 3 members of the store would be left, expected at least 2"},
		{RAIL_MAX_RATIO, CASE(c->isolated = c->isolated_singly = 1), CASE(c->isolated = 1),
		 "2 nodes would be isolated one by one, expected at most 1"},
		{RAIL_INTERVAL, CASE(c->last_single_ns = 90001 * MS),
		 CASE(c->last_single_ns = 90000 * MS),
		 "the last node was isolated 9999 ms ago, expected 10000 ms between"},
	};
	char reason[256];

	(void)state;
	assert_int_equal(check(&good, reason, sizeof(reason)), RAIL_NONE);
	assert_string_equal(reason, "");
	assert_int_equal(sizeof(rows) / sizeof(*rows), RAILS - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(rows[i].rail, i + 1);
		assert_int_equal(check(&rows[i].refused, reason, sizeof(reason)), rows[i].rail);
		if (strncmp(reason, rows[i].reason, strlen(rows[i].reason)))
			fail_msg("%s: \"%s\"", rail_name(rows[i].rail), reason);
		assert_int_equal(check(&rows[i].allowed, reason, sizeof(reason)), RAIL_NONE);
	}
}

/* The rail 'paused' has two ways. */
static void test_left_alone(void **state)
{
	const struct rails_case left_alone = CASE(c->includes_paused = true);
	const struct rails_case forced =
		CASE(c->includes_paused = c->by_hand = c->force = true; c->since_ns = c->now_ns);
	char reason[256];

	(void)state;
	assert_int_equal(check(&left_alone, reason, sizeof(reason)), RAIL_PAUSED);
	assert_string_equal(reason,
			    "a person wants the node left alone (its annotation tocsin.dev/pause)");
	assert_int_equal(check(&forced, reason, sizeof(reason)), RAIL_NONE);
}

static void test_small_clusters(void **state)
{
	/* max(1, 10 %) of three is one; but two of three are needed. */
	const struct rails_case one_of_three = CASE(c->nodes = 3);
	const struct rails_case second_of_three =
		CASE(c->nodes = 3; c->isolated = 1; c->looks_bad = 1);
	const struct rails_case one_of_two = CASE(c->nodes = 2; c->looks_bad = 0);
	const struct rails_case two_of_twenty =
		CASE(c->nodes = 20; c->isolated = c->isolated_singly = 1);
	char reason[256];

	(void)state;
	assert_int_equal(check(&one_of_three, reason, sizeof(reason)), RAIL_NONE);
	assert_int_equal(check(&second_of_three, reason, sizeof(reason)), RAIL_QUORUM);
	assert_int_equal(check(&one_of_two, reason, sizeof(reason)), RAIL_QUORUM);
	assert_int_equal(check(&two_of_twenty, reason, sizeof(reason)), RAIL_NONE);
}

/* A whole minority is one action: neither the ratio nor the interval counts it. */
static void test_minority(void **state)
{
	const struct rails_case minority = CASE(c->partition = true; c->new_subjects = 4;
						c->looks_bad = 4; c->last_single_ns = 99999 * MS);
	char reason[256];

	(void)state;
	assert_int_equal(check(&minority, reason, sizeof(reason)), RAIL_NONE);
}

static void test_by_hand(void **state)
{
	/* No verdict is asked for, and a starved or blind agent may still be told what to do. */
	const struct rails_case by_hand =
		CASE(c->by_hand = true; c->isolates = false; c->majority_proven = false;
		     c->since_ns = c->now_ns; c->blind = true; c->includes_self = true);
	const struct rails_case frozen = CASE(c->by_hand = true; c->looks_bad = 5);
	const struct rails_case forced =
		CASE(c->by_hand = c->force = true; c->looks_bad = 9; c->paused = true;
		     c->isolated = 9; c->isolated_singly = 9; c->store_members = 3);
	const struct rails_case forced_without_store =
		CASE(c->by_hand = c->force = true; c->store_connected = false);
	const struct rails_case forced_elsewhere =
		CASE(c->by_hand = c->force = true; c->actor = false);
	char reason[256];

	(void)state;
	assert_int_equal(check(&by_hand, reason, sizeof(reason)), RAIL_NONE);
	assert_int_equal(check(&frozen, reason, sizeof(reason)), RAIL_FREEZE);
	assert_int_equal(check(&forced, reason, sizeof(reason)), RAIL_NONE);
	assert_int_equal(check(&forced_without_store, reason, sizeof(reason)), RAIL_STORE);
	assert_int_equal(check(&forced_elsewhere, reason, sizeof(reason)), RAIL_ACTOR);
}

/* Of five two may be lost, but of a control plane no second one is isolated. */
static void test_store_singly(void **state)
{
	struct rails_case action = good;
	char reason[256];

	(void)state;
	action.store_members = 5;
	action.store_members_left = 3;
	assert_int_equal(check(&action, reason, sizeof(reason)), RAIL_NONE);
	action.store_singly = true;
	assert_int_equal(check(&action, reason, sizeof(reason)), RAIL_STORE_QUORUM);
	assert_string_equal(reason,
			    "3 of 5 members of the store would be left, expected at least 4");
	action.store_members_left = 4;
	assert_int_equal(check(&action, reason, sizeof(reason)), RAIL_NONE);
	/* The only one there is: a majority is all of them. */
	action.store_members = 1;
	action.store_members_left = 0;
	assert_int_equal(check(&action, reason, sizeof(reason)), RAIL_STORE_QUORUM);
	/* Of none nothing is known. */
	action.store_members = 0;
	assert_int_equal(check(&action, reason, sizeof(reason)), RAIL_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_rail),  cmocka_unit_test(test_store_singly),
		cmocka_unit_test(test_left_alone), cmocka_unit_test(test_small_clusters),
		cmocka_unit_test(test_minority),   cmocka_unit_test(test_by_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
