/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_KUBE_NODE_H
#define TOCSIN_TESTS_LIVE_KUBE_NODE_H

/*
 * A node of Kubernetes, n1: the stand-in for the API server in host a, and an agent there. What
 * cannot be done fails the running test.
 */

#include "live/agents.h"
#include "live/kube_api.h"

struct kube_node {
	struct agents *agents; /* NULL: not up */
	struct kube_api api;
};

/* Skips the running test where there is an obstacle. */
void kube_node_skip_if(const char *obstacle);

/* Starts the API and makes the Node object; skips the test where that cannot be. */
void kube_node_up(struct kube_node *node, struct agents *agents);

/* One that is not up is fine. */
void kube_node_down(struct kube_node *node);

/* As kube_api_call(), from where the API is. */
unsigned int kube_node_call(const struct kube_node *node, const char *method, const char *path,
			    const char *type, const char *body, json_t **ret_answer);

/* As kube_api_order() and kube_api_relent(). */
void kube_node_order(const struct kube_node *node, const char *what, const char *body);
void kube_node_relent(const struct kube_node *node);

/* Starts the agent, with more lines of configuration. */
void kube_node_start_agent(const struct kube_node *node, const char *more);

/* Others crash, listen and end on this machine, too: waits for a finding of this kind about this,
 * which must say those words. */
void kube_node_expect_finding(const struct kube_node *node, const char *kind, const char *subject,
			      const char *words);

#endif
