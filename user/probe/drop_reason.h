/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_DROP_REASON_H
#define TOCSIN_PROBE_DROP_REASON_H

/* What the running kernel knows of why it drops packets. */

#include "probe/enum_names.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The names of all reasons (none where the kernel has no names), and the reason of packets that
 * were used up, which is no drop (UINT32_MAX where there is none). Returns whether kfree_skb tells
 * the reason.
 */
bool drop_reasons_load(struct enum_names *names, uint32_t *ret_consumed);

#endif
