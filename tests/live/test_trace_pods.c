// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Traces on a node of Kubernetes: whose pod it was, and -g pod:NAMESPACE/NAME. */
#include "base/clock.h"
#include "live/child.h"
#include "live/pod_rig.h"
#include "live/process.h"
#include "live/tcp_bench.h"
#include "live/trace_run.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HEX16	"0123456789abcdef"
#define ID(end) HEX16 HEX16 HEX16 "0123456789abcd" end
#define WEB	"7d3f1c62-9a4e-4d1b-8f0a-2b6c5d4e3f21"
#define OLD_WEB "7d3f1c62-9a4e-4d1b-8f0a-000000000000"
#define DB	"5f1ab0c9d8e7f6a5b4c3d2e1f0a9b8c7"

struct fixture {
	struct rig rig;
	struct pod_rig pods;
	struct trace_run run;
	struct process other;
	pid_t sleepers[2];
	char web[256], db[256], target[128];
};

static struct fixture fixture;
static const char *group; /* in which the next child runs */

static int set_up_group(void **state)
{
	(void)state;
	rig_up(&fixture.rig);
	return 0;
}

static int tear_down_group(void **state)
{
	(void)state;
	rig_down(&fixture.rig);
	return 0;
}

/* Two pods: one in host a, whose predecessor of the same name has left its logs, and a static one
 * in host b. */
static int set_up(void **state)
{
	struct pod_rig *pods = &fixture.pods;

	(void)state;
	if (pod_rig_obstacle())
		return 0;
	pod_rig_up(pods, "pods");
	pod_rig_name(pods, "web-1", OLD_WEB);
	pod_rig_name(pods, "web-1", WEB);
	pod_rig_name(pods, "db-1", DB);
	pod_rig_container(pods, false, "web-1", WEB, "app", ID("01"), fixture.web);
	pod_rig_container(pods, true, "db-1", DB, "store", ID("02"), fixture.db);
	snprintf(fixture.target, sizeof(fixture.target), "pod:%s/web-1", pods->namespace);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	trace_run_discard(&fixture.run);
	process_discard(&fixture.other);
	child_kill(&fixture.sleepers[0]);
	child_kill(&fixture.sleepers[1]);
	pod_rig_down(&fixture.pods);
	return 0;
}

static void begin(void)
{
	if (!pod_rig_obstacle())
		return;
	print_message("%s\n", pod_rig_obstacle());
	skip();
}

static void assert_text(const json_t *line, const char *key, const char *value)
{
	if (strcmp(json_string_value(json_object_get(line, key)) ?: "(null)", value) != 0) {
		char *text = json_dumps(line, 0);

		fail_msg("no %s '%s' in %s", key, value, text);
	}
}

/* ---- -g ---- */

static void abort_in_group(void *unused)
{
	(void)unused;
	cgroup_rig_enter_below(&fixture.pods.cgroup, group);
	abort();
}

static void crash_in(const char *path)
{
	group = path;
	assert_int_equal(WTERMSIG(child_wait(child_start(abort_in_group, NULL))), SIGABRT);
}

static void test_pod_filter(void **state)
{
	const char *const containers[] = {"app", "later", ID("04")};
	char later[256], unnamed[256];
	json_t *lines;

	(void)state;
	begin();
	trace_run_start(&fixture.run,
			(const char *const[]){"crash", "-g", fixture.target, "-o", "json", NULL});
	crash_in(fixture.db);
	crash_in(fixture.web);
	/* Containers that come later are the pod's, too; of one the kubelet has no link yet. */
	pod_rig_container(&fixture.pods, false, "web-1", WEB, "later", ID("03"), later);
	crash_in(later);
	pod_rig_container(&fixture.pods, false, "web-1", WEB, NULL, ID("04"), unnamed);
	crash_in(unnamed);
	trace_run_stop(&fixture.run, SIGINT);
	lines = trace_run_lines(&fixture.run);
	assert_int_equal(json_array_size(lines), 3);
	for (size_t i = 0; i < 3; i++) {
		const json_t *line = json_array_get(lines, i);

		assert_text(line, "namespace", fixture.pods.namespace);
		assert_text(line, "pod", "web-1");
		assert_text(line, "container", containers[i]);
	}
	json_decref(lines);
}

/* The kubelet makes a container's link when that runs already. */
static void test_named_later(void **state)
{
	uint64_t limit_ns = clock_monotonic_ns() + 15 * NS_PER_S;
	bool named = false;
	char path[256];
	size_t count = 0;

	(void)state;
	begin();
	pod_rig_container(&fixture.pods, false, "web-1", WEB, NULL, ID("05"), path);
	trace_run_start(&fixture.run,
			(const char *const[]){"crash", "-g", fixture.target, "-o", "json", NULL});
	while (!named) {
		json_t *lines;
		const char *shown;

		crash_in(path);
		trace_run_expect_lines(&fixture.run, ++count);
		lines = trace_run_lines(&fixture.run);
		shown = trace_run_string(json_array_get(lines, count - 1), "container");
		named = !strcmp(shown, "late");
		if (!named && strcmp(shown, ID("05")) != 0)
			fail_msg("%s", shown);
		json_decref(lines);
		if (count == 1)
			pod_rig_link(&fixture.pods, "web-1", WEB, "late", ID("05"));
		if (clock_monotonic_ns() > limit_ns)
			fail_msg("its name is never known");
	}
	assert_true(count > 1);
	trace_run_stop(&fixture.run, SIGINT);
}

