// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * An agent on a node of Kubernetes: processes that crash in control groups as the kubelet makes
 * them, of pods that the API tells.
 */
#include "base/clock.h"
#include "live/cgroup_rig.h"
#include "live/child.h"
#include "live/fuse_disk.h"
#include "live/kube_node.h"
#include "live/memory_rig.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HEX16	 "0123456789abcdef"
#define ID(end)	 HEX16 HEX16 HEX16 "0123456789abcd" end
#define STATIC	 "5f1ab0c9d8e7f6a5b4c3d2e1f0a9b8c7"
#define UID_MAX	 64
#define CONNECTS 8
#define STATUS	 "strategic-merge-patch+json"
#define CRASHES	 "tocsin_task_crashes_total{"

/* Labels of a container of the pod that most tests have. */
#define OF_WEB(id) id "\",namespace=\"shop\",pod=\"web-1\",container=\"app\",signal"

static struct cgroup_rig cgroup;
static struct kube_node node;
static char group[256]; /* below the rig's, in which the next process runs */
static struct memory_rig memory;
static struct fuse_disk disk;
static pid_t servers[2], reader;
static int connects[CONNECTS];
static uint64_t waits_wanted;

static bool may_have_pods(void *unused)
{
	(void)unused;
	return kube_node_call(&node, "POST", "/api/v1/namespaces/shop/pods?dryRun=All", NULL,
			      "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"containers\":"
			      "[{\"name\":\"app\",\"image\":\"i\"}]}}",
			      NULL) == 201;
}

static void begin(struct agents *agents)
{
	kube_node_skip_if(cgroup_rig_obstacle());
	kube_node_up(&node, agents);
	cgroup_rig_up(&cgroup, "pods");
	assert_int_equal(kube_node_call(&node, "POST", "/api/v1/namespaces", NULL,
					"{\"metadata\":{\"name\":\"shop\"}}", NULL),
			 201);
	/* Controllers give it first what its pods want. */
	rig_wait(may_have_pods, NULL, "the namespace to be made ready");
}

static int tear_down(void **state)
{
	child_kill(&servers[0]);
	child_kill(&servers[1]);
	/* What hangs cannot be killed. */
	if (disk.orders)
		atomic_store(&disk.orders->hang, false);
	child_kill(&reader);
	fuse_disk_down(&disk);
	memory_rig_down(&memory);
	for (size_t i = 0; i < CONNECTS; i++) {
		if (connects[i] > 0)
			close(connects[i]);
		connects[i] = 0;
	}
	agents_tear_down(state);
	kube_node_down(&node);
	cgroup_rig_down(&cgroup);
	return 0;
}

/* 'more': of the metadata, with a comma in front. Fills in its uid. */
static void make_pod(const char *name, const char *node_name, const char *more,
		     char uid[static UID_MAX])
{
	const json_t *metadata;
	char body[512];
	json_t *pod;

	snprintf(body, sizeof(body),
		 "{\"metadata\":{\"name\":\"%s\"%s},\"spec\":{\"nodeName\":\"%s\",\"containers\":"
		 "[{\"name\":\"app\",\"image\":\"i\"}]}}",
		 name, more, node_name);
	assert_int_equal(
		kube_node_call(&node, "POST", "/api/v1/namespaces/shop/pods", NULL, body, &pod),
		201);
	metadata = json_object_get(pod, "metadata");
	snprintf(uid, UID_MAX, "%s", json_string_value(json_object_get(metadata, "uid")));
	assert_int_equal(strlen(uid), 36);
	json_decref(pod);
}

static void tell_container(const char *pod, const char *id)
{
	char path[128], body[512];

	snprintf(path, sizeof(path), "/api/v1/namespaces/shop/pods/%s/status", pod);
	snprintf(body, sizeof(body),
		 "{\"status\":{\"containerStatuses\":[{\"name\":\"app\",\"image\":\"i\","
		 "\"imageID\":\"\",\"containerID\":\"containerd://%s\"}]}}",
		 id);
	assert_int_equal(kube_node_call(&node, "PATCH", path, STATUS, body, NULL), 200);
}

static void start_agent(void)
{
	kube_node_start_agent(&node,
			      "findings: {crash-loop: {crashes: 3, within_s: 60}, task-hung: "
			      "{after_s: 5}}\nwatch: [{port: 7302}]\n");
}

static bool knows_one(void *context)
{
	return agents_metric(context, SIDE_A, AGENTS_URL, "tocsin_pods") == 1;
}

static bool knows_two(void *context)
{
	return agents_metric(context, SIDE_A, AGENTS_URL, "tocsin_pods") == 2;
}

