// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is given up when the programs cost more than their budget, and when it comes back. */
#include "detect/budget.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* In the order in which they are wanted. */
enum { FIRST, SECOND, THIRD, PARTS };

#define LIMIT  0.01
#define HOLD_S 60

static const struct budget_limits limits = {.share = LIMIT, .hold_ns = HOLD_S * NS_PER_S};

static struct budget new_budget(void)
{
	return (struct budget){.part_count = PARTS};
}

/* A second after the one before, with these parts of the limit; what is shed costs nothing. 'rest'
 * cannot be shed. */
struct machine {
	struct budget budget;
	uint64_t now_s;
	double parts[PARTS], rest;
	bool closed[PARTS];
};

static struct budget_decision look(struct machine *machine)
{
	struct budget_window window = {.now_ns = machine->now_s++ * NS_PER_S};

	window.share = machine->rest * LIMIT;
	for (unsigned int i = 0; i < PARTS; i++) {
		window.open[i] = !machine->closed[i];
		if (machine->closed[i] || machine->budget.parts[i].shed)
			continue;
		window.parts[i] = machine->parts[i] * LIMIT;
		window.share += window.parts[i];
	}
	return budget_judge(&machine->budget, &window, &limits);
}

static void expect_nothing(struct machine *machine, unsigned int windows)
{
	for (unsigned int i = 0; i < windows; i++)
		assert_int_equal(look(machine).action, BUDGET_KEEP);
}

static void expect(struct machine *machine, enum budget_action action, unsigned int part)
{
	struct budget_decision decision = look(machine);

	assert_int_equal(decision.action, action);
	assert_int_equal(decision.part, part);
	assert_int_equal(machine->budget.parts[part].shed, action == BUDGET_SHED);
}

static void test_within_the_limit(void **state)
{
	struct machine machine = {.budget = new_budget(), .parts = {0.5, 0.3, 0.19}};

	(void)state;
	expect_nothing(&machine, 1000);
	assert_false(machine.budget.exhausted);
}

static void test_over_it_for_three_windows(void **state)
{
	struct machine machine = {.budget = new_budget(), .parts = {0.4, 0.4, 0.4}};

	(void)state;
	expect_nothing(&machine, BUDGET_WINDOWS - 1);
	/* One that is not over begins the count anew. */
	machine.rest = -0.5;
	expect_nothing(&machine, 1);
	machine.rest = 0;
	expect_nothing(&machine, BUDGET_WINDOWS - 1);
	expect(&machine, BUDGET_SHED, THIRD);
	/* 0.8 is within it, and too much to take anything back. */
	expect_nothing(&machine, 10 * HOLD_S);
}

static void test_one_after_the_other(void **state)
{
	struct machine machine = {.budget = new_budget(), .parts = {5, 5, 5}, .rest = 2};

	(void)state;
	for (unsigned int i = PARTS; i-- > 0;) {
		expect_nothing(&machine, BUDGET_WINDOWS - 1);
		expect(&machine, BUDGET_SHED, i);
	}
	/* Nothing is left but what cannot be shed. */
	expect_nothing(&machine, BUDGET_WINDOWS - 1);
	assert_false(machine.budget.exhausted);
	expect_nothing(&machine, 1);
	assert_true(machine.budget.exhausted);
	machine.rest = 0.7;
	expect_nothing(&machine, 1);
	assert_false(machine.budget.exhausted);
}

static void test_what_costs_nothing_stays(void **state)
{
	struct machine machine = {.budget = new_budget(), .parts = {3, 0.09, 0.09}};

	(void)state;
	expect_nothing(&machine, BUDGET_WINDOWS - 1);
	expect(&machine, BUDGET_SHED, FIRST);
	machine.parts[SECOND] = 3;
	machine.closed[THIRD] = true;
	machine.parts[THIRD] = 3;
	expect_nothing(&machine, BUDGET_WINDOWS - 1);
	expect(&machine, BUDGET_SHED, SECOND);
}

/* Sheds the last part; returns when that was. */
static uint64_t shed_last(struct machine *machine)
{
	machine->parts[THIRD] = 3;
	expect_nothing(machine, BUDGET_WINDOWS - 1);
	expect(machine, BUDGET_SHED, THIRD);
	return machine->now_s - 1;
}

static void test_it_comes_back(void **state)
{
	struct machine machine = {.budget = new_budget(), .rest = 0.1};
	uint64_t shed_s;

	(void)state;
	shed_s = shed_last(&machine);
	expect_nothing(&machine, HOLD_S - 1);
	assert_int_equal(machine.now_s, shed_s + HOLD_S);
	/* Not while all else takes over half of the limit. */
	machine.rest = 0.51;
	expect_nothing(&machine, 100);
	machine.rest = 0.5;
	expect(&machine, BUDGET_RESTORE, THIRD);
	/* It costs little now. */
	machine.parts[THIRD] = 0.2;
	expect_nothing(&machine, 1000);
}

static void test_it_stays_away_longer(void **state)
{
	struct machine machine = {.budget = new_budget()};
	unsigned int hold_s = HOLD_S;

	(void)state;
	for (int i = 0; i < 8; i++) {
		shed_last(&machine);
		expect_nothing(&machine, hold_s - 1);
		expect(&machine, BUDGET_RESTORE, THIRD);
		hold_s = hold_s * 2 < 3600 ? hold_s * 2 : 3600;
	}
	assert_int_equal(hold_s, 3600);
	/* It was well for as long as it had stayed away: that is past. */
	machine.parts[THIRD] = 0.1;
	expect_nothing(&machine, 3600);
	shed_last(&machine);
	expect_nothing(&machine, HOLD_S - 1);
	expect(&machine, BUDGET_RESTORE, THIRD);
}

static void test_the_most_wanted_first(void **state)
{
	struct machine machine = {.budget = new_budget(), .parts = {2, 2, 2}};

	(void)state;
	for (unsigned int i = PARTS; i-- > 0;) {
		expect_nothing(&machine, BUDGET_WINDOWS - 1);
		expect(&machine, BUDGET_SHED, i);
	}
	memset(machine.parts, 0, sizeof(machine.parts));
	machine.now_s += HOLD_S;
	for (unsigned int i = 0; i < PARTS; i++)
		expect(&machine, BUDGET_RESTORE, i);
	expect_nothing(&machine, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_within_the_limit),
		cmocka_unit_test(test_over_it_for_three_windows),
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_what_costs_nothing_stays),
		cmocka_unit_test(test_it_comes_back),
		cmocka_unit_test(test_it_stays_away_longer),
		cmocka_unit_test(test_the_most_wanted_first),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
