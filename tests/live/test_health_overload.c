// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An agent on a node of which more is asked than it has. */
#include "base/clock.h"
#include "live/agents.h"
#include "live/child.h"
#include "live/fuse_disk.h"
#include "live/memory_rig.h"
#include "probe/pressure.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LOADS_MAX 64
/* Of a calm load: what it works, and what it rests. */
#define WORK_US 7000
#define REST_US 3000
/* A window of 5 s is in it, wherever it begins. */
#define CALM_US (10500 * 1000)
/* Of a time in which nobody else works here. Over CALM_US it is no 40 % of any window. */
#define CALM_PERCENT 15
#define WAIT_NS	     (12 * NS_PER_S)
/* Less than the second between two looks. */
#define AT_ONCE_NS (500 * NS_PER_MS)

static pid_t loads[LOADS_MAX];
static struct memory_rig memory;
static struct fuse_disk disk;

static int tear_down(void **state)
{
	/* What hangs cannot be killed. */
	if (disk.orders)
		atomic_store(&disk.orders->hang, false);
	for (size_t i = 0; i < LOADS_MAX; i++)
		child_kill(&loads[i]);
	memory_rig_down(&memory);
	agents_tear_down(state);
	fuse_disk_down(&disk);
	return 0;
}

static void skip_without(const char *obstacle)
{
	if (!obstacle)
		return;
	print_message("%s\n", obstacle);
	skip();
}

/* ---- loads ---- */

static void work(void *unused)
{
	(void)unused;
	/* The test itself must not wait for them. */
	(void)setpriority(PRIO_PROCESS, 0, 5);
	for (volatile uint64_t i = 0;; i++)
		;
}

/* On a CPU of its own: two that share one would wait for each other. */
static void work_and_rest(void *cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(*(unsigned int *)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		abort();
	for (;;) {
		uint64_t until_ns = clock_monotonic_ns() + WORK_US * NS_PER_US;

		while (clock_monotonic_ns() < until_ns)
			;
		usleep(REST_US);
	}
}

static unsigned int cpus(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count > 0 && count * 4 <= LOADS_MAX ? (unsigned int)count : 1;
}

static void start_loads(void (*run)(void *context), unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		loads[i] = child_start(run, &i);
}

static void start_agent(struct agents *agents, enum process_mount mount, const char *findings)
{
	struct process_options options = agents_options(agents, 0);

	options.mount = mount;
	options.directory = "/proc/pressure";
	agents_configure(agents, 0, "node: n1\nfindings: {%s}\n", findings);
	agents_start(agents, 0, &options);
}

static const char *expect_finding(struct agents *agents, const char *kind)
{
	char words[64];

	snprintf(words, sizeof(words), "\"finding\":\"%s\"", kind);
	return process_expect_log(&agents->agent[0], words);
}

static struct pressure pressure_of(enum pressure_source source)
{
	char buffer[256] = "";
	struct text error = TEXT(buffer);
	struct pressure pressure;
	int fd = pressure_open(source, &error);

	if (fd < 0) {
		print_message("%s\n", buffer);
		skip();
	}
	assert_int_equal(pressure_read(fd, &pressure), 0);
	close(fd);
	return pressure;
}

/* It is a matter of the whole machine: where others keep all CPUs busy, not everything waits. */
static void wait_for_full(enum pressure_source source, double percent)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

	while (pressure_of(source).full.avg10_percent <= percent) {
		if (clock_monotonic_ns() > deadline_ns) {
			print_message("others are too busy here: the kernel sees no pressure\n");
			skip();
		}
		usleep(100000);
	}
}

/* ---- tests ---- */

/* Four times as much to do as there are CPUs. */
static void test_cpu(void **state)
{
	struct agents *agents = *state;
	const char *line;

	start_agent(agents, PROCESS_MOUNT_NONE, "cpu-overload: {windows: 1, wait_ms: 5}");
	start_loads(work, 4 * cpus());
	line = expect_finding(agents, "cpu-overload");
	assert_non_null(strstr(line, "something waits for a CPU"));
	assert_non_null(strstr(line, "\"subject\":\"node\""));
	agents_stop(agents, 0);
}

/* 70 % of all CPUs are no overload. */
static void test_calm(void **state)
{
	struct agents *agents = *state;
	uint64_t waited_us;

	start_agent(agents, PROCESS_MOUNT_NONE, "cpu-overload: {windows: 1, wait_ms: 5}");
	start_loads(work_and_rest, cpus());
	waited_us = pressure_of(PRESSURE_CPU).some.total_us;
	usleep(CALM_US);
	waited_us = pressure_of(PRESSURE_CPU).some.total_us - waited_us;
	if (waited_us * 100 > CALM_PERCENT * (uint64_t)CALM_US) {
		print_message("others work here, too: something waited for a CPU for %llu ms\n",
			      (unsigned long long)waited_us / 1000);
		skip();
	}
	assert_false(process_logged(&agents->agent[0], "cpu-overload"));
	agents_stop(agents, 0);
}

