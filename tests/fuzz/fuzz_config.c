// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The configuration reader. What must hold, besides memory safety: a refused file gives exactly one
 * line of printable text and leaves the result untouched; an accepted one holds the ranges and the
 * rules that docs/configuration.md promises.
 */
#include "config/config.h"
#include "fuzz/fuzz.h"

#include <string.h>

static void check_accepted(const struct config *config)
{
	require(*config->node && *config->state_dir == '/');
	require(config->mode <= CONFIG_MODE_ENFORCE);
	require(config->netns.kind <= CONFIG_NETNS_INODE);
	require((config->netns.kind == CONFIG_NETNS_INODE) == !!config->netns.inode);
	require(config->log.format <= LOG_FORMAT_JSON && config->log.level <= LOG_LEVEL_DEBUG);
	require(config->http.listen.port && config->heartbeat.listen.port);
	require(config->heartbeat.interval_ms >= 20 && config->heartbeat.interval_ms <= 10000);
	require(config->tcp.max_peers >= 16 && config->tcp.max_peers <= 65536);
	require(config->tcp.remote.prefix <= 128);
	require(config->edge.certainty >= 3 && config->edge.certainty <= 12);
	require(config->edge.min_silence_ms >= 50 && config->edge.min_silence_ms <= 60000);
	require(config->edge.lossy_ratio >= 0.001 && config->edge.lossy_ratio <= 0.5);
	require(config->metrics.max_peers <= 10000);
	require(config->metrics.max_cgroups <= 1000);
	require(config->node_count <= CONFIG_NODES_MAX);
	if (!config->heartbeat.authenticate)
		require(!*config->heartbeat.key_file);
	else if (config->node_count)
		require(*config->heartbeat.key_file == '/');
	if (config->node_count)
		require(config_find_node(config, config->node));
	for (unsigned int i = 0; i < config->node_count; i++) {
		const struct config_node *node = &config->nodes[i];

		require(node->address_count && node->address_count <= CONFIG_ADDRESSES_MAX);
		require(cidr_is_single(&node->addresses[0]));
		/* The first of this name is this one: names are unique. */
		require(config_find_node(config, node->name) == node);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config = {.node_count = 77};
	char message[2048] = "";
	struct text error = TEXT(message);

	if (config_parse("F", data, size, &config, &error)) {
		require(config.node_count == 77);
		require(*message && !error.truncated);
		for (const char *c = message; *c; c++)
			require((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
		return 0;
	}
	require(!*message);
	check_accepted(&config);
	config_free(&config);
	return 0;
}
