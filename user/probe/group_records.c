// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/group_records.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>

/* Records may be added meanwhile, but are only deleted by who reads: the walk meets each once. */
int group_records_read(int records, uint32_t max, void *record,
		       void (*found)(void *context, const struct group_key *group), void *context)
{
	struct group_key group, before;
	const struct group_key *last = NULL;

	for (uint32_t i = 0; i < max; i++) {
		if (bpf_map_get_next_key(records, last, &group))
			return errno == ENOENT ? 0 : -errno;
		if (!bpf_map_lookup_elem(records, &group, record))
			found(context, &group);
		before = group;
		last = &before;
	}
	return 0;
}

bool group_records_take(int records, const struct group_key *group, void *ret_record)
{
	if (bpf_map_lookup_elem(records, group, ret_record))
		return false;
	/* One that is not there any more is taken already. */
	(void)bpf_map_delete_elem(records, group);
	return true;
}
