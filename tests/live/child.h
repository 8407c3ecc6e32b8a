/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_CHILD_H
#define TOCSIN_TESTS_LIVE_CHILD_H

/* Processes that a live test makes to be seen. What cannot be done fails the running test. */

#include <sys/types.h>

#define CHILD_RETURNED 99

/* A child that runs a function, without core dumps; where that returns it exits with
 * CHILD_RETURNED. */
pid_t child_start(void (*run)(void *context), void *context);

/* Waits for its end. Returns the status as wait() gives it. */
int child_wait(pid_t pid);

/* Kills it and waits; sets it to 0. A pid of 0 is fine. */
void child_kill(pid_t *pid);

#endif
