/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_EXIT_H
#define TOCSIN_MAPS_EXIT_H

/* What `tocsin trace exit` and `tocsin trace crash` see: the end of a whole process. */

#include "maps/trace.h"

struct exit_event {
	struct event event;
	struct owner owner;
	__u64 age_ns; /* since it was forked, CLOCK_BOOTTIME */
	__u32 parent_pid;
	__u32 uid;
	char parent_comm[TRACE_COMM_BYTES];
	__u8 signal;	/* that killed it; 0: it ended by itself */
	__u8 core;	/* whether a core was dumped */
	__u8 exit_code; /* where it ended by itself */
	__u8 reserved[5];
};

_Static_assert(sizeof(struct exit_event) == 80, "exit_event is shared with the kernel side");

#endif
