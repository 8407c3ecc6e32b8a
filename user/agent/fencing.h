/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_FENCING_H
#define TOCSIN_AGENT_FENCING_H

/* The configured actions, as far as this node carries them out: its fence, and the hook. */

#include "base/text.h"
#include "config/config.h"
#include "isolate/fence.h"

#include <stdbool.h>

struct agent;
struct fencing;

/* Finds out whether there is a fence. Returns 0, or -ENOMEM; fencing_close() is right then, too. */
int fencing_open(struct fencing **ret_fencing, struct agent *agent);

/* Mode, actions or hook are other ones: gets ready for them. Returns 0 or -ENOMEM. */
int fencing_reload(struct fencing *fencing);

/*
 * Wants the fence on or off; does nothing when it is so. To be called at each turn: while a change
 * is under way, and after one that failed, the wish of a later call counts. In mode advise it only
 * tells.
 */
void fencing_set(struct fencing *fencing, bool on, const char *sentence);

/* As far as is known: a change that is under way has not happened yet. */
bool fencing_is_on(const struct fencing *fencing);

/* It is so, and no change is under way. */
bool fencing_is_settled(const struct fencing *fencing, bool on);

/* Runs the hook, if one is configured: 'action' is "isolate", "release", "fence" or "unfence". */
void fencing_run_hook(struct fencing *fencing, const char *action, const char *node,
		      const char *class, const char *sentence);

/* The address and port of a URL whose host is an address. Returns 0 or -EINVAL. */
int fencing_endpoint(const char *url, struct fence_endpoint *ret_endpoint);

/* Of each member of etcd two: its clients' port and its peers'. */
#define FENCING_STORE_MAX (2 * CONFIG_ENDPOINTS_MAX)

/* What the fence leaves open of etcd. Returns how many. */
unsigned int fencing_store(const struct config *config,
			   struct fence_endpoint ret_endpoints[FENCING_STORE_MAX]);

/* The fence stays as it is; a change that is under way is waited for. NULL is allowed. */
void fencing_close(struct fencing *fencing);

#endif
