// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/membership.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config_node *make_nodes(unsigned int count)
{
	struct config_node *nodes = calloc(count + 1, sizeof(*nodes));

	assert_non_null(nodes);
	for (unsigned int i = 0; i < count; i++)
		snprintf(nodes[i].name, sizeof(nodes[i].name), "node-%u.example", i);
	return nodes;
}

/* Each observes whom it is observed by, nobody itself, and lists are sorted. */
static void expect_symmetric(const struct membership *membership)
{
	for (uint32_t i = 0; i < membership->count; i++)
		for (uint32_t at = membership->start[i]; at < membership->start[i + 1]; at++) {
			uint32_t peer = membership->observers[at];

			assert_int_not_equal(peer, i);
			if (at > membership->start[i])
				assert_true(membership->observers[at - 1] < peer);
			assert_int_equal(membership_slot(membership, i, peer), at);
			assert_true(membership_slot(membership, peer, i) >= 0);
		}
}

static void test_mesh(void **state)
{
	static const unsigned int counts[] = {0, 1, 2, 3, 49, 50};

	(void)state;
	for (size_t n = 0; n < sizeof(counts) / sizeof(*counts); n++) {
		struct config_node *nodes = make_nodes(counts[n]);
		struct membership membership;

		assert_int_equal(membership_init(&membership, nodes, counts[n]), 0);
		assert_int_equal(membership.count, counts[n]);
		for (uint32_t i = 0; i < counts[n]; i++)
			assert_int_equal(membership.start[i + 1] - membership.start[i],
					 counts[n] - 1);
		expect_symmetric(&membership);
		membership_free(&membership);
		free(nodes);
	}
}

static void test_rings(void **state)
{
	static const unsigned int counts[] = {51, 60, 200, 1000};

	(void)state;
	for (size_t n = 0; n < sizeof(counts) / sizeof(*counts); n++) {
		struct config_node *nodes = make_nodes(counts[n]);
		struct membership membership;
		uint32_t least = UINT32_MAX, most = 0;

		assert_int_equal(membership_init(&membership, nodes, counts[n]), 0);
		expect_symmetric(&membership);
		for (uint32_t i = 0; i < counts[n]; i++) {
			uint32_t observers = membership.start[i + 1] - membership.start[i];

			least = observers < least ? observers : least;
			most = observers > most ? observers : most;
		}
		/* Ten on average: five forward, and as many backward as passed over nobody. */
		assert_int_equal(membership.start[counts[n]], counts[n] * 10);
		assert_in_range(least, 8, 10);
		assert_in_range(most, 10, MEMBERSHIP_SLOTS_MAX);
		assert_true(most <= 14);
		membership_free(&membership);
		free(nodes);
	}
}

/* The order in which a configuration names its nodes says nothing; what it calls them does. */
static void test_same_everywhere(void **state)
{
	enum { COUNT = 100 };
	struct config_node *nodes = make_nodes(COUNT), *turned = make_nodes(COUNT);
	struct membership one, other;

	(void)state;
	for (unsigned int i = 0; i < COUNT; i++)
		turned[i] = nodes[COUNT - 1 - i];
	memset(turned[0].name + strlen(turned[0].name) + 1, 'x', 5);
	assert_int_equal(membership_init(&one, nodes, COUNT), 0);
	assert_int_equal(membership_init(&other, turned, COUNT), 0);
	assert_true(one.hash == other.hash);
	assert_int_equal(one.start[COUNT], other.start[COUNT]);
	assert_memory_equal(one.observers, other.observers,
			    one.start[COUNT] * sizeof(*one.observers));
	membership_free(&other);
	strcpy(turned[5].zone, "b");
	assert_int_equal(membership_init(&other, turned, COUNT), 0);
	assert_true(one.hash != other.hash);
	membership_free(&other);
	membership_free(&one);
	free(nodes);
	free(turned);
}

/* One node more moves few observers. */
static void test_one_more(void **state)
{
	enum { COUNT = 1000 };
	struct config_node *nodes = make_nodes(COUNT + 1);
	struct membership one, other;
	unsigned int kept = 0;

	(void)state;
	assert_int_equal(membership_init(&one, nodes, COUNT), 0);
	assert_int_equal(membership_init(&other, nodes, COUNT + 1), 0);
	for (uint32_t i = 0; i < one.count; i++)
		for (uint32_t at = one.start[i]; at < one.start[i + 1]; at++) {
			int64_t a = membership_find(&other, one.members[i].name);
			int64_t b = membership_find(&other, one.members[one.observers[at]].name);

			assert_true(a >= 0 && b >= 0);
			kept += membership_slot(&other, (uint32_t)a, (uint32_t)b) >= 0;
		}
	assert_true(kept >= COUNT * 10 * 98 / 100);
	membership_free(&one);
	membership_free(&other);
	free(nodes);
}

static void test_find_and_zones(void **state)
{
	struct config_node nodes[] = {{.name = "c", .zone = "x"},
				      {.name = "a", .zone = "y"},
				      {.name = "d"},
				      {.name = "b", .zone = "x"},
				      {.name = "e"}};
	struct membership membership;

	(void)state;
	assert_int_equal(membership_init(&membership, nodes, 5), 0);
	assert_int_equal(membership_find(&membership, "a"), 0);
	assert_int_equal(membership_find(&membership, "e"), 4);
	assert_int_equal(membership_find(&membership, "f"), -1);
	assert_int_equal(membership_find(&membership, ""), -1);
	assert_int_equal(membership.members[0].zone_size, 1);
	assert_int_equal(membership.members[1].zone_size, 2);
	assert_int_equal(membership.members[1].zone_lowest, 1);
	assert_int_equal(membership.members[2].zone_lowest, 1);
	assert_int_equal(membership.members[3].zone_size, 1);
	assert_int_equal(membership.members[3].zone_lowest, 3);
	assert_int_equal(membership.members[4].zone_lowest, 4);
	assert_int_equal(membership_quorum(&membership), 3);
	membership_free(&membership);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mesh),
		cmocka_unit_test(test_rings),
		cmocka_unit_test(test_same_everywhere),
		cmocka_unit_test(test_one_more),
		cmocka_unit_test(test_find_and_zones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
