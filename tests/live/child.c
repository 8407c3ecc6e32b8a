// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

pid_t child_start(void (*run)(void *context), void *context)
{
	const struct rlimit none = {0, 0};
	pid_t pid;

	/* What cmocka has buffered must not be printed twice. */
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	/* cmocka's handlers would make a report of a crash. */
	for (int number = 1; number < SIGRTMIN; number++)
		signal(number, SIG_DFL);
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run(context);
	_exit(CHILD_RETURNED);
}

int child_wait(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

void child_kill(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}
