// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An agent on a node whose file systems are full, become read-only, or hang. */
#include "base/clock.h"
#include "live/agents.h"
#include "live/fuse_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MOUNTS_MAX    8
#define FILE_BYTES    (900 << 10) /* of a file system of 1 MiB */
#define MANY	      300	  /* file systems: more than are looked at */
#define METRICS_LOOKS 30
#define METRICS_NS    (100 * NS_PER_MS)

static struct fuse_disk disk;
static char mounts[MOUNTS_MAX][128];
static size_t mount_count;

static int set_up(void **state)
{
	mount_count = 0;
	return agents_set_up(state);
}

static int tear_down(void **state)
{
	struct agents *agents = *state;

	fuse_disk_heal(&disk);
	/* A helper of the agent holds none of them. */
	process_discard(&agents->agent[0]);
	/* And what lies over them. */
	for (; mount_count; mount_count--)
		while (!umount2(mounts[mount_count - 1], MNT_DETACH))
			;
	fuse_disk_down(&disk);
	return agents_tear_down(state);
}

/* Returns where. */
static const char *mount_at(const struct agents *agents, const char *name, const char *type,
			    const char *source, unsigned long flags, const char *options)
{
	char *path = mounts[mount_count];

	snprintf(path, sizeof(mounts[0]), "%s/%s", agents->directory, name);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(mount(source, path, type, flags, options), 0);
	mount_count++;
	return path;
}

static const char *mount_tmpfs(const struct agents *agents, const char *name, unsigned long flags)
{
	return mount_at(agents, name, "tmpfs", "none", flags, "size=1m,nr_inodes=100");
}

static void remount(const char *path, unsigned long flags)
{
	assert_int_equal(mount(NULL, path, NULL, MS_REMOUNT | flags, NULL), 0);
}

static void fill(const char *directory)
{
	static const char content[FILE_BYTES];
	char path[192];
	int fd;

	snprintf(path, sizeof(path), "%s/file", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, sizeof(content)), sizeof(content));
	close(fd);
}

static void empty(const char *directory)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/file", directory);
	assert_int_equal(unlink(path), 0);
}

static void start_agent(struct agents *agents)
{
	const struct process_options options = agents_options(agents, 0);

	agents_configure(agents, 0, "node: n1\nfindings: {filesystem: {used_percent: 80}}\n");
	agents_start(agents, 0, &options);
}

/* The next line with the event, about the mount. */
static const char *expect(struct agents *agents, const char *event, const char *path)
{
	char words[192];
	const char *line;

	snprintf(words, sizeof(words), "\"subject\":\"%s\"", path);
	do
		line = process_expect_log(&agents->agent[0], words);
	while (!strstr(line, event));
	return line;
}

#define RAISED	"\"event\":\"finding\""
#define CLEARED "\"event\":\"finding cleared\""

/* Makes the agent look at once, and not only when it is time again. */
static void change_mounts(const struct agents *agents)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/change", agents->directory);
	assert_true(!mkdir(path, 0755) || errno == EEXIST);
	assert_int_equal(mount("none", path, "tmpfs", 0, "size=64k"), 0);
	assert_int_equal(umount2(path, 0), 0);
}

/* An agent whose mounts are not the node's, as a hardened unit's: it tells of the node's. */
static void test_own_mounts(void **state)
{
	struct agents *agents = *state;
	const char *path = mount_tmpfs(agents, "node", 0);
	struct process_options options = agents_options(agents, 0);

	/* To the agent it is another file system, which is full. */
	options.mount = PROCESS_MOUNT_FULL;
	options.directory = path;
	agents_configure(agents, 0, "node: n1\nfindings: {filesystem: {used_percent: 80}}\n");
	agents_start(agents, 0, &options);
	fill(path);
	change_mounts(agents);
	(void)expect(agents, RAISED, path);
	empty(path);
	change_mounts(agents);
	(void)expect(agents, CLEARED, path);
	agents_stop(agents, 0);
}

/* Found, though it is mounted twice, once; and well when there is room again. */
static void test_space(void **state)
{
	struct agents *agents = *state;
	const char *path = mount_tmpfs(agents, "full", 0);
	const char *other, *line;

	other = mount_at(agents, "bound", NULL, path, MS_BIND, NULL);
	start_agent(agents);
	fill(path);
	change_mounts(agents);
	line = expect(agents, RAISED, path);
	assert_non_null(strstr(line, "% of its space is used, expected below 80 %"));
	empty(path);
	change_mounts(agents);
	(void)expect(agents, CLEARED, path);
	assert_false(process_logged(&agents->agent[0], other));
	agents_stop(agents, 0);
}

/* A mount that lies under another one is not the one that is asked, nor told of. */
static void test_hidden(void **state)
{
	struct agents *agents = *state;
	const char *under = mount_tmpfs(agents, "full", 0);
	const char *other, *line;

	fill(under);
	other = mount_at(agents, "bound", NULL, under, MS_BIND, NULL);
	assert_int_equal(mount("none", under, "tmpfs", 0, "size=64k"), 0);
	start_agent(agents);
	(void)expect(agents, RAISED, other);
	empty(other);
	change_mounts(agents);
	line = expect(agents, CLEARED, other);
	if (!strstr(line, "quiet for"))
		fail_msg("%s", line);
	assert_false(process_logged(&agents->agent[0], "/full"));
	assert_int_equal(umount2(under, 0), 0);
	agents_stop(agents, 0);
}

