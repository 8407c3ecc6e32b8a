/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_TRACE_RUN_H
#define TOCSIN_TESTS_LIVE_TRACE_RUN_H

/* `$BUILD/tocsin trace` in the background, as its user would run it. What these functions cannot do
 * fails the running test. */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TRACE_RUN_ARGUMENTS_MAX 16

struct trace_run {
	pid_t pid;
	int output, log; /* files without a name: a trace never waits for the test to read */
	/* By the summary, once it is stopped. */
	uint64_t shown, events_lost, updates_lost;
	uint64_t not_ended; /* where it tells */
};

/* Why traces cannot be run, or NULL. */
const char *trace_run_obstacle(void);

/* Starts `tocsin trace` with the words up to NULL, and waits until it says that it is ready. */
void trace_run_start(struct trace_run *run, const char *const arguments[]);

/* Ends it with a signal and waits for that; its exit code must be 0. Reads the summary. */
void trace_run_stop(struct trace_run *run, int number);

/* Waits until so many complete lines are on stdout. */
void trace_run_expect_lines(struct trace_run *run, size_t count);

/* What it has written so far as JSON, a line an element. A new reference. */
json_t *trace_run_lines(struct trace_run *run);

/* A value of a line, which must be there and of that kind. */
int64_t trace_run_number(const json_t *line, const char *key);
const char *trace_run_string(const json_t *line, const char *key);

/* The same as text, to be freed. */
char *trace_run_text(struct trace_run *run);
char *trace_run_log(struct trace_run *run);

/* Kills it, if it runs, and frees everything: for teardown. */
void trace_run_discard(struct trace_run *run);

#endif
