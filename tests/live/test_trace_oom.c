// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `tocsin trace oom`: the victim with its own group and memory, and who was in want. Memory is
 * short only in a group of the test's own.
 */
#include "live/cgroup_rig.h"
#include "live/child.h"
#include "live/memory_rig.h"
#include "live/trace_run.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB	      (1024UL * 1024)
#define VICTIM_BYTES  (40 * MIB)
#define TRIGGER_BYTES (40 * MIB)
#define SLACK_BYTES   (3 * MIB) /* of counters kept for each CPU, and what a process has anyway */
#define KILLS	      20
#define THREADS	      4

struct fixture {
	struct trace_run run;
	struct cgroup_rig victims, triggers;
	pid_t victim, trigger;
	struct memory_rig memory;
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

	child_kill(&fixture->victim);
	child_kill(&fixture->trigger);
	trace_run_discard(&fixture->run);
	cgroup_rig_down(&fixture->victims);
	cgroup_rig_down(&fixture->triggers);
	memory_rig_down(&fixture->memory);
	free(fixture);
	return 0;
}

/* 'filter': only the victims' group. */
static void start(struct fixture *fixture, bool filter)
{
	const char *obstacle = trace_run_obstacle() ? trace_run_obstacle() : cgroup_rig_obstacle();

	obstacle = obstacle ? obstacle : memory_rig_obstacle();
	if (obstacle) {
		print_message("%s\n", obstacle);
		skip();
	}
	memory_rig_up(&fixture->memory);
	cgroup_rig_up(&fixture->victims, "victims");
	cgroup_rig_up(&fixture->triggers, "triggers");
	if (filter)
		trace_run_start(&fixture->run,
				(const char *const[]){"oom", "-g", fixture->victims.path, "-o",
						      "json", NULL});
	else
		trace_run_start(&fixture->run, (const char *const[]){"oom", "-o", "json", NULL});
}

static int ready[2];

static void be_victim(void *context)
{
	struct fixture *fixture = context;

	cgroup_rig_enter(&fixture->victims);
	memory_rig_write("/proc/self", "oom_score_adj", "1000");
	memory_rig_enter(&fixture->memory);
	memory_rig_fill(VICTIM_BYTES);
	if (write(ready[1], "", 1) != 1)
		abort();
	for (;;)
		pause();
}

/* The other is always the better choice. */
static void be_trigger(void *context)
{
	struct fixture *fixture = context;

	cgroup_rig_enter(&fixture->triggers);
	memory_rig_enter(&fixture->memory);
	memory_rig_fill(TRIGGER_BYTES);
	_exit(0);
}

static void run_out_of_memory(struct fixture *fixture, pid_t *ret_victim, pid_t *ret_trigger)
{
	char byte;
	int status;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	fixture->victim = *ret_victim = child_start(be_victim, fixture);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	fixture->trigger = *ret_trigger = child_start(be_trigger, fixture);
	status = child_wait(fixture->victim);
	fixture->victim = 0;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_int_equal(child_wait(fixture->trigger), 0);
	fixture->trigger = 0;
}

static void test_victim_and_trigger(void **state)
{
	struct fixture *fixture = *state;
	pid_t victim, trigger;
	const json_t *line;
	json_t *lines;

	start(fixture, false);
	run_out_of_memory(fixture, &victim, &trigger);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 1);
	line = json_array_get(lines, 0);
	assert_int_equal(trace_run_number(line, "pid"), victim);
	assert_int_equal(trace_run_number(line, "trigger_pid"), trigger);
	assert_string_equal(trace_run_string(line, "cgroup"), fixture->victims.path);
	assert_string_equal(trace_run_string(line, "trigger_cgroup"), fixture->triggers.path);
	assert_string_equal(trace_run_string(line, "memory_cgroup"), fixture->memory.name);
	assert_int_equal(trace_run_number(line, "score_adjustment"), 1000);
	assert_in_range(trace_run_number(line, "anonymous_bytes"), VICTIM_BYTES - SLACK_BYTES,
			VICTIM_BYTES + SLACK_BYTES);
	assert_int_equal(trace_run_number(line, "swap_bytes"), 0);
	json_decref(lines);
}

static void test_group_filter_is_of_the_victim(void **state)
{
	struct fixture *fixture = *state;
	pid_t victim, trigger;

	for (int i = 0; i < 2; i++) {
		if (i) {
			/* Another trace over the same groups. */
			trace_run_discard(&fixture->run);
			trace_run_start(&fixture->run,
					(const char *const[]){"oom", "-g", fixture->triggers.path,
							      "-o", "json", NULL});
		} else {
			start(fixture, true);
		}
		run_out_of_memory(fixture, &victim, &trigger);
		trace_run_stop(&fixture->run, SIGINT);
		assert_int_equal(fixture->run.shown, i ? 0 : 1);
	}
}

static void *fill_in_thread(void *unused)
{
	(void)unused;
	memory_rig_fill(MEMORY_RIG_LIMIT_BYTES);
	return NULL;
}

/* All threads are in want at once, and each may be marked. */
static void be_victim_of_threads(void *context)
{
	struct fixture *fixture = context;
	pthread_t threads[THREADS];

	cgroup_rig_enter(&fixture->victims);
	memory_rig_enter(&fixture->memory);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, fill_in_thread, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static unsigned long kills_of_group(const struct fixture *fixture)
{
	unsigned long kills = 0;
	char path[256], line[128];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/memory.oom_control", fixture->memory.path);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		found |= sscanf(line, "oom_kill %lu", &kills) == 1;
	fclose(file);
	assert_true(found);
	return kills;
}

static void test_as_many_as_the_kernel_counts(void **state)
{
	struct fixture *fixture = *state;
	pid_t pids[KILLS];
	json_t *lines;

	start(fixture, true);
	for (int i = 0; i < KILLS; i++) {
		fixture->victim = pids[i] = child_start(be_victim_of_threads, fixture);
		assert_int_equal(WTERMSIG(child_wait(pids[i])), SIGKILL);
		fixture->victim = 0;
	}
	trace_run_stop(&fixture->run, SIGTERM);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(kills_of_group(fixture), KILLS);
	assert_int_equal(json_array_size(lines), KILLS);
	for (size_t i = 0; i < KILLS; i++) {
		const json_t *line = json_array_get(lines, i);

		assert_int_equal(trace_run_number(line, "pid"), pids[i]);
		assert_int_equal(trace_run_number(line, "trigger_pid"), pids[i]);
	}
	json_decref(lines);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_victim_and_trigger),
		TEST(test_group_filter_is_of_the_victim),
		TEST(test_as_many_as_the_kernel_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
