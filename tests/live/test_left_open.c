// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An agent that is killed during an incident, and what the next one makes of it. */
#include "live/agents.h"

#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define URL "http://10.99.0.1:9479"

static void configure_node(struct agents *agents, unsigned int index)
{
	agents_configure(agents, index,
			 "node: n%u\n"
			 "netns: own\n"
			 "http: {listen: '10.99.0.%u:9479'}\n"
			 "heartbeat: {authenticate: false}\n"
			 "nodes:\n"
			 "  - {name: n1, addresses: [10.99.0.1]}\n"
			 "  - {name: n2, addresses: [10.99.0.2]}\n",
			 index + 1, index + 1);
}

static void start_node(struct agents *agents, unsigned int index)
{
	struct process_options options = agents_options(agents, index);

	options.side = index ? SIDE_B : SIDE_A;
	agents_start(agents, index, &options);
}

/* The incident of n2 in the journal of agent 0, as `tocsin incidents` tells it; a new reference,
 * NULL: there is none. This machine's disks may have some of their own. */
static json_t *read_incident(struct agents *agents)
{
	char directory[128], *line, *rest;
	json_t *found = NULL;

	snprintf(directory, sizeof(directory), "%s/state-0", agents->directory);
	process_discard(&agents->other);
	if (process_run(
		    &agents->other, &agents->rig,
		    &(struct process_options){.arguments = {"incidents", "-j", "-s", directory}}))
		fail_msg("%s", agents->other.log);
	for (line = strtok_r(agents->other.output, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		json_t *incident = json_loads(line, 0, NULL);
		const char *subject =
			json_string_value(json_array_get(json_object_get(incident, "subject"), 0));

		if (subject && !strcmp(subject, "n2")) {
			assert_null(found);
			found = json_incref(incident);
		}
		json_decref(incident);
	}
	return found;
}

struct question {
	struct agents *agents;
	const char *state, *class;
};

static bool is_in_state(void *context)
{
	const struct question *question = context;
	json_t *incident = read_incident(question->agents);
	bool is = incident &&
		  !strcmp(json_string_value(json_object_get(incident, "state")), question->state) &&
		  !strcmp(json_string_value(json_object_get(incident, "class")), question->class);

	json_decref(incident);
	return is;
}

static void expect_incident(struct agents *agents, const char *state, const char *class)
{
	struct question question = {agents, state, class};

	rig_wait(is_in_state, &question, state);
}

static json_int_t unseen_ns(struct agents *agents)
{
	json_t *incident = read_incident(agents);
	json_int_t unseen;

	assert_true(json_is_integer(json_object_get(incident, "unseen_ns")));
	unseen = json_integer_value(json_object_get(incident, "unseen_ns"));
	json_decref(incident);
	return unseen;
}

static double metric(struct agents *agents, const char *sample)
{
	return agents_metric(agents, SIDE_A, URL, sample);
}

static bool is_heard(void *context)
{
	struct agents *agents = context;

	return metric(agents, "tocsin_peer_heartbeats_received_total{peer=\"n2\"}") > 0;
}

static bool has_read(void *context)
{
	struct agents *agents = context;

	return metric(agents, "tocsin_suspicions_total") >= 0;
}

/* Both agents run; then node n1 does not hear n2, and its agent is killed. */
static void kill_during_incident(struct agents *agents)
{
	configure_node(agents, 0);
	configure_node(agents, 1);
	start_node(agents, 1);
	start_node(agents, 0);
	rig_wait(is_heard, agents, "n2 to be heard");
	rig_drop(&agents->rig, SIDE_A, "", 999999999);
	expect_incident(agents, "open", "node-unreachable");
	process_signal(&agents->agent[0], SIGKILL);
	assert_int_equal(process_wait(&agents->agent[0]), 128 + SIGKILL);
	process_discard(&agents->agent[0]);
}

static void test_healed_while_away(void **state)
{
	struct agents *agents = *state;

	kill_during_incident(agents);
	rig_pass(&agents->rig, SIDE_A);
	start_node(agents, 0);
	(void)process_expect_log(&agents->agent[0], "incidents are open in the journal");
	assert_int_equal(metric(agents, "tocsin_incidents_open{class=\"node-unreachable\"}"), 1);
	assert_int_equal(metric(agents, "tocsin_store_connects_total"), 1);
	assert_true(metric(agents, "tocsin_store_row_writes_total") >= 1);
	assert_int_equal(metric(agents, "tocsin_cluster_actor"), 1);
	(void)process_expect_log(&agents->agent[0], "recovered while the agent was away");
	expect_incident(agents, "recovered", "node-unreachable");
	assert_true(unseen_ns(agents) > 0);
	assert_int_equal(metric(agents, "tocsin_incidents_open{class=\"node-unreachable\"}"), 0);
	assert_int_equal(
		metric(agents, "tocsin_incidents_closed_total{class=\"node-unreachable\"}"), 1);
	assert_int_equal(
		metric(agents, "tocsin_incident_recover_seconds_count{class=\"node-unreachable\"}"),
		0);
	assert_true(metric(agents, "tocsin_journal_records_total") >= 2);
	assert_true(metric(agents, "tocsin_journal_write_seconds_sum") > 0);
	assert_false(process_logged(&agents->agent[0], "edge changed"));
	agents_stop(agents, 0);
	/* The next one finds nothing left to do. */
	process_discard(&agents->agent[0]);
	start_node(agents, 0);
	rig_wait(is_heard, agents, "n2 to be heard");
	rig_wait(has_read, agents, "the journal to be read");
	assert_false(process_logged(&agents->agent[0], "recovered while the agent was away"));
	expect_incident(agents, "recovered", "node-unreachable");
	/* Counters begin with the agent. */
	assert_int_equal(
		metric(agents, "tocsin_incidents_closed_total{class=\"node-unreachable\"}"), -1);
	agents_stop(agents, 0);
	agents_stop(agents, 1);
}

static void test_healed_after_return(void **state)
{
	struct agents *agents = *state;

	kill_during_incident(agents);
	start_node(agents, 0);
	(void)process_expect_log(&agents->agent[0], "\"state\":\"unreachable\"");
	expect_incident(agents, "open", "node-unreachable");
	rig_pass(&agents->rig, SIDE_A);
	expect_incident(agents, "recovered", "node-unreachable");
	assert_int_equal(unseen_ns(agents), 0);
	assert_int_equal(
		metric(agents, "tocsin_incident_recover_seconds_count{class=\"node-unreachable\"}"),
		1);
	assert_false(process_logged(&agents->agent[0], "recovered while the agent was away"));
	agents_stop(agents, 0);
	agents_stop(agents, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		agents_test(test_healed_while_away),
		agents_test(test_healed_after_return),
	};

	return agents_run_tests("left open", tests);
}