static bool knows_three(void *context)
{
	return agents_metric(context, SIDE_A, AGENTS_URL, "tocsin_pods") == 3;
}

static void abort_in_group(void *unused)
{
	(void)unused;
	cgroup_rig_enter_below(&cgroup, group);
	abort();
}

static void crash_in(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void crash_in(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(group, sizeof(group), format, arguments);
	va_end(arguments);
	cgroup_rig_make_below(&cgroup, group);
	assert_int_equal(WTERMSIG(child_wait(child_start(abort_in_group, NULL))), SIGABRT);
}

static void expect_series(struct agents *agents, const char *family, const char *labels)
{
	assert_int_equal(process_get(&agents->rig, SIDE_A, AGENTS_URL "/metrics", agents->body),
			 200);
	for (char *line = strtok(agents->body, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, family, strlen(family)) && strstr(line, labels))
			return;
	fail_msg("no %s of %s", family, labels);
}

static void test_names(void **state)
{
	struct agents *agents = *state;
	char web[UID_MAX], mirror[UID_MAX], other[UID_MAX], late[UID_MAX];
	char subject[2 * UID_MAX];
	unsigned int requests;
	json_t *status;

	begin(agents);
	make_pod("web-1", "n1", "", web);
	make_pod("etcd-n1", "n1",
		 ",\"annotations\":{\"kubernetes.io/config.mirror\":\"" STATIC "\"}", mirror);
	make_pod("web-2", "n2", "", other);
	tell_container("web-1", ID("02"));
	start_agent();
	rig_wait(knows_two, agents, "the names of this node's pods");

	/* Each start of its container makes another. The API has not told of the newest. */
	crash_in("kubepods/burstable/pod%s/" ID("01"), web);
	crash_in("kubepods/burstable/pod%s/" ID("02"), web);
	crash_in("kubepods/burstable/pod%s/" ID("03"), web);
	kube_node_expect_finding(&node, "crash-loop", "pod shop/web-1",
				 "in container 0123456789ab of pod shop/web-1");
	crash_in("kubepods/burstable/pod%s/" ID("02"), web);
	expect_series(agents, CRASHES, "namespace=\"shop\",pod=\"web-1\",container=\"app\",signal");
	expect_series(agents, CRASHES,
		      "namespace=\"shop\",pod=\"web-1\",container=\"" ID("03") "\",signal");

	/* A static pod runs under another uid than its object has. */
	for (int i = 0; i < 3; i++)
		crash_in("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" STATIC
			 ".slice/cri-containerd-" ID("04") ".scope");
	kube_node_expect_finding(&node, "crash-loop", "pod shop/etcd-n1", "of pod shop/etcd-n1");
	/* What runs here and is not of this node is not known by name. */
	for (int i = 0; i < 3; i++)
		crash_in("kubepods/pod%s/" ID("05"), other);
	snprintf(subject, sizeof(subject), "pod %s", other);
	kube_node_expect_finding(&node, "crash-loop", subject, "container 0123456789ab of pod ");

	/* One that comes while the agent runs; its container is told before it crashes. */
	make_pod("late", "n1", "", late);
	tell_container("late", ID("06"));
	rig_wait(knows_three, agents, "the name of another pod");
	for (int i = 0; i < 2; i++)
		crash_in("kubepods/besteffort/pod%s/crio-" ID("06"), late);
	/* What is told of a pod that is gone still goes by its name. */
	assert_int_equal(kube_node_call(&node, "DELETE", "/api/v1/namespaces/shop/pods/late", NULL,
					"{\"gracePeriodSeconds\":0}", NULL),
			 200);
	rig_wait(knows_two, agents, "that a pod is gone");
	crash_in("kubepods/besteffort/pod%s/crio-" ID("06"), late);
	kube_node_expect_finding(&node, "crash-loop", "pod shop/late",
				 "in container app of pod shop/late");
	expect_series(agents, CRASHES, "namespace=\"shop\",pod=\"late\",container=\"app\",signal");

	status = process_get_status(&agents->rig, SIDE_A, AGENTS_URL);
	assert_true(json_is_null(json_object_get(json_object_get(status, "pods"), "reason")));
	json_decref(status);
	/* A list and a watch, whatever crashed; some real servers tell of a watch when it is over.
	 */
	requests = kube_api_count(&node.api,
				  (const char *const[]){"/api/v1/pods?", "tocsin:tocsin", NULL});
	if (kube_api_is_real())
		assert_in_range(requests, 1, 2);
	else
		assert_int_equal(requests, 2);
	agents_stop(agents, 0);
}

struct server {
	const struct rig *rig;
	enum side side;
	uint16_t port;
};

/* A pod's process that listens and never accepts. */
static void serve(void *context)
{
	const struct server *server = context;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server->port)};
	int fd;

	cgroup_rig_enter_below(&cgroup, group);
	fd = rig_socket(server->rig, server->side, AF_INET, SOCK_STREAM);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 2))
		_exit(1);
	for (;;)
		pause();
}

