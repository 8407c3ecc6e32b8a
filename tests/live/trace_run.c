// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/trace_run.h"

#include "base/clock.h"
#include "live/process.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_NS	     (30 * NS_PER_S)
#define POLL_US	     2000
#define CHILD_FAILED 120
#define READY	     "; ^C ends it\n"

const char *trace_run_obstacle(void)
{
	return process_obstacle();
}

static char *read_all(int fd)
{
	struct stat status;
	size_t bytes = 0;
	ssize_t count;
	char *text;

	assert_int_equal(fstat(fd, &status), 0);
	text = malloc((size_t)status.st_size + 1);
	assert_non_null(text);
	while (bytes < (size_t)status.st_size) {
		count = pread(fd, text + bytes, (size_t)status.st_size - bytes, (off_t)bytes);
		assert_true(count > 0);
		bytes += (size_t)count;
	}
	text[bytes] = '\0';
	return text;
}

char *trace_run_text(struct trace_run *run)
{
	return read_all(run->output);
}

char *trace_run_log(struct trace_run *run)
{
	return read_all(run->log);
}

static void become(const struct trace_run *run, const char *const arguments[])
{
	const char *words[TRACE_RUN_ARGUMENTS_MAX + 3] = {"tocsin", "trace"};
	const char *build = getenv("BUILD");
	char path[PATH_MAX];

	for (size_t i = 0; i < TRACE_RUN_ARGUMENTS_MAX && arguments[i]; i++)
		words[i + 2] = arguments[i];
	snprintf(path, sizeof(path), "%s/tocsin", build ? build : "build");
	signal(SIGPIPE, SIG_DFL);
	if (dup2(run->output, STDOUT_FILENO) < 0 || dup2(run->log, STDERR_FILENO) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(CHILD_FAILED);
	execv(path, (char **)(uintptr_t)words);
	_exit(CHILD_FAILED);
}

static bool has_ended(struct trace_run *run, int *status)
{
	pid_t ended = waitpid(run->pid, status, WNOHANG);

	assert_true(ended == 0 || ended == run->pid);
	if (ended)
		run->pid = 0;
	return ended;
}

void trace_run_start(struct trace_run *run, const char *const arguments[])
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	int status;

	*run = (struct trace_run){
		.output = memfd_create("output", MFD_CLOEXEC),
		.log = memfd_create("log", MFD_CLOEXEC),
	};
	assert_true(run->output >= 0 && run->log >= 0);
	fflush(NULL);
	run->pid = fork();
	assert_true(run->pid >= 0);
	if (!run->pid)
		become(run, arguments);
	for (;;) {
		char *log = trace_run_log(run);
		bool ready = strstr(log, READY);

		if (!ready && has_ended(run, &status))
			fail_msg("it ended with status %d: %s", status, log);
		free(log);
		if (ready)
			return;
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("the trace is not ready after 30 s");
		usleep(POLL_US);
	}
}

static void read_summary(struct trace_run *run)
{
	char *log = trace_run_log(run);
	const char *line = NULL;
	char word[16];

	for (const char *next = log; next; next = strchr(next, '\n')) {
		next += *next == '\n';
		line = *next ? next : line;
	}
	line = line ? strstr(line, ": ") : NULL;
	if (!line ||
	    sscanf(line,
		   ": %" SCNu64 " %15s shown, %" SCNu64 " events lost, %" SCNu64 " updates lost",
		   &run->shown, word, &run->events_lost, &run->updates_lost) != 4)
		fail_msg("no summary in: %s", log);
	line = strstr(line, " interrupted itself, ");
	if (line && sscanf(line, " interrupted itself, %" SCNu64, &run->not_ended) != 1)
		fail_msg("what does the summary say in: %s", log);
	free(log);
}

void trace_run_stop(struct trace_run *run, int number)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	int status;

	assert_true(run->pid > 0);
	assert_int_equal(kill(run->pid, number), 0);
	while (!has_ended(run, &status)) {
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("the trace does not end within 30 s of signal %d", number);
		usleep(POLL_US);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	read_summary(run);
}

void trace_run_expect_lines(struct trace_run *run, size_t count)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

	for (;;) {
		char *text = trace_run_text(run);
		size_t lines = 0;

		for (const char *c = text; *c; c++)
			lines += *c == '\n';
		if (lines < count && clock_monotonic_ns() > deadline_ns)
			fail_msg("waited 30 s in vain for %zu lines; there are:\n%s", count, text);
		free(text);
		if (lines >= count)
			return;
		usleep(POLL_US);
	}
}

json_t *trace_run_lines(struct trace_run *run)
{
	char *text = trace_run_text(run);
	json_t *lines = json_array();
	char *rest;

	assert_non_null(lines);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		json_error_t error;
		json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);

		if (!object)
			fail_msg("no JSON (%s): %s", error.text, line);
		assert_int_equal(json_array_append_new(lines, object), 0);
	}
	free(text);
	return lines;
}

void trace_run_discard(struct trace_run *run)
{
	if (run->pid > 0) {
		kill(run->pid, SIGKILL);
		waitpid(run->pid, NULL, 0);
	}
	if (run->output > 0)
		close(run->output);
	if (run->log > 0)
		close(run->log);
	*run = (struct trace_run){0};
}

int64_t trace_run_number(const json_t *line, const char *key)
{
	const json_t *value = json_object_get(line, key);

	if (!json_is_integer(value))
		fail_msg("no number under '%s'", key);
	return json_integer_value(value);
}

const char *trace_run_string(const json_t *line, const char *key)
{
	const char *text = json_string_value(json_object_get(line, key));

	if (!text)
		fail_msg("no text under '%s'", key);
	return text;
}
