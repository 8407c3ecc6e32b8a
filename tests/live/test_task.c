// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The task probe on a live kernel, with the series that the agent makes of it: as many crashes as
 * there are, of the group that they are in, each told at once, and never more series than allowed.
 */
#include "agent/groups.h"
#include "base/clock.h"
#include "live/cgroup_rig.h"
#include "live/child.h"
#include "live/endings.h"
#include "live/memory_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CRASHES	     100
#define RACES	     50
#define KILLS	     5
#define MANY_GROUPS  100
#define MAX_SERIES   10
#define TOLD_IN_NS   (50 * NS_PER_MS)
#define TELL_WAIT_MS 5000

struct fixture {
	struct cgroup_rig cgroup;
	struct memory_rig memory;
	struct task_probe *probe;
	struct groups groups;
	pid_t awaited; /* of whose crash there must be a word */
	struct task_event event;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	return fixture ? 0 : -1;
}

/* Groups below that of the test. */
static void remove_groups(const struct fixture *fixture, const char *prefix)
{
	char path[32];

	for (int i = 0; fixture->cgroup.tree > 0 && i < MANY_GROUPS; i++) {
		snprintf(path, sizeof(path), "%s%d", prefix, i);
		cgroup_rig_remove_below(&fixture->cgroup, path);
	}
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	groups_close(&fixture->groups);
	task_probe_close(fixture->probe);
	cgroup_rig_down(&fixture->cgroup);
	memory_rig_down(&fixture->memory);
	free(fixture);
	return 0;
}

static const char *obstacle(void)
{
	if (geteuid())
		return "needs root, to load programs";
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return "this kernel has no BTF";
	return cgroup_rig_obstacle();
}

/* The test's processes are in a group of the v2 tree. */
static void start(struct fixture *fixture, size_t max_series)
{
	char reason[512] = "";
	struct text error = TEXT(reason);

	if (obstacle()) {
		print_message("%s\n", obstacle());
		skip();
	}
	cgroup_rig_up(&fixture->cgroup, "task");
	if (task_probe_open(&fixture->probe, (uint32_t)groups_records(max_series), &error))
		fail_msg("%s", reason);
	assert_int_equal(groups_open(&fixture->groups, fixture->probe, NULL, max_series), 0);
	cgroup_rig_enter(&fixture->cgroup);
}

static const struct task_record *find(struct fixture *fixture, const char *path)
{
	assert_int_equal(groups_read(&fixture->groups), 0);
	for (size_t i = 0; i < fixture->groups.series_count; i++)
		if (!strcmp(fixture->groups.series[i]->path, path))
			return &fixture->groups.series[i]->sum.task;
	return NULL;
}

static uint64_t crashes_of(const struct task_record *record)
{
	uint64_t sum = 0;

	for (size_t i = 0; record && i < TASK_SIGNALS; i++)
		sum += record->crashes[i];
	return sum;
}

static void die(void *number)
{
	raise(*(int *)number);
}

static void crash(int number)
{
	assert_true(WIFSIGNALED(child_wait(child_start(die, &number))));
}

/* ---- crashes ---- */

static void on_crash(void *context, const struct task_event *event)
{
	struct fixture *fixture = context;

	if ((pid_t)event->pid == fixture->awaited)
		fixture->event = *event;
}

/* Other processes of the machine may crash, too. */
static void await_event(struct fixture *fixture, pid_t pid)
{
	struct pollfd poll_fd = {.fd = task_probe_events_fd(fixture->probe), .events = POLLIN};

	fixture->awaited = pid;
	fixture->event = (struct task_event){0};
	while (fixture->event.pid != (uint32_t)pid) {
		if (poll(&poll_fd, 1, TELL_WAIT_MS) != 1)
			fail_msg("the crash of %d is not told", (int)pid);
		assert_true(task_probe_drain(fixture->probe, on_crash, fixture) >= 0);
	}
}

