/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_ETCD_CLUSTER_H
#define TOCSIN_TESTS_LIVE_ETCD_CLUSTER_H

/*
 * A real etcd of one to three members, in network and mount namespaces of the test's own, so that
 * nothing of it is left when the test ends, however it ends. Member n (from 0) listens on
 * 127.0.1.(n
 * + 1), ports 2379 and 2380. What cannot be done fails the running test.
 */

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#define ETCD_MEMBERS_MAX     3
#define ETCD_CLUSTER_DIR     "/mnt" /* of the test's own; certificates are here, too */
#define ETCD_CLUSTER_URL_MAX 64

struct etcd_cluster {
	unsigned int count;
	bool tls; /* with certificates on both sides */
	pid_t pids[ETCD_MEMBERS_MAX];
	char urls[ETCD_MEMBERS_MAX][ETCD_CLUSTER_URL_MAX]; /* of clients */
	char token[256]; /* sent by etcd_cluster_post(), when set */
};

/* Why it cannot be had here, or NULL. */
const char *etcd_cluster_obstacle(void);

/* Moves the test into its own namespaces; once, before anything else. */
void etcd_cluster_isolate(void);

/* Makes ca.pem, server.pem, client.pem and their .key, and other-ca.pem, in ETCD_CLUSTER_DIR. */
void etcd_cluster_make_certificates(void);

/* Starts all, and waits until each answers. */
void etcd_cluster_start(struct etcd_cluster *cluster, unsigned int count, bool tls);
void etcd_cluster_stop(struct etcd_cluster *cluster);

/* Starts one (again), without waiting. */
void etcd_cluster_start_member(struct etcd_cluster *cluster, unsigned int member);
/* Until it answers a read, for which there must be a leader. */
void etcd_cluster_wait(struct etcd_cluster *cluster, unsigned int member);
void etcd_cluster_kill(struct etcd_cluster *cluster, unsigned int member);

/* All packets to and from a member's address are dropped without a word; or pass again. */
void etcd_cluster_blackhole(unsigned int member);
/* The same for what it and the other members say to each other; it still answers its clients. */
void etcd_cluster_cut_peers(unsigned int member);
void etcd_cluster_pass(void);

/* Which member leads. */
unsigned int etcd_cluster_leader(struct etcd_cluster *cluster);

/* Asks a member; NULL unless it answers with 200 and JSON. A new reference. */
json_t *etcd_cluster_try(struct etcd_cluster *cluster, unsigned int member, const char *path,
			 const char *body);
/* The same, which must succeed. */
json_t *etcd_cluster_post(struct etcd_cluster *cluster, unsigned int member, const char *path,
			  const char *body);
/* Writes or deletes (value NULL) a key, by member 0. */
void etcd_cluster_put(struct etcd_cluster *cluster, const char *key, const void *value,
		      size_t size);

#endif
