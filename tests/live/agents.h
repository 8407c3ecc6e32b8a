/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_AGENTS_H
#define TOCSIN_TESTS_LIVE_AGENTS_H

/* What the tests of the agent as a process share: a rig, a directory, and agents in them. */

#include "live/process.h"

#define AGENTS_MAX 5
/* Of an agent that listens where the defaults say. */
#define AGENTS_URL "http://127.0.0.1:9479"

struct agents {
	struct rig rig;
	char directory[64]; /* everything the test writes; a new one for each test */
	char config[AGENTS_MAX][128];
	struct process agent[AGENTS_MAX];
	struct process other; /* for whatever else is run */
	char body[PROCESS_HTTP_BODY_MAX];
};

/* cmocka fixtures; *state is a struct agents. */
int agents_group_set_up(void **state);
int agents_group_tear_down(void **state);
int agents_set_up(void **state);
int agents_tear_down(void **state);

/*
 * Writes (or replaces) the configuration of an agent: a state_dir of its own, this, and a JSON log
 * when it says nothing about that.
 */
void agents_configure(struct agents *agents, unsigned int index, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* How it is started: `tocsin agent -c` with its configuration. */
struct process_options agents_options(const struct agents *agents, unsigned int index);

/* Starts an agent and waits until it says so. */
void agents_start(struct agents *agents, unsigned int index, const struct process_options *options);

/* SIGTERM, and all that must be true of its end. */
void agents_stop(struct agents *agents, unsigned int index);

/* A sample of /metrics below this URL, like "tocsin_agent_blind"; -1 when there is none. */
double agents_metric(struct agents *agents, enum side side, const char *url, const char *sample);

/* Another sample of the same answer. */
double agents_sample(const struct agents *agents, const char *sample);

/* Runs the group, or skips it with the reason why it cannot be. */
#define agents_run_tests(name, tests)                                                       \
	(process_obstacle() ? agents_skip_all(name)                                         \
			    : cmocka_run_group_tests_name(name, tests, agents_group_set_up, \
							  agents_group_tear_down))
int agents_skip_all(const char *name);

#define agents_test(function) \
	cmocka_unit_test_setup_teardown(function, agents_set_up, agents_tear_down)

#endif
