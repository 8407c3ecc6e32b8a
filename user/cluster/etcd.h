/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_ETCD_H
#define TOCSIN_CLUSTER_ETCD_H

/*
 * The store in etcd v3 (3.4 and newer), by its JSON gateway. docs/store.md has its keys. It uses
 * one endpoint while that works; when a renewal of the lease is not answered in time it searches
 * for another among all.
 */

#include "cluster/etcd_api.h"
#include "cluster/store.h"

#define ETCD_ENDPOINTS_MAX 16

#define ETCD_LEASE_S_DEFAULT	       2
#define ETCD_REQUEST_LIMIT_MS_DEFAULT  250
#define ETCD_RENEW_INTERVAL_MS_DEFAULT 200

/* Strings are copied; NULL is as good as "". */
struct etcd_settings {
	const char *endpoints[ETCD_ENDPOINTS_MAX]; /* "http://10.0.0.1:2379", "https://..." */
	unsigned int endpoint_count;
	const char *prefix; /* of all keys, with its last '/'; "/tocsin/" */
	const char *ca_file, *cert_file, *key_file;
	const char *user, *password_file;
	unsigned int lease_seconds; /* etcd may grant more; 0: the default, as below */
	/* How long the answer to a renewal may take, which costs etcd no write to its disk. Writes
	 * may take four times as long; both get more patience while no endpoint works. */
	unsigned int request_limit_ms;
	unsigned int renew_interval_ms;
	unsigned int clients; /* of this store, this one included; 0: not known */
};

/* Fails for settings that cannot be meant, with a line in 'error': -EINVAL; or with -ENOMEM. That
 * etcd cannot be reached is no failure but a state. */
int store_open_etcd(struct store **ret_store, struct uv_loop_s *loop, const char *node,
		    const struct etcd_settings *settings, const struct store_handlers *handlers,
		    struct text *error);

/* The endpoint in use, or tried next; "" when the store is not of etcd. */
const char *etcd_endpoint(struct store *store);

/* Told once, from the loop; not at all when the store is closed before. 'member' is NULL when
 * there is no answer, and 'reason' says why. */
typedef void (*etcd_member_handler)(void *context, const char *endpoint,
				    const struct etcd_member *member, const char *reason);

/*
 * Asks one member how it is (maintenance/status), with the store's certificates. -EINVAL when the
 * store is not of etcd; -EBUSY when too many are being asked; -ENOMEM.
 */
int etcd_member_status(struct store *store, const char *endpoint, etcd_member_handler handler,
		       void *context);

#endif
