// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the end of a process costs in the task program, while no process is watched, while one other
 * is, and while as many are as there can be. By the kernel's own accounting (BPF_ENABLE_STATS),
 * which adds the same to all. Prints one markdown table.
 */
#include "base/clock.h"
#include "bench/program.h"
#include "probe/task.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 5
#define EXITS  4000
/* No process has such a number. */
#define UNUSED_PID 1000000000U

static double round_of(int program)
{
	struct bpf_prog_info before = program_info(program), after;

	for (int i = 0; i < EXITS; i++)
		end_process();
	after = program_info(program);
	return (double)(after.run_time_ns - before.run_time_ns) /
	       (double)(after.run_cnt - before.run_cnt);
}

int main(void)
{
	static const uint32_t watched[] = {0, 1, TASK_WATCHED_MAX};
	double ns[3] = {0};
	char buffer[512] = "";
	struct text error = TEXT(buffer);
	struct task_probe *probe;
	size_t count;
	int statistics;

	setvbuf(stdout, NULL, _IOLBF, 0);
	statistics = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (statistics < 0)
		die("BPF_ENABLE_STATS (needs root)");
	if (task_probe_open(&probe, 16, &error)) {
		fprintf(stderr, "exit_cost: %s\n", buffer);
		return 1;
	}
	for (int i = 0; i < ROUNDS; i++)
		for (int j = 0; j < 3; j++) {
			for (uint32_t k = 0; k < watched[j]; k++)
				if (task_probe_watch(probe, UNUSED_PID + k))
					die("watching");
			ns[j] += round_of(task_probe_programs(probe, &count)[0].fd) / ROUNDS;
			for (uint32_t k = 0; k < watched[j]; k++)
				task_probe_unwatch(probe, UNUSED_PID + k);
		}
	puts("| watched processes | ns an exit of another |");
	puts("|---|---|");
	for (int j = 0; j < 3; j++)
		printf("| %u | %.0f |\n", watched[j], ns[j]);
	task_probe_close(probe);
	close(statistics);
	return 0;
}
