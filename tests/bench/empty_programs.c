// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * An empty program on each of the tracepoints that are named, to measure others against, and the
 * kernel's account of all programs (BPF_ENABLE_STATS) switched on. Says "ready", and ends with its
 * input; who measures reads /proc/PID/fdinfo.
 *
 *	empty_programs TRACEPOINT...
 */
#include "bench/program.h"

#include <stdio.h>

#define PROGRAMS_MAX 16

int main(int argc, char **argv)
{
	if (argc < 2 || argc > PROGRAMS_MAX + 1) {
		fprintf(stderr, "usage: empty_programs TRACEPOINT... (at most %d)\n", PROGRAMS_MAX);
		return 2;
	}
	libbpf_set_print(NULL);
	if (bpf_enable_stats(BPF_STATS_RUN_TIME) < 0)
		die("BPF_ENABLE_STATS (needs root)");
	/* All is closed with the end of the process. */
	for (int i = 1; i < argc; i++)
		(void)empty_attach(argv[i]);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		continue;
	return 0;
}
