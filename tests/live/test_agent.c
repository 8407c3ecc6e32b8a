// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The agent as a process: how it starts, stops, reloads and gets along with others, from the
 * outside.
 */
#include "base/clock.h"
#include "live/agents.h"

#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define START_NS	  (3 * NS_PER_S)
#define OUTAGE_MS	  1500
#define HELD_UP_S	  3
#define RELOADS		  200
#define RELOADS_BEFORE	  50 /* until the allocator has what it needs */
#define RELOADS_GROWTH_KB 256
#define REST_S		  10
#define REST_CPU_MS_MAX	  2500
#define REST_RESIDENT_KB  131072

#define URL_A "http://10.99.0.1:9479"
#define URL_B "http://10.99.0.2:9479"

/* Agents 0 and 1 are nodes n1 and n2 on hosts a and b; the other nodes do not exist. */
static void configure_node(struct agents *agents, unsigned int index, const char *more)
{
	agents_configure(agents, index,
			 "node: n%u\n"
			 "netns: own\n"
			 "http: {listen: '10.99.0.%u:9479'}\n"
			 "heartbeat: {authenticate: false}\n"
			 "%s",
			 index + 1, index + 1, more);
}

static void start_node(struct agents *agents, unsigned int index)
{
	struct process_options options = agents_options(agents, index);

	options.side = index ? SIDE_B : SIDE_A;
	agents_start(agents, index, &options);
}

static void reload(struct agents *agents, unsigned int index)
{
	process_signal(&agents->agent[index], SIGHUP);
	(void)process_expect_log(&agents->agent[index], "configuration reloaded");
}

/* What another process must not get when the agent is asked to end. */
static void assert_serves(struct agents *agents, enum side side, const char *url)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/healthz", url);
	assert_int_equal(process_get(&agents->rig, side, full, agents->body), 200);
	json_decref(process_get_status(&agents->rig, side, url));
	assert_true(agents_metric(agents, side, url, "tocsin_agent_uptime_seconds") >= 0);
}

static void assert_gone(struct agents *agents, enum side side, const char *url)
{
	assert_int_equal(process_get(&agents->rig, side, url, agents->body), 0);
}

static void start_and_stop(struct agents *agents, int number)
{
	const struct process_options options = agents_options(agents, 0);
	struct process *agent = &agents->agent[0];
	uint32_t programs[PROCESS_PROGRAMS_MAX];
	uint64_t start_ns = clock_monotonic_ns();
	json_t *line;
	size_t count;

	agents_configure(agents, 0, "%s", "");
	process_start(agent, &agents->rig, &options);
	line = json_loads(process_expect_log(agent, "agent started"), 0, NULL);
	assert_true(clock_monotonic_ns() - start_ns < START_NS);
	assert_string_equal(json_string_value(json_object_get(line, "event")), "agent started");
	assert_int_equal(json_integer_value(json_object_get(line, "http_port")), 9479);
	count = process_bpf_programs(agent, programs);
	/* One does nothing: what measuring adds is measured with it. */
	assert_int_equal(json_integer_value(json_object_get(line, "programs_attached")), count - 1);
	assert_true(count >= 3);
	json_decref(line);
	assert_serves(agents, SIDE_A, AGENTS_URL);
	process_signal(agent, number);
	assert_int_equal(process_wait(agent), 0);
	(void)process_expect_log(agent, "agent stopped");
	process_expect_unloaded(programs, count);
	assert_gone(agents, SIDE_A, AGENTS_URL);
	/* The port and the directory are free again. */
	agents_start(agents, 0, &options);
	assert_serves(agents, SIDE_A, AGENTS_URL);
	agents_stop(agents, 0);
}

static void test_sigterm(void **state)
{
	start_and_stop(*state, SIGTERM);
}

static void test_sigint(void **state)
{
	start_and_stop(*state, SIGINT);
}

static bool lock_exists(void *context)
{
	const struct agents *agents = context;
	char path[128];

	snprintf(path, sizeof(path), "%s/state-0/lock", agents->directory);
	return !access(path, F_OK);
}

