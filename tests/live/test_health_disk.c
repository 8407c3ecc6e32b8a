// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An agent on a node whose disk hangs and fails. */
#include "base/clock.h"
#include "live/agents.h"
#include "live/child.h"
#include "live/fuse_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define AFTER_MS 800
#define WAIT_NS	 (10 * NS_PER_S)
/* Of one who reads until it is ended. */
#define READS_MAX     10000
#define READ_PAUSE_US 2000
#define SLOW_MS	      60
#define POLL_US	      2000
#define METRICS_LOOKS 20
#define METRICS_NS    (100 * NS_PER_MS)
/* 12 windows of 250 ms, the first of which begins with the first reading; and reads enough in all
 * of them. */
#define WARM_UP_NS	  (5 * NS_PER_S)
#define WARM_UP_READS_MIN 500

static struct fuse_disk disk;
static pid_t reader, other_reader;
static char mounted[128]; /* where the disk's file system is; "": nowhere */

static void skip_where_impossible(void)
{
	if (!fuse_disk_obstacle())
		return;
	print_message("%s\n", fuse_disk_obstacle());
	skip();
}

static int set_up(void **state)
{
	int r = agents_set_up(state);

	if (!r && !fuse_disk_obstacle())
		fuse_disk_up_parallel(&disk);
	return r;
}

static int tear_down(void **state)
{
	fuse_disk_heal(&disk);
	child_kill(&reader);
	child_kill(&other_reader);
	if (*mounted)
		(void)umount2(mounted, MNT_DETACH);
	*mounted = '\0';
	agents_tear_down(state);
	fuse_disk_down(&disk);
	return 0;
}

static void read_once(void *path)
{
	disk_read(path, 1);
}

static void read_for_long(void *path)
{
	for (unsigned int i = 0; i < READS_MAX; i++) {
		disk_read(path, 1);
		usleep(READ_PAUSE_US);
	}
}

/* One that may fail. */
static void try_read(void *path)
{
	char command[128];

	snprintf(command, sizeof(command), "dd if=%s of=/dev/null bs=4096 count=1 iflag=direct",
		 (const char *)path);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
}

static void end_reader(void)
{
	(void)child_wait(reader);
	reader = 0;
}

static void start_agent(struct agents *agents, const char *findings)
{
	const struct process_options options = agents_options(agents, 0);

	agents_configure(agents, 0, "node: n1\nfindings: {%s}\n", findings);
	agents_start(agents, 0, &options);
}

/* The next line about a finding of this kind and of a disk, with these words. */
static const char *expect_finding_of(struct agents *agents, const char *name, const char *kind,
				     const char *words)
{
	const char *line;

	do
		line = process_expect_log(&agents->agent[0], kind);
	while (!strstr(line, name) || !strstr(line, words));
	return line;
}

static const char *expect_finding(struct agents *agents, const char *kind, const char *words)
{
	return expect_finding_of(agents, disk.loop.name, kind, words);
}

static void wait_until_held(void)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

	while (!atomic_load(&disk.orders->held)) {
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("no request has come to the disk");
		usleep(POLL_US);
	}
}

/* Until the disk has answered for so long that it is known what is usual. */
static void let_it_learn(void)
{
	uint64_t end_ns = clock_monotonic_ns() + WARM_UP_NS;
	unsigned int before = atomic_load(&disk.orders->reads);

	while (clock_monotonic_ns() < end_ns)
		usleep(POLL_US);
	assert_in_range(atomic_load(&disk.orders->reads) - before, WARM_UP_READS_MIN, UINT32_MAX);
}

static void make_file_system(const char *path)
{
	char command[128];

	snprintf(command, sizeof(command), "mkfs.ext4 -q -F %s", path);
	assert_int_equal(system(command), 0);
}

/* The journal has it, now that its disk answers again. */
static void expect_journalled(struct agents *agents, const char *words)
{
	const struct process_options options = {
		.arguments = {"incidents", "-c", agents->config[0], "--json"}};

	assert_int_equal(process_run(&agents->other, &agents->rig, &options), 0);
	if (!strstr(agents->other.output, words))
		fail_msg("no '%s' in: %s", words, agents->other.output);
}