static void test_busy(void **state)
{
	struct agents *agents = *state;

	start_agent(agents, PROCESS_MOUNT_NONE,
		    "cpu-overload: {wait_ms: 60000, busy_percent: 80, busy_for_s: 5}");
	start_loads(work, cpus());
	assert_non_null(
		strstr(expect_finding(agents, "cpu-overload"), "expected at most 80 % for 5 s"));
	agents_stop(agents, 0);
}

static void exhaust(void *unused)
{
	(void)unused;
	memory_rig_enter(&memory);
	memory_rig_fill(2 * MEMORY_RIG_LIMIT_BYTES);
}

static void expect_kill(struct agents *agents)
{
	pid_t child = child_start(exhaust, NULL);
	int status = child_wait(child);
	uint64_t ended_ns = clock_monotonic_ns();
	char words[128];
	const char *line;

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	line = expect_finding(agents, "memory-pressure");
	assert_in_range(clock_monotonic_ns() - ended_ns, 0, AT_ONCE_NS);
	snprintf(words, sizeof(words), "(pid %d) for want of memory", (int)child);
	assert_non_null(strstr(line, words));
	/* The group is no unit's and no container's. */
	snprintf(words, sizeof(words), "\"subject\":\"/%s\"", memory.name);
	assert_non_null(strstr(line, words));
}

/* Told as soon as the kernel says it, not at the next look. */
static void test_killed(void **state)
{
	struct agents *agents = *state;

	skip_without(memory_rig_obstacle());
	start_agent(agents, PROCESS_MOUNT_NONE, "");
	memory_rig_up(&memory);
	expect_kill(agents);
	agents_stop(agents, 0);
}

/* Without PSI each finding says so, and what does not need it is found. */
static void test_blind(void **state)
{
	static const char *const kinds[] = {"cpu-overload", "memory-pressure", "io-pressure"};
	struct agents *agents = *state;

	skip_without(memory_rig_obstacle());
	start_agent(agents, PROCESS_MOUNT_FULL, "");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const char *line = expect_finding(agents, kinds[i]);

		assert_non_null(strstr(line, "cannot be found"));
		assert_non_null(strstr(line, "is missing: use a kernel with CONFIG_PSI=y"));
	}
	memory_rig_up(&memory);
	expect_kill(agents);
	agents_stop(agents, 0);
}

static void read_once(void *path)
{
	disk_read(path, 1);
}

static void test_io(void **state)
{
	struct agents *agents = *state;

	skip_without(fuse_disk_obstacle());
	fuse_disk_up(&disk);
	start_agent(agents, PROCESS_MOUNT_NONE,
		    "io-pressure: {pressure_percent: 1}, disk-stalled: {response: off}");
	atomic_store(&disk.orders->hang, true);
	loads[0] = child_start(read_once, disk.loop.path);
	wait_for_full(PRESSURE_IO, 1);
	assert_non_null(strstr(expect_finding(agents, "io-pressure"), "everything waited for I/O"));
	atomic_store(&disk.orders->hang, false);
	agents_stop(agents, 0);
}

/* Reads again and again a file that does not fit into its group. */
static void thrash(void *path)
{
	static char data[1 << 16];

	memory_rig_enter(&memory);
	for (;;) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		while (fd >= 0 && read(fd, data, sizeof(data)) > 0)
			;
		close(fd);
	}
}

static void test_memory(void **state)
{
	struct agents *agents = *state;
	static char block[1 << 20];
	char path[128];
	int fd;

	skip_without(memory_rig_obstacle());
	snprintf(path, sizeof(path), "%s/file", agents->directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	for (unsigned long bytes = 0; bytes < 2 * MEMORY_RIG_LIMIT_BYTES; bytes += sizeof(block))
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(fsync(fd), 0);
	/* The group pays for what it reads itself. */
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	assert_int_equal(close(fd), 0);
	start_agent(agents, PROCESS_MOUNT_NONE, "memory-pressure: {pressure_percent: 0.1}");
	memory_rig_up(&memory);
	for (unsigned int i = 0; i < cpus(); i++)
		loads[i] = child_start(thrash, path);
	wait_for_full(PRESSURE_MEMORY, 0.1);
	assert_non_null(
		strstr(expect_finding(agents, "memory-pressure"), "everything waited for memory"));
	agents_stop(agents, 0);
}

#define test(function) cmocka_unit_test_setup_teardown(function, agents_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_cpu),	  test(test_calm), test(test_busy),   test(test_killed),
		test(test_blind), test(test_io),   test(test_memory),
	};

	if (!fuse_disk_obstacle())
		fuse_disk_hide_mounts();
	return agents_run_tests("health_overload", tests);
}