static bool listens(void *context)
{
	const struct server *server = context;
	char command[96];

	snprintf(command, sizeof(command), "ip netns exec %s ss -Hltn sport = :%u | grep -q .",
		 server->rig->names[server->side], server->port);
	return !system(command);
}

/* Findings about processes and listeners, whichever network namespace these are in. */
static void test_owners(void **state)
{
	struct agents *agents = *state;
	struct server far = {&agents->rig, SIDE_B, 7301}, near = {&agents->rig, SIDE_A, 7302};
	struct address address = rig_address(SIDE_B, AF_INET);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, far.port, &target);
	char web[UID_MAX];

	begin(agents);
	make_pod("web-1", "n1", "", web);
	tell_container("web-1", ID("01"));
	snprintf(group, sizeof(group), "kubepods/pod%s/" ID("01"), web);
	cgroup_rig_make_below(&cgroup, group);
	servers[0] = child_start(serve, &far);
	servers[1] = child_start(serve, &near);
	rig_wait(listens, &far, "a listener in the pod's own network namespace");
	rig_wait(listens, &near, "one in the node's");
	start_agent();
	rig_wait(knows_one, agents, "the name of the pod");
	(void)process_expect_log(&agents->agent[0], "process watched");
	for (size_t i = 0; i < CONNECTS; i++) {
		connects[i] =
			rig_socket(&agents->rig, SIDE_A, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
		(void)connect(connects[i], (struct sockaddr *)&target, length);
	}
	kube_node_expect_finding(&node, "accept-overflow", "0.0.0.0:7301 netns ",
				 "; container app of pod shop/web-1\"");
	child_kill(&servers[1]);
	kube_node_expect_finding(&node, "watched-process-died", "port 7302",
				 "; it was of container app of pod shop/web-1\"");
	agents_stop(agents, 0);
}

/* An agent that knows of one pod, with a container. */
static void begin_with_pod(struct agents *agents, char uid[static UID_MAX])
{
	begin(agents);
	make_pod("web-1", "n1", "", uid);
	tell_container("web-1", ID("01"));
	start_agent();
	rig_wait(knows_one, agents, "the name of the pod");
}

static void run_out_of_memory(void *unused)
{
	(void)unused;
	memory_rig_enter(&memory);
	memory_rig_fill(2 * MEMORY_RIG_LIMIT_BYTES);
}

static void test_oom_kill(void **state)
{
	struct agents *agents = *state;
	char web[UID_MAX], below[192];

	kube_node_skip_if(memory_rig_obstacle());
	begin_with_pod(agents, web);
	snprintf(below, sizeof(below), "kubepods/burstable/pod%s/" ID("01"), web);
	memory_rig_up_below(&memory, below);
	assert_int_equal(WTERMSIG(child_wait(child_start(run_out_of_memory, NULL))), SIGKILL);
	kube_node_expect_finding(
		&node, "memory-pressure", "pod shop/web-1",
		"for want of memory, expected no such kill; container app of pod shop/web-1");
	expect_series(agents, "tocsin_task_oom_kills_total",
		      "namespace=\"shop\",pod=\"web-1\",container=\"app\"} 1");
	agents_stop(agents, 0);
}

/* Each turn of the agent's is followed by a wait, and few waits by none. */
static bool has_turned(void *context)
{
	struct agents *agents = context;

	return process_status(&agents->agent[0], "voluntary_ctxt_switches") >= waits_wanted;
}

/* The timers that send again fire while the test is in no pod's group, and the group is gone before
 * anyone asks for metrics. */
