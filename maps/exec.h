/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_EXEC_H
#define TOCSIN_MAPS_EXEC_H

/* What `tocsin trace exec` sees: a process that has become another program. */

#include "maps/trace.h"

#define EXEC_FILE_BYTES 128

struct exec_event {
	struct event event;
	struct owner owner;
	__u32 parent_pid;
	__u32 uid; /* the effective one: set-user-ID programs are told by it */
	char parent_comm[TRACE_COMM_BYTES];
	char file[EXEC_FILE_BYTES]; /* as it was asked for; cut without a word */
	struct trace_words arguments;
};

_Static_assert(sizeof(struct exec_event) == 712, "exec_event is shared with the kernel side");

#endif