static void test_table(void **state)
{
	char words[160];
	char *text;

	(void)state;
	begin();
	trace_run_start(&fixture.run, (const char *const[]){"crash", NULL});
	crash_in(fixture.web);
	crash_in(fixture.db);
	trace_run_stop(&fixture.run, SIGINT);
	text = trace_run_text(&fixture.run);
	snprintf(words, sizeof(words), " %s app\n", fixture.target);
	assert_non_null(strstr(text, words));
	snprintf(words, sizeof(words), " pod:%s/db-1 store\n", fixture.pods.namespace);
	assert_non_null(strstr(text, words));
	free(text);
}

static void test_no_such_pod(void **state)
{
	static const struct {
		const char *target, *said;
	} cases[] = {
		{"pod:%s/nobody", "/nobody' on this node: /var/log/pods has none\n"},
		{"pod:%s/gone", "/gone' has no cgroup in the v2 tree: does it run?\n"},
		{"pod:%s", "' is no pod, expected pod:NAMESPACE/NAME\n"},
		{"pod:%s/", "/' is no pod, expected pod:NAMESPACE/NAME\n"},
		{"pod:%s/web-1/app", "/web-1/app' is no pod, expected pod:NAMESPACE/NAME\n"},
		{"pod:/web-1", "'/web-1' is no pod, expected pod:NAMESPACE/NAME\n"},
	};

	(void)state;
	begin();
	pod_rig_name(&fixture.pods, "gone", "7d3f1c62-9a4e-4d1b-8f0a-000000000001");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct process_options options = {.arguments = {"trace", "crash", "-g"}};
		char target[128];

		(void)snprintf(target, sizeof(target), cases[i].target, fixture.pods.namespace);
		options.arguments[3] = target;
		assert_int_equal(process_run(&fixture.other, &fixture.rig, &options), 2);
		if (!strstr(fixture.other.log, cases[i].said) ||
		    strncmp(fixture.other.log, "tocsin trace crash: -g: ", 24) != 0)
			fail_msg("%s: %s", target, fixture.other.log);
		process_discard(&fixture.other);
	}
}

/* ---- whose connection ---- */

/* The pods talk: sockets are of the group in which their process was when it made them. */
static int listen_in_db(uint16_t *ret_port)
{
	int listener;

	cgroup_rig_enter_below(&fixture.pods.cgroup, fixture.db);
	listener = rig_listen(&fixture.rig, SIDE_B, AF_INET, ret_port);
	cgroup_rig_leave(&fixture.pods.cgroup);
	return listener;
}

static int connect_from_web(uint16_t port)
{
	struct address address = rig_address(SIDE_B, AF_INET);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, port, &target);
	int fd;

	cgroup_rig_enter_below(&fixture.pods.cgroup, fixture.web);
	fd = rig_socket(&fixture.rig, SIDE_A, AF_INET, SOCK_STREAM);
	cgroup_rig_leave(&fixture.pods.cgroup);
	(void)connect(fd, (struct sockaddr *)&target, length);
	return fd;
}

