/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_TAINT_H
#define TOCSIN_ISOLATE_TAINT_H

/*
 * What is to be changed of a Node object so that Kubernetes keeps pods off the node: taints and the
 * cordon. What was added here is remembered in an annotation of the Node itself, and only that is
 * ever removed: another's taint or cordon stays. Pure.
 */

#include "base/text.h"

#include <jansson.h>
#include <stdbool.h>

#define TAINT_ISOLATED	"tocsin.dev/isolated"  /* by the actor, from a record in the store */
#define TAINT_UNHEALTHY "tocsin.dev/unhealthy" /* by the node's own agent, from its findings */

#define TAINT_NO_SCHEDULE (1U << 0) /* no new pods */
#define TAINT_NO_EXECUTE  (1U << 1) /* and those that are there are evicted */
#define TAINT_CORDON	  (1U << 2) /* spec.unschedulable, as kubectl cordon sets it */

struct taint_wish {
	const char *key;    /* TAINT_... */
	const char *value;  /* of the taints: why */
	unsigned int parts; /* TAINT_..., 0: none of them any more */
};

/* What of this key the annotation says was added: TAINT_... */
unsigned int taint_added(const json_t *node, const char *key);

/*
 * The merge patch that leads from the Node, as it was just read, to the wish; it only holds for
 * that revision. Returns 0, with *ret_patch NULL when there is nothing to do; -EPERM when a person
 * has paused (annotation tocsin.dev/pause) what would be to do; -ENOMEM.
 */
int taint_plan(const json_t *node, const struct taint_wish *wish, json_t **ret_patch);

#endif
