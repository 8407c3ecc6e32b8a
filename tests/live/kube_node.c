// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/kube_node.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void kube_node_skip_if(const char *obstacle)
{
	if (!obstacle)
		return;
	print_message("%s\n", obstacle);
	skip();
}

/* The API is in host a, as the agent is. */
static void enter_host(const struct kube_node *node)
{
	assert_int_equal(setns(node->agents->rig.namespaces[SIDE_A], CLONE_NEWNET), 0);
}

static void leave_host(const struct kube_node *node)
{
	assert_int_equal(setns(node->agents->rig.home, CLONE_NEWNET), 0);
}

unsigned int kube_node_call(const struct kube_node *node, const char *method, const char *path,
			    const char *type, const char *body, json_t **ret_answer)
{
	unsigned int status;

	enter_host(node);
	status = kube_api_call(&node->api, method, path, type, body, ret_answer);
	leave_host(node);
	return status;
}

void kube_node_order(const struct kube_node *node, const char *what, const char *body)
{
	/* Before it is gone to where it would not come back from. */
	kube_api_skip_if_real();
	enter_host(node);
	kube_api_order(&node->api, what, body);
	leave_host(node);
}

void kube_node_relent(const struct kube_node *node)
{
	enter_host(node);
	kube_api_relent(&node->api);
	leave_host(node);
}

void kube_node_up(struct kube_node *node, struct agents *agents)
{
	kube_node_skip_if(kube_api_obstacle());
	*node = (struct kube_node){.agents = agents};
	enter_host(node);
	kube_api_start(&node->api);
	leave_host(node);
	assert_int_equal(kube_node_call(node, "POST", "/api/v1/nodes", NULL,
					"{\"metadata\":{\"name\":\"n1\"},\"status\":{\"addresses\":"
					"[{\"type\":\"InternalIP\",\"address\":\"10.99.0.1\"}]}}",
					NULL),
			 201);
}

void kube_node_down(struct kube_node *node)
{
	if (node->api.pid)
		kube_api_stop(&node->api);
	*node = (struct kube_node){0};
}

void kube_node_start_agent(const struct kube_node *node, const char *more)
{
	const struct process_options options = agents_options(node->agents, 0);

	agents_configure(node->agents, 0,
			 "node: n1\nstore: {kind: kubernetes}\nheartbeat: {authenticate: false}\n"
			 "kubernetes: {kubeconfig: %s}\n%s",
			 node->api.kubeconfig, more);
	agents_start(node->agents, 0, &options);
}

void kube_node_expect_finding(const struct kube_node *node, const char *kind, const char *subject,
			      const char *words)
{
	char kind_text[64], subject_text[256];
	const char *line;

	snprintf(kind_text, sizeof(kind_text), "\"finding\":\"%s\"", kind);
	snprintf(subject_text, sizeof(subject_text), "\"subject\":\"%s", subject);
	do
		line = process_expect_log(&node->agents->agent[0], kind_text);
	while (!strstr(line, subject_text));
	if (!strstr(line, words))
		fail_msg("no '%s' in: %s", words, line);
}