static void talk(int listener, uint16_t port, bool reset, bool lose)
{
	static const char segment[100];
	const struct linger now = {.l_onoff = reset};
	char buffer[10 * sizeof(segment)];
	int pair[2];

	pair[SIDE_A] = connect_from_web(port);
	/* What waits is whose who takes it. */
	cgroup_rig_enter_below(&fixture.pods.cgroup, fixture.db);
	pair[SIDE_B] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cgroup_rig_leave(&fixture.pods.cgroup);
	assert_true(pair[SIDE_B] >= 0);
	tcp_bench_exchange(pair, 3);
	if (lose) {
		rig_drop(&fixture.rig, SIDE_B, "meta l4proto tcp meta length > 100", 1);
		for (size_t i = 0; i < 10; i++)
			assert_int_equal(send(pair[SIDE_A], segment, sizeof(segment), 0),
					 sizeof(segment));
		assert_int_equal(recv(pair[SIDE_B], buffer, sizeof(buffer), MSG_WAITALL),
				 sizeof(buffer));
		rig_pass(&fixture.rig, SIDE_B);
	}
	assert_int_equal(setsockopt(pair[SIDE_A], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(pair[SIDE_A]);
	(void)recv(pair[SIDE_B], buffer, sizeof(buffer), 0);
	close(pair[SIDE_B]);
}

/* How many lines are of a pod, and of its container. */
static unsigned int count_of(const json_t *lines, const char *pod, const char *container)
{
	unsigned int count = 0;
	const json_t *line;
	size_t i;

	json_array_foreach(lines, i, line)
	{
		const char *name = json_string_value(json_object_get(line, "pod")) ?: "";

		if (strcmp(name, pod) != 0)
			continue;
		assert_text(line, "namespace", fixture.pods.namespace);
		assert_text(line, "container", container);
		count++;
	}
	return count;
}

/* Nobody says -n: the pods of all network namespaces are seen. */
static void test_owners(void **state)
{
	static const struct {
		const char *words[3];
		bool reset, lose;
		/* At least so many lines of each pod. */
		unsigned int web, db;
	} cases[] = {
		{{"connect"}, false, false, 1, 1}, {{"accept"}, false, false, 0, 1},
		{{"tcplife"}, false, false, 1, 1}, {{"reset"}, true, false, 0, 1},
		{{"retrans"}, false, true, 1, 0},  {{"rtt", "--by", "cgroup"}, false, false, 1, 1},
	};
	uint16_t port;
	int listener;

	(void)state;
	begin();
	listener = listen_in_db(&port);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *arguments[8] = {cases[i].words[0], "-o", "json"};
		json_t *lines;
		char *text;

		for (size_t j = 1; j < 3 && cases[i].words[j]; j++)
			arguments[2 + j] = cases[i].words[j];
		trace_run_start(&fixture.run, arguments);
		talk(listener, port, cases[i].reset, cases[i].lose);
		trace_run_stop(&fixture.run, SIGINT);
		lines = trace_run_lines(&fixture.run);
		if (count_of(lines, "web-1", "app") < cases[i].web ||
		    count_of(lines, "db-1", "store") < cases[i].db) {
			text = trace_run_text(&fixture.run);
			fail_msg("%s: %s", cases[i].words[0], text);
		}
		json_decref(lines);
		trace_run_discard(&fixture.run);
	}
	close(listener);
}

static void sleep_in_b(void *of_db)
{
	if (of_db)
		cgroup_rig_enter_below(&fixture.pods.cgroup, fixture.db);
	assert_int_equal(setns(fixture.rig.namespaces[SIDE_B], CLONE_NEWNET), 0);
	for (;;)
		pause();
}

static bool is_in_b(void *pid)
{
	struct stat status;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)*(pid_t *)pid);
	return !stat(path, &status) && status.st_ino == fixture.rig.inodes[SIDE_B];
}

/* How many lines are of the namespace of host b; their pod must be this, and of no others. */
static unsigned int lines_of_b(const char *pod)
{
	json_t *lines = trace_run_lines(&fixture.run);
	unsigned int count = 0;
	const json_t *line;
	size_t i;

	json_array_foreach(lines, i, line)
	{
		bool of_b = trace_run_number(line, "netns_inode") == fixture.rig.inodes[SIDE_B];
		const char *shown = json_string_value(json_object_get(line, "pod")) ?: "";

		if (of_b ? strcmp(shown, pod) != 0 : !strcmp(shown, "db-1"))
			fail_msg("expected '%s' in %s", pod, json_dumps(line, 0));
		count += of_b;
	}
	json_decref(lines);
	return count;
}

/* What no socket owns is the pod's whose namespace it is. */
static void test_owners_of_namespaces(void **state)
{
	static const struct {
		const char *words[2], *processes[2], *pod;
	} cases[] = {
		{{"reset"}, {"db"}, "db-1"},
		{{"reset"}, {"db", "db"}, "db-1"},
		{{"drop", "--events"}, {"db"}, "db-1"},
		/* With others in it, as in the host's own, that is not known. */
		{{"reset"}, {"db", "other"}, ""},
		{{"reset"}, {"other", "db"}, ""},
		{{"reset"}, {"other"}, ""},
		{{"reset"}, {NULL}, ""},
	};

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *arguments[8] = {cases[i].words[0], "-P", "9", "-o", "json",
					    cases[i].words[1]};

		for (size_t j = 0; j < 2 && cases[i].processes[j]; j++) {
			fixture.sleepers[j] = child_start(
				sleep_in_b, *cases[i].processes[j] == 'd' ? &fixture : NULL);
			rig_wait(is_in_b, &fixture.sleepers[j], "a process in the namespace");
		}
		trace_run_start(&fixture.run, arguments);
		/* Nobody listens. */
		close(connect_from_web(9));
		trace_run_stop(&fixture.run, SIGINT);
		if (!lines_of_b(cases[i].pod))
			fail_msg("%s: nothing", cases[i].words[0]);
		trace_run_discard(&fixture.run);
		child_kill(&fixture.sleepers[0]);
		child_kill(&fixture.sleepers[1]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_pod_filter),	TEST(test_named_later), TEST(test_table),
		TEST(test_no_such_pod), TEST(test_owners),	TEST(test_owners_of_namespaces),
	};

	if (trace_run_obstacle()) {
		printf("%s\n", trace_run_obstacle());
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
