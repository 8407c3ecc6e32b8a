// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Two agents with a real etcd: a watched process of one dies, and the other one knows. */
#include "base/clock.h"
#include "live/agents.h"
#include "live/child.h"
#include "live/store_client.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* From the end of the process to the row in another node's hands, through etcd, and to a verdict,
 * which stands for 150 ms first; on a machine that other tests may share. */
#define ROW_MAX_NS     NS_PER_S
#define VERDICT_MAX_NS (2 * NS_PER_S)
#define RUNS	       3

static struct agents the_agents;
static struct etcd_cluster cluster;
static struct store_client client;
static pid_t watched;

static const char *obstacle(void)
{
	return etcd_cluster_obstacle() ?: process_obstacle();
}

static int set_up(void **state)
{
	*state = &the_agents;
	if (obstacle())
		return 0;
	etcd_cluster_isolate();
	/* The agents run where etcd does. */
	the_agents.rig.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(the_agents.rig.home >= 0);
	the_agents.rig.namespaces[SIDE_A] = the_agents.rig.home;
	the_agents.rig.namespaces[SIDE_B] = the_agents.rig.home;
	etcd_cluster_start(&cluster, 3, false);
	store_loop_open();
	return agents_set_up(state);
}

static int tear_down(void **state)
{
	if (obstacle())
		return 0;
	child_kill(&watched);
	store_close(client.store);
	store_loop_close();
	agents_tear_down(state);
	etcd_cluster_stop(&cluster);
	return 0;
}

static void start_agent(struct agents *agents, unsigned int index, const char *more)
{
	const struct process_options options = agents_options(agents, index);

	agents_configure(
		agents, index,
		"node: n%u\nheartbeat: {authenticate: false, listen: \"127.0.0.1%u:9480\"}\n"
		"http: {listen: \"127.0.0.1%u:9479\"}\n"
		"nodes: [{name: n1, addresses: [127.0.0.11]}, {name: n2, addresses: "
		"[127.0.0.12]}]\nstore: {kind: etcd}\netcd: {endpoints: [\"%s\", \"%s\", "
		"\"%s\"]}\n%s\n",
		index + 1, index + 1, index + 1, cluster.urls[0], cluster.urls[1], cluster.urls[2],
		more);
	agents_start(agents, index, &options);
}

static void run_watched(void *path)
{
	execl(path, path, "1000", (char *)NULL);
}

static uint64_t time_of(const char *line)
{
	const char *number = strstr(line, "\"monotonic_ns\":");

	if (!number)
		fail_msg("no time in: %s", line);
	return strtoull(number + strlen("\"monotonic_ns\":"), NULL, 10);
}

/* The next line of agent n2 about this verdict. */
static const char *expect_verdict(struct agents *agents, const char *event)
{
	const char *line;

	do
		line = process_expect_log(&agents->agent[1], event);
	while (!strstr(line, "\"service-down\""));
	return line;
}

static void test_service_down(void **state)
{
	struct agents *agents = *state;
	const struct etcd_settings settings = store_client_settings(&cluster);
	char path[128], config[256], command[256];
	const char *line;

	if (obstacle()) {
		print_message("%s\n", obstacle());
		skip();
	}
	snprintf(path, sizeof(path), "%s/watched", agents->directory);
	snprintf(command, sizeof(command), "cp -L /bin/sleep %s", path);
	assert_int_equal(system(command), 0);
	snprintf(config, sizeof(config), "watch: [{exe: %s}]", path);
	watched = child_start(run_watched, path);
	start_agent(agents, 0, config);
	start_agent(agents, 1, "");
	store_client_open(&client, "observer", &settings);
	process_expect_log(&agents->agent[0], "process watched");
	for (unsigned int run = 0; run < RUNS; run++) {
		uint64_t killed_ns, row_ns, verdict_ns;

		store_wait(store_client_row(&client, "n1") && store_client_row(&client, "n2"));
		/* So that no row is on its way. */
		store_loop_run_ms(500);
		killed_ns = clock_monotonic_ns();
		child_kill(&watched);
		store_wait(store_client_row(&client, "n1") &&
			   store_client_row(&client, "n1")->at_ns > killed_ns);
		row_ns = store_client_row(&client, "n1")->at_ns - killed_ns;
		line = expect_verdict(agents, "\"verdict\"");
		verdict_ns = time_of(line) - killed_ns;
		assert_non_null(strstr(line, "\"n1\""));
		assert_non_null(strstr(line, "n1 is up, but "));
		assert_non_null(strstr(line, path));
		print_message("row after %.1f ms, verdict after %.1f ms\n", (double)row_ns / 1e6,
			      (double)verdict_ns / 1e6);
		assert_true(row_ns < ROW_MAX_NS);
		assert_true(verdict_ns < VERDICT_MAX_NS);
		watched = child_start(run_watched, path);
		expect_verdict(agents, "verdict cleared");
	}
	/* Nothing else was said of n1. */
	assert_false(process_logged(&agents->agent[1], "\"node-unreachable\""));
	agents_stop(agents, 0);
	agents_stop(agents, 1);
	store_client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_service_down, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("health_cluster", tests, NULL, NULL);
}
