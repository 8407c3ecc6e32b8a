/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_KUBERNETES_H
#define TOCSIN_CLUSTER_KUBERNETES_H

/*
 * The store in the Kubernetes API: a Lease and a TocsinNode for each node, one Lease for the
 * election and what the actor writes. docs/store.md has its objects.
 *
 * Leases there do not end by themselves: each agent sees for itself that one is not renewed any
 * more, by its own clock, counted from when it saw the last renewal. Clocks of nodes are never
 * compared. What a list shows of the past is not taken for life: only a renewal that was seen to
 * come is.
 */

#include "cluster/store.h"

#define KUBERNETES_LEASE_S_DEFAULT	     5
#define KUBERNETES_RENEW_INTERVAL_MS_DEFAULT 1000

/* Strings are copied. */
struct kubernetes_settings {
	const char *kubeconfig; /* a path; "": the service account of the pod */
	unsigned int lease_seconds;
	unsigned int renew_interval_ms;
	/* Of this store, this one included; 0: not known. With many of them leases are longer, so
	 * that all renewals together are some 50 writes a second. */
	unsigned int clients;
};

/* Fails for settings that cannot be meant, with a line in 'error'; or with -ENOMEM. That the API
 * cannot be reached is no failure but a state. */
int store_open_kubernetes(struct store **ret_store, struct uv_loop_s *loop, const char *node,
			  const struct kubernetes_settings *settings,
			  const struct store_handlers *handlers, struct text *error);

/* The API server's URL; "" when the store is of another kind. */
const char *kubernetes_server(struct store *store);

#endif
