// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/drop_reason.h"

#include "probe/kernel_types.h"

#include <string.h>

bool drop_reasons_load(struct enum_names *names, uint32_t *ret_consumed)
{
	*ret_consumed = UINT32_MAX;
	/* Without names the numbers are shown. */
	if (enum_names_load(names, "skb_drop_reason", "SKB_DROP_REASON_"))
		names->count = 0;
	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->entries[i].name, "skb_consumed"))
			*ret_consumed = names->entries[i].value;
	return kernel_tracepoint_arguments("kfree_skb") >= 3;
}