static uint64_t boottime_ns(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &now), 0);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void test_crashes_are_counted_and_told(void **state)
{
	static const int deaths[] = {SIGSEGV, SIGABRT, SIGKILL, 40};
	struct fixture *fixture = *state;
	const struct task_record *record;
	uint64_t slowest_ns = 0, started_ns;
	char comm[TASK_COMM_BYTES] = "";

	start(fixture, MAX_SERIES);
	assert_int_equal(pthread_getname_np(pthread_self(), comm, sizeof(comm)), 0);
	for (int i = 0; i < CRASHES; i++) {
		int number = deaths[i % 4], status;
		uint64_t told_ns;
		pid_t pid;

		started_ns = boottime_ns();
		pid = child_start(die, &number);
		await_event(fixture, pid);
		told_ns = clock_monotonic_ns() - fixture->event.time_ns;
		slowest_ns = told_ns > slowest_ns ? told_ns : slowest_ns;
		status = child_wait(pid);
		assert_int_equal(fixture->event.status, status);
		assert_int_equal(WTERMSIG((int)fixture->event.status), number);
		assert_string_equal(fixture->event.comm, comm);
		assert_false(fixture->event.oom_killed);
		assert_in_range(fixture->event.start_ns, started_ns, boottime_ns());
		groups_note(&fixture->groups, &fixture->event.group);
		assert_string_equal(groups_path(&fixture->groups, &fixture->event.group),
				    fixture->cgroup.path);
	}
	print_message("told after at most %.2f ms\n", (double)slowest_ns / (double)NS_PER_MS);
	assert_true(slowest_ns < TOLD_IN_NS);
	record = find(fixture, fixture->cgroup.path);
	assert_non_null(record);
	assert_int_equal(record->crashes[SIGSEGV], CRASHES / 4);
	assert_int_equal(record->crashes[SIGABRT], CRASHES / 4);
	assert_int_equal(record->crashes[SIGKILL], CRASHES / 4);
	assert_int_equal(record->crashes[TASK_SIGNAL_REALTIME], CRASHES / 4);
	assert_int_equal(crashes_of(record), CRASHES);
	assert_int_equal(record->oom_kills, 0);
	assert_int_equal(task_probe_counters(fixture->probe).events_lost, 0);
	assert_int_equal(task_probe_counters(fixture->probe).repeats_unsure, 0);
}

static void exit_at_once(void *code)
{
	_exit(*(int *)code);
}

static void wait_for_byte(void *pipe)
{
	int *ends = pipe;
	char byte;

	close(ends[1]);
	_exit(read(ends[0], &byte, 1) ? 1 : ENDINGS_CODE);
}

/* A watched process's end is told however it ends, and nobody else's; none when it is let go of. */
static void test_watched_ends_are_told(void **state)
{
	struct fixture *fixture = *state;
	int code = 3;

	start(fixture, MAX_SERIES);
	for (int watched = 1; watched >= 0; watched--) {
		int ends[2], status;
		pid_t pid;

		assert_int_equal(pipe(ends), 0);
		pid = child_start(wait_for_byte, ends);
		assert_int_equal(task_probe_watch(fixture->probe, (uint32_t)pid), 0);
		assert_int_equal(task_probe_watch(fixture->probe, (uint32_t)pid), 0);
		if (!watched)
			task_probe_unwatch(fixture->probe, (uint32_t)pid);
		child_wait(child_start(exit_at_once, &code));
		close(ends[0]);
		close(ends[1]);
		if (watched) {
			await_event(fixture, pid);
			status = child_wait(pid);
			assert_int_equal(fixture->event.status, status);
			assert_int_equal(WEXITSTATUS(status), ENDINGS_CODE);
			task_probe_unwatch(fixture->probe, (uint32_t)pid);
			continue;
		}
		fixture->awaited = pid;
		fixture->event = (struct task_event){0};
		child_wait(pid);
		assert_true(task_probe_drain(fixture->probe, on_crash, fixture) >= 0);
		assert_int_equal(fixture->event.pid, 0);
	}
	/* An end is no crash. */
	assert_int_equal(crashes_of(find(fixture, fixture->cgroup.path)), 0);
}

