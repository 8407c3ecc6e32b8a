/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_GROUP_H
#define TOCSIN_BPF_GROUP_H

/* Records by control group, in a hash: few groups ever have one. */

#include "maps/group.h"

/* A new record starts from 'none', which is too large for the stack, and is counted in 'made',
 * unless that is NULL. NULL: there is no room. */
static __always_inline void *group_record_find_or_make(void *records, const struct group_key *group,
						       const void *none, __u64 *made)
{
	void *record = bpf_map_lookup_elem(records, group);

	if (record)
		return record;
	/* Another CPU may be first; what counts is that it is there then. */
	if (!bpf_map_update_elem(records, group, none, BPF_NOEXIST) && made)
		__sync_fetch_and_add(made, 1);
	return bpf_map_lookup_elem(records, group);
}

#endif