static void wait_for_line(const char *path, const char *words)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	char data[4096];

	for (;;) {
		FILE *stream = fopen(path, "re");
		size_t length = stream ? fread(data, 1, sizeof(data) - 1, stream) : 0;

		data[length] = '\0';
		if (stream)
			fclose(stream);
		if (strstr(data, words))
			return;
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("%s: no '%s' in: %s", path, words, data);
		usleep(10000);
	}
}

static unsigned int count_lines(const char *path)
{
	FILE *stream = fopen(path, "re");
	unsigned int count = 0;
	int c;

	assert_non_null(stream);
	while ((c = getc(stream)) != EOF)
		count += c == '\n';
	fclose(stream);
	return count;
}

/* Raised while the request still hangs, told to the hook, and cleared when it is answered. */
static void test_stalled(void **state)
{
	struct agents *agents = *state;
	char findings[512], script[128], output[128];
	FILE *stream;

	skip_where_impossible();
	snprintf(script, sizeof(script), "%s/hook", agents->directory);
	snprintf(output, sizeof(output), "%s/told", agents->directory);
	stream = fopen(script, "we");
	assert_non_null(stream);
	fprintf(stream, "#!/bin/sh\n(cat; echo) >> \"$1\"\n");
	assert_int_equal(fclose(stream), 0);
	assert_int_equal(chmod(script, 0755), 0);
	snprintf(findings, sizeof(findings),
		 "disk-stalled: {after_ms: %d, response: hook, hook: [%s, %s]}", AFTER_MS, script,
		 output);
	start_agent(agents, findings);
	atomic_store(&disk.orders->hang, true);
	reader = child_start(read_once, disk.loop.path);
	assert_non_null(strstr(expect_finding(agents, "disk-stalled", "\"finding\""),
			       "none was completed for"));
	wait_for_line(output, "\"change\":\"raised\"");
	/* It stands for some more looks. */
	usleep(AFTER_MS * 1000);
	atomic_store(&disk.orders->hang, false);
	expect_finding(agents, "disk-stalled", "finding cleared");
	wait_for_line(output, "\"change\":\"cleared\"");
	end_reader();
	agents_stop(agents, 0);
	/* Once, however long it stood, and its reverse once. */
	assert_int_equal(count_lines(output), 2);
}

/* One request hangs, and the disk completes others all the while. */
static void test_hung_request(void **state)
{
	struct agents *agents = *state;

	skip_where_impossible();
	start_agent(agents, "disk-hung-request: {after_ms: 800}, disk-stalled: {after_ms: 5000}");
	atomic_store(&disk.orders->hang_next, true);
	reader = child_start(read_once, disk.loop.path);
	wait_until_held();
	other_reader = child_start(read_for_long, disk.loop.path);
	assert_non_null(strstr(expect_finding(agents, "disk-hung-request", "\"finding\""),
			       "others are completed"));
	assert_false(process_logged(&agents->agent[0], "disk-stalled"));
	atomic_store(&disk.orders->held, false);
	expect_finding(agents, "disk-hung-request", "finding cleared");
	end_reader();
	agents_stop(agents, 0);
}

/* Its past is learnt first; then each request takes longer, and later as long as before. */
static void test_slow(void **state)
{
	struct agents *agents = *state;

	skip_where_impossible();
	start_agent(agents, "disk-slow: {window_ms: 250, windows: 2, min_ms: 30}");
	other_reader = child_start(read_for_long, disk.loop.path);
	let_it_learn();
	assert_false(process_logged(&agents->agent[0], "disk-slow"));
	atomic_store(&disk.orders->delay_ms, SLOW_MS);
	assert_non_null(strstr(expect_finding(agents, "disk-slow", "\"finding\""), "p99 of reads"));
	atomic_store(&disk.orders->delay_ms, 0);
	expect_finding(agents, "disk-slow", "finding cleared");
	agents_stop(agents, 0);
}

