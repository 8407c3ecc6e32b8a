// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The conditions that an agent shows on its Node, as the API has them: of a disk that hangs and is
 * healed, also while no agent runs; and what is written anew because it is old.
 */
#include "base/clock.h"
#include "live/child.h"
#include "live/disk_worker.h"
#include "live/fuse_disk.h"
#include "live/kube_node.h"

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

#define EVENTS	 "/api/v1/namespaces/default/events"
#define ROW	 "/apis/tocsin.dev/v1/namespaces/tocsin/tocsinnodes/n1"
#define STATUS	 "strategic-merge-patch+json"
#define LONG_AGO "2020-02-20T20:20:20Z"
#define TEXT_MAX 512
#define OTHERS	 40 /* that are written in 10 s */
#define WAIT_NS	 (15 * NS_PER_S)
#define POLL_US	 20000
/* Times of Kubernetes are whole seconds. */
#define SECOND_US 1100000

struct condition {
	bool shown;
	char status[16], reason[64], message[TEXT_MAX];
	char heartbeat[32], transition[32];
};

/* The Events with a reason. */
struct told {
	unsigned int objects;
	json_int_t counts; /* of all together */
	char type[16], message[TEXT_MAX], node[64];
};

static struct kube_node node;
static struct fuse_disk disk;
static pid_t reader;

static int tear_down(void **state)
{
	fuse_disk_heal(&disk);
	child_kill(&reader);
	agents_tear_down(state);
	kube_node_down(&node);
	fuse_disk_down(&disk);
	return 0;
}

static void take(char *field, size_t size, const json_t *object, const char *key)
{
	snprintf(field, size, "%s", json_string_value(json_object_get(object, key)) ?: "");
}

static struct condition read_condition(const char *type)
{
	struct condition result = {0};
	const json_t *list, *condition;
	json_t *answer;
	size_t at;

	assert_int_equal(kube_node_call(&node, "GET", "/api/v1/nodes/n1", NULL, NULL, &answer),
			 200);
	list = json_object_get(json_object_get(answer, "status"), "conditions");
	json_array_foreach(list, at, condition)
	{
		if (strcmp(json_string_value(json_object_get(condition, "type")), type) != 0)
			continue;
		assert_false(result.shown);
		result.shown = true;
		take(result.status, sizeof(result.status), condition, "status");
		take(result.reason, sizeof(result.reason), condition, "reason");
		take(result.message, sizeof(result.message), condition, "message");
		take(result.heartbeat, sizeof(result.heartbeat), condition, "lastHeartbeatTime");
		take(result.transition, sizeof(result.transition), condition, "lastTransitionTime");
	}
	json_decref(answer);
	return result;
}

/* Waits until the Node shows the condition so, with these words in its message, and fresh. */
static struct condition expect(const char *type, const char *status, const char *words)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	struct condition condition;

	for (;;) {
		condition = read_condition(type);
		if (!strcmp(condition.status, status) && strstr(condition.message, words) &&
		    strcmp(condition.heartbeat, LONG_AGO) != 0)
			return condition;
		if (clock_monotonic_ns() > deadline_ns)
			break;
		process_read(&node.agents->agent[0]);
		usleep(POLL_US);
	}
	print_message("%s", node.agents->agent[0].log);
	fail_msg("%s is '%s' ('%s', of %s), expected '%s' ('%s')", type, condition.status,
		 condition.message, condition.heartbeat, status, words);
	return condition;
}

static struct told read_events(const char *reason)
{
	struct told told = {0};
	const json_t *event;
	json_t *answer;
	size_t at;

	assert_int_equal(kube_node_call(&node, "GET", EVENTS, NULL, NULL, &answer), 200);
	json_array_foreach(json_object_get(answer, "items"), at, event)
	{
		const json_t *involved = json_object_get(event, "involvedObject");

		if (strcmp(json_string_value(json_object_get(event, "reason")), reason) != 0)
			continue;
		told.objects++;
		told.counts += json_integer_value(json_object_get(event, "count"));
		take(told.type, sizeof(told.type), event, "type");
		take(told.message, sizeof(told.message), event, "message");
		take(told.node, sizeof(told.node), involved, "name");
		assert_string_equal(json_string_value(json_object_get(involved, "kind")), "Node");
	}
	json_decref(answer);
	return told;
}

