/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_DROP_REASONS_H
#define TOCSIN_MAPS_DROP_REASONS_H

/*
 * What the agent's drop program and user space share: an array, by CPU, of struct drop_reasons.
 * Each CPU counts for itself; user space adds up.
 *
 * A reason has its subsystem in the upper 16 bits (0: the core of the network stack) and a number
 * in the lower ones.
 */
#define DROP_CORE_REASONS      256
#define DROP_SUBSYSTEMS	       4
#define DROP_SUBSYSTEM_REASONS 64
#define DROP_SLOTS	       (DROP_CORE_REASONS + DROP_SUBSYSTEMS * DROP_SUBSYSTEM_REASONS)
/* In place of the last one: all that have no slot. */
#define DROP_SLOT_OTHER (DROP_SLOTS - 1)

struct drop_reasons {
	__u64 packets[DROP_SLOTS]; /* by drop_slot(); only grow */
};

/* Where a reason is counted. */
static inline __attribute__((always_inline)) __u32 drop_slot(__u32 reason)
{
	__u32 subsystem = reason >> 16, number = reason & 0xffff;

	if (!subsystem)
		return number < DROP_CORE_REASONS ? number : DROP_SLOT_OTHER;
	if (subsystem > DROP_SUBSYSTEMS || number >= DROP_SUBSYSTEM_REASONS)
		return DROP_SLOT_OTHER;
	return DROP_CORE_REASONS + (subsystem - 1) * DROP_SUBSYSTEM_REASONS + number;
}

_Static_assert(sizeof(struct drop_reasons) == 4096, "drop_reasons is shared with the kernel side");

#endif