/* The map is bounded, and what was in it makes room again. */
static void test_most_watched(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, MAX_SERIES);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < TASK_WATCHED_MAX; i++)
			assert_int_equal(task_probe_watch(fixture->probe, 1000000 + i), 0);
		assert_int_equal(task_probe_watch(fixture->probe, 1), -E2BIG);
		for (uint32_t i = 0; i < TASK_WATCHED_MAX; i++)
			task_probe_unwatch(fixture->probe, 1000000 + i);
	}
}

struct seen {
	pid_t pid;
	struct task_sleeper sleeper;
	bool found;
};

static void on_sleeper(void *context, const struct task_sleeper *sleeper)
{
	struct seen *seen = context;

	if ((pid_t)sleeper->pid != seen->pid)
		return;
	seen->sleeper = *sleeper;
	seen->found = true;
}

/* A parent in vfork() sleeps where it cannot be woken, for as long as its child wants. */
static void vfork_and_wait(void *pipe)
{
	int *ends = pipe;
	char byte;

	close(ends[1]);
	if (!vfork())
		_exit(read(ends[0], &byte, 1) ? 1 : 0);
	pause();
}

static void test_sleepers(void **state)
{
	struct fixture *fixture = *state;
	uint64_t deadline_ns = clock_monotonic_ns() + 10 * NS_PER_S;
	struct seen seen = {0}, before;
	int ends[2];

	start(fixture, MAX_SERIES);
	assert_int_equal(pipe(ends), 0);
	seen.pid = child_start(vfork_and_wait, ends);
	/* In its sleep it does not run. It may be seen just before it is switched out. */
	do {
		before = seen;
		usleep(1000);
		seen.found = false;
		assert_int_equal(task_probe_sleepers(fixture->probe, on_sleeper, &seen), 0);
		assert_true(clock_monotonic_ns() < deadline_ns);
	} while (!before.found || !seen.found || before.sleeper.switches != seen.sleeper.switches);
	assert_int_equal(seen.sleeper.tid, seen.pid);
	assert_true(seen.sleeper.killable);
	close(ends[0]);
	close(ends[1]);
	while (seen.found) {
		seen.found = false;
		assert_int_equal(task_probe_sleepers(fixture->probe, on_sleeper, &seen), 0);
		assert_true(clock_monotonic_ns() < deadline_ns);
	}
	child_kill(&seen.pid);
}

/* The kernel does not run a program where another run of the same one is under way on that CPU:
 * preempted, that is, where its tracepoints let that happen (seen on Linux 7.2). It counts them. */
static uint64_t runs_missed(const struct fixture *fixture, const char *program)
{
	size_t count;
	const struct program_status *programs = task_probe_programs(fixture->probe, &count);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(programs[i].program->name, program))
			return program_runs(&programs[i]).missed;
	fail_msg("no program '%s'", program);
	return 0;
}

static void test_threads(void **state)
{
	struct fixture *fixture = *state;
	uint64_t missed, crashes;

	start(fixture, MAX_SERIES);
	for (int i = 0; i < RACES; i++) {
		(void)child_wait(child_start(end_threads, NULL));
		(void)child_wait(child_start(end_racing, NULL));
	}
	assert_int_equal(crashes_of(find(fixture, fixture->cgroup.path)), 0);
	for (int i = 0; i < RACES; i++) {
		assert_int_equal(WTERMSIG(child_wait(child_start(abort_after_main, NULL))),
				 SIGABRT);
		assert_int_equal(WTERMSIG(child_wait(child_start(abort_among_threads, NULL))),
				 SIGABRT);
	}
	missed = runs_missed(fixture, "process_crashes");
	if (missed)
		print_message("%" PRIu64 " runs left out by the kernel\n", missed);
	/* Of crashes or of other ends. */
	assert_in_range(missed, 0, RACES / 5);
	crashes = crashes_of(find(fixture, fixture->cgroup.path));
	assert_in_range(crashes, 2 * RACES - missed, 2 * RACES);
	assert_int_equal(find(fixture, fixture->cgroup.path)->crashes[SIGABRT], crashes);
}

/* ---- memory ---- */

static void run_out_of_memory(void *memory)
{
	memory_rig_enter(memory);
	memory_rig_fill(2 * MEMORY_RIG_LIMIT_BYTES);
}

