// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Agents as members of a cluster with a real etcd: what they lose, keep and say on leaving. */
#include "base/clock.h"
#include "cluster/etcd_api.h"
#include "live/agents.h"
#include "live/etcd_cluster.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#define MEMBERS 3
/* What an orderly end may take: 300 ms for the store's answer, and what it takes to unload. */
#define STOP_MAX_NS (3 * NS_PER_S)
/* A verdict on an agent is raised after 300 ms. */
#define VERDICT_WAIT_MS 1500

static struct agents the_agents;
static struct etcd_cluster cluster;

static const char *obstacle(void)
{
	return etcd_cluster_obstacle() ?: process_obstacle();
}

static int set_up_group(void **state)
{
	*state = &the_agents;
	if (obstacle())
		return 0;
	etcd_cluster_isolate();
	/* Where init would say that the machine shuts down. */
	assert_int_equal(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
	/* The agents run where etcd does. */
	the_agents.rig.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(the_agents.rig.home >= 0);
	the_agents.rig.namespaces[SIDE_A] = the_agents.rig.home;
	the_agents.rig.namespaces[SIDE_B] = the_agents.rig.home;
	etcd_cluster_start(&cluster, 3, false);
	return 0;
}

static int tear_down_group(void **state)
{
	(void)state;
	if (!obstacle())
		etcd_cluster_stop(&cluster);
	return 0;
}

static struct agents *begin(void **state)
{
	if (obstacle()) {
		print_message("%s\n", obstacle());
		skip();
	}
	return *state;
}

/* The configuration of n1, n2 or n3, with 'more'. */
static void configure(struct agents *agents, unsigned int index, const char *more)
{
	agents_configure(
		agents, index,
		"node: n%u\nnetns: own\nheartbeat: {authenticate: false, listen: "
		"\"127.0.0.1%u:9480\"}\n"
		"http: {listen: \"127.0.0.1%u:9479\"}\n"
		"nodes: [{name: n1, addresses: [127.0.0.11]}, {name: n2, addresses: [127.0.0.12]}, "
		"{name: n3, addresses: [127.0.0.13]}]\n%s\n",
		index + 1, index + 1, index + 1, more);
}

static void configure_etcd(struct agents *agents, unsigned int index, unsigned int lease_seconds,
			   const char *more)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "store: {kind: etcd}\netcd: {lease_seconds: %u, endpoints: [\"%s\", \"%s\", "
		 "\"%s\"]}\n%s",
		 lease_seconds, cluster.urls[0], cluster.urls[1], cluster.urls[2], more);
	configure(agents, index, text);
}

static void start(struct agents *agents, unsigned int index)
{
	const struct process_options options = agents_options(agents, index);

	agents_start(agents, index, &options);
	(void)process_expect_log(&agents->agent[index], "store connected");
}

static void start_all(struct agents *agents)
{
	for (unsigned int i = 0; i < MEMBERS; i++) {
		configure_etcd(agents, i, 2, "");
		start(agents, i);
	}
}

/* What a key of the store holds, as etcd has it. Returns whether it is there. */
static bool read_key(const char *name, struct etcd_pair *pair)
{
	char key[64];
	char *body;
	struct etcd_range range;
	json_t *root;
	bool found;

	snprintf(key, sizeof(key), "/tocsin/%s", name);
	body = etcd_encode_range(key, (struct etcd_bytes){NULL, 0}, 0, 1);
	assert_non_null(body);
	root = etcd_cluster_post(&cluster, 0, "/v3/kv/range", body);
	assert_int_equal(etcd_decode_range(root, &range), 0);
	found = json_array_size(range.pairs) > 0;
	if (found)
		assert_int_equal(etcd_decode_pair(json_array_get(range.pairs, 0), pair), 0);
	json_decref(root);
	free(body);
	return found;
}

struct wait {
	struct agents *agents;
	unsigned int asked; /* the agent */
	const char *node;
	bool present;
	const char *key;
	uint64_t revision;
	struct etcd_pair pair;
};

/* The key was written after wait->revision. */
static bool is_written(void *context)
{
	struct wait *wait = context;

	return read_key(wait->key, &wait->pair) && wait->pair.mod_revision > wait->revision;
}

static struct etcd_pair wait_written(const char *key, uint64_t revision)
{
	struct wait wait = {.key = key, .revision = revision};

	rig_wait(is_written, &wait, "the key to be written");
	return wait.pair;
}

static bool is_gone(void *context)
{
	struct wait *wait = context;

	return !read_key(wait->key, &wait->pair);
}

/* A node as an agent has it: a new reference to the whole, and the node borrowed. */
static json_t *ask(struct agents *agents, unsigned int asked, const char *node,
		   const json_t **ret_node)
{
	char url[64];
	json_t *root;
	const json_t *entry;
	size_t i;

	snprintf(url, sizeof(url), "http://127.0.0.1%u:9479/api/v1/cluster", asked + 1);
	assert_int_equal(process_get(&agents->rig, SIDE_A, url, agents->body), 200);
	root = json_loads(agents->body, 0, NULL);
	assert_non_null(root);
	*ret_node = NULL;
	json_array_foreach(json_object_get(root, "nodes"), i,
			   entry) if (!strcmp(json_string_value(json_object_get(entry, "name")),
					      node)) *ret_node = entry;
	assert_non_null(*ret_node);
	return root;
}

