// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config/overlap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Sorted, what collides is adjacent: ten thousand nodes are checked in milliseconds. */
struct address_entry {
	const struct cidr *cidr;
	unsigned int node, index;
};

static int order(unsigned int a, unsigned int b)
{
	return (a > b) - (a < b);
}

/* A network comes before everything in it. */
static int compare_addresses(const void *a, const void *b)
{
	const struct address_entry *one = a, *other = b;

	int result = memcmp(&one->cidr->address, &other->cidr->address, sizeof(struct address));

	if (!result)
		result = order(one->cidr->prefix, other->cidr->prefix);
	if (!result)
		result = order(one->node, other->node);
	return result ?: order(one->index, other->index);
}

static void name_overlap(const struct address_entry *one, const struct address_entry *other,
			 struct config_overlap *ret)
{
	const struct address_entry *first = one->node < other->node ? one : other;
	const struct address_entry *second = first == one ? other : one;

	*ret = (struct config_overlap){first->node, first->index, second->node, second->index};
}

int config_find_overlap(const struct config_node *nodes, unsigned int count,
			struct config_overlap *ret_overlap)
{
	struct address_entry *entries = calloc(count, CONFIG_ADDRESSES_MAX * sizeof(*entries));
	const struct address_entry *outer = entries;
	unsigned int entry_count = 0;
	int found = 0;

	if (!entries)
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++)
		for (unsigned int j = 0; j < nodes[i].address_count; j++)
			entries[entry_count++] =
				(struct address_entry){&nodes[i].addresses[j], i, j};
	qsort(entries, entry_count, sizeof(*entries), compare_addresses);
	/*
	 * Networks nest or are apart, they never cross. So it is enough to compare with the
	 * outermost one around: all that lies in it must belong to the same node.
	 */
	for (unsigned int i = 1; i < entry_count && !found; i++) {
		if (!cidr_contains(outer->cidr, &entries[i].cidr->address)) {
			outer = &entries[i];
		} else if (outer->node != entries[i].node) {
			name_overlap(outer, &entries[i], ret_overlap);
			found = 1;
		}
	}
	free(entries);
	return found;
}
