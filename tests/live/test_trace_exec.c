// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `tocsin trace exec`: each program that was executed, with exactly its arguments. */
#include "live/cgroup_rig.h"
#include "live/child.h"
#include "live/trace_run.h"

#include <fcntl.h>
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

#define PROGRAM	   "/bin/true"
#define LONG_BYTES 2000
#define KEPT_BYTES 512
#define FLOOD	   2500 /* more than the ring of 1 MiB holds: 1,456 records of 720 bytes */

struct fixture {
	struct trace_run run;
	struct cgroup_rig cgroup;
	pid_t waiting;
	int gate[2];
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

	child_kill(&fixture->waiting);
	trace_run_discard(&fixture->run);
	cgroup_rig_down(&fixture->cgroup);
	free(fixture);
	return 0;
}

static void start(struct fixture *fixture)
{
	const char *obstacle = trace_run_obstacle() ? trace_run_obstacle() : cgroup_rig_obstacle();

	if (obstacle) {
		print_message("%s\n", obstacle);
		skip();
	}
	cgroup_rig_up(&fixture->cgroup, "exec");
	trace_run_start(&fixture->run, (const char *const[]){"exec", "-g", fixture->cgroup.path,
							     "-o", "json", NULL});
	cgroup_rig_enter(&fixture->cgroup);
}

struct call {
	const char *words[8];
	bool by_descriptor;
};

static void execute(void *context)
{
	const struct call *call = context;
	char *const *words = (char **)(uintptr_t)call->words;

	if (call->by_descriptor)
		execveat(open(PROGRAM, O_PATH | O_CLOEXEC), "", words, environ, AT_EMPTY_PATH);
	else
		execve(PROGRAM, words, environ);
}

static void assert_words(const json_t *line, const struct call *call)
{
	const json_t *words = json_object_get(line, "arguments");
	size_t count = 0;

	while (call->words[count]) {
		const char *word = json_string_value(json_array_get(words, count));

		assert_non_null(word);
		assert_string_equal(word, call->words[count]);
		count++;
	}
	assert_int_equal(json_array_size(words), count);
}

static void test_arguments_are_exact(void **state)
{
	static const struct call calls[] = {
		{{"true", "a", "b c", "", "d\te\"f\\", "\xc3\xa4", ""}, false},
		{{"true"}, false},
		{{"", ""}, false},
		{{"by descriptor", "x", "y z"}, true},
	};
	struct fixture *fixture = *state;
	pid_t pids[4];
	json_t *lines;

	start(fixture);
	for (size_t i = 0; i < 4; i++) {
		pids[i] = child_start(execute, (void *)(uintptr_t)&calls[i]);
		assert_int_equal(child_wait(pids[i]), 0);
	}
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 4);
	for (size_t i = 0; i < 4; i++) {
		const json_t *line = json_array_get(lines, i);

		assert_int_equal(trace_run_number(line, "pid"), pids[i]);
		assert_int_equal(trace_run_number(line, "parent_pid"), getpid());
		assert_int_equal(trace_run_number(line, "uid"), geteuid());
		assert_string_equal(trace_run_string(line, "cgroup"), fixture->cgroup.path);
		assert_words(line, &calls[i]);
		if (!calls[i].by_descriptor)
			assert_string_equal(trace_run_string(line, "file"), PROGRAM);
	}
	json_decref(lines);
}

static void test_long_arguments_are_cut_and_measured(void **state)
{
	static char word[LONG_BYTES + 1];
	const struct call call = {{"true", word}, false};
	struct fixture *fixture = *state;
	const json_t *words;
	json_t *lines;

	memset(word, 'w', LONG_BYTES);
	start(fixture);
	assert_int_equal(child_wait(child_start(execute, (void *)(uintptr_t)&call)), 0);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 1);
	assert_int_equal(trace_run_number(json_array_get(lines, 0), "arguments_bytes"),
			 sizeof("true") + LONG_BYTES + 1);
	words = json_object_get(json_array_get(lines, 0), "arguments");
	assert_int_equal(json_array_size(words), 2);
	assert_int_equal(strlen(json_string_value(json_array_get(words, 1))),
			 KEPT_BYTES - sizeof("true"));
	json_decref(lines);
}

