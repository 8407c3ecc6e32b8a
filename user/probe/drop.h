/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_DROP_H
#define TOCSIN_PROBE_DROP_H

/* The drop probe: packets that the kernel drops, by its own reason. */

#include "base/text.h"
#include "probe/program_status.h"

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/drop_reasons.h"

struct drop_probe;

/* 'netns_inode': only packets of that network namespace; 0: of all. Returns 0, also when the
 * program is missing, or a negative errno with one line in 'error'. */
int drop_probe_open(struct drop_probe **ret_probe, uint32_t netns_inode, struct text *error);

/* Detaches and frees; NULL is fine. */
void drop_probe_close(struct drop_probe *probe);

const struct program_status *drop_probe_programs(const struct drop_probe *probe, size_t *ret_count);

/* Detaches the programs, with a reason, and attaches them again: what they have counted stays, and
 * what happens between is not seen. Returns 0 or a negative errno; then some are not attached. */
void drop_probe_shed(struct drop_probe *probe, const char *reason);
int drop_probe_restore(struct drop_probe *probe);

/*
 * Hands on each reason for which packets were dropped since the probe was opened, at most
 * DROP_SLOTS of them. A reason is named as the kernel names it ("netfilter_drop"); "unknown" where
 * it gives none, "other" for all that are counted together. The name is valid as long as the probe.
 * Returns 0 or a negative errno.
 */
int drop_probe_read(struct drop_probe *probe,
		    void (*found)(void *context, const char *reason, uint64_t packets),
		    void *context);

#endif
