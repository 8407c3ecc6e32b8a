/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_BLOCK_H
#define TOCSIN_PROBE_BLOCK_H

/* The block probe: what the kernel knows of each disk's I/O. Reading takes system calls, some for
 * each disk; nothing is read between two readings. */

#include "base/text.h"
#include "probe/program_status.h"

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/block.h"

struct block_probe;

/* One operation of one disk: the sum over all CPUs, and what is in flight. */
struct block_sum {
	struct block_record record;
	uint64_t oldest_start_ns; /* of the oldest request that its driver has; 0: none */
};

struct block_disk {
	uint32_t device;
	char name[BLOCK_NAME_BYTES];
	bool in_flight_known;
	/* As the kernel counts them, also those that its driver does not have yet: reads, and all
	 * others. */
	uint64_t in_flight[2];
	struct block_sum operations[BLOCK_OPERATIONS];
};

/* Returns 0 even when single programs are missing, or a negative errno with one line in 'error'. */
int block_probe_open(struct block_probe **ret_probe, struct text *error);

/* Detaches and frees; NULL is fine. */
void block_probe_close(struct block_probe *probe);

const struct program_status *block_probe_programs(const struct block_probe *probe,
						  size_t *ret_count);

/* Detaches the programs, with a reason, and attaches them again: what they have counted stays, and
 * what happens between is not seen. Returns 0 or a negative errno; then some are not attached. */
void block_probe_shed(struct block_probe *probe, const char *reason);
int block_probe_restore(struct block_probe *probe);

/*
 * All disks that had I/O since the probe was opened, or have some now, by name. Valid until the
 * next call. Disks that are gone are forgotten. Returns 0 or a negative errno.
 */
int block_probe_read(struct block_probe *probe, const struct block_disk **ret_disks,
		     size_t *ret_count);

/* When the oldest request that any driver has was made; 0: there is none. Takes no system call. A
 * request whose end was not seen is among them until a reading finds that out, 250 ms after its
 * start at the soonest. */
uint64_t block_probe_oldest_ns(const struct block_probe *probe);

struct block_counters block_probe_counters(const struct block_probe *probe);

#endif
