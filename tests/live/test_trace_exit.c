// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `tocsin trace exit` and `crash`: each end of a process once, whoever of its threads is the last.
 */
#include "base/clock.h"
#include "live/cgroup_rig.h"
#include "live/child.h"
#include "live/endings.h"
#include "live/trace_run.h"
#include "probe/object.h"
#include "trace/trace.h"

#include "maps/exit.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CRASHES	   1000
#define FLOOD	   16000 /* more than the ring of 1 MiB holds: 11,915 records of 88 bytes */
#define ABORTS	   50
#define RACES	   200
#define AGE_MIN_NS (200 * NS_PER_MS)

struct fixture {
	struct trace_run run;
	struct cgroup_rig cgroup;
	pid_t waiting[2];
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

	for (int i = 0; i < 2; i++)
		child_kill(&fixture->waiting[i]);
	trace_run_discard(&fixture->run);
	cgroup_rig_down(&fixture->cgroup);
	free(fixture);
	return 0;
}

static void skip_without_cgroups(void)
{
	const char *obstacle = trace_run_obstacle() ? trace_run_obstacle() : cgroup_rig_obstacle();

	if (obstacle) {
		print_message("%s\n", obstacle);
		skip();
	}
}

/* Only what happens in the fixture's cgroup is of the test. */
static void start(struct fixture *fixture, const char *probe)
{
	cgroup_rig_up(&fixture->cgroup, "exit.service");
	trace_run_start(&fixture->run, (const char *const[]){probe, "-g", fixture->cgroup.path,
							     "-o", "json", NULL});
	cgroup_rig_enter(&fixture->cgroup);
}

/* ---- crashes ---- */

static const struct {
	int number;
	const char *name;
} deaths[] = {{SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGKILL, "SIGKILL"}, {SIGBUS, "SIGBUS"}};

#define DEATHS (sizeof(deaths) / sizeof(*deaths))

static void die(void *number)
{
	raise(*(int *)number);
}

static void test_crashes_are_all_told(void **state)
{
	struct fixture *fixture = *state;
	static pid_t pids[CRASHES];
	json_t *lines;

	skip_without_cgroups();
	start(fixture, "crash");
	for (size_t i = 0; i < CRASHES; i++) {
		pids[i] = child_start(die, (void *)&deaths[i % DEATHS].number);
		assert_true(WIFSIGNALED(child_wait(pids[i])));
	}
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), CRASHES);
	assert_int_equal(fixture->run.shown, CRASHES);
	assert_int_equal(fixture->run.events_lost, 0);
	for (size_t i = 0; i < CRASHES; i++) {
		const json_t *line = json_array_get(lines, i);

		assert_int_equal(trace_run_number(line, "pid"), pids[i]);
		assert_string_equal(trace_run_string(line, "signal"), deaths[i % DEATHS].name);
		assert_string_equal(trace_run_string(line, "cgroup"), fixture->cgroup.path);
		assert_string_equal(trace_run_string(line, "unit"), fixture->cgroup.name);
		assert_true(json_is_null(json_object_get(line, "container")));
		assert_true(json_is_null(json_object_get(line, "pod")));
		assert_int_equal(trace_run_number(line, "parent_pid"), getpid());
		assert_true(json_is_false(json_object_get(line, "core")));
		assert_in_range(trace_run_number(line, "age_ns"), 1, 10 * NS_PER_S);
	}
	json_decref(lines);
}

/* ---- threads ---- */

static void test_ends_of_threads_are_none(void **state)
{
	struct fixture *fixture = *state;
	json_t *lines;
	pid_t pid;

	skip_without_cgroups();
	start(fixture, "exit");
	pid = child_start(end_threads, NULL);
	assert_int_equal(WEXITSTATUS(child_wait(pid)), ENDINGS_CODE);
	trace_run_stop(&fixture->run, SIGTERM);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 1);
	assert_int_equal(trace_run_number(json_array_get(lines, 0), "pid"), pid);
	assert_int_equal(trace_run_number(json_array_get(lines, 0), "exit_code"), ENDINGS_CODE);
	assert_true(json_is_null(json_object_get(json_array_get(lines, 0), "signal")));
	json_decref(lines);
}

static void test_abort_after_main_ended_is_one_crash(void **state)
{
	struct fixture *fixture = *state;
	pid_t pids[ABORTS];
	json_t *lines;

	skip_without_cgroups();
	start(fixture, "crash");
	for (int i = 0; i < ABORTS; i++) {
		int status;

		pids[i] = child_start(abort_after_main, NULL);
		status = child_wait(pids[i]);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), ABORTS);
	for (int i = 0; i < ABORTS; i++) {
		const json_t *line = json_array_get(lines, (size_t)i);

		assert_int_equal(trace_run_number(line, "pid"), pids[i]);
		assert_string_equal(trace_run_string(line, "signal"), "SIGABRT");
	}
	json_decref(lines);
}

static void test_racing_threads_are_one_exit(void **state)
{
	struct fixture *fixture = *state;
	int codes[RACES];
	json_t *lines;

	skip_without_cgroups();
	start(fixture, "exit");
	for (int i = 0; i < RACES; i++)
		codes[i] = WEXITSTATUS(child_wait(child_start(end_racing, NULL)));
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), RACES);
	for (size_t i = 0; i < RACES; i++)
		assert_int_equal(trace_run_number(json_array_get(lines, i), "exit_code"), codes[i]);
	json_decref(lines);
}

struct tally {
	pid_t parent;
	int codes[RACES];
	unsigned int events, wrong;
};

