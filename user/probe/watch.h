/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_WATCH_H
#define TOCSIN_PROBE_WATCH_H

/*
 * Finds the processes that the configuration wants to be watched: by their program, their unit's
 * control group, or the port that they listen on. From /proc and the cgroup trees, in slices of
 * time: a machine may have tens of thousands of processes.
 */

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct watch_look;

/*
 * Begins a look for the watches whose bits are set in 'wanted'. They must stay as they are until
 * its end. Returns 0 or a negative errno.
 */
int watch_look_begin(struct watch_look **ret_look, const struct config_watch *watches,
		     uint32_t wanted);

/*
 * Goes on for so long at most, or a little more, and hands on each process that is found. Returns
 * true when all has been looked at.
 */
bool watch_look_go_on(struct watch_look *look, uint64_t budget_ns,
		      void (*found)(void *context, unsigned int watch, uint32_t pid),
		      void *context);

/* When it began; CLOCK_BOOTTIME. A process that was found and is older still is the one found. */
uint64_t watch_look_begun_ns(const struct watch_look *look);

/* Most processes could not be looked into: CAP_SYS_PTRACE is missing. A few never can be. */
bool watch_look_is_denied(const struct watch_look *look);

/* NULL is fine. */
void watch_look_end(struct watch_look *look);

/* When a process started, CLOCK_BOOTTIME, to 10 ms; 0: there is none. */
uint64_t watch_process_start_ns(uint32_t pid);

/* The path of its program, "" when it cannot be known. */
void watch_process_exe(uint32_t pid, char *path, size_t size);

#endif
