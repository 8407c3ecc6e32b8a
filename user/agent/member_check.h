/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_MEMBER_CHECK_H
#define TOCSIN_AGENT_MEMBER_CHECK_H

/*
 * Whether the member of etcd that a node hosts has caught up: asks all others, then itself. One
 * node at a time, in turn.
 */

#include "cluster/store.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct member_check;

/* Told once for each question: 'reason' says why it has not, or is "". */
typedef void (*member_checked)(void *context, uint32_t member, const char *reason);

/* The configuration must outlive it. Returns 0 or -ENOMEM. */
int member_check_open(struct member_check **ret_check, const struct config *config,
		      member_checked checked, void *context);

/* A member of the cluster hosts what one of etcd.endpoints leads to. */
void member_check_add_host(struct member_check *check, unsigned int endpoint, uint32_t member);

/*
 * Asks about a member of the cluster; again before the answer is of no effect. Returns false, and
 * tells nothing, when it hosts none, or there is no other to compare it with.
 */
bool member_check_ask(struct member_check *check, struct store *store, uint32_t member);

/* NULL is allowed. After store_close(), which ends the questions. */
void member_check_close(struct member_check *check);

#endif
