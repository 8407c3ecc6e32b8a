// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* For test_program.c: programs of which only some can be loaded. */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(sound, struct sock *sk)
{
	return 0;
}

/* No kernel has this tracepoint. */
SEC("tp_btf/tocsin_no_such_tracepoint")
int BPF_PROG(missing, struct sock *sk)
{
	return 0;
}

/* The verifier refuses to read through a number. */
SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(refused, struct sock *sk)
{
	return *(volatile int *)(unsigned long)bpf_get_prandom_u32();
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(sound_too, struct sock *sk)
{
	return 0;
}
