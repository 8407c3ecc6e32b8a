/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_THREAD_H
#define TOCSIN_BASE_THREAD_H

#include <pthread.h>

/* Starts a thread to which no signal is delivered: these are the loop's. It holds no capability.
 * Returns 0 or a negative errno. */
int thread_start(pthread_t *ret_thread, void *(*run)(void *context), void *context);

#endif
