// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A file system that fills up is foreseen to be full: real ones, asked by the real helper, in
 * simulated time. */
#include "agent/agent.h"
#include "agent/findings.h"
#include "agent/health_capacity.h"
#include "agent/health_filesystem.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
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

#define BEGIN_S	    5000
#define LOOK_S	    5
#define SPACE_BYTES (64U << 20)
#define INODES	    4096U
#define FULL_S	    7200 /* half of either is used at first, and all after that */
#define REAL_MAX_NS (60 * NS_PER_S)
/* Of a look, in real time. */
#define TURNS	40
#define TURN_US 50

static struct agent agent;
static void *filesystems, *capacity;
static char directory[] = "/tmp/tocsin-test-XXXXXX";
static uint64_t deadline_ns;

/* Mounts are those of this process alone. */
static int set_up_group(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_non_null(mkdtemp(directory));
	return 0;
}

static int tear_down_group(void **state)
{
	(void)state;
	return geteuid() ? 0 : rmdir(directory);
}

static int set_up(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	agent = (struct agent){0};
	agent.config.findings.settings[FINDING_CAPACITY].response = FINDING_RESPONSE_ROW;
	agent.config.findings.settings[FINDING_FILESYSTEM].response = FINDING_RESPONSE_ROW;
	agent.config.findings.limits.capacity.horizon_s = 1800;
	agent.config.findings.limits.capacity.reserve_percent = 20;
	agent.config.findings.limits.filesystem.used_percent = 100;
	assert_int_equal(uv_loop_init(&agent.loop), 0);
	assert_int_equal(agent_findings_open(&agent.findings, &agent), 0);
	assert_int_equal(health_capacity.open(&capacity, &agent), 0);
	assert_int_equal(health_filesystem.open(&filesystems, &agent), 0);
	deadline_ns = clock_monotonic_ns() + REAL_MAX_NS;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	health_filesystem.close(filesystems);
	health_capacity.close(capacity);
	agent_findings_close(agent.findings);
	while (uv_loop_close(&agent.loop)) {
		(void)uv_run(&agent.loop, UV_RUN_NOWAIT);
		assert_true(clock_monotonic_ns() < deadline_ns);
	}
	(void)umount2(directory, MNT_DETACH);
	return 0;
}

static void begin(void)
{
	char options[64];

	if (geteuid()) {
		print_message("needs root, to mount\n");
		skip();
	}
	snprintf(options, sizeof(options), "size=%u,nr_inodes=%u", SPACE_BYTES, INODES);
	assert_int_equal(mount("none", directory, "tmpfs", 0, options), 0);
}

static const struct finding *standing(const char *what)
{
	char subject[FINDING_SUBJECT_MAX];

	snprintf(subject, sizeof(subject), "%s of %s", what, directory);
	return findings_find(agent_findings_list(agent.findings), FINDING_CAPACITY, subject);
}

static void use_space(unsigned int second)
{
	uint64_t bytes = SPACE_BYTES / 2 + (uint64_t)SPACE_BYTES / 2 * second / FULL_S;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/file", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, (off_t)bytes), 0);
	close(fd);
}

static void use_inodes(unsigned int second)
{
	static unsigned int made;
	unsigned int wanted = INODES / 2 + INODES / 2 * second / FULL_S;
	char path[64];

	if (!second)
		made = 0;
	for (; made < wanted; made++) {
		snprintf(path, sizeof(path), "%s/%u", directory, made);
		assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
	}
}

/* A look, and its answers, which come in real time. */
static void look(unsigned int second)
{
	uint64_t now_ns = (BEGIN_S + second) * NS_PER_S;

	/* What has not come by then is read at the next one. */
	for (unsigned int i = 0; i < TURNS; i++) {
		health_filesystem.turn(filesystems, now_ns);
		usleep(TURN_US);
	}
	health_capacity.turn(capacity, now_ns);
	assert_true(clock_monotonic_ns() < deadline_ns);
}

/* Returns at which second it was foreseen; 0: never. */
static unsigned int foreseen_s(void (*use)(unsigned int second), const char *what)
{
	for (unsigned int second = 0; second < FULL_S; second += LOOK_S) {
		if (use)
			use(second);
		look(second);
		if (standing(what))
			return second;
	}
	return 0;
}

/* 80 % are reached after 4,320 s, which comes into the horizon after 2,520; some minutes on top. */
static void test_space(void **state)
{
	(void)state;
	begin();
	assert_in_range(foreseen_s(use_space, "space"), 2400, 3200);
	assert_non_null(strstr(standing("space")->sentence, "% of the space, 80 % will be passed"));
	assert_null(standing("inodes"));
}

static void test_inodes(void **state)
{
	(void)state;
	begin();
	assert_in_range(foreseen_s(use_inodes, "inodes"), 2400, 3200);
	assert_non_null(strstr(standing("inodes")->sentence, "% of the inodes"));
	assert_null(standing("space"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_space, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_inodes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
