/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_KUBERNETES_NODE_H
#define TOCSIN_KUBERNETES_NODE_H

/* What a Node object says, as far as it matters here. Pure. */

#include "config/config.h"

#include <jansson.h>

#define KUBERNETES_NODES_PATH "/api/v1/nodes"

/*
 * The Node as a member of the cluster: its internal addresses, the first of which heartbeats go to,
 * then the networks of its pods; its zone. Returns 0, or -EINVAL with a reason for one that cannot
 * be a member (yet): no internal address, or a name that is too long.
 */
int kubernetes_node_decode(const json_t *object, struct config_node *ret_node, struct text *reason);

/* It runs a part of the control plane, and with it, as a rule, a member of its etcd. */
bool kubernetes_node_is_control_plane(const json_t *object);

/* A person has set the annotation tocsin.dev/pause, to anything but "false". */
bool kubernetes_is_paused(const json_t *object);

#endif
