/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_RUN_TIME_H
#define TOCSIN_PROBE_RUN_TIME_H

/* How long programs run, by the kernel's own account, and what that account itself adds. */

#include <stdint.h>

/*
 * Has the kernel take the time of all programs, of whomever, until the descriptor is closed: that
 * makes each run slower by two readings of the clock. Returns it or a negative errno: -EPERM
 * without CAP_SYS_ADMIN, -EINVAL before 5.8 (BPF_ENABLE_STATS: kernel commit d46edd671a14).
 */
int run_time_measure(void);

/* Loads a program that does nothing, for the next. Returns its descriptor or a negative errno. */
int run_time_load_empty(void);

/*
 * What the account says of the empty program, in ns a run: so much too much it says of all others.
 * While run_time_measure() is in force; 0 where it cannot be found out (BPF_PROG_TEST_RUN of such
 * programs: since 5.10, kernel commit 1b4d60ec162f).
 */
uint64_t run_time_of_empty_ns(int program);

#endif