/* Signals that come while the programs are being loaded: a reload is no end, an end is orderly. */
static void test_signals_during_start(void **state)
{
	struct agents *agents = *state;
	const struct process_options options = agents_options(agents, 0);
	struct process *agent = &agents->agent[0];
	char lock[128];

	agents_configure(agents, 0, "%s", "");
	process_start(agent, &agents->rig, &options);
	rig_wait(lock_exists, agents, "the agent to lock its state_dir");
	process_signal(agent, SIGHUP);
	(void)process_expect_log(agent, "agent started");
	(void)process_expect_log(agent, "configuration reloaded");
	agents_stop(agents, 0);

	snprintf(lock, sizeof(lock), "%s/state-0/lock", agents->directory);
	assert_int_equal(remove(lock), 0);
	process_start(agent, &agents->rig, &options);
	rig_wait(lock_exists, agents, "the agent to lock its state_dir");
	process_signal(agent, SIGTERM);
	assert_int_equal(process_wait(agent), 0);
	(void)process_expect_log(agent, "agent stopped");
}

static void test_killed(void **state)
{
	struct agents *agents = *state;
	const struct process_options options = agents_options(agents, 0);
	uint32_t programs[PROCESS_PROGRAMS_MAX];
	size_t count;

	agents_configure(agents, 0, "%s", "");
	agents_start(agents, 0, &options);
	count = process_bpf_programs(&agents->agent[0], programs);
	assert_true(count > 0);
	process_signal(&agents->agent[0], SIGKILL);
	assert_int_equal(process_wait(&agents->agent[0]), 128 + SIGKILL);
	agents_start(agents, 0, &options);
	assert_serves(agents, SIDE_A, AGENTS_URL);
	process_expect_unloaded(programs, count);
	agents_stop(agents, 0);
}

static void test_second_agent(void **state)
{
	struct agents *agents = *state;
	const struct process_options options = agents_options(agents, 0);
	struct process_options second;
	char words[128];

	agents_configure(agents, 0, "%s", "");
	agents_start(agents, 0, &options);

	assert_int_equal(process_run(&agents->other, &agents->rig, &options), 1);
	snprintf(words, sizeof(words), "(pid %d)", agents->agent[0].pid);
	assert_true(process_logged(&agents->other, words));
	snprintf(words, sizeof(words), "%s/state-0", agents->directory);
	assert_true(process_logged(&agents->other, words));

	agents_configure(agents, 1, "%s", "");
	second = agents_options(agents, 1);
	assert_int_equal(process_run(&agents->other, &agents->rig, &second), 1);
	assert_true(process_logged(&agents->other, "127.0.0.1:9479"));
	assert_int_equal(process_log_lines(&agents->other), 1);

	assert_serves(agents, SIDE_A, AGENTS_URL);
	agents_stop(agents, 0);
}

static const char nodes_12[] = "nodes:\n"
			       " - {name: n1, addresses: [10.99.0.1]}\n"
			       " - {name: n2, addresses: [10.99.0.2]}\n";
/* n2 comes last: when n3 goes, it moves. */
static const char nodes_132[] = "nodes:\n"
				" - {name: n1, addresses: [10.99.0.1]}\n"
				" - {name: n3, addresses: [10.99.0.3]}\n"
				" - {name: n2, addresses: [10.99.0.2]}\n";
static const char nodes_1324_patient[] = "nodes:\n"
					 " - {name: n1, addresses: [10.99.0.1]}\n"
					 " - {name: n3, addresses: [10.99.0.3]}\n"
					 " - {name: n2, addresses: [10.99.0.2]}\n"
					 " - {name: n4, addresses: [10.99.0.4]}\n"
					 "edge: {min_silence_ms: 60000}\n";
static const char nodes_1324[] = "nodes:\n"
				 " - {name: n1, addresses: [10.99.0.1]}\n"
				 " - {name: n3, addresses: [10.99.0.3]}\n"
				 " - {name: n2, addresses: [10.99.0.2]}\n"
				 " - {name: n4, addresses: [10.99.0.4]}\n";

