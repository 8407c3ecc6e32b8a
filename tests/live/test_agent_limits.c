// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The program where something is missing: arguments, privileges, type information, disk, streams,
 * descriptors. It works, or says in a line why not.
 */
#include "base/clock.h"
#include "live/agents.h"
#include "live/child.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FEW_FILES	128
#define IDLE_CLIENTS	48
#define SPIN_S		1
#define CRASHES		3 /* of them a crash loop is made */
#define SPIN_CPU_MS_MAX 400

static const char nodes[] = "nodes:\n"
			    " - {name: n1, addresses: [127.0.1.1]}\n"
			    " - {name: n2, addresses: [127.0.1.2]}\n";

static void configure_node(struct agents *agents, unsigned int index)
{
	agents_configure(agents, index,
			 "node: n%u\n"
			 "http: {listen: '127.0.1.%u:9479'}\n"
			 "heartbeat: {listen: '127.0.1.%u:9480', authenticate: false}\n"
			 "%s",
			 index + 1, index + 1, index + 1, nodes);
}

/* Exit code 1 and one line with these words. */
static void assert_refused(struct agents *agents, const struct process_options *options,
			   const char *words)
{
	int code = process_run(&agents->other, &agents->rig, options);

	if (code != 1 || process_log_lines(&agents->other) != 1 ||
	    !strstr(agents->other.log, words))
		fail_msg("exit code %d; expected 1 and one line with '%s', not:\n%s", code, words,
			 agents->other.log);
}

static void test_usage(void **state)
{
	static const struct {
		const char *arguments[4];
		int code;
		unsigned int lines_max; /* on stderr */
		const char *error, *output;
	} cases[] = {
		{{NULL}, 2, 99, "Usage: tocsin COMMAND", ""},
		{{"--help"}, 0, 0, "", "Usage: tocsin COMMAND"},
		{{"--version"}, 0, 0, "", "tocsin "},
		{{"bell"}, 2, 1, "'bell'", ""},
		{{"--bell"}, 2, 1, "'--bell'", ""},
		{{"agent", "--help"}, 0, 0, "", "Usage: tocsin agent"},
		{{"agent", "bell"}, 2, 2, "tocsin agent: unexpected argument 'bell'", ""},
		{{"agent", "--bell"}, 2, 2, "'--bell'", ""},
		{{"agent", "-c"}, 2, 2, "requires an argument", ""},
		{{"agent", "-c", "/nonexistent/file"}, 2, 1, "/nonexistent/file", ""},
		{{"agent", "-c", "/"}, 2, 1, "/: ", ""},
		{{"doctor", "--help"}, 0, 0, "", "Usage: tocsin doctor"},
		{{"doctor", "bell"}, 2, 2, "tocsin doctor: unexpected argument 'bell'", ""},
		{{"status", "--help"}, 0, 0, "", "Usage: tocsin status"},
		{{"status", "bell"}, 2, 2, "'bell'", ""},
		{{"status", "--bell"}, 2, 2, "'--bell'", ""},
		{{"status"}, 1, 1, "is the agent running?", ""},
		{{"config"}, 2, 2, "check FILE", ""},
		{{"config", "bell"}, 2, 2, "'bell'", ""},
	};
	struct agents *agents = *state;
	struct process *process = &agents->other;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct process_options options = {0};
		int code;

		memcpy(options.arguments, cases[i].arguments, sizeof(cases[i].arguments));
		code = process_run(process, &agents->rig, &options);
		if (code != cases[i].code || process_log_lines(process) > cases[i].lines_max ||
		    !strstr(process->log, cases[i].error) ||
		    !strstr(process->output, cases[i].output) ||
		    !*cases[i].output != !*process->output)
			fail_msg("case %zu: exit code %d, stdout:\n%sstderr:\n%s", i, code,
				 process->output, process->log);
	}
}

static void test_wrong_configuration(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"nod: n1\n", ":2:1: "},
		{"http: {listen: nowhere}\n", ":2:"},
		{"heartbeat: {interval_ms: 1}\n", "20"},
		{"nodes: [{name: n1, addresses: [10.0.0.0/24]}]\n", ":2:"},
		{"mode: [\n", ":"},
	};
	struct agents *agents = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct process_options options;
		int code;

		agents_configure(agents, 0, "%s", cases[i].text);
		options = agents_options(agents, 0);
		code = process_run(&agents->other, &agents->rig, &options);
		if (code != 2 || process_log_lines(&agents->other) != 1 ||
		    !process_logged(&agents->other, agents->config[0]) ||
		    !process_logged(&agents->other, cases[i].words))
			fail_msg("case %zu: exit code %d:\n%s", i, code, agents->other.log);
	}
}

