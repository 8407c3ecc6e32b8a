/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_RUN_TIME_HELPER_H
#define TOCSIN_PROBE_RUN_TIME_HELPER_H

/*
 * run_time_measure() takes CAP_SYS_ADMIN, which is nearly all that root may. So a process that does
 * nothing else holds it: it is asked over a socket and hands back the descriptor. The agent can
 * then give the capability up.
 */

#include <sys/types.h>

struct run_time_helper {
	pid_t pid; /* 0: there is none */
	int socket;
};

/* Starts it. Returns 0 or a negative errno. It ends with its parent. */
int run_time_helper_start(struct run_time_helper *helper);

/* Asks for a descriptor, without waiting. Returns 0 or a negative errno. */
int run_time_helper_ask(const struct run_time_helper *helper);

/*
 * What run_time_measure() returned there, -EAGAIN as long as there is no answer, or another
 * negative errno when there will be none.
 */
int run_time_helper_take(const struct run_time_helper *helper);

/* Ends it, and waits until it has ended. */
void run_time_helper_stop(struct run_time_helper *helper);

#endif