struct awaited {
	const char *reason;
	json_int_t counts;
};

static bool is_told(void *context)
{
	const struct awaited *awaited = context;

	return read_events(awaited->reason).counts >= awaited->counts;
}

/* Waits until as many turns were told, and checks that it was in so many objects. */
static void expect_events(const char *reason, const char *type, unsigned int turns,
			  unsigned int objects, const char *words)
{
	struct awaited awaited = {reason, turns};
	struct told told;
	char what[128];

	snprintf(what, sizeof(what), "%u Events %s", turns, reason);
	rig_wait(is_told, &awaited, what);
	told = read_events(reason);
	assert_int_equal(told.counts, turns);
	assert_int_equal(told.objects, objects);
	assert_string_equal(told.type, type);
	assert_string_equal(told.node, "n1");
	if (!strstr(told.message, words))
		fail_msg("%s: no '%s' in: %s", reason, words, told.message);
}

static void read_once(void *path)
{
	disk_read(path, 1);
}

static void hang(void)
{
	atomic_store(&disk.orders->hang, true);
	reader = child_start(read_once, disk.loop.path);
}

static void heal(void)
{
	fuse_disk_heal(&disk);
	(void)child_wait(reader);
	reader = 0;
}

static void start_agent_that_responds(const char *response, const char *more)
{
	char text[256];

	snprintf(text, sizeof(text), "findings: {disk-stalled: {after_ms: 800, response: %s}}\n%s",
		 response, more);
	kube_node_start_agent(&node, text);
}

static void start_agent(const char *more)
{
	start_agent_that_responds("row", more);
}

static void test_disk(void **state)
{
	struct agents *agents = *state;
	struct condition well, first, healed, stalled, after, at_end;

	kube_node_skip_if(fuse_disk_obstacle());
	kube_node_up(&node, agents);
	fuse_disk_up_parallel(&disk);
	start_agent("");
	well = expect("DiskStalled", "False", "no disk holds its I/O back");
	assert_string_equal(well.reason, "DisksAnswer");
	assert_string_equal(well.heartbeat, well.transition);

	usleep(SECOND_US);
	hang();
	first = expect("DiskStalled", "True", disk.loop.name);
	assert_string_equal(first.reason, "DiskStalled");
	assert_non_null(strstr(first.message, "none was completed for"));
	assert_true(strcmp(first.transition, well.transition) > 0);
	expect_events("DiskStalled", "Warning", 1, 1, disk.loop.name);
	/* That all was well at the beginning was no turn. */
	assert_int_equal(read_events("NoDiskStalled").objects, 0);

	usleep(SECOND_US);
	heal();
	healed = expect("DiskStalled", "False", "no disk holds its I/O back");
	assert_string_equal(healed.reason, "DisksAnswer");
	assert_true(strcmp(healed.transition, first.transition) > 0);
	expect_events("NoDiskStalled", "Normal", 1, 1, "no disk holds its I/O back");

	/* The same again raises the count of what is told already. */
	hang();
	stalled = expect("DiskStalled", "True", disk.loop.name);
	expect_events("DiskStalled", "Warning", 2, 1, disk.loop.name);

	/* Nobody is left to clear it, until another is started. */
	process_signal(&agents->agent[0], SIGKILL);
	assert_int_equal(process_wait(&agents->agent[0]), 128 + SIGKILL);
	heal();
	usleep(SECOND_US);
	after = read_condition("DiskStalled");
	assert_string_equal(after.status, "True");
	process_discard(&agents->agent[0]);
	start_agent("");
	at_end = expect("DiskStalled", "False", "no disk holds its I/O back");
	assert_string_equal(at_end.reason, "DisksAnswer");
	assert_true(strcmp(at_end.transition, stalled.transition) > 0);
	assert_true(strcmp(at_end.heartbeat, after.heartbeat) > 0);
	/* It does not know the other's Events. */
	expect_events("NoDiskStalled", "Normal", 2, 2, "no disk holds its I/O back");
	expect_events("DiskStalled", "Warning", 2, 1, disk.loop.name);
	agents_stop(agents, 0);
}