/* `tocsin status | head -1` and a full disk below `tocsin status > file`. */
static void test_status_output(void **state)
{
	struct agents *agents = *state;
	const struct process_options options = agents_options(agents, 0);
	struct process_options status = {.arguments = {"status"}};
	struct process *process = &agents->other;

	agents_configure(agents, 0, "%s", "");
	agents_start(agents, 0, &options);
	assert_int_equal(process_run(process, &agents->rig, &status), 0);
	assert_non_null(strstr(process->output, "NODE"));
	assert_int_equal(process->log_bytes, 0);
	status.arguments[1] = "--json";
	assert_int_equal(process_run(process, &agents->rig, &status), 0);
	assert_int_equal(process->output[0], '{');

	status.broken_output = true;
	assert_int_equal(process_run(process, &agents->rig, &status), 128 + SIGPIPE);
	assert_int_equal(process->log_bytes, 0);

	status = (struct process_options){.arguments = {"status"}, .full_output = true};
	assert_refused(agents, &status, "cannot write");
	status.arguments[0] = "doctor";
	assert_refused(agents, &status, "cannot write");
	agents_stop(agents, 0);
}

static void test_not_root(void **state)
{
	struct agents *agents = *state;
	struct process_options options;
	char path[128];

	agents_configure(agents, 0, "%s", "");
	options = agents_options(agents, 0);
	options.user = PROCESS_UNPRIVILEGED;
	assert_refused(agents, &options, "run as root, or set another state_dir");

	snprintf(path, sizeof(path), "%s/state-0", agents->directory);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chown(path, PROCESS_UNPRIVILEGED, PROCESS_UNPRIVILEGED), 0);
	assert_refused(agents, &options, "CAP_BPF and CAP_PERFMON");

	options = (struct process_options){.arguments = {"doctor"}, .user = PROCESS_UNPRIVILEGED};
	assert_int_equal(process_run(&agents->other, &agents->rig, &options), 1);
	assert_non_null(strstr(agents->other.output, "CAP_BPF                  no "));
	assert_non_null(strstr(agents->other.output, "tcp                      no "));
	assert_non_null(strstr(agents->other.output, "without CAP_BPF and CAP_PERFMON"));
	assert_non_null(strstr(agents->other.output,
			       "block                    no       without metrics of disks: "));
	assert_non_null(strstr(agents->other.output, "fence                    no "));
	assert_non_null(strstr(agents->other.output, "CAP_NET_ADMIN is not held"));
}

static bool hears(void *context)
{
	struct agents *agents = context;

	return agents_metric(agents, SIDE_A, "http://127.0.1.1:9479",
			     "tocsin_peer_heartbeats_received_total{peer=\"n2\"}") >= 3 &&
	       agents_metric(agents, SIDE_A, "http://127.0.1.2:9479",
			     "tocsin_peer_heartbeats_received_total{peer=\"n1\"}") >= 3;
}

/* With heartbeats at least the agent goes on, and says everywhere what it lacks. */
static void assert_blind(struct agents *agents, const struct process_options *how,
			 const char *reason)
{
	json_t *status;

	for (unsigned int i = 0; i < 2; i++) {
		struct process_options options = *how;

		configure_node(agents, i);
		options.arguments[0] = "agent";
		options.arguments[1] = "-c";
		options.arguments[2] = agents->config[i];
		process_start(&agents->agent[i], &agents->rig, &options);
		assert_non_null(strstr(
			process_expect_log(&agents->agent[i], "the TCP probe cannot run"), reason));
		(void)process_expect_log(&agents->agent[i], "agent started");
	}
	rig_wait(hears, agents, "heartbeats between blind agents");
	assert_int_equal(
		process_get(&agents->rig, SIDE_A, "http://127.0.1.1:9479/healthz", agents->body),
		503);
	assert_non_null(strstr(agents->body, reason));
	assert_int_equal(
		agents_metric(agents, SIDE_A, "http://127.0.1.1:9479", "tocsin_agent_blind"), 1);
	status = process_get_status(&agents->rig, SIDE_A, "http://127.0.1.1:9479");
	assert_non_null(strstr(json_string_value(json_object_get(status, "blind")) ?: "", reason));
	assert_non_null(process_find_peer(status, "n2"));
	json_decref(status);
	agents_stop(agents, 0);
	agents_stop(agents, 1);
}