static void test_sockets(void **state)
{
	struct agents *agents = *state;
	struct sockaddr_storage target;
	struct address b = rig_address(SIDE_B, AF_INET);
	socklen_t length;
	char web[UID_MAX], labels[64];
	int pair[2];
	uint16_t port;

	begin_with_pod(agents, web);
	snprintf(group, sizeof(group), "kubepods/burstable/pod%s/" ID("01"), web);
	cgroup_rig_make_below(&cgroup, group);
	cgroup_rig_enter_below(&cgroup, group);
	rig_connect(&agents->rig, AF_INET, pair, &port);
	connects[0] = pair[SIDE_A];
	connects[1] = pair[SIDE_B];
	length = address_to_sockaddr(&b, port, &target);
	for (size_t i = 2; i < CONNECTS; i++) {
		connects[i] = rig_socket(&agents->rig, SIDE_A, AF_INET, SOCK_STREAM);
		assert_int_equal(connect(connects[i], (struct sockaddr *)&target, length), -1);
	}
	cgroup_rig_leave(&cgroup);
	rig_drop(&agents->rig, SIDE_B, "meta l4proto tcp meta length > 100", 3);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	waits_wanted = process_status(&agents->agent[0], "voluntary_ctxt_switches") + 20;
	rig_wait(has_turned, agents, "the agent's next turns");
	cgroup_rig_down(&cgroup);
	expect_series(agents, "tocsin_tcp_cgroup_retransmits_total",
		      "namespace=\"shop\",pod=\"web-1\",container=\"app\"} 3");
	snprintf(labels, sizeof(labels), "namespace=\"shop\",pod=\"web-1\",container=\"app\"} %d",
		 CONNECTS - 2);
	expect_series(agents, "tocsin_tcp_cgroup_connect_failures_total", labels);
	agents_stop(agents, 0);
}

static void run_out_of_memory_in_both(void *unused)
{
	cgroup_rig_enter_below(&cgroup, group);
	run_out_of_memory(unused);
}

/* As a runtime has it with both versions of control groups: a container is in a group of each, and
 * these are gone before anyone asks for metrics. */
static void test_oom_kill_of_container(void **state)
{
	struct agents *agents = *state;
	char web[UID_MAX];

	kube_node_skip_if(memory_rig_obstacle());
	begin_with_pod(agents, web);
	snprintf(group, sizeof(group), "kubepods/burstable/pod%s/" ID("01"), web);
	cgroup_rig_make_below(&cgroup, group);
	memory_rig_up_below(&memory, group);
	assert_int_equal(WTERMSIG(child_wait(child_start(run_out_of_memory_in_both, NULL))),
			 SIGKILL);
	kube_node_expect_finding(
		&node, "memory-pressure", "pod shop/web-1",
		"for want of memory, expected no such kill; container app of pod shop/web-1");
	memory_rig_down(&memory);
	cgroup_rig_down(&cgroup);
	expect_series(agents, "tocsin_task_oom_kills_total",
		      "namespace=\"shop\",pod=\"web-1\",container=\"app\"} 1");
	agents_stop(agents, 0);
}

static bool names_newest(void *context)
{
	struct agents *agents = context;

	return process_get(&agents->rig, SIDE_A, AGENTS_URL "/metrics", agents->body) == 200 &&
	       strstr(agents->body, OF_WEB(ID("03")));
}

/* The API tells of the newest container alone, and nobody asks for metrics while it tells of the
 * others. */
static void test_names_of_old_containers(void **state)
{
	struct agents *agents = *state;
	char web[UID_MAX];

	begin_with_pod(agents, web);
	for (int i = 0; i < 3; i++)
		crash_in("kubepods/burstable/pod%s/" ID("01"), web);
	kube_node_expect_finding(&node, "crash-loop", "pod shop/web-1",
				 "in container app of pod shop/web-1");
	/* Told after its crash. */
	crash_in("kubepods/burstable/pod%s/" ID("02"), web);
	tell_container("web-1", ID("02"));
	tell_container("web-1", ID("03"));
	crash_in("kubepods/burstable/pod%s/" ID("03"), web);
	rig_wait(names_newest, agents, "the name of the newest container");
	expect_series(agents, CRASHES, OF_WEB(ID("01")));
	expect_series(agents, CRASHES, OF_WEB(ID("02")));
	agents_stop(agents, 0);
}

static void read_disk_in_group(void *path)
{
	char input[64];

	cgroup_rig_enter_below(&cgroup, group);
	snprintf(input, sizeof(input), "if=%s", (const char *)path);
	execlp("dd", "dd", input, "of=/dev/null", "bs=4096", "count=1", "iflag=direct",
	       (char *)NULL);
}

static void test_hung(void **state)
{
	struct agents *agents = *state;
	char web[UID_MAX];

	kube_node_skip_if(fuse_disk_obstacle());
	begin_with_pod(agents, web);
	snprintf(group, sizeof(group), "kubepods/burstable/pod%s/" ID("01"), web);
	cgroup_rig_make_below(&cgroup, group);
	fuse_disk_up(&disk);
	atomic_store(&disk.orders->hang, true);
	reader = child_start(read_disk_in_group, disk.loop.path);
	kube_node_expect_finding(&node, "task-hung", "dd", "container app of pod shop/web-1");
	atomic_store(&disk.orders->hang, false);
	assert_int_equal(WEXITSTATUS(child_wait(reader)), 0);
	reader = 0;
	agents_stop(agents, 0);
}

