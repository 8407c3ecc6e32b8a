// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `tocsin trace runq` held against /proc/PID/schedstat: as many waits as the kernel counts, of the
 * same sum to the nanosecond, whoever wakes the task and wherever it waits.
 */
#include "base/clock.h"
#include "live/cgroup_rig.h"
#include "live/child.h"
#include "live/trace_run.h"
#include "live/waiter.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MOVES  200
#define UNSEEN 2
#define FLOOD  30000 /* switches; the ring of 1 MiB holds 11,915 records of 88 bytes */

struct fixture {
	struct trace_run run;
	struct cgroup_rig cgroup;
	struct waiter waiter, other;
	pid_t rivals[2];
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	return fixture ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	child_kill(&fixture->waiter.pid);
	child_kill(&fixture->other.pid);
	child_kill(&fixture->rivals[0]);
	child_kill(&fixture->rivals[1]);
	trace_run_discard(&fixture->run);
	cgroup_rig_down(&fixture->cgroup);
	free(fixture);
	return 0;
}

static void skip_where_impossible(void)
{
	const char *obstacle = trace_run_obstacle() ? trace_run_obstacle() : cgroup_rig_obstacle();

	if (!obstacle && access("/proc/self/schedstat", R_OK))
		obstacle = "the kernel has no CONFIG_SCHED_INFO (/proc/self/schedstat)";
	if (obstacle) {
		print_message("%s\n", obstacle);
		skip();
	}
}

/* ---- what runs ---- */

static struct cgroup_rig *group;

static void be_busy_in_group(void *context)
{
	cgroup_rig_enter(group);
	waiter_be_busy_between_gates(context);
}

static void yield_between_gates(void *context)
{
	waiter_pin(0, 0);
	waiter_pass_gate(context);
	for (int i = 0; i < FLOOD; i++)
		sched_yield();
	waiter_pass_gate(context);
	waiter_pass_gate(context);
	pause();
}

static void yield_for_ever(void *unused)
{
	(void)unused;
	waiter_pin(0, 0);
	for (;;)
		sched_yield();
}

static bool in_group(const struct waiter *waiter, const struct cgroup_rig *cgroup)
{
	char path[64], line[512];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)waiter->pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		found |= strstr(line, cgroup->path) != NULL;
	fclose(file);
	return found;
}

/*
 * The only line is of the waiter, and its sum is the kernel's. The count may be short of the
 * kernel's by so many: now and then it switches to a task without passing the tracepoint as far as
 * the program can tell, no miss of the program being counted either. Why is not known. Such a wait
 * is part of the next one.
 */
static void assert_histogram(struct fixture *fixture, const struct waiter *waiter, int64_t unseen)
{
	json_t *lines = trace_run_lines(&fixture->run);
	const json_t *line = json_array_get(lines, 0);

	assert_int_equal(json_array_size(lines), 1);
	assert_int_equal(fixture->run.updates_lost, 0);
	assert_in_range(trace_run_number(line, "count"), waiter_waits(waiter) - unseen,
			waiter_waits(waiter));
	assert_int_equal(trace_run_number(line, "sum_ns"), waiter_waited_ns(waiter));
	json_decref(lines);
}

static const char *const *words(const char *probe_words[static TRACE_RUN_ARGUMENTS_MAX],
				const struct waiter *waiter, const char *more, const char *value)
{
	static char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)waiter->pid);
	probe_words[0] = "runq";
	probe_words[1] = "-o";
	probe_words[2] = "json";
	probe_words[3] = "-p";
	probe_words[4] = pid;
	probe_words[5] = more;
	probe_words[6] = value;
	probe_words[7] = NULL;
	return probe_words;
}

/* ---- tests ---- */

static void test_waits_are_the_kernels(void **state)
{
	const char *argument_words[TRACE_RUN_ARGUMENTS_MAX];
	struct fixture *fixture = *state;
	struct waiter *waiter = &fixture->waiter;
	int cpu = 0;

	skip_where_impossible();
	waiter_start(waiter, waiter_be_busy_between_gates);
	fixture->rivals[0] = child_start(waiter_be_rival, &cpu);
	trace_run_start(&fixture->run, words(argument_words, waiter, NULL, NULL));
	waiter_read_before(waiter);
	waiter_let(waiter);
	waiter_expect(waiter);
	waiter_let(waiter);
	waiter_expect(waiter);
	waiter_read_after(waiter);
	trace_run_stop(&fixture->run, SIGINT);
	/* Half of the CPU was the rival's. */
	assert_true(waiter_waited_ns(waiter) > (int64_t)WAITER_BUSY_NS / 8);
	assert_histogram(fixture, waiter, UNSEEN);
}

static void test_waits_across_queues_are_whole(void **state)
{
	const char *argument_words[TRACE_RUN_ARGUMENTS_MAX];
	struct fixture *fixture = *state;
	struct waiter *waiter = &fixture->waiter;
	int cpus[2] = {0, 1};

	skip_where_impossible();
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		print_message("one CPU: nowhere to move to\n");
		skip();
	}
	waiter_start(waiter, waiter_be_movable_between_gates);
	for (int i = 0; i < 2; i++)
		fixture->rivals[i] = child_start(waiter_be_rival, &cpus[i]);
	trace_run_start(&fixture->run, words(argument_words, waiter, NULL, NULL));
	waiter_read_before(waiter);
	waiter_let(waiter);
	waiter_expect(waiter);
	for (int i = 0; i < MOVES; i++)
		waiter_pin(waiter->pid, i & 1);
	waiter_let(waiter);
	waiter_expect(waiter);
	waiter_read_after(waiter);
	trace_run_stop(&fixture->run, SIGINT);
	assert_histogram(fixture, waiter, MOVES / 20);
}

