// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/waiter.h"

#include "base/clock.h"
#include "live/child.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SETTLE_US 30000

void waiter_pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set))
		abort();
}

void waiter_be_busy(uint64_t ns)
{
	uint64_t end_ns = clock_monotonic_ns() + ns;

	while (clock_monotonic_ns() < end_ns)
		;
}

void waiter_be_rival(void *cpu)
{
	waiter_pin(0, *(int *)cpu);
	for (;;)
		waiter_be_busy(NS_PER_S);
}

void waiter_pass_gate(const struct waiter *waiter)
{
	char byte;

	if (read(waiter->gate[0], &byte, 1) != 1 || write(waiter->done[1], "", 1) != 1)
		abort();
}

void waiter_be_busy_between_gates(void *context)
{
	waiter_pin(0, 0);
	waiter_pass_gate(context);
	waiter_be_busy(WAITER_BUSY_NS);
	waiter_pass_gate(context);
	/* Asleep when its accounts are read. */
	waiter_pass_gate(context);
	pause();
}

/* Anywhere: it is moved while it waits and while it runs. */
void waiter_be_movable_between_gates(void *context)
{
	waiter_pass_gate(context);
	waiter_be_busy(WAITER_BUSY_NS);
	waiter_pass_gate(context);
	waiter_pass_gate(context);
	pause();
}

void waiter_start(struct waiter *waiter, void (*run)(void *waiter))
{
	assert_int_equal(pipe2(waiter->gate, O_CLOEXEC), 0);
	assert_int_equal(pipe2(waiter->done, O_CLOEXEC), 0);
	waiter->pid = child_start(run, waiter);
}

void waiter_let(struct waiter *waiter)
{
	assert_int_equal(write(waiter->gate[1], "", 1), 1);
}

void waiter_expect(struct waiter *waiter)
{
	char byte;

	assert_int_equal(read(waiter->done[0], &byte, 1), 1);
}

static char task_state(pid_t pid)
{
	char path[64], line[512] = "";
	const char *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	end = strrchr(line, ')');
	assert_non_null(end);
	return end[2];
}

static void read_accounts_once(const struct waiter *waiter, unsigned long *count,
			       uint64_t *delay_ns)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)waiter->pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*u %" SCNu64 " %lu", delay_ns, count), 2);
	fclose(file);
}

/* While it sleeps, so that nothing is added meanwhile. About to fall asleep it has the state of a
 * sleeper already, and may be preempted once more. */
static void read_accounts(const struct waiter *waiter, unsigned long *count, uint64_t *delay_ns)
{
	uint64_t deadline_ns = clock_monotonic_ns() + 15 * NS_PER_S;
	unsigned long count_before;

	do {
		assert_true(clock_monotonic_ns() < deadline_ns);
		read_accounts_once(waiter, &count_before, delay_ns);
		usleep(SETTLE_US);
		read_accounts_once(waiter, count, delay_ns);
	} while (task_state(waiter->pid) != 'S' || *count != count_before);
}

void waiter_read_before(struct waiter *waiter)
{
	read_accounts(waiter, &waiter->before_count, &waiter->before_ns);
}

void waiter_read_after(struct waiter *waiter)
{
	read_accounts(waiter, &waiter->after_count, &waiter->after_ns);
}

int64_t waiter_waits(const struct waiter *waiter)
{
	return (int64_t)(waiter->after_count - waiter->before_count);
}

int64_t waiter_waited_ns(const struct waiter *waiter)
{
	return (int64_t)(waiter->after_ns - waiter->before_ns);
}
