/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_HANG_H
#define TOCSIN_MAPS_HANG_H

/* What `tocsin trace hang` sees: a task that sleeps where it cannot be woken. */

#include "maps/trace.h"

#define HANG_STACK_FRAMES 24
/* Without -m. */
#define HANG_LIMIT_NS 10000000000ULL

enum hang_phase {
	HANG_BEGINS, /* it has slept for as long as the limit */
	HANG_ENDS,   /* it runs again, or has ended */
	HANG_PHASES,
};

struct hang_event {
	struct event event;
	struct owner owner;
	__u64 slept_ns; /* since it was first seen asleep */
	__u32 tid;
	__u8 phase;
	__u8 killable; /* a fatal signal would wake it */
	__u8 reserved[2];
	char thread_comm[TRACE_COMM_BYTES];
	__u64 stack[HANG_STACK_FRAMES]; /* of the kernel, innermost first; ends with the first 0 */
};

_Static_assert(sizeof(struct hang_event) == 264, "hang_event is shared with the kernel side");

#endif
