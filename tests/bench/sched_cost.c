// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the sched program costs a switch, beside an empty program on the same tracepoint in the same
 * run. Prints one markdown table.
 *
 * The kernel's own accounting (BPF_ENABLE_STATS) adds the same to both: it is taken off with the
 * empty program. One more empty program is attached before all others, because the first pays for
 * the cache; ours and the measured one are attached first in turn.
 */
#include "base/clock.h"
#include "bench/program.h"
#include "probe/sched.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS	  6
#define ROUND_NS  (1500 * NS_PER_MS)
#define TASKS_MAX 64

/* ---- load: a token goes round a ring of tasks on one CPU ---- */

struct ring {
	pid_t pids[TASKS_MAX];
	int count;
};

static void pass_on(int from, int to)
{
	cpu_set_t set;
	char token;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sched_setaffinity(0, sizeof(set), &set))
		_exit(1);
	while (read(from, &token, 1) == 1 && write(to, &token, 1) == 1)
		continue;
	_exit(1);
}

static void ring_start(struct ring *ring, int count)
{
	int pipes[TASKS_MAX][2];

	ring->count = count;
	for (int i = 0; i < count; i++)
		if (pipe(pipes[i]))
			die("pipe");
	for (int i = 0; i < count; i++) {
		ring->pids[i] = fork();
		if (ring->pids[i] < 0)
			die("fork");
		if (!ring->pids[i])
			pass_on(pipes[i][0], pipes[(i + 1) % count][1]);
	}
	if (write(pipes[0][1], "", 1) != 1)
		die("starting the ring");
	for (int i = 0; i < count; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
}

static void ring_stop(const struct ring *ring)
{
	for (int i = 0; i < ring->count; i++) {
		kill(ring->pids[i], SIGKILL);
		waitpid(ring->pids[i], NULL, 0);
	}
}

/* ---- programs ---- */

static struct sched_probe *ours_attach(int *ret_program)
{
	char buffer[512] = "";
	struct text error = TEXT(buffer);
	const struct program_status *programs;
	struct sched_probe *probe;
	size_t count;

	if (sched_probe_open(&probe, 0, &error)) {
		fprintf(stderr, "sched_cost: %s\n", buffer);
		exit(1);
	}
	programs = sched_probe_programs(probe, &count);
	if (!programs[0].attached) {
		fprintf(stderr, "sched_cost: %s\n", programs[0].reason);
		exit(1);
	}
	*ret_program = programs[0].fd;
	return probe;
}

struct result {
	double empty_ns, ours_ns;
	uint64_t switches;
};

static double per_run(struct bpf_prog_info before, struct bpf_prog_info after)
{
	if (after.run_cnt == before.run_cnt)
		die("a program did not run");
	return (double)(after.run_time_ns - before.run_time_ns) /
	       (double)(after.run_cnt - before.run_cnt);
}

static void let_run(uint64_t ns)
{
	struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S),
				.tv_nsec = (long)(ns % NS_PER_S)};

	if (nanosleep(&time, NULL))
		die("sleeping");
}

static struct result round_of(int tasks, bool ours_first)
{
	struct bpf_prog_info before[2], after[2];
	struct sched_probe *probe = NULL;
	struct empty first = empty_attach("sched_switch"), empty;
	struct ring ring;
	int ours;
	struct result result;

	if (ours_first)
		probe = ours_attach(&ours);
	empty = empty_attach("sched_switch");
	if (!ours_first)
		probe = ours_attach(&ours);
	ring_start(&ring, tasks);
	let_run(200 * NS_PER_MS);
	before[0] = program_info(empty.program);
	before[1] = program_info(ours);
	let_run(ROUND_NS);
	after[0] = program_info(empty.program);
	after[1] = program_info(ours);
	ring_stop(&ring);
	result = (struct result){per_run(before[0], after[0]), per_run(before[1], after[1]),
				 after[1].run_cnt - before[1].run_cnt};
	sched_probe_close(probe);
	empty_detach(&empty);
	empty_detach(&first);
	return result;
}

int main(void)
{
	static const int tasks[] = {2, TASKS_MAX};
	double net_ns[2] = {0};
	int statistics;

	setvbuf(stdout, NULL, _IOLBF, 0);
	statistics = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (statistics < 0)
		die("BPF_ENABLE_STATS (needs root)");
	puts("| tasks | ours attached | switches | empty program | ours | ours, net |");
	puts("|---|---|---|---|---|---|");
	for (int i = 0; i < 2 * ROUNDS; i++) {
		int which = i / ROUNDS;
		struct result result = round_of(tasks[which], i % 2);

		printf("| %d | %s | %llu | %.0f | %.0f | %.0f |\n", tasks[which],
		       i % 2 ? "before" : "after", (unsigned long long)result.switches,
		       result.empty_ns, result.ours_ns, result.ours_ns - result.empty_ns);
		net_ns[which] += (result.ours_ns - result.empty_ns) / ROUNDS;
	}
	close(statistics);
	printf("\nns a switch over an empty program, mean of %d rounds: %.0f with %d tasks, %.0f "
	       "with %d\n",
	       ROUNDS, net_ns[0], tasks[0], net_ns[1], tasks[1]);
	return 0;
}
