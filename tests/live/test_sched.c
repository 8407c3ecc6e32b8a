// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The sched probe held against /proc/PID/schedstat: the same sum of waits to the nanosecond, and as
 * many as the kernel counts, of a task that is moved while it waits, too, and of new threads.
 */
#include "base/clock.h"
#include "live/child.h"
#include "live/waiter.h"
#include "probe/sched.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MOVES	200
#define THREADS 16
/* Where the kernel has switched without passing the tracepoint, two waits are one (see
 * test_trace_runq.c). */
#define UNSEEN 2

struct fixture {
	struct waiter waiter;
	pid_t rivals[2];
	struct sched_probe *probe;
	struct sched_record before, after;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	return fixture ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	child_kill(&fixture->waiter.pid);
	child_kill(&fixture->rivals[0]);
	child_kill(&fixture->rivals[1]);
	sched_probe_close(fixture->probe);
	free(fixture);
	return 0;
}

static const char *obstacle(void)
{
	if (geteuid())
		return "needs root, to load programs";
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return "this kernel has no BTF";
	if (access("/proc/self/schedstat", R_OK))
		return "the kernel has no CONFIG_SCHED_INFO (/proc/self/schedstat)";
	return NULL;
}

static void skip_where_impossible(void)
{
	if (obstacle()) {
		print_message("%s\n", obstacle());
		skip();
	}
}

static void read_sum(const struct fixture *fixture, struct sched_record *sum)
{
	assert_int_equal(sched_probe_read(fixture->probe, sum), 0);
}

static uint64_t count_of(const struct sched_record *record)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum += record->counts[i];
	return sum;
}

/* Only the waiter's waits are counted. The first that is seen of an older task is not: there is no
 * sum before it. */
static void start(struct fixture *fixture, void (*run)(void *waiter))
{
	static const int cpus[2] = {0, 1};
	char reason[512] = "";
	struct text error = TEXT(reason);
	const struct program_status *programs;
	size_t count;

	/* First of all: a child holds what is open at its start, and keeps a program attached. */
	waiter_start(&fixture->waiter, run);
	for (int i = 0; i < 2 && i < sysconf(_SC_NPROCESSORS_ONLN); i++)
		fixture->rivals[i] = child_start(waiter_be_rival, (void *)&cpus[i]);
	if (sched_probe_open(&fixture->probe, (uint32_t)fixture->waiter.pid, &error))
		fail_msg("%s", reason);
	programs = sched_probe_programs(fixture->probe, &count);
	assert_int_equal(count, 1);
	if (!programs[0].attached)
		fail_msg("%s", programs[0].reason);
	waiter_let(&fixture->waiter);
	waiter_expect(&fixture->waiter);
	waiter_read_before(&fixture->waiter);
	read_sum(fixture, &fixture->before);
	assert_int_equal(fixture->before.unknown, 1);
}

static void assert_same(struct fixture *fixture, int64_t waits, int64_t waited_ns, int64_t unseen)
{
	int64_t counted;

	read_sum(fixture, &fixture->after);
	counted = (int64_t)(count_of(&fixture->after) - count_of(&fixture->before));
	assert_int_equal(fixture->after.sum_ns - fixture->before.sum_ns, waited_ns);
	assert_in_range(counted, waits - unseen, waits);
	assert_int_equal(fixture->after.unknown, fixture->before.unknown);
	print_message("%" PRId64 " waits of %" PRId64 ", %" PRId64 " ms\n", counted, waits,
		      waited_ns / (int64_t)NS_PER_MS);
}

static void run_busily(void *waiter)
{
	waiter_pass_gate(waiter);
	waiter_be_busy_between_gates(waiter);
}

static void test_waits_are_the_kernels(void **state)
{
	struct fixture *fixture = *state;
	struct waiter *waiter = &fixture->waiter;

	skip_where_impossible();
	start(fixture, run_busily);
	for (int gate = 0; gate < 2; gate++) {
		waiter_let(waiter);
		waiter_expect(waiter);
	}
	waiter_read_after(waiter);
	/* Half of the CPU was the rival's. */
	assert_true(waiter_waited_ns(waiter) > (int64_t)WAITER_BUSY_NS / 8);
	assert_same(fixture, waiter_waits(waiter), waiter_waited_ns(waiter), UNSEEN);
}

static void run_movably(void *waiter)
{
	waiter_pass_gate(waiter);
	waiter_be_movable_between_gates(waiter);
}

