/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_FENCING_H
#define TOCSIN_AGENT_FENCING_H

/* The configured actions, as far as this node carries them out: its fence, and the hook. */

#include "base/text.h"
#include "isolate/fence.h"

#include <stdbool.h>

struct agent;
struct fencing;

/* Finds out whether there is a fence. Returns 0, or -ENOMEM; fencing_close() is right then, too. */
int fencing_open(struct fencing **ret_fencing, struct agent *agent);

/* Mode, actions or hook are other ones: gets ready for them. Returns 0 or -ENOMEM. */
int fencing_reload(struct fencing *fencing);

/* Wants the fence on or off; does nothing when it is so. In mode advise it only tells. */
void fencing_set(struct fencing *fencing, bool on, const char *sentence);

bool fencing_is_on(const struct fencing *fencing);

/* Runs the hook, if one is configured: 'action' is "isolate", "release", "fence" or "unfence". */
void fencing_run_hook(struct fencing *fencing, const char *action, const char *node,
		      const char *class, const char *sentence);

/* The address and port of a URL whose host is an address. Returns 0 or -EINVAL. */
int fencing_endpoint(const char *url, struct fence_endpoint *ret_endpoint);

/* The fence stays as it is. NULL is allowed. */
void fencing_close(struct fencing *fencing);

#endif