static bool has_flag(const json_t *node, const char *flag)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(node, "flags"), i,
			   entry) if (!strcmp(json_string_value(entry), flag)) return true;
	return false;
}

static bool is_present(struct agents *agents, unsigned int asked, const char *name)
{
	const json_t *node;
	json_t *root = ask(agents, asked, name, &node);
	bool present = json_is_true(json_object_get(node, "present"));

	json_decref(root);
	return present;
}

static bool is_as_wanted(void *context)
{
	struct wait *wait = context;

	return is_present(wait->agents, wait->asked, wait->node) == wait->present;
}

static void wait_present(struct agents *agents, unsigned int asked, const char *node, bool present)
{
	struct wait wait = {.agents = agents, .asked = asked, .node = node, .present = present};

	rig_wait(is_as_wanted, &wait, present ? "a row to be there" : "a row to be gone");
}

static void assert_flags(struct agents *agents, unsigned int asked, const char *name, bool stopping,
			 bool halting)
{
	const json_t *node;
	json_t *root = ask(agents, asked, name, &node);

	assert_int_equal(has_flag(node, "stopping"), stopping);
	assert_int_equal(has_flag(node, "halting"), halting);
	json_decref(root);
}

static void end_lease(uint64_t lease)
{
	char *body = etcd_encode_lease(lease);

	assert_non_null(body);
	json_decref(etcd_cluster_post(&cluster, 0, "/v3/lease/revoke", body));
	free(body);
}

/* The store has lost this node's row: it knows what it says all the same, and says it again. */
static void test_own_row_is_lost(void **state)
{
	struct agents *agents = begin(state);
	struct etcd_pair before, after;
	uint64_t lost_ns;

	start_all(agents);
	for (unsigned int i = 0; i < 2; i++) {
		wait_present(agents, 0, "n1", true);
		wait_present(agents, 1, "n1", true);
		/* Nothing else would have it written for 5 s from here on. */
		assert_true(read_key("rows/n1", &before));
		before = wait_written("rows/n1", before.mod_revision);
		lost_ns = clock_monotonic_ns();
		if (i)
			end_lease(before.lease);
		else
			etcd_cluster_put(&cluster, "/tocsin/rows/n1", NULL, 0);
		after = wait_written("rows/n1", before.mod_revision);
		print_message("%s: written again after %.0f ms\n", i ? "lease ended" : "deleted",
			      (double)(clock_monotonic_ns() - lost_ns) / NS_PER_MS);
		assert_int_not_equal(after.create_revision, before.create_revision);
		assert_int_equal(after.lease != before.lease, i);
		assert_true(is_present(agents, 0, "n1"));
		assert_true(clock_monotonic_ns() - lost_ns < 3 * NS_PER_S);
	}
	for (unsigned int i = 0; i < MEMBERS; i++)
		agents_stop(agents, i);
}

static void reload(struct agents *agents, unsigned int index)
{
	process_signal(&agents->agent[index], SIGHUP);
	(void)process_expect_log(&agents->agent[index], "configuration reloaded");
}

/* SIGHUP leaves the cluster only when that, or this node's place in it, is another one. */
static void test_reload(void **state)
{
	static const char *const kept[] = {
		"",
		"isolation: {settle_ms: 700, hold_down_ms: 5000, max_ratio: 0.3}",
		"mode: advise",
		"mode: advise\nisolation: {actions: [hook], hook: {argv: [/bin/true]}}",
		"mode: observe\nedge: {certainty: 7}\nlog: {format: json, level: debug}",
	};
	struct agents *agents = begin(state);
	struct etcd_pair first, now, actor;
	struct wait wait = {.key = "actor"};

	start_all(agents);
	wait_present(agents, 1, "n1", true);
	assert_true(read_key("rows/n1", &first));
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		bool campaigns = strstr(kept[i], "advise");

		configure_etcd(agents, 0, 2, kept[i]);
		reload(agents, 0);
		/* The others only observe. */
		if (campaigns)
			actor = wait_written("actor", 0);
		else
			rig_wait(is_gone, &wait, "the actor to resign");
		assert_true(is_present(agents, 0, "n2") && is_present(agents, 0, "n3"));
		if (campaigns)
			assert_int_equal(actor.lease, first.lease);
	}
	now = wait_written("rows/n1", first.mod_revision);
	assert_int_equal(now.create_revision, first.create_revision);
	assert_int_equal(now.lease, first.lease);
	assert_false(process_logged(&agents->agent[0], "store not connected"));

	/* Another lease is another session. */
	configure_etcd(agents, 0, 3, "");
	reload(agents, 0);
	now = wait_written("rows/n1", now.mod_revision);
	assert_int_not_equal(now.lease, first.lease);
	wait_present(agents, 0, "n2", true);
	/* And without the store there is none. */
	configure(agents, 0, "store: {kind: local}");
	reload(agents, 0);
	wait.key = "rows/n1";
	rig_wait(is_gone, &wait, "the row to be given back");
	for (unsigned int i = 0; i < MEMBERS; i++)
		agents_stop(agents, i);
}

