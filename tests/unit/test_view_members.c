// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Nodes join and leave: what is known of the others stays. */
#include "cluster/view.h"

#include "unit/cluster_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS CLUSTER_MS

/* n1 to n5; afterwards n2 has left, and n6 has come. */
static const char *const LATER[] = {"n1", "n3", "n4", "n5", "n6"};
static const uint32_t PLACES[] = {0, MEMBERSHIP_NONE, 1, 2, 3};

struct bench {
	struct cluster before, after;
	uint32_t *places;
};

static int setup(void **state)
{
	static struct config_node nodes[5];
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	cluster_make(&bench->before, 5, NULL);
	for (unsigned int i = 0; i < 5; i++)
		strcpy(nodes[i].name, LATER[i]);
	assert_int_equal(membership_init(&bench->after.membership, nodes, 5), 0);
	assert_int_equal(view_init(&bench->after.view, &bench->after.membership), 0);
	bench->after.sequence = 1000;
	bench->places = membership_places(&bench->before.membership, &bench->after.membership);
	assert_non_null(bench->places);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	cluster_free(&bench->before);
	cluster_free(&bench->after);
	free(bench->places);
	free(bench);
	return 0;
}

static void test_places(void **state)
{
	struct bench *bench = *state;

	assert_memory_equal(bench->places, PLACES, sizeof(PLACES));
}

static uint32_t slot_of(const struct cluster *cluster, uint32_t member, uint32_t peer)
{
	int64_t at = membership_slot(&cluster->membership, member, peer);

	assert_true(at >= 0);
	return (uint32_t)at - cluster->membership.start[member];
}

static enum row_word word(const struct cluster *cluster, uint32_t member, uint32_t peer,
			  uint64_t now_ns)
{
	return view_word(&cluster->view, member, slot_of(cluster, member, peer), now_ns);
}

static void test_words_stay(void **state)
{
	static const char *const lines[] = {"-hhhu", "h-hhu", "hh-hu", "hhh-u", "."};
	struct bench *bench = *state;
	struct cluster *after = &bench->after;
	struct view_accusation accusation;
	uint64_t now_ns = 3000 * MS;

	cluster_say_all(&bench->before, lines);
	bench->before.view.stalled_ns = 7;
	view_take_over(&after->view, &bench->before.view, bench->places);
	assert_int_equal(after->view.stalled_ns, 7);
	/* Until its writer has these members, too, a row says nothing. */
	assert_true(after->view.rows[0].present);
	assert_false(view_row_current(&after->view, 0, now_ns));
	assert_int_equal(word(after, 0, 3, now_ns), ROW_WORD_NONE);
	assert_true(view_disagrees(&after->view, now_ns));
	cluster_say(after, 0, "-hhu,", 0, 0, now_ns);
	cluster_say(after, 1, "h-hu,", 0, 0, now_ns);
	/* Two of five are no majority; three are. */
	assert_true(view_disagrees(&after->view, now_ns));
	cluster_say(after, 2, "hh-u,", 0, 0, now_ns);
	assert_false(view_disagrees(&after->view, now_ns));
	/* What they said before counts from then on. */
	assert_int_equal(word(after, 0, 3, now_ns), ROW_WORD_UNREACHABLE);
	assert_int_equal(word(after, 0, 4, now_ns), ROW_WORD_NONE);
	accusation = view_accusation_of(&after->view, 3, now_ns);
	assert_int_equal(accusation.first_ns, 1000 * MS);
	assert_int_equal(accusation.last_ns, 1000 * MS);
	assert_true(accusation.by_most);
	/* Of whom nothing was known nothing is. */
	assert_false(after->view.rows[4].present);
	assert_int_equal(after->view.rows[4].arrived_ns, 0);
	/* Without rows nobody disagrees. */
	view_reset(&after->view);
	assert_false(view_disagrees(&after->view, now_ns));
}

/* A row of a writer with other members, as it comes while all take the change in. */
static void test_other_members(void **state)
{
	static const char *const lines[] = {"-hhhu", "h-hhu", "hh-hu", "hhh-u", "."};
	struct bench *bench = *state;
	struct cluster *after = &bench->after;
	uint8_t words[MEMBERSHIP_SLOTS_MAX] = {0};
	struct row row = {.boot_id = "6a8f9f0e-0000-4000-8000-000000000001",
			  .epoch = 1,
			  .sequence = 500,
			  .members = bench->before.membership.hash,
			  .words = words};
	uint64_t now_ns = 3000 * MS;

	cluster_say_all(&bench->before, lines);
	view_take_over(&after->view, &bench->before.view, bench->places);
	assert_true(view_put(&after->view, &row, now_ns, now_ns));
	assert_false(view_row_current(&after->view, 0, now_ns));
	cluster_say(after, 0, "-hhu,", 0, 0, now_ns + MS);
	assert_true(view_row_current(&after->view, 0, now_ns + MS));
	assert_int_equal(view_accusation_of(&after->view, 3, now_ns + MS).first_ns, 1000 * MS);
}

/* Only the order of what is configured, or an address, has changed. */
static void test_same_members(void **state)
{
	static const char *const lines[] = {"-hhhh", "h-hhh", "hh-hh", "hhh-h", "hhhh-"};
	static const uint32_t places[] = {0, 1, 2, 3, 4};
	struct bench *bench = *state;
	struct cluster same;

	cluster_make(&same, 5, NULL);
	cluster_say_all(&bench->before, lines);
	view_take_over(&same.view, &bench->before.view, places);
	for (uint32_t i = 0; i < 5; i++)
		assert_true(view_row_current(&same.view, i, 2000 * MS));
	assert_int_equal(word(&same, 4, 0, 2000 * MS), ROW_WORD_HEALTHY);
	assert_false(view_disagrees(&same.view, 2000 * MS));
	cluster_free(&same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_words_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_members, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_members, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
