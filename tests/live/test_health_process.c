// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An agent on a node whose processes crash, end and hang. */
#include "base/clock.h"
#include "live/agents.h"
#include "live/cgroup_rig.h"
#include "live/child.h"
#include "live/fuse_disk.h"
#include "live/memory_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* From an end to its finding, on a machine that other tests may share. */
#define TOLD_IN_NS	 (100 * NS_PER_MS)
#define CRASH_TOLD_IN_NS (100 * NS_PER_MS)
#define CRASHES		 3

/* A process that ends when its pipe is closed. */
struct gated {
	pid_t pid;
	int gate; /* the writing end */
};

static struct cgroup_rig cgroup;
static struct memory_rig memory;
static struct fuse_disk disk;
static struct gated gated;
static pid_t reader;

static void open_gate(void)
{
	if (gated.gate > 0)
		close(gated.gate);
	gated.gate = 0;
}

static int tear_down(void **state)
{
	/* What hangs cannot be killed. */
	if (disk.orders)
		atomic_store(&disk.orders->hang, false);
	open_gate();
	child_kill(&gated.pid);
	child_kill(&reader);
	agents_tear_down(state);
	cgroup_rig_down(&cgroup);
	memory_rig_down(&memory);
	fuse_disk_down(&disk);
	return 0;
}

static void skip_if(const char *obstacle)
{
	if (!obstacle)
		return;
	print_message("%s\n", obstacle);
	skip();
}

static void start_agent(struct agents *agents, const char *config)
{
	const struct process_options options = agents_options(agents, 0);

	agents_configure(agents, 0, "node: n1\n%s\n", config);
	agents_start(agents, 0, &options);
}

/* The next line with these words. */
static const char *expect_line(struct agents *agents, const char *event, const char *words)
{
	const char *line;

	do
		line = process_expect_log(&agents->agent[0], event);
	while (!strstr(line, words));
	return line;
}

/* When the finding of a line was raised or cleared; CLOCK_MONOTONIC. */
static uint64_t time_of(const char *line)
{
	const char *number = strstr(line, "\"monotonic_ns\":");

	if (!number)
		fail_msg("no time in: %s", line);
	return strtoull(number + strlen("\"monotonic_ns\":"), NULL, 10);
}

/* ---- crash loops ---- */

static void abort_in_group(void *unused)
{
	(void)unused;
	cgroup_rig_enter(&cgroup);
	abort();
}

static void end_in_group(void *number)
{
	cgroup_rig_enter(&cgroup);
	if (*(int *)number)
		raise(*(int *)number);
	_exit(1);
}

static void test_crash_loop(void **state)
{
	struct agents *agents = *state;
	/* None of these is a crash. */
	int wanted[] = {0, 0, 0, SIGTERM, SIGTERM, SIGTERM, SIGKILL, SIGKILL, SIGKILL};
	const char *line;
	uint64_t begun_ns = 0, took_ns;

	skip_if(cgroup_rig_obstacle());
	cgroup_rig_up(&cgroup, "a.service");
	start_agent(agents, "findings: {crash-loop: {crashes: 3, within_s: 2}}");
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		child_wait(child_start(end_in_group, &wanted[i]));
	for (int i = 0; i < CRASHES; i++) {
		assert_false(process_logged(&agents->agent[0], "crash-loop"));
		begun_ns = clock_monotonic_ns();
		assert_int_equal(WTERMSIG(child_wait(child_start(abort_in_group, NULL))), SIGABRT);
	}
	line = expect_line(agents, "\"finding\"", "crash-loop");
	assert_non_null(strstr(line, cgroup.name));
	assert_non_null(strstr(line, "\"unit tocsin-live-"));
	assert_non_null(strstr(line, "3 crashes by SIGABRT in "));
	took_ns = time_of(line) - begun_ns;
	print_message("told %.1f ms after the last process was started\n", (double)took_ns / 1e6);
	assert_true(took_ns < CRASH_TOLD_IN_NS);
	line = expect_line(agents, "finding cleared", "crash-loop");
	assert_non_null(strstr(line, "no crash for 2 s"));
	assert_in_range(time_of(line) - begun_ns, 2 * NS_PER_S, 5 * NS_PER_S);
	agents_stop(agents, 0);
}

/* ---- watched processes ---- */

/* A copy of the shell, which waits for its gate and then exits with 3. */
static void run_gated(void *path)
{
	execl(path, path, "-c", "read line; exit 3", (char *)NULL);
}

static void start_gated(void (*run)(void *context), void *context)
{
	int ends[2], home = dup(STDIN_FILENO);

	assert_true(home >= 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	gated.gate = ends[1];
	gated.pid = child_start(run, context);
	assert_int_equal(dup2(home, STDIN_FILENO), STDIN_FILENO);
	close(home);
	close(ends[0]);
}

/* The child has become its program. */
static void wait_for_program(const char *path)
{
	uint64_t deadline_ns = clock_monotonic_ns() + 10 * NS_PER_S;
	char link[64], target[256];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)gated.pid);
	do {
		assert_true(clock_monotonic_ns() < deadline_ns);
		length = readlink(link, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
	} while (strcmp(target, path) != 0);
}