/* Nothing is said of anybody, as an agent has it. */
static bool is_calm(void *context)
{
	struct wait *wait = context;
	const json_t *node;
	json_t *root = ask(wait->agents, wait->asked, "n1", &node);
	bool calm = !json_array_size(json_object_get(root, "verdicts"));

	json_decref(root);
	return calm;
}

static unsigned int count_raised(struct process *agent)
{
	static const char words[] = "\"verdict\",\"class\":\"agent-down\"";
	unsigned int count = 0;

	process_read(agent);
	for (const char *at = agent->log; at && (at = strstr(at, words)); at++)
		count++;
	return count;
}

static void wait_silent(struct agents *agents, unsigned int asked)
{
	const char *line;

	do
		line = process_expect_log(&agents->agent[asked], "agent silent");
	while (!strstr(line, "\"n3\""));
}

static uint64_t stop(struct agents *agents, unsigned int index)
{
	uint64_t start_ns = clock_monotonic_ns();

	agents_stop(agents, index);
	return clock_monotonic_ns() - start_ns;
}

/* Who says that it stops is not missed; who does not, is. */
static void test_stop(void **state)
{
	static const char no_login[] = "System is going down. Unprivileged users are not permitted "
				       "to log in anymore.";
	struct agents *agents = begin(state);
	unsigned int raised[2];
	uint64_t stop_ns;
	FILE *stream;

	start_all(agents);
	for (unsigned int halting = 0; halting < 2; halting++) {
		wait_present(agents, 0, "n3", true);
		wait_present(agents, 1, "n3", true);
		assert_flags(agents, 0, "n3", false, false);
		/* The agents were not started all at once. */
		for (unsigned int i = 0; i < 2; i++) {
			struct wait wait = {.agents = agents, .asked = i};

			rig_wait(is_calm, &wait, "all verdicts to be over");
			raised[i] = count_raised(&agents->agent[i]);
		}
		if (halting) {
			stream = fopen("/run/nologin", "we");
			assert_non_null(stream);
			fputs(no_login, stream);
			assert_int_equal(fclose(stream), 0);
		}
		stop_ns = stop(agents, 2);
		print_message("stopped in %.0f ms\n", (double)stop_ns / NS_PER_MS);
		assert_true(stop_ns < STOP_MAX_NS);
		wait_present(agents, 0, "n3", false);
		assert_flags(agents, 0, "n3", true, halting);
		wait_silent(agents, 0);
		wait_silent(agents, 1);
		usleep(VERDICT_WAIT_MS * 1000);
		for (unsigned int i = 0; i < 2; i++)
			assert_int_equal(count_raised(&agents->agent[i]), raised[i]);
		if (halting)
			assert_int_equal(remove("/run/nologin"), 0);
		start(agents, 2);
		(void)process_expect_log(&agents->agent[0], "agent heard again");
		(void)process_expect_log(&agents->agent[1], "agent heard again");
	}
	wait_present(agents, 0, "n3", true);
	assert_flags(agents, 0, "n3", false, false);
	process_signal(&agents->agent[2], SIGKILL);
	(void)process_wait(&agents->agent[2]);
	for (unsigned int i = 0; i < 2; i++)
		(void)process_expect_log(&agents->agent[i], "\"class\":\"agent-down\"");
	for (unsigned int i = 0; i < 2; i++)
		agents_stop(agents, i);
}

/* A store that does not answer holds up no end, and a second signal ends at once. */
static void test_stop_without_an_answer(void **state)
{
	struct agents *agents = begin(state);
	uint64_t stop_ns;

	start_all(agents);
	for (unsigned int i = 0; i < cluster.count; i++)
		assert_int_equal(kill(cluster.pids[i], SIGSTOP), 0);
	process_signal(&agents->agent[1], SIGTERM);
	process_signal(&agents->agent[1], SIGINT);
	stop_ns = stop(agents, 0);
	assert_int_equal(process_wait(&agents->agent[1]), 0);
	for (unsigned int i = 0; i < cluster.count; i++)
		assert_int_equal(kill(cluster.pids[i], SIGCONT), 0);
	print_message("stopped in %.0f ms\n", (double)stop_ns / NS_PER_MS);
	assert_true(stop_ns < STOP_MAX_NS);
	for (unsigned int i = 0; i < cluster.count; i++)
		etcd_cluster_wait(&cluster, i);
	agents_stop(agents, 2);
}

static int set_up(void **state)
{
	return obstacle() ? 0 : agents_set_up(state);
}

static int tear_down(void **state)
{
	return obstacle() ? 0 : agents_tear_down(state);
}

#define members_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		members_test(test_own_row_is_lost),
		members_test(test_reload),
		members_test(test_stop),
		members_test(test_stop_without_an_answer),
	};

	return cmocka_run_group_tests_name("members", tests, set_up_group, tear_down_group);
}
