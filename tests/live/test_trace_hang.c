// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `tocsin trace hang`: a parent that waits in vfork() for its child is in uninterruptible
 * (killable) sleep for as long as the test wants.
 */
#include "base/clock.h"
#include "live/cgroup_rig.h"
#include "live/child.h"
#include "live/trace_run.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_NS (500 * NS_PER_MS)

/* One that hangs until its gate is closed. */
struct sleeper {
	pid_t pid;
	int gate[2];
};

struct fixture {
	struct trace_run run;
	struct cgroup_rig cgroup;
	struct sleeper sleepers[2];
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

	for (int i = 0; i < 2; i++) {
		if (fixture->sleepers[i].pid > 0) {
			close(fixture->sleepers[i].gate[1]);
			child_kill(&fixture->sleepers[i].pid);
		}
	}
	trace_run_discard(&fixture->run);
	cgroup_rig_down(&fixture->cgroup);
	free(fixture);
	return 0;
}

static void skip_where_impossible(void)
{
	const char *obstacle = trace_run_obstacle() ? trace_run_obstacle() : cgroup_rig_obstacle();

	if (obstacle) {
		print_message("%s\n", obstacle);
		skip();
	}
}

static void hang(void *context)
{
	const struct sleeper *sleeper = context;
	char byte;

	close(sleeper->gate[1]);
	/* The child shares the memory and is all that runs until it exits. */
	if (!vfork()) {
		while (read(sleeper->gate[0], &byte, 1) < 0 && errno == EINTR)
			continue;
		_exit(0);
	}
	pause();
}

static char task_state(pid_t pid)
{
	char path[64], line[512] = "";
	const char *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	end = strrchr(line, ')');
	assert_non_null(end);
	return end[2];
}

static void wait_for_state(pid_t pid, char state)
{
	uint64_t deadline_ns = clock_monotonic_ns() + 15 * NS_PER_S;

	while (task_state(pid) != state) {
		assert_true(clock_monotonic_ns() < deadline_ns);
		usleep(1000);
	}
}

static void sleeper_start(struct sleeper *sleeper)
{
	assert_int_equal(pipe2(sleeper->gate, O_CLOEXEC), 0);
	sleeper->pid = child_start(hang, sleeper);
	close(sleeper->gate[0]);
	wait_for_state(sleeper->pid, 'D');
}

static void sleeper_wake(struct sleeper *sleeper)
{
	close(sleeper->gate[1]);
	wait_for_state(sleeper->pid, 'S');
}

static void assert_event(json_t *lines, size_t index, const char *event, pid_t pid)
{
	const json_t *line = json_array_get(lines, index);

	assert_string_equal(trace_run_string(line, "event"), event);
	assert_int_equal(trace_run_number(line, "pid"), pid);
	assert_int_equal(trace_run_number(line, "tid"), pid);
}

static void test_hang_begins_and_ends(void **state)
{
	struct fixture *fixture = *state;
	struct sleeper *sleeper = &fixture->sleepers[0];
	uint64_t start_ns, begin_ns, end_ns;
	const json_t *stack;
	json_t *lines;
	char pid[16];

	skip_where_impossible();
	start_ns = clock_monotonic_ns();
	sleeper_start(sleeper);
	snprintf(pid, sizeof(pid), "%d", (int)sleeper->pid);
	trace_run_start(&fixture->run, (const char *const[]){"hang", "-m", "500ms", "-p", pid, "-o",
							     "json", "0.1", NULL});
	trace_run_expect_lines(&fixture->run, 1);
	begin_ns = clock_monotonic_ns();
	assert_true(begin_ns - start_ns >= LIMIT_NS);
	sleeper_wake(sleeper);
	trace_run_expect_lines(&fixture->run, 2);
	end_ns = clock_monotonic_ns();
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 2);
	assert_event(lines, 0, "hangs", sleeper->pid);
	assert_event(lines, 1, "ended", sleeper->pid);
	/* Known from a look on, told by another. */
	assert_in_range(trace_run_number(json_array_get(lines, 0), "slept_ns"), LIMIT_NS,
			begin_ns - start_ns);
	assert_in_range(trace_run_number(json_array_get(lines, 1), "slept_ns"), LIMIT_NS,
			end_ns - start_ns);
	/* A signal ends the wait of vfork(). */
	assert_true(json_is_true(json_object_get(json_array_get(lines, 0), "killable")));
	stack = json_object_get(json_array_get(lines, 0), "stack");
	assert_true(json_array_size(stack) > 2);
	json_decref(lines);
}

