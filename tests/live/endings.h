/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_ENDINGS_H
#define TOCSIN_TESTS_LIVE_ENDINGS_H

/* Ways of processes with several threads to end, for child_start(). */

#define ENDINGS_CODE 7

/* Its threads end first; then the process, with ENDINGS_CODE. */
void end_threads(void *unused);

/* By SIGABRT of a thread, after the main thread has ended by itself. */
void abort_after_main(void *unused);

/* By SIGABRT, which ends its other threads, too. */
void abort_among_threads(void *unused);

/* All threads end at once, each by itself: which is the last is a race. */
void end_racing(void *unused);

#endif