static void test_blind_not_root(void **state)
{
	struct agents *agents = *state;
	char path[128];

	for (unsigned int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/state-%u", agents->directory, i);
		assert_int_equal(mkdir(path, 0755), 0);
		assert_int_equal(chown(path, PROCESS_UNPRIVILEGED, PROCESS_UNPRIVILEGED), 0);
	}
	assert_blind(agents, &(struct process_options){.user = PROCESS_UNPRIVILEGED},
		     "CAP_BPF and CAP_PERFMON");
}

static void test_no_btf(void **state)
{
	struct agents *agents = *state;
	struct process_options options;

	agents_configure(agents, 0, "%s", "");
	options = agents_options(agents, 0);
	options.no_btf = true;
	assert_refused(agents, &options, "/sys/kernel/btf/vmlinux");
	assert_refused(agents, &options, "CONFIG_DEBUG_INFO_BTF");
	assert_blind(agents, &options, "/sys/kernel/btf/vmlinux");
	options = (struct process_options){.arguments = {"doctor"}, .no_btf = true};
	assert_int_equal(process_run(&agents->other, &agents->rig, &options), 1);
	assert_non_null(strstr(agents->other.output, "BTF                      no "));
	assert_non_null(strstr(agents->other.output, "CONFIG_DEBUG_INFO_BTF"));
}

static void crash(void *unused)
{
	(void)unused;
	abort();
}

/* Said once, however many groups have no name; what crashes is found all the same. */
static void test_no_cgroups(void **state)
{
	struct agents *agents = *state;
	struct process *agent = &agents->agent[0];
	struct process_options options;
	const char *line;

	agents_configure(agents, 0, "%s", "");
	options = agents_options(agents, 0);
	options.no_cgroups = true;
	process_start(agent, &agents->rig, &options);
	line = process_expect_log(agent, "control groups of v2 have no names");
	assert_non_null(strstr(line, "\"level\":\"warning\""));
	assert_non_null(strstr(line, "no cgroup v2 tree is mounted"));
	assert_non_null(strstr(line, "told by number"));
	(void)process_expect_log(agent, "agent started");
	for (int i = 0; i < CRASHES; i++)
		(void)child_wait(child_start(crash, NULL));
	line = process_expect_log(agent, "\"finding\":\"crash-loop\"");
	assert_non_null(strstr(line, "test_agent_limi"));
	process_read(agent);
	assert_null(strstr(strstr(agent->log, "have no names") + 1, "have no names"));
	agents_stop(agents, 0);
	agents_configure(agents, 0, "%s", "");
	options.no_cgroups = false;
	agents_start(agents, 0, &options);
	assert_false(process_logged(agent, "have no names"));
	agents_stop(agents, 0);
}