/* Requests of the agent for its Node with this verb and answer. */
static unsigned int count_requests(const char *verb, const char *code)
{
	return kube_api_count(&node.api, (const char *const[]){"/api/v1/nodes/n1", verb, code,
							       "\"user_agent\": \"\"", NULL});
}

/* Somebody else writes the Node each time between reading and writing it: it is read anew. */
static void test_conflicts(void **state)
{
	struct agents *agents = *state;

	kube_node_up(&node, agents);
	kube_node_order(&node, "faults",
			"{\"match\":{\"resource\":\"nodes/status\",\"verb\":\"patch\"},"
			"\"code\":409,\"count\":2}");
	start_agent("");
	(void)expect("DiskStalled", "False", "no disk holds its I/O back");
	assert_int_equal(count_requests("\"patch\"", "409"), 2);
	assert_int_equal(count_requests("\"get\"", "200"), 3);
	agents_stop(agents, 0);
}

/* Makes a condition as somebody wrote it long ago. */
static void make_old(const char *type, const char *status)
{
	char body[512];

	snprintf(body, sizeof(body),
		 "{\"status\":{\"conditions\":[{\"type\":\"%s\",\"status\":\"%s\",\"reason\":\"R\","
		 "\"message\":\"\",\"lastHeartbeatTime\":\"" LONG_AGO
		 "\",\"lastTransitionTime\":\"" LONG_AGO "\"}]}}",
		 type, status);
	assert_int_equal(
		kube_node_call(&node, "PATCH", "/api/v1/nodes/n1/status", STATUS, body, NULL), 200);
}

/* What is as it should be is written again when it is old, and that is no turn. */
static void test_refreshed(void **state)
{
	static const struct {
		const char *type, *words;
	} conditions[] = {
		{"DiskSlow", "no disk is slower than usual"},
		{"NetworkPartitioned", "no cut of the network concerns this node"},
		{"NetworkDegraded", "no link of this node loses packets"},
	};
	struct agents *agents = *state;

	kube_node_up(&node, agents);
	/* A former actor's. */
	make_old("NetworkPartitioned", "True");
	start_agent("mode: advise\n");
	assert_string_not_equal(
		expect("NetworkPartitioned", "False", conditions[1].words).transition, LONG_AGO);
	expect_events("NoNetworkPartitioned", "Normal", 1, 1, conditions[1].words);
	/* One that nobody has written stays away. */
	assert_false(read_condition("NetworkDegraded").shown);
	for (size_t i = 0; i < sizeof(conditions) / sizeof(*conditions); i++) {
		struct condition condition;

		make_old(conditions[i].type, "False");
		condition = expect(conditions[i].type, "False", conditions[i].words);
		assert_string_equal(condition.transition, LONG_AGO);
	}
	assert_int_equal(read_events("NoNetworkPartitioned").counts, 1);
	assert_int_equal(read_events("NoDiskSlow").counts, 0);
	agents_stop(agents, 0);
}

/* How many Nodes show NetworkDegraded as it was long ago. */
static unsigned int count_old(void)
{
	const json_t *object, *condition;
	unsigned int count = 0;
	json_t *answer;
	size_t at, below;

	assert_int_equal(kube_node_call(&node, "GET", "/api/v1/nodes", NULL, NULL, &answer), 200);
	json_array_foreach(json_object_get(answer, "items"), at, object)
	{
		const json_t *status = json_object_get(object, "status");

		json_array_foreach(json_object_get(status, "conditions"), below, condition)
		{
			const char *heartbeat =
				json_string_value(json_object_get(condition, "lastHeartbeatTime"));

			count += !strcmp(heartbeat ?: "", LONG_AGO);
		}
	}
	json_decref(answer);
	return count;
}

static bool none_is_old(void *unused)
{
	(void)unused;
	return !count_old();
}

/* What the row of the node's agent says: how often it was written, and whether the disk stalls. */
struct row_seen {
	json_int_t sequence;
	bool stalled;
};

static struct row_seen read_row(void)
{
	struct row_seen seen = {0};
	const json_t *row, *finding;
	json_t *answer;
	size_t at;