static void test_waits_across_queues_are_whole(void **state)
{
	struct fixture *fixture = *state;
	struct waiter *waiter = &fixture->waiter;

	skip_where_impossible();
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		print_message("one CPU: nowhere to move to\n");
		skip();
	}
	start(fixture, run_movably);
	waiter_let(waiter);
	waiter_expect(waiter);
	for (int i = 0; i < MOVES; i++)
		waiter_pin(waiter->pid, i & 1);
	waiter_let(waiter);
	waiter_expect(waiter);
	waiter_read_after(waiter);
	assert_same(fixture, waiter_waits(waiter), waiter_waited_ns(waiter), MOVES / 20);
}

static void *sleep_after_work(void *unused)
{
	(void)unused;
	waiter_be_busy(20 * NS_PER_MS);
	for (;;)
		pause();
	return NULL;
}

static void run_threads(void *waiter)
{
	pthread_t thread;

	waiter_pass_gate(waiter);
	waiter_pass_gate(waiter);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, sleep_after_work, NULL))
			abort();
	waiter_pass_gate(waiter);
	pause();
}

/* The accounts of all threads of the waiter. Returns how many threads there are. */
static int sum_accounts(const struct waiter *waiter, int64_t *ret_waits, int64_t *ret_waited_ns)
{
	char path[300];
	const struct dirent *entry;
	int threads = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)waiter->pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	*ret_waits = *ret_waited_ns = 0;
	while ((entry = readdir(tasks))) {
		int64_t waits, waited_ns;
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)waiter->pid,
			 entry->d_name);
		file = fopen(path, "re");
		assert_non_null(file);
		assert_int_equal(fscanf(file, "%*u %" SCNd64 " %" SCNd64, &waited_ns, &waits), 2);
		fclose(file);
		*ret_waits += waits;
		*ret_waited_ns += waited_ns;
		threads++;
	}
	closedir(tasks);
	return threads;
}

static void test_new_threads_are_counted_from_the_first_wait_on(void **state)
{
	struct fixture *fixture = *state;
	struct waiter *waiter = &fixture->waiter;
	uint64_t deadline_ns = clock_monotonic_ns() + 15 * NS_PER_S, threads_ns;
	int64_t waits, waited_ns, last_ns;

	skip_where_impossible();
	start(fixture, run_threads);
	for (int gate = 0; gate < 2; gate++) {
		waiter_let(waiter);
		waiter_expect(waiter);
	}
	/* Until all of them sleep: nothing is added any more. */
	waited_ns = -1;
	do {
		assert_true(clock_monotonic_ns() < deadline_ns);
		last_ns = waited_ns;
		threads_ns = clock_monotonic_ns();
		while (clock_monotonic_ns() < threads_ns + 300 * NS_PER_MS)
			usleep(10000);
		assert_int_equal(sum_accounts(waiter, &waits, &waited_ns), THREADS + 1);
	} while (waited_ns != last_ns);
	assert_same(fixture, waits - (int64_t)waiter->before_count,
		    waited_ns - (int64_t)waiter->before_ns, UNSEEN + THREADS / 4);
}

/* The sum at the last switch before is long past: the difference would be all waits since. */
static void test_what_passes_while_it_is_shed_is_no_wait(void **state)
{
	uint64_t deadline_ns = clock_monotonic_ns() + 15 * NS_PER_S;
	struct fixture *fixture = *state;
	struct waiter *waiter = &fixture->waiter;

	skip_where_impossible();
	start(fixture, run_busily);
	sched_probe_shed(fixture->probe, "on purpose");
	for (int gate = 0; gate < 2; gate++) {
		waiter_let(waiter);
		waiter_expect(waiter);
	}
	waiter_read_after(waiter);
	assert_true(waiter_waited_ns(waiter) > (int64_t)WAITER_BUSY_NS / 8);
	read_sum(fixture, &fixture->after);
	assert_memory_equal(&fixture->after, &fixture->before, sizeof(fixture->after));
	assert_int_equal(sched_probe_restore(fixture->probe), 0);
	waiter_let(waiter);
	waiter_expect(waiter);
	do {
		assert_true(clock_monotonic_ns() < deadline_ns);
		usleep(1000);
		read_sum(fixture, &fixture->after);
	} while (fixture->after.unknown == fixture->before.unknown);
	assert_int_equal(fixture->after.unknown, fixture->before.unknown + 1);
	assert_true((int64_t)(fixture->after.sum_ns - fixture->before.sum_ns) <
		    waiter_waited_ns(waiter) / 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_waits_are_the_kernels),
		TEST(test_waits_across_queues_are_whole),
		TEST(test_new_threads_are_counted_from_the_first_wait_on),
		TEST(test_what_passes_while_it_is_shed_is_no_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