static void fail_to_execute(void *unused)
{
	char *const words[] = {"none", NULL};

	(void)unused;
	execve("/nonexistent/program", words, environ);
}

static void test_failed_calls_are_none(void **state)
{
	struct fixture *fixture = *state;
	json_t *lines;

	start(fixture);
	assert_int_equal(WEXITSTATUS(child_wait(child_start(fail_to_execute, NULL))),
			 CHILD_RETURNED);
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 0);
	json_decref(lines);
}

static void test_flood_is_shown_or_counted_as_lost(void **state)
{
	static const struct call call = {{"true"}, false};
	struct fixture *fixture = *state;

	start(fixture);
	assert_int_equal(kill(fixture->run.pid, SIGSTOP), 0);
	for (int i = 0; i < FLOOD; i++)
		assert_int_equal(child_wait(child_start(execute, (void *)(uintptr_t)&call)), 0);
	assert_int_equal(kill(fixture->run.pid, SIGCONT), 0);
	trace_run_stop(&fixture->run, SIGTERM);
	assert_true(fixture->run.events_lost > 0);
	assert_int_equal(fixture->run.shown + fixture->run.events_lost, FLOOD);
}

static void execute_when_told(void *context)
{
	static const struct call call = {{"true", "filtered"}, false};
	struct fixture *fixture = context;
	char byte;

	close(fixture->gate[1]);
	if (!read(fixture->gate[0], &byte, 1))
		execute((void *)(uintptr_t)&call);
}

static void test_pid_filter(void **state)
{
	static const struct call other = {{"true", "other"}, false};
	struct fixture *fixture = *state;
	json_t *lines;
	char pid[16];

	if (trace_run_obstacle()) {
		print_message("%s\n", trace_run_obstacle());
		skip();
	}
	assert_int_equal(pipe2(fixture->gate, O_CLOEXEC), 0);
	fixture->waiting = child_start(execute_when_told, fixture);
	snprintf(pid, sizeof(pid), "%d", (int)fixture->waiting);
	trace_run_start(&fixture->run,
			(const char *const[]){"exec", "-p", pid, "-o", "json", NULL});
	assert_int_equal(child_wait(child_start(execute, (void *)(uintptr_t)&other)), 0);
	close(fixture->gate[1]);
	close(fixture->gate[0]);
	assert_int_equal(child_wait(fixture->waiting), 0);
	fixture->waiting = 0;
	trace_run_stop(&fixture->run, SIGINT);
	lines = trace_run_lines(&fixture->run);
	assert_int_equal(json_array_size(lines), 1);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(json_array_get(lines, 0), "arguments"), 1)),
			    "filtered");
	json_decref(lines);
}

/* An argument may not break a line or a column. */
static void test_table_and_csv_stay_in_their_line(void **state)
{
	static const struct call call = {{"true", "line\nbreak", "\"q\",c"}, false};
	static const char *const formats[] = {"table", "csv"};
	static const char *const expected[] = {" true line?break \"q\",c\n",
					       ",\"true line\nbreak \"\"q\"\",c\"\n"};

	for (int i = 0; i < 2; i++) {
		struct fixture *fixture = *state;
		char *text;

		if (trace_run_obstacle()) {
			print_message("%s\n", trace_run_obstacle());
			skip();
		}
		cgroup_rig_up(&fixture->cgroup, "exec");
		trace_run_start(&fixture->run,
				(const char *const[]){"exec", "-g", fixture->cgroup.path, "-o",
						      formats[i], NULL});
		cgroup_rig_enter(&fixture->cgroup);
		assert_int_equal(child_wait(child_start(execute, (void *)(uintptr_t)&call)), 0);
		trace_run_stop(&fixture->run, SIGINT);
		text = trace_run_text(&fixture->run);
		if (!strstr(text, expected[i]))
			fail_msg("%s", text);
		free(text);
		trace_run_discard(&fixture->run);
		cgroup_rig_down(&fixture->cgroup);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_arguments_are_exact),
		TEST(test_long_arguments_are_cut_and_measured),
		TEST(test_failed_calls_are_none),
		TEST(test_flood_is_shown_or_counted_as_lost),
		TEST(test_pid_filter),
		TEST(test_table_and_csv_stay_in_their_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
