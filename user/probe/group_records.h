/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_GROUP_RECORDS_H
#define TOCSIN_PROBE_GROUP_RECORDS_H

/* What a probe's programs count by control group, in a hash from struct group_key. */

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "maps/group.h"

/* Calls 'found' for each group that has a record, of 'max' at most, with the record in 'record'
 * meanwhile. Returns 0 or a negative errno. */
int group_records_read(int records, uint32_t max, void *record,
		       void (*found)(void *context, const struct group_key *group), void *context);

/* Makes room: takes the record of a group out. Returns whether there was one. */
bool group_records_take(int records, const struct group_key *group, void *ret_record);

#endif