static void copy_shell(const struct agents *agents, char path[static 128])
{
	char command[256];

	snprintf(path, 128, "%s/watched", agents->directory);
	snprintf(command, sizeof(command), "cp -L /bin/sh %s", path);
	assert_int_equal(system(command), 0);
}

static int end_gated(void)
{
	int status;

	open_gate();
	status = child_wait(gated.pid);
	gated.pid = 0;
	return status;
}

static void expect_died(struct agents *agents, const char *words, uint64_t begun_ns)
{
	const char *line = expect_line(agents, "\"finding\"", "watched-process-died");
	uint64_t took_ns = time_of(line) - begun_ns;

	if (!strstr(line, words))
		fail_msg("no '%s' in: %s", words, line);
	print_message("told after %.1f ms\n", (double)took_ns / 1e6);
	assert_true(took_ns < TOLD_IN_NS);
}

/* Killed, started again, and ended by itself after its file was deleted. */
static void test_program(void **state)
{
	struct agents *agents = *state;
	char path[128], config[256], words[64];
	uint64_t begun_ns;
	const char *line;

	copy_shell(agents, path);
	start_gated(run_gated, path);
	snprintf(config, sizeof(config), "watch: [{exe: /does/not/exist}, {exe: %s}]", path);
	start_agent(agents, config);
	expect_line(agents, "process watched", path);
	begun_ns = clock_monotonic_ns();
	kill(gated.pid, SIGKILL);
	snprintf(words, sizeof(words), "pid %d (%.40s", (int)gated.pid, path);
	expect_died(agents, words, begun_ns);
	assert_true(process_logged(&agents->agent[0], "was killed by SIGKILL; nothing is left of"));
	assert_int_equal(WTERMSIG(end_gated()), SIGKILL);

	start_gated(run_gated, path);
	line = expect_line(agents, "finding cleared", "watched-process-died");
	snprintf(words, sizeof(words), "runs again as pid %d after 0.", (int)gated.pid);
	assert_non_null(strstr(line, words));

	begun_ns = clock_monotonic_ns();
	assert_int_equal(WEXITSTATUS(end_gated()), 3);
	expect_died(agents, "exited with status 3", begun_ns);
	/* What never ran has not died. */
	assert_false(process_logged(&agents->agent[0], "\"subject\":\"/does/not/exist\""));
	agents_stop(agents, 0);
}

/* Found also when its file has been replaced; told also when another is left: only by the last. */
static void test_two_processes(void **state)
{
	struct agents *agents = *state;
	char path[128], config[256];
	uint64_t begun_ns;
	pid_t first;
	int first_gate;

	copy_shell(agents, path);
	start_gated(run_gated, path);
	wait_for_program(path);
	first = gated.pid;
	first_gate = gated.gate;
	start_gated(run_gated, path);
	wait_for_program(path);
	assert_int_equal(unlink(path), 0);
	snprintf(config, sizeof(config), "watch: [{exe: %s}]", path);
	start_agent(agents, config);
	expect_line(agents, "process watched", path);
	expect_line(agents, "process watched", path);
	close(first_gate);
	assert_int_equal(WEXITSTATUS(child_wait(first)), 3);
	begun_ns = clock_monotonic_ns();
	assert_false(process_logged(&agents->agent[0], "watched-process-died"));
	assert_int_equal(WEXITSTATUS(end_gated()), 3);
	expect_died(agents, "nothing is left of", begun_ns);
	assert_true(process_logged(&agents->agent[0], path));
	agents_stop(agents, 0);
}

/* In a process that runs no other program, and so has the writing end, too. */
static void wait_for_gate(void)
{
	char byte;

	close(gated.gate);
	if (read(STDIN_FILENO, &byte, 1))
		_exit(1);
}

static void wait_in_group(void *unused)
{
	(void)unused;
	cgroup_rig_enter(&cgroup);
	wait_for_gate();
	_exit(0);
}

static void test_unit(void **state)
{
	struct agents *agents = *state;
	char config[256];
	uint64_t begun_ns;

	skip_if(cgroup_rig_obstacle());
	cgroup_rig_up(&cgroup, "b.service");
	snprintf(config, sizeof(config), "watch: [{unit: %s}]", cgroup.name);
	start_agent(agents, config);
	expect_line(agents, "does not run", cgroup.name);
	start_gated(wait_in_group, NULL);
	expect_line(agents, "process watched", cgroup.name);
	begun_ns = clock_monotonic_ns();
	assert_int_equal(WEXITSTATUS(end_gated()), 0);
	expect_died(agents, "exited with status 0", begun_ns);
	agents_stop(agents, 0);
}

/* A listener that needs too much memory when its gate opens. */
static void listen_and_fill(void *unused)
{
	(void)unused;
	memory_rig_enter(&memory);
	wait_for_gate();
	memory_rig_fill(2 * MEMORY_RIG_LIMIT_BYTES);
}