static void test_oom_kills_are_of_the_memory_group(void **state)
{
	struct fixture *fixture = *state;
	char path[80];

	if (memory_rig_obstacle()) {
		print_message("%s\n", memory_rig_obstacle());
		skip();
	}
	start(fixture, MAX_SERIES);
	memory_rig_up(&fixture->memory);
	snprintf(path, sizeof(path), "/%s", fixture->memory.name);
	for (int i = 0; i < KILLS; i++) {
		pid_t pid = child_start(run_out_of_memory, &fixture->memory);

		await_event(fixture, pid);
		assert_int_equal(WTERMSIG(child_wait(pid)), SIGKILL);
		assert_true(fixture->event.oom_killed);
	}
	assert_non_null(find(fixture, path));
	assert_int_equal(find(fixture, path)->oom_kills, KILLS);
	assert_int_equal(crashes_of(find(fixture, path)), 0);
	/* The crash is of the group that the process was in. */
	assert_int_equal(find(fixture, fixture->cgroup.path)->crashes[SIGKILL], KILLS);
	assert_int_equal(find(fixture, fixture->cgroup.path)->oom_kills, 0);
}

/* ---- bounds ---- */

static void move_to(const struct fixture *fixture, const char *prefix, int number)
{
	struct cgroup_rig group = fixture->cgroup;

	assert_in_range(snprintf(group.name, sizeof(group.name), "%s/%s%d", fixture->cgroup.name,
				 prefix, number),
			1, sizeof(group.name) - 1);
	if (mkdirat(group.tree, group.name, 0755) && errno != EEXIST)
		fail_msg("%s: %s", group.name, strerror(errno));
	cgroup_rig_enter(&group);
}

static const struct task_record *find_below(struct fixture *fixture, const char *prefix, int number)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s%d", fixture->cgroup.path, prefix, number);
	return find(fixture, path);
}

/* Of the signal that no other process of the machine is likely to die of meanwhile. */
static uint64_t total(struct fixture *fixture)
{
	uint64_t sum;

	assert_int_equal(groups_read(&fixture->groups), 0);
	sum = fixture->groups.other.task.crashes[SIGXFSZ];
	for (size_t i = 0; i < fixture->groups.series_count; i++)
		sum += fixture->groups.series[i]->sum.task.crashes[SIGXFSZ];
	return sum;
}

static void test_series_are_bounded_and_the_sum_is_whole(void **state)
{
	struct fixture *fixture = *state;
	size_t records = groups_records(MAX_SERIES);
	uint64_t other;

	start(fixture, MAX_SERIES);
	for (int i = 0; i < MANY_GROUPS; i++) {
		move_to(fixture, "a", i);
		crash(SIGXFSZ);
		crash(SIGXFSZ);
	}
	assert_int_equal(total(fixture), 2 * MANY_GROUPS);
	assert_int_equal(fixture->groups.series_count, MAX_SERIES);
	assert_true(fixture->groups.member_count <= records);
	assert_int_equal(task_probe_other(fixture->probe).crashes[SIGXFSZ],
			 2 * (MANY_GROUPS - fixture->groups.member_count));
	assert_true(fixture->groups.other.task.crashes[SIGXFSZ] >= 2 * (MANY_GROUPS - MAX_SERIES));
	/* They do not take turns: a series once given goes on, and so does being of none. */
	other = fixture->groups.other.task.crashes[SIGXFSZ];
	for (int i = 0; i < MANY_GROUPS; i++) {
		uint64_t before = crashes_of(find_below(fixture, "a", i));

		move_to(fixture, "a", i);
		crash(SIGXFSZ);
		assert_int_equal(crashes_of(find_below(fixture, "a", i)), before ? before + 1 : 0);
	}
	assert_int_equal(total(fixture), 3 * MANY_GROUPS);
	assert_true(fixture->groups.other.task.crashes[SIGXFSZ] > other);
	/* Those that are removed make room, at the next reading. */
	cgroup_rig_leave(&fixture->cgroup);
	remove_groups(fixture, "a");
	other = fixture->groups.other.task.crashes[SIGXFSZ];
	assert_int_equal(total(fixture), 3 * MANY_GROUPS);
	for (int i = 0; i < MAX_SERIES; i++) {
		move_to(fixture, "b", i);
		crash(SIGXFSZ);
		assert_int_equal(crashes_of(find_below(fixture, "b", i)), 1);
	}
	assert_int_equal(total(fixture), 3 * MANY_GROUPS + MAX_SERIES);
	assert_int_equal(fixture->groups.series_count, MAX_SERIES);
	assert_true(fixture->groups.other.task.crashes[SIGXFSZ] > other);
	cgroup_rig_leave(&fixture->cgroup);
	remove_groups(fixture, "b");
}

