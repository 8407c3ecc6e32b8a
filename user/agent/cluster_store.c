// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/cluster_store.h"

#include "agent/agent.h"
#include "cluster/etcd.h"
#include "cluster/kubernetes.h"

#include <string.h>

static int open_etcd(struct cluster *cluster, const struct store_handlers *handlers,
		     struct text *error)
{
	const struct config *config = &cluster->agent->config;
	struct etcd_settings settings = {
		.clients = config->node_count,
		.endpoint_count = config->etcd.endpoint_count,
		.prefix = config->etcd.prefix,
		.ca_file = config->etcd.ca_file,
		.cert_file = config->etcd.cert_file,
		.key_file = config->etcd.key_file,
		.user = config->etcd.user,
		.password_file = config->etcd.password_file,
		.lease_seconds = config->etcd.lease_seconds,
	};

	for (unsigned int i = 0; i < config->etcd.endpoint_count; i++)
		settings.endpoints[i] = config->etcd.endpoints[i];
	return store_open_etcd(&cluster->store, &cluster->agent->loop, config->node, &settings,
			       handlers, error);
}

static int open_kubernetes(struct cluster *cluster, const struct store_handlers *handlers,
			   struct text *error)
{
	const struct config *config = &cluster->agent->config;
	const struct kubernetes_settings settings = {
		.kubeconfig = config->kubernetes.kubeconfig,
		.lease_seconds = config->kubernetes.lease_seconds,
		.renew_interval_ms = config->kubernetes.renew_interval_ms,
		.clients = config->node_count,
	};

	return store_open_kubernetes(&cluster->store, &cluster->agent->loop, config->node,
				     &settings, handlers, error);
}

static int open_local(struct cluster *cluster, const struct store_handlers *handlers,
		      struct text *error)
{
	(void)error;
	return store_open_local(&cluster->store, &cluster->agent->loop, cluster->agent->config.node,
				handlers);
}

int cluster_open_store(struct cluster *cluster, const struct store_handlers *handlers,
		       struct text *error)
{
	static int (*const open_kind[])(struct cluster *, const struct store_handlers *,
					struct text *) = {
		[CONFIG_STORE_LOCAL] = open_local,
		[CONFIG_STORE_ETCD] = open_etcd,
		[CONFIG_STORE_KUBERNETES] = open_kubernetes,
	};

	return open_kind[cluster->kind](cluster, handlers, error);
}

static bool etcds_differ(const struct config *one, const struct config *other)
{
	if (one->etcd.endpoint_count != other->etcd.endpoint_count)
		return true;
	for (unsigned int i = 0; i < one->etcd.endpoint_count; i++)
		if (strcmp(one->etcd.endpoints[i], other->etcd.endpoints[i]) != 0)
			return true;
	return strcmp(one->etcd.prefix, other->etcd.prefix) != 0 ||
	       strcmp(one->etcd.ca_file, other->etcd.ca_file) != 0 ||
	       strcmp(one->etcd.cert_file, other->etcd.cert_file) != 0 ||
	       strcmp(one->etcd.key_file, other->etcd.key_file) != 0 ||
	       strcmp(one->etcd.user, other->etcd.user) != 0 ||
	       strcmp(one->etcd.password_file, other->etcd.password_file) != 0 ||
	       one->etcd.lease_seconds != other->etcd.lease_seconds;
}

bool cluster_stores_differ(const struct config *one, const struct config *other)
{
	if (one->store.kind != other->store.kind)
		return true;
	switch (one->store.kind) {
	case CONFIG_STORE_ETCD:
		return etcds_differ(one, other);
	case CONFIG_STORE_KUBERNETES:
		return strcmp(one->kubernetes.kubeconfig, other->kubernetes.kubeconfig) != 0 ||
		       one->kubernetes.lease_seconds != other->kubernetes.lease_seconds ||
		       one->kubernetes.renew_interval_ms != other->kubernetes.renew_interval_ms;
	default:
		return false;
	}
}
