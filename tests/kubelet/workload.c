// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What runs in the pods of the tests: waits, or fails in a given way. Linked statically, so that it
 *is a whole image.
 *
 *	workload [crash|eat]
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STEP (1 << 20)

/* A fault and not a signal that is sent: the first process of a pod would not die of that. */
static void crash(void)
{
	volatile char *nowhere = NULL;

	*nowhere = 1;
}

/* As much as there is, and then more. */
static void eat(void)
{
	for (;;) {
		char *more = mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);

		if (more == MAP_FAILED)
			return;
		memset(more, 1, STEP);
	}
}

static void leave(int number)
{
	(void)number;
	_exit(0);
}

int main(int argc, char **argv)
{
	signal(SIGTERM, leave);
	if (argc > 1 && !strcmp(argv[1], "crash"))
		crash();
	if (argc > 1 && !strcmp(argv[1], "eat"))
		eat();
	for (;;)
		pause();
}
