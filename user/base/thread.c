// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/thread.h"

#include "base/capability.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

struct task {
	void *(*run)(void *context);
	void *context;
};

static void *run_task(void *context)
{
	struct task task = *(struct task *)context;

	free(context);
	/* Each thread has its own. It cannot fail: less is always allowed. */
	(void)capability_keep(0);
	return task.run(task.context);
}

int thread_start(pthread_t *ret_thread, void *(*run)(void *context), void *context)
{
	struct task *task = malloc(sizeof(*task));
	sigset_t all, before;
	int error;

	if (!task)
		return -ENOMEM;
	*task = (struct task){run, context};
	sigfillset(&all);
	error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (!error) {
		error = pthread_create(ret_thread, NULL, run_task, task);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (error)
		free(task);
	return -error;
}