static void test_port(void **state)
{
	struct agents *agents = *state;
	char config[256];
	uint16_t port;
	int listener;

	skip_if(memory_rig_obstacle());
	memory_rig_up(&memory);
	for (int family = 0; family < 2; family++) {
		listener = rig_listen(&agents->rig, SIDE_A, family ? AF_INET6 : AF_INET, &port);
		start_gated(listen_and_fill, NULL);
		close(listener);
		snprintf(config, sizeof(config), "watch: [{port: %u}]", port);
		start_agent(agents, config);
		expect_line(agents, "process watched", "\"port ");
		/* After it has filled the memory. */
		assert_int_equal(WTERMSIG(end_gated()), SIGKILL);
		assert_non_null(strstr(expect_line(agents, "\"finding\"", "watched-process-died"),
				       "was killed by SIGKILL, by the OOM killer"));
		agents_stop(agents, 0);
		process_discard(&agents->agent[0]);
	}
}

/* Without BPF it is told all the same; how it ended is not known. */
static void test_without_probe(void **state)
{
	struct agents *agents = *state;
	struct process_options options;
	char path[128];
	uint64_t begun_ns;

	copy_shell(agents, path);
	start_gated(run_gated, path);
	agents_configure(
		agents, 0,
		"node: n1\nheartbeat: {authenticate: false}\nnodes: [{name: n1, addresses: "
		"[10.99.0.1]}, {name: n2, addresses: [10.99.0.2]}]\nwatch: [{exe: %s}]\n",
		path);
	options = agents_options(agents, 0);
	options.no_btf = true;
	agents_start(agents, 0, &options);
	expect_line(agents, "process watched", path);
	begun_ns = clock_monotonic_ns();
	assert_int_equal(WEXITSTATUS(end_gated()), 3);
	expect_died(agents, "ended, how is not known", begun_ns);
	assert_true(process_logged(&agents->agent[0], "\"finding\":\"task-hung\",\"reason\""));
	agents_stop(agents, 0);
}

/* What is watched may change while the agent runs. */
static void test_reload(void **state)
{
	struct agents *agents = *state;
	char path[128];
	uint64_t begun_ns;

	copy_shell(agents, path);
	start_gated(run_gated, path);
	start_agent(agents, "watch: []");
	agents_configure(agents, 0, "node: n1\nwatch: [{port: 1}, {exe: %s}]\n", path);
	process_signal(&agents->agent[0], SIGHUP);
	expect_line(agents, "process watched", path);
	/* It stays watched, in another place. */
	agents_configure(agents, 0, "node: n1\nwatch: [{exe: %s}]\n", path);
	process_signal(&agents->agent[0], SIGHUP);
	expect_line(agents, "configuration reloaded", "");
	begun_ns = clock_monotonic_ns();
	kill(gated.pid, SIGKILL);
	end_gated();
	expect_died(agents, "SIGKILL", begun_ns);
	agents_configure(agents, 0, "node: n1\n");
	process_signal(&agents->agent[0], SIGHUP);
	assert_non_null(strstr(expect_line(agents, "finding cleared", "watched-process-died"),
			       "it is not watched any more"));
	agents_stop(agents, 0);
}

/* ---- tasks that hang ---- */

static void read_disk(void *path)
{
	char input[64];

	snprintf(input, sizeof(input), "if=%s", (const char *)path);
	execlp("dd", "dd", input, "of=/dev/null", "bs=4096", "count=1", "iflag=direct",
	       (char *)NULL);
}

static void test_hung(void **state)
{
	struct agents *agents = *state;
	char words[64];
	const char *line;

	skip_if(fuse_disk_obstacle());
	fuse_disk_up(&disk);
	start_agent(agents, "findings: {task-hung: {after_s: 5}}");
	atomic_store(&disk.orders->hang, true);
	reader = child_start(read_disk, disk.loop.path);
	line = expect_line(agents, "\"finding\":\"task-hung\"", "\"subject\":\"dd\"");
	assert_non_null(strstr(line, "1 task is in uninterruptible sleep without a break"));
	snprintf(words, sizeof(words), "; pid %d, for at least 5 s in ", (int)reader);
	if (!strstr(line, words))
		fail_msg("no '%s' in: %s", words, line);
	atomic_store(&disk.orders->hang, false);
	assert_int_equal(WEXITSTATUS(child_wait(reader)), 0);
	reader = 0;
	expect_line(agents, "finding cleared", "\"subject\":\"dd\"");
	agents_stop(agents, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, agents_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_crash_loop), TEST(test_program), TEST(test_two_processes),
		TEST(test_unit),       TEST(test_port),	   TEST(test_without_probe),
		TEST(test_reload),     TEST(test_hung),
	};

	if (!fuse_disk_obstacle())
		fuse_disk_hide_mounts();
	return agents_run_tests("health_process", tests);
}
