/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_BENCH_PROGRAM_H
#define TOCSIN_TESTS_BENCH_PROGRAM_H

/* What the benches of programs share: an empty one to measure against, and the kernel's own account
 * of any. What fails ends the bench. */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void die(const char *doing)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, doing, strerror(errno));
	exit(1);
}

/* A process that begins and ends. */
static inline void end_process(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid)
		_exit(0);
	if (waitpid(pid, NULL, 0) != pid)
		die("waiting for a child");
}

/* A program that does nothing, on a tracepoint. */
struct empty {
	int program, link;
};

static inline struct empty empty_attach(const char *tracepoint)
{
	const struct bpf_insn instructions[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_RAW_TP);
	int id = libbpf_find_vmlinux_btf_id(tracepoint, BPF_TRACE_RAW_TP);
	struct empty empty;

	if (id < 0)
		die("the tracepoint in the kernel's BTF");
	options.attach_btf_id = (__u32)id;
	empty.program =
		bpf_prog_load(BPF_PROG_TYPE_TRACING, "empty", "GPL", instructions, 2, &options);
	if (empty.program < 0)
		die("loading an empty program");
	empty.link = bpf_raw_tracepoint_open(NULL, empty.program);
	if (empty.link < 0)
		die("attaching an empty program");
	return empty;
}

static inline void empty_detach(const struct empty *empty)
{
	close(empty->link);
	close(empty->program);
}

/* Its run time and count, while BPF_ENABLE_STATS is on. */
static inline struct bpf_prog_info program_info(int program)
{
	struct bpf_prog_info info = {0};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(program, &info, &length))
		die("reading a program's run time");
	return info;
}

#endif