/* Not of who wakes. One on CPU 0 only: grouped in any way there is one histogram. */
static void test_group_of_who_waited(void **state)
{
	static const char *const keys[] = {"cgroup", "pid", "cpu", "all"};

	for (int i = 0; i < 4; i++) {
		struct fixture *fixture = *state;
		json_t *lines;
		const json_t *line;
		int cpu = 0;

		skip_where_impossible();
		cgroup_rig_up(&fixture->cgroup, "runq");
		group = &fixture->cgroup;
		waiter_start(&fixture->waiter, be_busy_in_group);
		while (!in_group(&fixture->waiter, group))
			usleep(1000);
		waiter_start(&fixture->other, waiter_be_busy_between_gates);
		trace_run_start(&fixture->run,
				(const char *const[]){"runq", "-o", "json", "--by", keys[i], "-g",
						      fixture->cgroup.path, NULL});
		waiter_read_before(&fixture->waiter);
		/* Woken by this process, which is not in the group; nor are the others. */
		waiter_let(&fixture->other);
		fixture->rivals[0] = child_start(waiter_be_rival, &cpu);
		for (int gate = 0; gate < 2; gate++) {
			waiter_let(&fixture->waiter);
			waiter_expect(&fixture->waiter);
		}
		waiter_read_after(&fixture->waiter);
		trace_run_stop(&fixture->run, SIGTERM);
		lines = trace_run_lines(&fixture->run);
		line = json_array_get(lines, 0);
		if (!strcmp(keys[i], "cgroup"))
			assert_string_equal(trace_run_string(line, "cgroup"), fixture->cgroup.path);
		if (!strcmp(keys[i], "pid"))
			assert_int_equal(trace_run_number(line, "pid"), fixture->waiter.pid);
		if (!strcmp(keys[i], "cpu"))
			assert_int_equal(trace_run_number(line, "cpu"), 0);
		json_decref(lines);
		assert_histogram(fixture, &fixture->waiter, UNSEEN);
		child_kill(&fixture->waiter.pid);
		child_kill(&fixture->other.pid);
		child_kill(&fixture->rivals[0]);
		trace_run_discard(&fixture->run);
		cgroup_rig_down(&fixture->cgroup);
	}
}

static void test_flood_of_events_is_shown_or_counted_as_lost(void **state)
{
	const char *argument_words[TRACE_RUN_ARGUMENTS_MAX];
	struct fixture *fixture = *state;
	struct waiter *waiter = &fixture->waiter;

	skip_where_impossible();
	waiter_start(waiter, yield_between_gates);
	fixture->rivals[0] = child_start(yield_for_ever, NULL);
	trace_run_start(&fixture->run, words(argument_words, waiter, "--events", NULL));
	waiter_read_before(waiter);
	assert_int_equal(kill(fixture->run.pid, SIGSTOP), 0);
	for (int gate = 0; gate < 2; gate++) {
		waiter_let(waiter);
		waiter_expect(waiter);
	}
	waiter_read_after(waiter);
	assert_int_equal(kill(fixture->run.pid, SIGCONT), 0);
	trace_run_stop(&fixture->run, SIGINT);
	assert_true(fixture->run.events_lost > 0);
	assert_int_equal(fixture->run.shown + fixture->run.events_lost, waiter_waits(waiter));
}

static void test_events_over_a_minimum(void **state)
{
	const char *argument_words[TRACE_RUN_ARGUMENTS_MAX];
	struct fixture *fixture = *state;
	struct waiter *waiter = &fixture->waiter;
	pid_t rival;
	json_t *lines;
	int cpu = 0;

	skip_where_impossible();
	waiter_start(waiter, waiter_be_busy_between_gates);
	rival = fixture->rivals[0] = child_start(waiter_be_rival, &cpu);
	trace_run_start(&fixture->run, words(argument_words, waiter, "-m", "500us"));
	waiter_read_before(waiter);
	for (int gate = 0; gate < 2; gate++) {
		waiter_let(waiter);
		waiter_expect(waiter);
	}
	waiter_read_after(waiter);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_in_range(json_array_size(lines), 1, waiter_waits(waiter));
	for (size_t i = 0, behind_rival = 0; i < json_array_size(lines); i++) {
		const json_t *line = json_array_get(lines, i);

		assert_int_equal(trace_run_number(line, "pid"), waiter->pid);
		assert_int_equal(trace_run_number(line, "tid"), waiter->pid);
		assert_int_equal(trace_run_number(line, "cpu"), 0);
		assert_in_range(trace_run_number(line, "delay_ns"), 500 * NS_PER_US,
				waiter_waited_ns(waiter));
		behind_rival += json_integer_value(json_object_get(line, "before_pid")) == rival;
		if (i + 1 == json_array_size(lines))
			assert_true(behind_rival > 0);
	}
	json_decref(lines);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_waits_are_the_kernels),
		TEST(test_waits_across_queues_are_whole),
		TEST(test_group_of_who_waited),
		TEST(test_flood_of_events_is_shown_or_counted_as_lost),
		TEST(test_events_over_a_minimum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