struct peer_question {
	struct agents *agents;
	const char *url, *peer, *state;
	uint64_t since_ms;
};

static bool peer_is(void *context)
{
	struct peer_question *question = context;
	json_t *status = process_get_status(&question->agents->rig, SIDE_A, question->url);
	const json_t *peer = process_find_peer(status, question->peer);
	const char *state = json_string_value(json_object_get(peer, "state"));
	bool is = state && !strcmp(state, question->state) &&
		  json_is_integer(json_object_get(peer, "last_heard_ms"));

	question->since_ms = (uint64_t)json_integer_value(json_object_get(peer, "since_ms"));
	/* One that was never heard is unreachable, too. */
	is |= state && !strcmp(state, question->state) && strcmp(state, "healthy");
	json_decref(status);
	return is;
}

/* Returns for how long, as the agent has it. */
static uint64_t expect_peer(struct agents *agents, const char *url, const char *peer,
			    const char *state)
{
	struct peer_question question = {agents, url, peer, state, 0};
	char what[128];

	snprintf(what, sizeof(what), "%s to be %s", peer, state);
	rig_wait(peer_is, &question, what);
	return question.since_ms;
}

static bool knows(struct agents *agents, const char *peer)
{
	json_t *status = process_get_status(&agents->rig, SIDE_A, URL_A);
	bool known = process_find_peer(status, peer);

	json_decref(status);
	return known;
}

/* Answers that took long to make are given again for a while: what is old may be seen shortly. */
static bool forgotten(void *context)
{
	return !knows(context, "n3");
}

static void test_reload(void **state)
{
	struct agents *agents = *state;
	struct process *agent = &agents->agent[0];
	uint64_t before_ms, after_ms, start_ns;

	configure_node(agents, 0, nodes_132);
	configure_node(agents, 1, nodes_12);
	start_node(agents, 1);
	start_node(agents, 0);
	/* Long enough that many connects to n3 were in vain: they must not be held against n2. */
	while (expect_peer(agents, URL_A, "n3", "unreachable") < OUTAGE_MS)
		usleep(10 * 1000);
	start_ns = clock_monotonic_ns();
	before_ms = expect_peer(agents, URL_A, "n2", "healthy");

	configure_node(agents, 0, nodes_12);
	reload(agents, 0);
	rig_wait(forgotten, agents, "n3 to be forgotten");
	after_ms = expect_peer(agents, URL_A, "n2", "healthy");
	assert_in_range(after_ms, before_ms,
			before_ms + (clock_monotonic_ns() - start_ns) / NS_PER_MS + 1);

	/* As patient as that, nothing becomes unreachable; with the defaults it does. */
	configure_node(agents, 0, nodes_1324_patient);
	reload(agents, 0);
	expect_peer(agents, URL_A, "n4", "suspect");
	configure_node(agents, 0, nodes_1324);
	reload(agents, 0);
	expect_peer(agents, URL_A, "n4", "unreachable");
	assert_true(expect_peer(agents, URL_A, "n2", "healthy") >= before_ms);
	assert_false(process_logged(agent, "\"peer\":\"n2\""));
	agents_stop(agents, 0);
	agents_stop(agents, 1);
}

static void test_reload_log_level(void **state)
{
	struct agents *agents = *state;
	struct process *agent = &agents->agent[0];
	const struct process_options options = agents_options(agents, 0);
	char more[512];

	configure_node(agents, 0, nodes_132);
	agents_start(agents, 0, &options);
	snprintf(more, sizeof(more), "log: {format: json, level: error}\n%s", nodes_12);
	configure_node(agents, 0, more);
	process_signal(agent, SIGHUP);
	rig_wait(forgotten, agents, "n3 to be forgotten");
	snprintf(more, sizeof(more), "log: {format: logfmt, level: info}\n%s", nodes_12);
	configure_node(agents, 0, more);
	process_signal(agent, SIGHUP);
	assert_non_null(strstr(process_expect_log(agent, "configuration reloaded"),
			       "event=\"configuration reloaded\""));
	/* The one before came at a level at which it is not worth a word. */
	assert_false(process_logged(agent, "\"event\":\"configuration reloaded\""));
	agents_stop(agents, 0);
}

