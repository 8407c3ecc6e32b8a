/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_SCHED_H
#define TOCSIN_PROBE_SCHED_H

/* The sched probe: how long tasks that could run had to wait for a CPU. */

#include "base/text.h"
#include "probe/program_status.h"

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/sched.h"

struct sched_probe;

/* 'pid': only the waits of that process; 0: all. Returns 0, also when the program is missing, or a
 * negative errno with one line in 'error'. */
int sched_probe_open(struct sched_probe **ret_probe, uint32_t pid, struct text *error);

/* Detaches and frees; NULL is fine. */
void sched_probe_close(struct sched_probe *probe);

const struct program_status *sched_probe_programs(const struct sched_probe *probe,
						  size_t *ret_count);

/* Detaches the programs, with a reason, and attaches them again: what they have counted stays, and
 * what happens between is not seen. Returns 0 or a negative errno; then some are not attached. */
void sched_probe_shed(struct sched_probe *probe, const char *reason);
int sched_probe_restore(struct sched_probe *probe);

/* The sum over all CPUs. Returns 0 or a negative errno. */
int sched_probe_read(const struct sched_probe *probe, struct sched_record *ret_sum);

#endif
