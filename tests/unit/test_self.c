// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/self.h"

#include "base/clock.h"

#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define START_NS (100 * NS_PER_S)

static void assert_near(double value, double expected)
{
	if (fabs(value - expected) > 1e-9)
		fail_msg("%.12f is not %.12f", value, expected);
}

/* One turn after a quiet start. */
static void test_turn(void **state)
{
	static const struct {
		const char *name;
		unsigned int passed_ms, planned_ms;
		unsigned int awake_ms, late_ms;
		bool late, paused;
		double distrust;
	} rows[] = {
		{"in time", 50, 50, 50, 0, false, false, 0},
		{"woken early", 5, 50, 5, 0, false, false, 0},
		{"at the same moment", 0, 50, 0, 0, false, false, 0},
		{"as late as is allowed", 100, 50, 100, 50, false, false, 0},
		{"late", 101, 50, 50, 51, true, false, 0.0255},
		{"late while alert", 310, 10, 10, 300, true, false, 0.15},
		{"as late as is no pause", 1050, 50, 50, 1000, true, false, 0.5},
		{"paused", 1051, 50, 50, 1001, true, true, 0.5005},
		{"paused for long", 60000, 50, 50, 59950, true, true, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct self_watch watch = {.distrust = 1, .late_ticks = 7};
		struct self_turn turn;

		self_start(&watch, START_NS);
		assert_near(watch.distrust, 0);
		turn = self_turn(&watch, START_NS + rows[i].passed_ms * NS_PER_MS,
				 rows[i].planned_ms * NS_PER_MS);
		if (turn.awake_ns != rows[i].awake_ms * NS_PER_MS ||
		    turn.late_ns != rows[i].late_ms * NS_PER_MS || turn.late != rows[i].late ||
		    turn.paused != rows[i].paused)
			fail_msg("%s: awake %llu ms, late %llu ms, late %d, paused %d",
				 rows[i].name, (unsigned long long)(turn.awake_ns / NS_PER_MS),
				 (unsigned long long)(turn.late_ns / NS_PER_MS), turn.late,
				 turn.paused);
		assert_near(watch.distrust, rows[i].distrust);
		assert_int_equal(watch.late_ticks, rows[i].late);
		assert_int_equal(watch.late_ns, rows[i].late ? rows[i].late_ms * NS_PER_MS : 0);
		/* The next turn counts from this one. */
		turn = self_turn(&watch, START_NS + (rows[i].passed_ms + 50) * NS_PER_MS,
				 50 * NS_PER_MS);
		assert_int_equal(turn.awake_ns, 50 * NS_PER_MS);
		assert_false(turn.late);
	}
}

/* Distrust fades with time, by however many turns that is divided. */
static void test_distrust_fades(void **state)
{
	static const unsigned int turns[] = {1, 4, 40};

	(void)state;
	for (size_t i = 0; i < sizeof(turns) / sizeof(*turns); i++) {
		struct self_watch watch = {0};
		uint64_t now_ns = START_NS, step_ns = 2 * NS_PER_S / turns[i];

		self_start(&watch, now_ns);
		now_ns += 850 * NS_PER_MS;
		(void)self_turn(&watch, now_ns, 50 * NS_PER_MS);
		assert_near(watch.distrust, 0.4);
		for (unsigned int turn = 0; turn < turns[i]; turn++) {
			now_ns += step_ns;
			(void)self_turn(&watch, now_ns, step_ns);
		}
		assert_near(watch.distrust, 0.4 * exp(-1));
		assert_int_equal(watch.late_ticks, 1);
	}
}

/* An agent that is late all the time distrusts itself fully and never more. */
static void test_distrust_is_bounded(void **state)
{
	struct self_watch watch = {0};
	uint64_t now_ns = START_NS;

	(void)state;
	self_start(&watch, now_ns);
	for (unsigned int i = 1; i <= 100; i++) {
		struct self_turn turn;

		now_ns += 900 * NS_PER_MS;
		turn = self_turn(&watch, now_ns, 50 * NS_PER_MS);
		assert_true(turn.late && !turn.paused);
		assert_true(watch.distrust > 0.4 && watch.distrust <= 1);
		assert_int_equal(watch.late_ticks, i);
		assert_int_equal(watch.late_ns, i * 850 * NS_PER_MS);
	}
	assert_true(watch.distrust > 0.99);
}

enum { CARRIER_AS_EXPECTED, CARRIER_WRONG, CARRIER_NO_NAMESPACE, CARRIER_NO_LINK };

/* The kernel tells a changed carrier from a work queue, up to a second later
 * (net/core/link_watch.c). */
static bool carrier_becomes(bool wanted)
{
	const struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};

	for (unsigned int i = 0; i < 500 && self_has_carrier() != wanted; i++)
		(void)nanosleep(&pause, NULL);
	return self_has_carrier() == wanted;
}

/* In a network namespace of our own, which ends with this process. */
static int try_carrier(void)
{
	if (unshare(CLONE_NEWNET))
		return CARRIER_NO_NAMESPACE;
	/* Nothing there, and then loopback only. */
	if (self_has_carrier())
		return CARRIER_WRONG;
	if (system("ip link set lo up 2>/dev/null"))
		return CARRIER_NO_LINK;
	if (self_has_carrier())
		return CARRIER_WRONG;
	if (system("ip link add here type veth peer name there 2>/dev/null"))
		return CARRIER_NO_LINK;
	if (self_has_carrier())
		return CARRIER_WRONG;
	/* Up, but the far end of the wire is not. */
	if (system("ip link set here up") || self_has_carrier())
		return CARRIER_WRONG;
	if (system("ip link set there up") || !carrier_becomes(true))
		return CARRIER_WRONG;
	if (system("ip link set here down; ip link set there down") || !carrier_becomes(false))
		return CARRIER_WRONG;
	return CARRIER_AS_EXPECTED;
}

static void test_carrier(void **state)
{
	int status = 0;
	pid_t child;

	(void)state;
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(try_carrier());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CARRIER_NO_NAMESPACE) {
		print_message("a network namespace of its own needs root\n");
		skip();
	}
	if (WEXITSTATUS(status) == CARRIER_NO_LINK) {
		print_message("no ip command, or no veth in this kernel\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), CARRIER_AS_EXPECTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turn),
		cmocka_unit_test(test_distrust_fades),
		cmocka_unit_test(test_distrust_is_bounded),
		cmocka_unit_test(test_carrier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