/* Why names may not be known; "" when they are. */
static void expect_reason(struct agents *agents, const char *words)
{
	json_t *status = process_get_status(&agents->rig, SIDE_A, AGENTS_URL);
	const char *reason =
		json_string_value(json_object_get(json_object_get(status, "pods"), "reason"));

	if (!strstr(reason ?: "", words))
		fail_msg("no '%s' in '%s'", words, reason ?: "");
	json_decref(status);
}

static bool is_well(void *context)
{
	struct agents *agents = context;
	json_t *status = process_get_status(&agents->rig, SIDE_A, AGENTS_URL);
	const json_t *pods = json_object_get(status, "pods");
	bool well = pods && json_is_null(json_object_get(pods, "reason"));

	json_decref(status);
	return well;
}

static void test_without_the_api(void **state)
{
	struct agents *agents = *state;
	char web[UID_MAX], subject[2 * UID_MAX];

	begin(agents);
	make_pod("web-1", "n1", "", web);
	assert_int_equal(kill(-node.api.pid, SIGSTOP), 0);
	start_agent();
	for (int i = 0; i < 3; i++)
		crash_in("kubepods/pod%s/" ID("01"), web);
	snprintf(subject, sizeof(subject), "pod %s", web);
	kube_node_expect_finding(&node, "crash-loop", subject, "container 0123456789ab of pod ");
	expect_reason(agents, "the API has not listed them yet");
	snprintf(subject, sizeof(subject), "pod=\"%s\",container=\"" HEX16, web);
	expect_series(agents, CRASHES, subject);
	assert_int_equal(kill(-node.api.pid, SIGCONT), 0);
	rig_wait(is_well, agents, "the API");
	expect_series(agents, CRASHES, "namespace=\"shop\",pod=\"web-1\",container=\"" HEX16);
	agents_stop(agents, 0);
}

/* What happens while no watch is open, and cannot be told any more, is found by the next list. */
static void test_listed_again(void **state)
{
	struct agents *agents = *state;
	char uid[UID_MAX];

	begin(agents);
	make_pod("web-1", "n1", "", uid);
	make_pod("web-2", "n1", "", uid);
	start_agent();
	rig_wait(knows_two, agents, "the names of this node's pods");
	kube_node_order(&node, "faults",
			"{\"match\":{\"resource\":\"pods\",\"verb\":[\"list\",\"watch\"]},"
			"\"code\":503,\"count\":1000}");
	kube_node_order(&node, "watches/drop", "{}");
	assert_int_equal(kube_node_call(&node, "DELETE", "/api/v1/namespaces/shop/pods/web-2", NULL,
					"{\"gracePeriodSeconds\":0}", NULL),
			 200);
	kube_node_order(&node, "compact", "{}");
	assert_false(knows_one(agents));
	kube_node_relent(&node);
	rig_wait(knows_one, agents, "that a pod is gone");
	agents_stop(agents, 0);
}

static void test_without_the_right(void **state)
{
	struct agents *agents = *state;
	char web[UID_MAX];

	begin(agents);
	make_pod("web-1", "n1", "", web);
	assert_int_equal(
		kube_node_call(
			&node, "PATCH",
			"/apis/rbac.authorization.k8s.io/v1/clusterroles/tocsin-nodes",
			"json-patch+json",
			"[{\"op\":\"replace\",\"path\":\"/rules\",\"value\":[{\"apiGroups\":[\"\"],"
			"\"resources\":[\"nodes\"],\"verbs\":[\"list\",\"watch\"]}]}]",
			NULL),
		200);
	start_agent();
	(void)process_expect_log(&agents->agent[0], "/api/v1/pods");
	expect_reason(agents, "this account may not");
	/* Nothing else suffers. */
	assert_true(agents_metric(agents, SIDE_A, AGENTS_URL, "tocsin_store_connected") >= 0);
	agents_stop(agents, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, agents_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_owners),
		TEST(test_names_of_old_containers),
		TEST(test_oom_kill),
		TEST(test_oom_kill_of_container),
		TEST(test_sockets),
		TEST(test_hung),
		TEST(test_without_the_api),
		TEST(test_listed_again),
		TEST(test_without_the_right),
	};

	if (!fuse_disk_obstacle())
		fuse_disk_hide_mounts();
	return agents_run_tests("pods", tests);
}
