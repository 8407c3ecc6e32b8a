// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/run_time.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

/* Of the empty program; the median of so many is no interrupt's. */
#define RUNS 15

int run_time_measure(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	return fd < 0 ? -errno : fd;
}

int run_time_load_empty(void)
{
	const struct bpf_insn instructions[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "tocsin_empty", "GPL", instructions,
			       sizeof(instructions) / sizeof(*instructions), NULL);

	return fd < 0 ? -errno : fd;
}

static int read_time(int program, uint64_t *ret_ns)
{
	struct bpf_prog_info info = {0};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(program, &info, &length))
		return -errno;
	*ret_ns = info.run_time_ns;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

uint64_t run_time_of_empty_ns(int program)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	uint64_t runs_ns[RUNS], before_ns = 0, after_ns = 0;

	if (read_time(program, &before_ns))
		return 0;
	for (unsigned int i = 0; i < RUNS; i++) {
		if (bpf_prog_test_run_opts(program, &options) || read_time(program, &after_ns))
			return 0;
		runs_ns[i] = after_ns - before_ns;
		before_ns = after_ns;
	}
	qsort(runs_ns, RUNS, sizeof(*runs_ns), compare);
	return runs_ns[RUNS / 2];
}
