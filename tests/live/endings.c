// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/endings.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 8

static void *end_thread(void *barrier)
{
	pthread_barrier_wait(barrier);
	return NULL;
}

void end_threads(void *unused)
{
	pthread_t threads[THREADS];
	pthread_barrier_t barrier;

	(void)unused;
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, end_thread, &barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(ENDINGS_CODE);
}

static pthread_t main_thread;

static void *abort_later(void *unused)
{
	(void)unused;
	pthread_join(main_thread, NULL);
	abort();
}

void abort_after_main(void *unused)
{
	pthread_t thread;

	(void)unused;
	main_thread = pthread_self();
	pthread_create(&thread, NULL, abort_later, NULL);
	pthread_exit(NULL);
}

/* All threads end at once, each by itself: which is the last is a race. */
static void *race(void *barrier)
{
	pthread_barrier_wait(barrier);
	syscall(SYS_exit, 0);
	return NULL;
}

void end_racing(void *unused)
{
	static pthread_barrier_t barrier;
	pthread_t thread;

	(void)unused;
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 1; i < THREADS; i++)
		pthread_create(&thread, NULL, race, &barrier);
	pthread_barrier_wait(&barrier);
	/* What wait() reports is the first thread's or, since 6.0, the last one's. */
	syscall(SYS_exit, ENDINGS_CODE);
}

static void *wait_for_end(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

void abort_among_threads(void *unused)
{
	pthread_t thread;

	(void)unused;
	for (int i = 1; i < THREADS; i++)
		pthread_create(&thread, NULL, wait_for_end, NULL);
	abort();
}
