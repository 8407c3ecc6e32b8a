/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CONFIG_DRAFT_H
#define TOCSIN_CONFIG_DRAFT_H

/*
 * A configuration in the making, with the places that its values came from: read from YAML key by
 * key, then checked as a whole. Private to user/config.
 */

#include "config/config.h"
#include "config/keys.h"
#include "config/reader.h"

/* Longest path in an error: "nodes[9999].addresses[7]" and an unknown key in quotes. */
#define CONFIG_SHOWN_MAX (CONFIG_KEY_PATH_MAX + CONFIG_QUOTE_MAX)

struct config_node_positions {
	struct config_position start, name;
	struct config_position addresses[CONFIG_ADDRESSES_MAX];
};

struct config_draft {
	struct config_reader reader;
	struct config config;
	unsigned int node_capacity;
	/* Where each node of 'config' was given; as many as config.nodes has room for. */
	struct config_node_positions *node_positions;
	struct config_position watch_positions[CONFIG_WATCHES_MAX];
	/* Where each key was given; of "nodes[].*" and "watch[].*", in the present mapping. */
	struct config_position given[CONFIG_KEY_COUNT];
	/* The path of the present value as errors show it: "nodes[3].addresses[0]". */
	struct text shown;
	char shown_buffer[CONFIG_SHOWN_MAX];
};

/*
 * Reads the one document over what draft->config holds; draft->reader is open, at the first event.
 * Returns 0, -ENOMEM, or -EINVAL with the error told.
 */
int config_draft_read(struct config_draft *draft);

/*
 * What no single key can tell: names and addresses given once, this node a member, a key for the
 * heartbeats. Returns 0, -ENOMEM, or -EINVAL with the error told.
 */
int config_draft_check(struct config_draft *draft);

/* Where the key of this path was given last; line 0 when it was not. */
struct config_position config_draft_given(const struct config_draft *draft, const char *path);

#endif