/* It ends by itself. */
static void assert_ends_silent(struct fixture *fixture)
{
	char *text;

	assert_int_equal(child_wait(fixture->run.pid), 0);
	fixture->run.pid = 0;
	text = trace_run_text(&fixture->run);
	assert_string_equal(text, "");
	free(text);
}

static void test_shorter_sleeps_and_other_sleeps_are_none(void **state)
{
	struct fixture *fixture = *state;
	struct sleeper *sleeper = &fixture->sleepers[0];
	char pid[16];

	skip_where_impossible();
	sleeper_start(sleeper);
	snprintf(pid, sizeof(pid), "%d", (int)sleeper->pid);
	/* The default limit is 10 s; a few looks find it asleep. */
	trace_run_start(&fixture->run, (const char *const[]){"hang", "-p", pid, "-o", "json", "-D",
							     "5", "0.05", "8", NULL});
	assert_ends_silent(fixture);
	/* Interruptible sleep. */
	sleeper_wake(sleeper);
	trace_run_discard(&fixture->run);
	trace_run_start(&fixture->run, (const char *const[]){"hang", "-p", pid, "-m", "20ms", "-o",
							     "json", "0.05", "8", NULL});
	assert_ends_silent(fixture);
}

static void test_one_that_is_killed_has_ended(void **state)
{
	struct fixture *fixture = *state;
	struct sleeper *sleeper = &fixture->sleepers[0];
	json_t *lines;
	char pid[16];
	pid_t killed;

	skip_where_impossible();
	sleeper_start(sleeper);
	killed = sleeper->pid;
	snprintf(pid, sizeof(pid), "%d", (int)killed);
	trace_run_start(&fixture->run, (const char *const[]){"hang", "-m", "500ms", "-p", pid, "-o",
							     "json", "0.1", NULL});
	trace_run_expect_lines(&fixture->run, 1);
	child_kill(&sleeper->pid);
	trace_run_stop(&fixture->run, SIGTERM);
	close(sleeper->gate[1]);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 2);
	assert_event(lines, 0, "hangs", killed);
	assert_event(lines, 1, "ended", killed);
	json_decref(lines);
}

static void test_group_filter(void **state)
{
	struct fixture *fixture = *state;
	json_t *lines;

	skip_where_impossible();
	cgroup_rig_up(&fixture->cgroup, "hang");
	sleeper_start(&fixture->sleepers[1]);
	cgroup_rig_enter(&fixture->cgroup);
	sleeper_start(&fixture->sleepers[0]);
	cgroup_rig_leave(&fixture->cgroup);
	trace_run_start(&fixture->run,
			(const char *const[]){"hang", "-m", "200ms", "-g", fixture->cgroup.path,
					      "-o", "json", "0.1", "12", NULL});
	assert_int_equal(child_wait(fixture->run.pid), 0);
	fixture->run.pid = 0;
	lines = trace_run_lines(&fixture->run);
	/* The child of the one in the group is in it, too, and reads from a pipe. */
	assert_int_equal(json_array_size(lines), 1);
	assert_event(lines, 0, "hangs", fixture->sleepers[0].pid);
	assert_string_equal(trace_run_string(json_array_get(lines, 0), "cgroup"),
			    fixture->cgroup.path);
	json_decref(lines);
	for (int i = 0; i < 2; i++) {
		sleeper_wake(&fixture->sleepers[i]);
		child_kill(&fixture->sleepers[i].pid);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hang_begins_and_ends),
		TEST(test_shorter_sleeps_and_other_sleeps_are_none),
		TEST(test_one_that_is_killed_has_ended),
		TEST(test_group_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
