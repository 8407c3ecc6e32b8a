// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kubernetes/node.h"

#include "kubernetes/object.h"

#include <errno.h>
#include <string.h>

#define ZONE_LABEL	    "topology.kubernetes.io/zone"
#define CONTROL_PLANE_LABEL "node-role.kubernetes.io/control-plane"
#define PAUSE_ANNOTATION    "tocsin.dev/pause"

static const json_t *in_metadata(const json_t *object, const char *kind, const char *key)
{
	const json_t *metadata = json_object_get(object, "metadata");

	return json_object_get(json_object_get(metadata, kind), key);
}

static void add(struct config_node *node, const struct cidr *cidr)
{
	if (node->address_count < CONFIG_ADDRESSES_MAX)
		node->addresses[node->address_count++] = *cidr;
}

static void add_internal(struct config_node *node, const json_t *object)
{
	const json_t *list = json_object_get(json_object_get(object, "status"), "addresses");
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		struct cidr cidr = {.prefix = 128};

		if (!strcmp(kubernetes_text(entry, "type"), "InternalIP") &&
		    !address_parse(kubernetes_text(entry, "address"), &cidr.address))
			add(node, &cidr);
	}
}

static void add_pod_networks(struct config_node *node, const json_t *object)
{
	const json_t *list = json_object_get(json_object_get(object, "spec"), "podCIDRs");
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		struct cidr cidr;

		if (!cidr_parse(json_string_value(entry) ?: "", &cidr))
			add(node, &cidr);
	}
}

int kubernetes_node_decode(const json_t *object, struct config_node *ret_node, struct text *reason)
{
	const char *name = kubernetes_object_name(object);
	const json_t *zone = in_metadata(object, "labels", ZONE_LABEL);

	*ret_node = (struct config_node){0};
	if (!*name || text_copy(ret_node->name, sizeof(ret_node->name), name)) {
		text_printf(reason, "its name is longer than %d characters", CONFIG_NAME_MAX - 1);
		return -EINVAL;
	}
	/* Without its zone it is still a member. */
	(void)text_copy(ret_node->zone, sizeof(ret_node->zone), json_string_value(zone) ?: "");
	add_internal(ret_node, object);
	if (!ret_node->address_count) {
		text_printf(reason, "it has no internal address");
		return -EINVAL;
	}
	add_pod_networks(ret_node, object);
	return 0;
}

bool kubernetes_node_is_control_plane(const json_t *object)
{
	return in_metadata(object, "labels", CONTROL_PLANE_LABEL);
}

bool kubernetes_is_paused(const json_t *object)
{
	const json_t *pause = in_metadata(object, "annotations", PAUSE_ANNOTATION);

	return pause && strcmp(json_string_value(pause) ?: "", "false") != 0;
}