	if (kube_node_call(&node, "GET", ROW, NULL, NULL, &answer) != 200)
		return seen;
	row = json_object_get(answer, "row");
	seen.sequence = json_integer_value(json_object_get(row, "sequence"));
	json_array_foreach(json_object_get(row, "findings"), at, finding)
	{
		seen.stalled |= !strcmp(json_string_value(json_object_get(finding, "finding")),
					"disk-stalled") &&
				!strcmp(json_string_value(json_object_get(finding, "subject")),
					disk.loop.name);
	}
	json_decref(answer);
	return seen;
}

static bool is_written_again(void *context)
{
	const json_int_t *sequence = context;

	return read_row().sequence > *sequence;
}

/* Whether the finding that stands is in the metrics. */
static bool is_in_metrics(struct agents *agents)
{
	char series[128];

	snprintf(series, sizeof(series),
		 "tocsin_finding{finding=\"disk-stalled\",subject=\"%s\"} 1", disk.loop.name);
	assert_int_equal(process_get(&agents->rig, SIDE_A, AGENTS_URL "/metrics", agents->body),
			 200);
	return strstr(agents->body, series);
}

/* Each response does what those before it do, and no more. */
static void test_responses(void **state)
{
	static const struct {
		const char *response;
		bool in_metrics, in_row;
	} cases[] = {{"log", false, false}, {"metric", true, false}, {"row", true, true}};
	struct agents *agents = *state;

	kube_node_skip_if(fuse_disk_obstacle());
	kube_node_up(&node, agents);
	fuse_disk_up_parallel(&disk);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_int_t sequence;

		start_agent_that_responds(cases[i].response, "");
		(void)expect("DiskStalled", "False", "no disk holds its I/O back");
		hang();
		kube_node_expect_finding(&node, "disk-stalled", disk.loop.name,
					 "none was completed for");
		assert_int_equal(is_in_metrics(agents), cases[i].in_metrics);
		/* Once more from its beginning, after what was under way then. */
		for (int times = 0; times < 2; times++) {
			sequence = read_row().sequence;
			rig_wait(is_written_again, &sequence, "a newer row");
		}
		assert_int_equal(read_row().stalled, cases[i].in_row);
		if (cases[i].in_row)
			(void)expect("DiskStalled", "True", disk.loop.name);
		else
			assert_string_equal(read_condition("DiskStalled").status, "False");
		heal();
		agents_stop(agents, 0);
	}
}

/* The actor writes what is old of many Nodes; what is new of the last of them does not wait. */
static void test_news_first(void **state)
{
	struct agents *agents = *state;
	char body[512];

	kube_node_skip_if(fuse_disk_obstacle());
	kube_node_up(&node, agents);
	fuse_disk_up_parallel(&disk);
	for (unsigned int i = 0; i < OTHERS; i++) {
		snprintf(body, sizeof(body),
			 "{\"metadata\":{\"name\":\"a%02u\"},\"status\":{\"addresses\":[{\"type\":"
			 "\"InternalIP\",\"address\":\"10.99.0.%u\"}],\"conditions\":[{\"type\":"
			 "\"NetworkDegraded\",\"status\":\"False\",\"reason\":\"R\","
			 "\"lastHeartbeatTime\":\"" LONG_AGO "\",\"lastTransitionTime\":\"" LONG_AGO
			 "\"}]}}",
			 i, 100 + i);
		assert_int_equal(kube_node_call(&node, "POST", "/api/v1/nodes", NULL, body, NULL),
				 201);
	}
	start_agent("mode: advise\n");
	(void)process_expect_log(&agents->agent[0], "elected to act");
	hang();
	(void)expect("DiskStalled", "True", disk.loop.name);
	assert_in_range(count_old(), 1, OTHERS);
	heal();
	rig_wait(none_is_old, NULL, "fresh conditions of all Nodes");
	agents_stop(agents, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, agents_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_disk),      TEST(test_conflicts),  TEST(test_refreshed),
		TEST(test_responses), TEST(test_news_first),
	};

	if (!fuse_disk_obstacle())
		fuse_disk_hide_mounts();
	return agents_run_tests("node conditions", tests);
}
