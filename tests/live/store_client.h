/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_STORE_CLIENT_H
#define TOCSIN_TESTS_LIVE_STORE_CLIENT_H

/* A store, and what it has told. All of a test's are on one loop. What fails fails the test. */

#include "cluster/etcd.h"
#include "cluster/kubernetes.h"
#include "live/etcd_cluster.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define STORE_CLIENT_ROWS 8

struct told {
	char node[STORE_NAME_MAX]; /* "": free */
	char data[64];		   /* as text, cut */
	size_t size;
	uint64_t revision; /* of an isolation */
	uint64_t at_ns;	   /* CLOCK_MONOTONIC */
};

struct store_client {
	struct store *store;
	struct etcd_settings settings; /* as it is opened */
	struct told rows[STORE_CLIENT_ROWS], isolations[STORE_CLIENT_ROWS];
	unsigned int row_ends, resets, syncs, changes, losses;
	unsigned int commits[4];		    /* by result */
	unsigned int commit_count;		    /* all of them */
	uint64_t connected_ns, lost_ns, elected_ns; /* CLOCK_MONOTONIC of the last change */
	bool connected, actor;
};

/* The loop of the test, which ends each wait of its own. */
void store_loop_open(void);
void store_loop_close(void);
uv_loop_t *store_loop(void);

/* Settings for a cluster: all its endpoints, a lease of 1 s. */
struct etcd_settings store_client_settings(const struct etcd_cluster *cluster);

void store_client_open(struct store_client *client, const char *node,
		       const struct etcd_settings *settings);
/* The same in Kubernetes. */
void store_client_open_kubernetes(struct store_client *client, const char *node,
				  const struct kubernetes_settings *settings);
void store_client_close(struct store_client *client);

void store_client_put(struct store_client *client, const char *row);

/* What was told of a node, NULL when nothing or its end. */
const struct told *store_client_row(const struct store_client *client, const char *node);
const struct told *store_client_isolation(const struct store_client *client, const char *node);

/* Commits and waits for the result; text NULL: deletes. */
enum store_commit_result store_client_commit(struct store_client *client, const char *node,
					     const char *text, uint64_t expected_revision);

/* Runs the loop until the condition holds, which must be within 15 s. */
#define store_wait(condition)                                                                      \
	do {                                                                                       \
		uint64_t limit_ns_ = clock_monotonic_ns() + 15 * NS_PER_S;                         \
		while (!(condition)) {                                                             \
			if (clock_monotonic_ns() > limit_ns_)                                      \
				fail_msg("%s:%d: never came: %s", __FILE__, __LINE__, #condition); \
			store_loop_turn();                                                         \
		}                                                                                  \
	} while (0)
void store_loop_turn(void);
void store_loop_run_ms(unsigned int duration_ms);

bool store_client_has_row(const struct store_client *client, const char *node, const char *data);

#endif