static void note(void *context, const struct task_event *event)
{
	struct fixture *fixture = context;

	groups_note(&fixture->groups, &event->group);
}

/* A service that is started again has another group of the same path. */
static void test_a_group_made_again_goes_on_with_its_series(void **state)
{
	struct fixture *fixture = *state;
	const int rounds = 60;

	start(fixture, MAX_SERIES);
	/* More groups than there is room for records, one after the other. */
	assert_true((size_t)rounds > groups_records(MAX_SERIES));
	for (int i = 0; i < rounds; i++) {
		move_to(fixture, "a", 0);
		crash(SIGXFSZ);
		assert_true(task_probe_drain(fixture->probe, note, fixture) > 0);
		if (i % 3 == 0)
			assert_int_equal(crashes_of(find_below(fixture, "a", 0)), i + 1);
		cgroup_rig_leave(&fixture->cgroup);
		remove_groups(fixture, "a");
	}
	assert_int_equal(crashes_of(find_below(fixture, "a", 0)), rounds);
	assert_int_equal(total(fixture), rounds);
	assert_int_equal(task_probe_counters(fixture->probe).records_lost, 0);
}

/* ---- names ---- */

/* Whether this process may open files by handle. */
static void allow_handles(bool allowed)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2];

	assert_int_equal(syscall(SYS_capget, &header, sets), 0);
	if (allowed)
		sets[0].effective |= 1U << CAP_DAC_READ_SEARCH;
	else
		sets[0].effective &= ~(1U << CAP_DAC_READ_SEARCH);
	assert_int_equal(syscall(SYS_capset, &header, sets), 0);
}

/* With and without the capability, which an agent need not have. */
static void test_paths_are_found_either_way(void **state)
{
	struct fixture *fixture = *state;
	char path[CGROUP_PATH_MAX], expected[128];
	struct cgroup_place place, root;
	int tree;

	start(fixture, MAX_SERIES);
	move_to(fixture, "a", 7);
	cgroup_rig_leave(&fixture->cgroup);
	snprintf(expected, sizeof(expected), "%s/a7", fixture->cgroup.path);
	tree = fixture->groups.trees[GROUP_TREE_V2];
	assert_int_equal(cgroup_find(tree, expected, &place), 0);
	assert_int_equal(cgroup_find(tree, "/", &root), 0);
	for (int allowed = 1; allowed >= 0; allowed--) {
		allow_handles(allowed);
		assert_int_equal(cgroup_path(tree, place.id, path, sizeof(path)), 0);
		assert_string_equal(path, expected);
		assert_int_equal(cgroup_path(tree, root.id, path, sizeof(path)), 0);
		assert_string_equal(path, "/");
		assert_int_equal(cgroup_path(tree, INT64_MAX, path, sizeof(path)), -ESTALE);
	}
	allow_handles(true);
	assert_true(cgroup_is_at(tree, expected, place.id));
	assert_false(cgroup_is_at(tree, expected, root.id));
	remove_groups(fixture, "a");
	assert_false(cgroup_is_at(tree, expected, place.id));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_crashes_are_counted_and_told),
		TEST(test_watched_ends_are_told),
		TEST(test_most_watched),
		TEST(test_sleepers),
		TEST(test_threads),
		TEST(test_oom_kills_are_of_the_memory_group),
		TEST(test_series_are_bounded_and_the_sum_is_whole),
		TEST(test_a_group_made_again_goes_on_with_its_series),
		TEST(test_paths_are_found_either_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
