/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_OPEN_FILE_H
#define TOCSIN_BPF_OPEN_FILE_H

/* The TCP socket of the open file that an `iter/task_file` has come to: NULL where it is none, and
 * at the end of the walk. */
static __always_inline struct sock *tcp_socket_of(const struct bpf_iter__task_file *context)
{
	struct file *file = context->file;
	struct socket *socket;
	struct sock *sk;

	if (!file)
		return NULL;
	socket = bpf_sock_from_file(file);
	sk = socket ? socket->sk : NULL;
	return sk && sk->sk_protocol == IPPROTO_TCP ? sk : NULL;
}

#endif