static int count_event(void *context, const void *data, size_t size)
{
	const struct exit_event *event = data;
	struct tally *tally = context;

	assert_true(size >= sizeof(*event));
	if ((pid_t)event->parent_pid != tally->parent)
		return 0;
	tally->wrong += tally->events >= RACES || event->exit_code != tally->codes[tally->events];
	tally->events++;
	return 0;
}

/* As kernels before 6.16 have to do it: the tracepoint does not say which thread is the last. */
static void test_racing_threads_are_one_exit_on_older_kernels(void **state)
{
	const struct trace *trace = trace_find("exit");
	static const bool has_group_dead = false;
	const struct object_constant constant = {"exit_has_group_dead", &has_group_dead,
						 sizeof(has_group_dead)};
	const struct object_settings settings = {.constants = &constant, .constant_count = 1};
	struct program_status status = {.program = &trace->programs[0]};
	struct tally tally = {.parent = getpid()};
	char reason[512] = "";
	struct text error = TEXT(reason);
	struct object *object;

	(void)state;
	skip_without_cgroups();
	if (object_open(&object, trace->source, &settings, &status, 1, &error))
		fail_msg("%s", reason);
	for (int i = 0; i < RACES; i++)
		tally.codes[i] = WEXITSTATUS(child_wait(child_start(end_racing, NULL)));
	object_detach(object);
	assert_true(object_events_consume(object, count_event, &tally) >= 0);
	assert_int_equal(object_counters(object).events_lost, 0);
	assert_int_equal(object_counters(object).updates_lost, 0);
	object_close(object);
	assert_int_equal(tally.events, RACES);
	assert_int_equal(tally.wrong, 0);
}

/* ---- loss ---- */

static void end_at_once(void *unused)
{
	(void)unused;
	_exit(0);
}

static void test_flood_is_shown_or_counted_as_lost(void **state)
{
	struct fixture *fixture = *state;
	json_t *lines;

	skip_without_cgroups();
	start(fixture, "exit");
	assert_int_equal(kill(fixture->run.pid, SIGSTOP), 0);
	for (int i = 0; i < FLOOD; i++)
		(void)child_wait(child_start(end_at_once, NULL));
	assert_int_equal(kill(fixture->run.pid, SIGCONT), 0);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), fixture->run.shown);
	json_decref(lines);
	assert_true(fixture->run.events_lost > 0);
	assert_int_equal(fixture->run.shown + fixture->run.events_lost, FLOOD);
}

/* ---- filters ---- */

static void wait_for_death(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

/* Two processes die under a trace with these words; only the first is to be seen. */
static void assert_only_first(struct fixture *fixture, const char *const words[])
{
	pid_t expected = fixture->waiting[0];
	json_t *lines;

	trace_run_start(&fixture->run, words);
	child_kill(&fixture->waiting[1]);
	child_kill(&fixture->waiting[0]);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 1);
	assert_int_equal(trace_run_number(json_array_get(lines, 0), "pid"), expected);
	json_decref(lines);
}

static void test_pid_filter(void **state)
{
	struct fixture *fixture = *state;
	char pid[16];

	skip_without_cgroups();
	for (int i = 0; i < 2; i++)
		fixture->waiting[i] = child_start(wait_for_death, NULL);
	snprintf(pid, sizeof(pid), "%d", (int)fixture->waiting[0]);
	assert_only_first(fixture, (const char *const[]){"crash", "-p", pid, "-o", "json", NULL});
}

static void test_cgroup_filter(void **state)
{
	struct fixture *fixture = *state;

	skip_without_cgroups();
	cgroup_rig_up(&fixture->cgroup, "exit");
	fixture->waiting[1] = child_start(wait_for_death, NULL);
	cgroup_rig_enter(&fixture->cgroup);
	fixture->waiting[0] = child_start(wait_for_death, NULL);
	cgroup_rig_leave(&fixture->cgroup);
	assert_only_first(fixture, (const char *const[]){"crash", "-g", fixture->cgroup.path, "-o",
							 "json", NULL});
}

static void test_min_is_the_age(void **state)
{
	struct fixture *fixture = *state;
	uint64_t start_ns = clock_monotonic_ns();
	json_t *lines;
	pid_t old;

	skip_without_cgroups();
	cgroup_rig_up(&fixture->cgroup, "exit");
	cgroup_rig_enter(&fixture->cgroup);
	old = fixture->waiting[0] = child_start(wait_for_death, NULL);
	trace_run_start(&fixture->run, (const char *const[]){"crash", "-g", fixture->cgroup.path,
							     "-m", "200ms", "-o", "json", NULL});
	while (clock_monotonic_ns() - start_ns <= AGE_MIN_NS + 10 * NS_PER_MS)
		usleep(2000);
	fixture->waiting[1] = child_start(wait_for_death, NULL);
	child_kill(&fixture->waiting[1]);
	child_kill(&fixture->waiting[0]);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 1);
	assert_int_equal(trace_run_number(json_array_get(lines, 0), "pid"), old);
	assert_true(trace_run_number(json_array_get(lines, 0), "age_ns") >= (int64_t)AGE_MIN_NS);
	json_decref(lines);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_crashes_are_all_told),
		TEST(test_ends_of_threads_are_none),
		TEST(test_abort_after_main_ended_is_one_crash),
		TEST(test_racing_threads_are_one_exit),
		TEST(test_racing_threads_are_one_exit_on_older_kernels),
		TEST(test_flood_is_shown_or_counted_as_lost),
		TEST(test_pid_filter),
		TEST(test_cgroup_filter),
		TEST(test_min_is_the_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
