/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_TASK_H
#define TOCSIN_TRACE_TASK_H

/* What traces of processes have in common. */

#include "trace/trace.h"

/* struct owner as member 'owner' of a record, as far as it says something of a process; its cgroup
 * is for the end of a line. */
#define PROCESS_COLUMNS(record)                                                               \
	COLUMN("PID", "pid", COLUMN_UNSIGNED, record, owner.pid, 7, .zero_is_unknown = true), \
		COLUMN("COMM", "comm", COLUMN_STRING, record, owner.comm, 15,                 \
		       .zero_is_unknown = true)

/* The columns of members parent_pid and parent_comm. */
#define PARENT_COLUMNS(record)                                                  \
	COLUMN("PPID", "parent_pid", COLUMN_UNSIGNED, record, parent_pid, 7, ), \
		COLUMN("PCOMM", "parent_comm", COLUMN_STRING, record, parent_comm, 15, )

#endif
