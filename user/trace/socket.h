/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_SOCKET_H
#define TOCSIN_TRACE_SOCKET_H

/* What the traces of TCP sockets have in common. */

#include "trace/trace.h"

/* The programs of bpf/socket_owner.bpf.h. */
#define SOCKET_OWNER_PROGRAMS                                                                      \
	{"owner_connects", "tp_btf/inet_sock_set_state", "owners of sockets that connect", false}, \
		{"owner_reads", "tp_btf/tcp_rcv_space_adjust", "owners of sockets that are read",  \
		 false},                                                                           \
	{                                                                                          \
		"owner_iterate", "iter/task_file", "owners of sockets older than the trace", false \
	}

/* The columns of members local, local_port, remote, remote_port. */
#define SOCKET_END_COLUMNS(record)                                                       \
	COLUMN("LADDR", "local_address", COLUMN_ADDRESS, record, local, 39, ),           \
		COLUMN("LPORT", "local_port", COLUMN_UNSIGNED, record, local_port, 5, ), \
		COLUMN("RADDR", "remote_address", COLUMN_ADDRESS, record, remote, 39, ), \
		COLUMN("RPORT", "remote_port", COLUMN_UNSIGNED, record, remote_port, 5, )

/* The constant of bpf/socket_record.bpf.h, as struct trace has it. */
int socket_configure(const struct trace_options *options, struct object_constant *constants,
		     size_t *count, struct text *error);

/* "established" and so on, the states of include/net/tcp_states.h; NULL when there is none. */
const char *socket_state_name(uint64_t state);

#endif
