/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_WAITER_H
#define TOCSIN_TESTS_LIVE_WAITER_H

/*
 * A process whose waits for a CPU are looked at, beside the kernel's own account of them. It sleeps
 * at a gate while its accounts are read.
 */

#include "base/clock.h"

#include <stdint.h>
#include <sys/types.h>

#define WAITER_BUSY_NS (700 * NS_PER_MS)

struct waiter {
	pid_t pid;
	int gate[2], done[2];
	unsigned long before_count, after_count;
	uint64_t before_ns, after_ns;
};

/* Starts one that runs a function. These fail the running test when they cannot do their job. */
void waiter_start(struct waiter *waiter, void (*run)(void *waiter));
/* Lets it through its next gate; waits until it is through. */
void waiter_let(struct waiter *waiter);
void waiter_expect(struct waiter *waiter);

/* The kernel's account, once it is asleep. */
void waiter_read_before(struct waiter *waiter);
void waiter_read_after(struct waiter *waiter);
/* What was added from one to the other. */
int64_t waiter_waits(const struct waiter *waiter);
int64_t waiter_waited_ns(const struct waiter *waiter);

/* What runs in children, and aborts when it cannot do its job. */
void waiter_pin(pid_t pid, int cpu);
void waiter_pass_gate(const struct waiter *waiter);
void waiter_be_busy(uint64_t ns);
/* For ever, on a CPU ('int *'). */
void waiter_be_rival(void *cpu);
/* Gate, WAITER_BUSY_NS, gate, gate: the first on CPU 0, the second anywhere. */
void waiter_be_busy_between_gates(void *waiter);
void waiter_be_movable_between_gates(void *waiter);

#endif
