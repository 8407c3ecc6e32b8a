/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CONFIG_OVERLAP_H
#define TOCSIN_CONFIG_OVERLAP_H

/* Whether an address belongs to two nodes. */

#include "config/config.h"

/* One address of each of two nodes, by their places. */
struct config_overlap {
	unsigned int node, address;
	unsigned int other_node, other_address;
};

/* Returns 1 with one overlap of the many that there may be, 0 when there is none, or -ENOMEM. */
int config_find_overlap(const struct config_node *nodes, unsigned int count,
			struct config_overlap *ret_overlap);

#endif