/* What stands of a disk ends with it. */
static void test_removed(void **state)
{
	struct agents *agents = *state;

	char name[sizeof(disk.loop.name)];
	const char *line;

	skip_where_impossible();
	start_agent(agents, "disk-errors: {clear_after_s: 600}");
	atomic_store(&disk.orders->error, EIO);
	reader = child_start(try_read, disk.loop.path);
	expect_finding(agents, "disk-errors", "\"finding\"");
	end_reader();
	snprintf(name, sizeof(name), "%s", disk.loop.name);
	loop_disk_remove(&disk.loop);
	line = expect_finding_of(agents, name, "disk-errors", "finding cleared");
	assert_non_null(strstr(line, "the disk is gone"));
	agents_stop(agents, 0);
}

static void test_errors(void **state)
{
	struct agents *agents = *state;

	skip_where_impossible();
	start_agent(agents, "disk-errors: {clear_after_s: 1}");
	atomic_store(&disk.orders->error, EIO);
	reader = child_start(try_read, disk.loop.path);
	assert_non_null(strstr(expect_finding(agents, "disk-errors", "\"finding\""),
			       "failed, expected none"));
	end_reader();
	atomic_store(&disk.orders->error, 0);
	expect_finding(agents, "disk-errors", "finding cleared");
	agents_stop(agents, 0);
}

/*
 * The agent's own state_dir lies on the disk: what is to be written waits, and the agent goes on.
 */
static void test_state_directory(void **state)
{
	struct agents *agents = *state;

	skip_where_impossible();
	make_file_system(disk.loop.path);
	snprintf(mounted, sizeof(mounted), "%s/state-0", agents->directory);
	assert_int_equal(mkdir(mounted, 0755), 0);
	assert_int_equal(mount(disk.loop.path, mounted, "ext4", 0, NULL), 0);
	start_agent(agents, "disk-stalled: {after_ms: 800}");
	atomic_store(&disk.orders->hang, true);
	reader = child_start(read_once, disk.loop.path);
	expect_finding(agents, "disk-stalled", "\"finding\"");
	/* That finding is what the journal has to write. */
	(void)process_expect_log(&agents->agent[0], "the journal's disk does not answer");
	for (int i = 0; i < METRICS_LOOKS; i++) {
		uint64_t start_ns = clock_monotonic_ns();

		assert_true(agents_metric(agents, SIDE_A, AGENTS_URL, "tocsin_agent_blind") >= 0);
		assert_in_range(clock_monotonic_ns() - start_ns, 0, METRICS_NS);
	}
	assert_false(process_logged(&agents->agent[0], "agent was held up"));
	fuse_disk_heal(&disk);
	(void)process_expect_log(&agents->agent[0], "the journal's disk answers again");
	end_reader();
	agents_stop(agents, 0);
	expect_journalled(agents, "disk-stalled");
}

/* What is switched off is not looked for. */
static void test_off(void **state)
{
	struct agents *agents = *state;

	skip_where_impossible();
	start_agent(agents, "disk-errors: {response: off}, disk-stalled: {after_ms: 200}");
	atomic_store(&disk.orders->error, EIO);
	reader = child_start(try_read, disk.loop.path);
	end_reader();
	atomic_store(&disk.orders->error, 0);
	/* Found after the error was read. */
	atomic_store(&disk.orders->hang, true);
	reader = child_start(read_once, disk.loop.path);
	expect_finding(agents, "disk-stalled", "\"finding\"");
	assert_false(process_logged(&agents->agent[0], "disk-errors"));
	atomic_store(&disk.orders->hang, false);
	end_reader();
	agents_stop(agents, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stalled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hung_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_state_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_off, set_up, tear_down),
	};

	if (!fuse_disk_obstacle())
		fuse_disk_hide_mounts();
	return agents_run_tests("health_disk", tests);
}