static void test_reload_refused(void **state)
{
	struct agents *agents = *state;
	struct process *agent = &agents->agent[0];
	const struct process_options options = agents_options(agents, 0);
	char words[256];
	const char *line;

	configure_node(agents, 0, nodes_132);
	agents_start(agents, 0, &options);
	configure_node(agents, 0, "nodes: 12\n");
	process_signal(agent, SIGHUP);
	line = process_expect_log(agent, "configuration not reloaded");
	snprintf(words, sizeof(words), "%s:6:", agents->config[0]);
	assert_non_null(strstr(line, words));
	assert_true(knows(agents, "n3"));

	assert_int_equal(remove(agents->config[0]), 0);
	process_signal(agent, SIGHUP);
	line = process_expect_log(agent, "configuration not reloaded");
	assert_non_null(strstr(line, agents->config[0]));
	assert_true(knows(agents, "n3"));

	/* Valid by itself, but its key is missing. */
	agents_configure(agents, 0,
			 "node: n1\nnetns: own\nhttp: {listen: '10.99.0.1:9479'}\n"
			 "heartbeat: {key_file: /nonexistent/key}\n%s",
			 nodes_12);
	process_signal(agent, SIGHUP);
	line = process_expect_log(agent, "configuration not reloaded");
	assert_non_null(strstr(line, "/nonexistent/key"));
	assert_true(knows(agents, "n3"));

	configure_node(agents, 0, "tcp: {max_peers: 32}\n");
	process_signal(agent, SIGHUP);
	line = process_expect_log(agent, "configuration changed in part");
	assert_non_null(strstr(line, "tcp.*"));
	(void)process_expect_log(agent, "configuration reloaded");
	rig_wait(forgotten, agents, "n3 to be forgotten");
	agents_stop(agents, 0);
}

/* Waits until the agent has done the reloads that it was asked for. */
static void assert_reloads_work(struct agents *agents)
{
	configure_node(agents, 0, nodes_12);
	reload(agents, 0);
	while (knows(agents, "n3"))
		reload(agents, 0);
	assert_true(knows(agents, "n2"));
}

static void test_reload_storm(void **state)
{
	struct agents *agents = *state;
	const struct process_options options = agents_options(agents, 0);
	uint64_t files = 0, anonymous_kb = 0;

	configure_node(agents, 0, nodes_132);
	agents_start(agents, 0, &options);
	for (unsigned int i = 0; i < 50; i++)
		process_signal(&agents->agent[0], SIGHUP);
	assert_reloads_work(agents);

	for (unsigned int i = 0; i < RELOADS + RELOADS_BEFORE; i++) {
		if (i == RELOADS_BEFORE) {
			files = process_open_files(&agents->agent[0]);
			anonymous_kb = process_status(&agents->agent[0], "RssAnon");
		}
		configure_node(agents, 0, i % 2 ? nodes_12 : nodes_132);
		reload(agents, 0);
	}
	assert_reloads_work(agents);
	/* Connects in flight come and go. */
	assert_in_range(process_open_files(&agents->agent[0]), files - 8, files + 8);
	anonymous_kb = process_status(&agents->agent[0], "RssAnon") - anonymous_kb;
	print_message("%d reloads: anonymous memory %+lld kB\n", RELOADS, (long long)anonymous_kb);
	assert_true((int64_t)anonymous_kb < RELOADS_GROWTH_KB);
	agents_stop(agents, 0);
}

static bool heard_again(void *context)
{
	struct peer_question *question = context;

	return agents_metric(question->agents, SIDE_A, URL_A,
			     "tocsin_peer_heartbeats_received_total{peer=\"n2\"}") >=
	       (double)question->since_ms;
}