static void test_state_dir(void **state)
{
	struct agents *agents = *state;
	char directory[128], lock[160], target[128];
	struct process_options options;
	struct stat status;
	FILE *file;

	agents_configure(agents, 0, "%s", "");
	options = agents_options(agents, 0);
	snprintf(directory, sizeof(directory), "%s/state-0", agents->directory);
	snprintf(lock, sizeof(lock), "%s/lock", directory);
	snprintf(target, sizeof(target), "%s/target", agents->directory);

	file = fopen(directory, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_refused(agents, &options, "expected state_dir to be a directory");
	assert_int_equal(remove(directory), 0);

	assert_int_equal(mkdir(directory, 0755), 0);
	options.directory = directory;
	options.mount = PROCESS_MOUNT_READ_ONLY;
	assert_refused(agents, &options, "mounted read-only");

	/* What the link points to must be left alone. */
	options.mount = PROCESS_MOUNT_NONE;
	assert_int_equal(symlink(target, lock), 0);
	assert_refused(agents, &options, "expected a file and no symbolic link");
	assert_int_equal(stat(target, &status), -1);
	assert_int_equal(remove(lock), 0);

	/* The lock needs no room. */
	options.mount = PROCESS_MOUNT_FULL;
	agents_start(agents, 0, &options);
	agents_stop(agents, 0);

	agents_configure(agents, 0, "state_dir: %s/missing/parent\n", agents->directory);
	assert_int_equal(process_run(&agents->other, &agents->rig, &options), 2);
}

static bool serves(void *context)
{
	struct agents *agents = context;

	return process_get(&agents->rig, SIDE_A, AGENTS_URL "/healthz", agents->body) == 200;
}

/* Whether a descriptor of the agent is a file of this name. */
static bool has_open(const struct process *process, unsigned int fd, const char *name)
{
	char path[64], found[256] = "";

	snprintf(path, sizeof(path), "/proc/%d/fd/%u", process->pid, fd);
	if (readlink(path, found, sizeof(found) - 1) < 0)
		return false;
	return !strcmp(found, name);
}

/* Starts, reloads and stops an agent that cannot log. */
static void run_unheard(struct agents *agents, const struct process_options *options)
{
	struct process *agent = &agents->agent[0];

	process_start(agent, &agents->rig, options);
	rig_wait(serves, agents, "the agent to serve");
	for (unsigned int i = 0; i < 3; i++) {
		process_signal(agent, SIGHUP);
		assert_true(serves(agents));
	}
	if (options->no_streams)
		for (unsigned int fd = 0; fd < 3; fd++)
			assert_true(has_open(agent, fd, "/dev/null"));
	process_signal(agent, SIGTERM);
	assert_int_equal(process_wait(agent), 0);
}

static void test_log_closed(void **state)
{
	struct agents *agents = *state;
	struct process_options options;

	agents_configure(agents, 0, "%s", "");
	options = agents_options(agents, 0);
	options.broken_log = options.broken_output = true;
	run_unheard(agents, &options);
	options = agents_options(agents, 0);
	options.no_streams = true;
	run_unheard(agents, &options);
}

static void test_few_descriptors(void **state)
{
	struct agents *agents = *state;
	struct address address;
	struct sockaddr_storage name;
	struct process_options options;
	int clients[IDLE_CLIENTS];
	uint64_t cpu_ms;
	socklen_t length;

	agents_configure(agents, 0, "%s", "");
	options = agents_options(agents, 0);
	options.files = 16;
	assert_refused(agents, &options, "LimitNOFILE");

	options.files = FEW_FILES;
	agents_start(agents, 0, &options);
	assert_true(serves(agents));
	assert_int_equal(address_parse("127.0.0.1", &address), 0);
	length = address_to_sockaddr(&address, 9479, &name);
	for (size_t i = 0; i < IDLE_CLIENTS; i++) {
		clients[i] = rig_socket(&agents->rig, SIDE_A, AF_INET, SOCK_STREAM);
		assert_int_equal(connect(clients[i], (struct sockaddr *)&name, length), 0);
	}
	/* Without a descriptor for the next client the agent must not spin. */
	cpu_ms = process_cpu_ms(&agents->agent[0]);
	usleep(SPIN_S * 1000 * 1000);
	cpu_ms = process_cpu_ms(&agents->agent[0]) - cpu_ms;
	print_message("out of descriptors: CPU %llu ms in %d s\n", (unsigned long long)cpu_ms,
		      SPIN_S);
	assert_true(cpu_ms < SPIN_CPU_MS_MAX);
	/* The next one displaces the oldest, before any timeout. */
	assert_true(serves(agents));
	for (size_t i = 0; i < IDLE_CLIENTS; i++)
		close(clients[i]);
	rig_wait(serves, agents, "the agent to serve again");
	agents_stop(agents, 0);
}

static void test_no_memlock(void **state)
{
	struct agents *agents = *state;
	struct process_options options;

	agents_configure(agents, 0, "%s", "");
	options = agents_options(agents, 0);
	options.no_memlock = true;
	agents_start(agents, 0, &options);
	assert_true(serves(agents));
	agents_stop(agents, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		agents_test(test_usage),	  agents_test(test_wrong_configuration),
		agents_test(test_status_output),  agents_test(test_not_root),
		agents_test(test_blind_not_root), agents_test(test_no_btf),
		agents_test(test_no_cgroups),	  agents_test(test_state_dir),
		agents_test(test_log_closed),	  agents_test(test_few_descriptors),
		agents_test(test_no_memlock),
	};

	return agents_run_tests("agent limits", tests);
}