static void test_inodes(void **state)
{
	struct agents *agents = *state;
	const char *path = mount_tmpfs(agents, "many", 0);
	char file[192];

	for (int i = 0; i < 85; i++) {
		snprintf(file, sizeof(file), "%s/%d", path, i);
		assert_int_equal(mknod(file, S_IFREG | 0600, 0), 0);
	}
	start_agent(agents);
	assert_non_null(strstr(expect(agents, RAISED, path), "% of its inodes are used"));
	/* What stands of it ends with it. */
	assert_int_equal(umount2(path, 0), 0);
	assert_non_null(strstr(expect(agents, CLEARED, path), "it is not mounted any more"));
	agents_stop(agents, 0);
}

static void test_read_only(void **state)
{
	struct agents *agents = *state;
	const char *written = mount_tmpfs(agents, "written", 0);
	const char *image = mount_tmpfs(agents, "image", 0);
	const char *view, *last;

	fill(image);
	remount(image, MS_RDONLY);
	view = mount_at(agents, "view", NULL, written, MS_BIND, NULL);
	/* The last one: told when all have been looked at. */
	last = mount_tmpfs(agents, "last", 0);
	fill(last);
	start_agent(agents);
	(void)expect(agents, RAISED, last);
	/* Of a bind mount alone: that is somebody's wish. */
	remount(view, MS_BIND | MS_RDONLY);
	empty(last);
	change_mounts(agents);
	(void)expect(agents, CLEARED, last);
	assert_false(process_logged(&agents->agent[0], written));
	remount(written, MS_RDONLY);
	assert_non_null(strstr(expect(agents, RAISED, written),
			       "it is read-only, and was writable before"));
	remount(written, 0);
	(void)expect(agents, CLEARED, written);
	/* Read-only from the start, and full as images are. */
	assert_false(process_logged(&agents->agent[0], image));
	agents_stop(agents, 0);
}

/* What is left out is said; what is looked at is as many as can be. */
static void test_many(void **state)
{
	struct agents *agents = *state;
	const char *parent = mount_at(agents, "parent", "tmpfs", "none", 0, NULL), *line;
	unsigned int left_out;
	char path[192];

	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "%s/%d", parent, i);
		assert_int_equal(mkdir(path, 0755), 0);
		assert_int_equal(mount("none", path, "tmpfs", 0, "size=64k"), 0);
	}
	start_agent(agents);
	line = process_expect_log(&agents->agent[0], "file systems that are not looked at");
	line = strstr(line, "\"count\":");
	assert_non_null(line);
	assert_int_equal(sscanf(line, "\"count\":%u", &left_out), 1);
	assert_in_range(left_out, MANY + 2 - 256, MANY);
	assert_int_equal(umount2(parent, MNT_DETACH), 0);
	line = process_expect_log(&agents->agent[0], "file systems that are not looked at");
	assert_non_null(strstr(line, "\"count\":0,"));
	agents_stop(agents, 0);
}

/* The agent goes on, and so does the look at all others; told, and cleared when it answers. */
static void test_hangs(void **state)
{
	struct agents *agents = *state;
	const char *path;

	if (fuse_disk_obstacle()) {
		print_message("%s\n", fuse_disk_obstacle());
		skip();
	}
	fuse_disk_up(&disk);
	path = mount_tmpfs(agents, "behind", 0);
	fill(path);
	atomic_store(&disk.orders->hang_statvfs, true);
	start_agent(agents);
	for (int i = 0; i < METRICS_LOOKS; i++) {
		uint64_t start_ns = clock_monotonic_ns();

		assert_true(agents_metric(agents, SIDE_A, AGENTS_URL, "tocsin_agent_blind") >= 0);
		if (clock_monotonic_ns() - start_ns > METRICS_NS)
			fail_msg("/metrics took %llu ms",
				 (unsigned long long)((clock_monotonic_ns() - start_ns) /
						      NS_PER_MS));
		usleep(NS_PER_S / METRICS_LOOKS / NS_PER_US * 3);
	}
	assert_non_null(
		strstr(expect(agents, RAISED, FUSE_DISK_DIRECTORY), "it does not answer (fuse"));
	(void)expect(agents, RAISED, path);
	atomic_store(&disk.orders->hang_statvfs, false);
	(void)expect(agents, CLEARED, FUSE_DISK_DIRECTORY);
	agents_stop(agents, 0);
}

/* The tests become process 1 of a PID namespace, so that theirs are the node's mounts. */
static void become_process_1(void)
{
	int status;
	pid_t pid;

	assert_int_equal(unshare(CLONE_NEWPID), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
	assert_int_equal(prctl(PR_SET_PDEATHSIG, SIGKILL), 0);
	fuse_disk_hide_mounts();
	assert_int_equal(mount("proc", "/proc", "proc", 0, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_own_mounts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_space, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hidden, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_inodes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hangs, set_up, tear_down),
	};

	if (!process_obstacle())
		become_process_1();
	return agents_run_tests("health_filesystem", tests);
}