/* An agent that did not run must blame nobody for it, and nobody must take it for a cut. */
static void test_held_up(void **state)
{
	struct agents *agents = *state;
	struct peer_question question = {.agents = agents};

	configure_node(agents, 0, nodes_12);
	configure_node(agents, 1, nodes_12);
	start_node(agents, 0);
	start_node(agents, 1);
	question.since_ms = 10;
	rig_wait(heard_again, &question, "heartbeats");
	expect_peer(agents, URL_A, "n2", "healthy");
	expect_peer(agents, URL_B, "n1", "healthy");

	process_signal(&agents->agent[0], SIGSTOP);
	usleep(HELD_UP_S * 1000 * 1000);
	process_signal(&agents->agent[0], SIGCONT);
	(void)process_expect_log(&agents->agent[0], "agent was held up");
	question.since_ms =
		20 + (uint64_t)agents_metric(agents, SIDE_A, URL_A,
					     "tocsin_peer_heartbeats_received_total{peer=\"n2\"}");
	rig_wait(heard_again, &question, "heartbeats");
	expect_peer(agents, URL_A, "n2", "healthy");
	expect_peer(agents, URL_B, "n1", "healthy");
	for (unsigned int i = 0; i < 2; i++)
		if (process_logged(&agents->agent[i], "unreachable") ||
		    process_logged(&agents->agent[i], "-cut"))
			fail_msg("a false verdict:\n%s", agents->agent[i].log);
	agents_stop(agents, 0);
	agents_stop(agents, 1);
}

/* Measured and printed. The bounds are only there to catch what runs wild. */
static void test_at_rest(void **state)
{
	static char nodes[512];
	struct agents *agents = *state;
	struct process *agent = &agents->agent[0];
	int length = snprintf(nodes, sizeof(nodes), "nodes:\n");
	uint64_t cpu_ms;

	for (unsigned int i = 0; i < 5; i++)
		length += snprintf(nodes + length, sizeof(nodes) - (size_t)length,
				   " - {name: n%u, addresses: [127.0.1.%u]}\n", i + 1, i + 1);
	for (unsigned int i = 0; i < 5; i++) {
		struct process_options options;

		agents_configure(agents, i,
				 "node: n%u\n"
				 "netns: own\n"
				 "http: {listen: '127.0.1.%u:9479'}\n"
				 "heartbeat: {listen: '127.0.1.%u:9480', authenticate: false}\n"
				 "%s",
				 i + 1, i + 1, i + 1, nodes);
		options = agents_options(agents, i);
		agents_start(agents, i, &options);
	}
	for (unsigned int i = 1; i < 5; i++) {
		char name[] = {'n', (char)('1' + i), '\0'};

		expect_peer(agents, "http://127.0.1.1:9479", name, "healthy");
	}
	cpu_ms = process_cpu_ms(agent);
	usleep(REST_S * 1000 * 1000);
	cpu_ms = process_cpu_ms(agent) - cpu_ms;
	print_message("at rest with 4 peers: VmRSS %llu kB, RssAnon %llu kB, RssFile %llu kB, "
		      "CPU %.2f %% of a core\n",
		      (unsigned long long)process_status(agent, "VmRSS"),
		      (unsigned long long)process_status(agent, "RssAnon"),
		      (unsigned long long)process_status(agent, "RssFile"),
		      (double)cpu_ms / (REST_S * 10));
	assert_true(cpu_ms < REST_CPU_MS_MAX);
	assert_true(process_status(agent, "VmRSS") < REST_RESIDENT_KB);
	for (unsigned int i = 0; i < 5; i++)
		agents_stop(agents, i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		agents_test(test_sigterm),
		agents_test(test_sigint),
		agents_test(test_signals_during_start),
		agents_test(test_killed),
		agents_test(test_second_agent),
		agents_test(test_reload),
		agents_test(test_reload_log_level),
		agents_test(test_reload_refused),
		agents_test(test_reload_storm),
		agents_test(test_held_up),
		agents_test(test_at_rest),
	};

	return agents_run_tests("agent", tests);
}
