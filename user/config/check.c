// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config/draft.h"
#include "config/overlap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sorted, what collides is adjacent: ten thousand nodes are checked in milliseconds. */
struct name_entry {
	const char *name;
	unsigned int node;
};

static int order(unsigned int a, unsigned int b)
{
	return (a > b) - (a < b);
}

static int compare_names(const void *a, const void *b)
{
	const struct name_entry *one = a, *other = b;

	return strcmp(one->name, other->name) ?: order(one->node, other->node);
}

static int check_required(const struct config_draft *draft)
{
	char path[CONFIG_KEY_PATH_MAX];
	int error = 0;

	for (unsigned int i = 0; i < draft->config.node_count && !error; i++) {
		const struct config_node *node = &draft->config.nodes[i];
		struct config_position position = draft->node_positions[i].start;

		if (!*node->name) {
			snprintf(path, sizeof(path), "nodes[%u].name", i);
			error = config_reader_fail(&draft->reader, position, path,
						   "missing, expected the node's name");
		} else if (!node->address_count) {
			snprintf(path, sizeof(path), "nodes[%u].addresses", i);
			error = config_reader_fail(
				&draft->reader, position, path,
				"missing or empty, expected at least the address "
				"that heartbeats go to");
		}
	}
	return error;
}

static int check_names(const struct config_draft *draft)
{
	unsigned int count = draft->config.node_count;
	struct name_entry *entries = calloc(count, sizeof(*entries));
	char path[CONFIG_KEY_PATH_MAX];
	int error = 0;

	if (!entries)
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++)
		entries[i] = (struct name_entry){draft->config.nodes[i].name, i};
	qsort(entries, count, sizeof(*entries), compare_names);
	for (unsigned int i = 1; i < count && !error; i++) {
		unsigned int first = entries[i - 1].node, second = entries[i].node;

		if (strcmp(entries[i - 1].name, entries[i].name))
			continue;
		snprintf(path, sizeof(path), "nodes[%u].name", second);
		error = config_reader_fail(&draft->reader, draft->node_positions[second].name, path,
					   "\"%s\" is also the name of nodes[%u] (line %u), "
					   "expected a name of its own",
					   entries[i].name, first,
					   draft->node_positions[first].name.line);
	}
	free(entries);
	return error;
}

static int check_addresses(const struct config_draft *draft)
{
	const struct config *config = &draft->config;
	char first_text[ADDRESS_TEXT_MAX], second_text[ADDRESS_TEXT_MAX];
	const struct config_node *first, *second;
	char path[CONFIG_KEY_PATH_MAX];
	struct config_overlap overlap;
	int r = config_find_overlap(config->nodes, config->node_count, &overlap);

	if (r <= 0)
		return r;
	first = &config->nodes[overlap.node];
	second = &config->nodes[overlap.other_node];
	snprintf(path, sizeof(path), "nodes[%u].addresses[%u]", overlap.other_node,
		 overlap.other_address);
	return config_reader_fail(
		&draft->reader,
		draft->node_positions[overlap.other_node].addresses[overlap.other_address], path,
		"%s overlaps %s of node \"%s\" (line %u), expected addresses that "
		"belong to one node only",
		cidr_format(&second->addresses[overlap.other_address], second_text),
		cidr_format(&first->addresses[overlap.address], first_text), first->name,
		draft->node_positions[overlap.node].addresses[overlap.address].line);
}

static int check_self(const struct config_draft *draft)
{
	const struct config_reader *reader = &draft->reader;
	const char *name = draft->config.node;
	struct config_position position = config_draft_given(draft, "node");
	bool member = !draft->config.node_count || config_find_node(&draft->config, name);
	int error = 0;

	if (!*name)
		error = config_reader_fail(reader, position, "node",
					   "not given, and this host's name cannot serve, expected "
					   "1 to %d letters, digits, '.', '-' or '_'",
					   CONFIG_NAME_MAX - 1);
	else if (!member && position.line)
		error = config_reader_fail(reader, position, "node",
					   "\"%s\" is not the name of any of the nodes, expected "
					   "one of their names",
					   name);
	else if (!member)
		error = config_reader_fail(reader, config_draft_given(draft, "nodes"), "node",
					   "not given, and this host's name, \"%s\", is not the "
					   "name of any of the nodes, expected one of their names",
					   name);
	return error;
}

static int check_key_file(struct config_draft *draft)
{
	struct config *config = &draft->config;
	struct config_position position = config_draft_given(draft, "heartbeat.key_file");

	if (!config->heartbeat.authenticate)
		*config->heartbeat.key_file = '\0';
	if (!config->heartbeat.authenticate || *config->heartbeat.key_file ||
	    (!config->node_count && !config->kubernetes.has_members))
		return 0;
	if (!position.line)
		position = config_draft_given(draft, "heartbeat");
	if (!position.line)
		position = config_draft_given(draft, "nodes");
	if (!position.line)
		position = config_draft_given(draft, "store.kind");
	return config_reader_fail(
		&draft->reader, position, "heartbeat.key_file",
		"missing, expected the path of a file with the 32-byte key that all "
		"nodes share (one makes it with: head -c 32 /dev/urandom > "
		"/etc/tocsin/key), or heartbeat.authenticate: false");
}

/* What one key needs of another. */
static int check_together(const struct config_draft *draft, bool wrong, const char *path,
			  const char *expected)
{
	struct config_position position = config_draft_given(draft, path);

	return wrong ? config_reader_fail(&draft->reader, position, path, "%s", expected) : 0;
}

static bool has_action(const struct config *config, enum config_action action)
{
	for (unsigned int i = 0; i < config->isolation.action_count; i++)
		if (config->isolation.actions[i] == action)
			return true;
	return false;
}

static int check_store(const struct config_draft *draft)
{
	const struct config *config = &draft->config;
	bool etcd = config->store.kind == CONFIG_STORE_ETCD;

	return check_together(draft, etcd && !config->etcd.endpoint_count, "store.kind",
			      "etcd has no endpoints, expected etcd.endpoints: "
			      "[\"http://10.0.0.1:2379\"]") ?:
	       check_together(draft, etcd && !config->node_count, "store.kind",
			      "etcd has nothing to share, expected the members of the cluster in "
			      "nodes:") ?:
	       check_together(draft,
			      config->kubernetes.lease_seconds * 1000 <
				      2 * config->kubernetes.renew_interval_ms,
			      "kubernetes.renew_interval_ms",
			      "leaves no time for a second try, expected at most half of "
			      "kubernetes.lease_seconds") ?:
	       check_together(draft, !*config->etcd.cert_file && *config->etcd.key_file,
			      "etcd.key_file", "is of no use without etcd.cert_file") ?:
	       check_together(draft, *config->etcd.cert_file && !*config->etcd.key_file,
			      "etcd.cert_file", "is of no use without etcd.key_file") ?:
	       check_together(draft, !*config->etcd.password_file && *config->etcd.user,
			      "etcd.user", "has no password, expected etcd.password_file") ?:
	       check_together(draft,
			      (has_action(config, CONFIG_ACTION_TAINT) ||
			       has_action(config, CONFIG_ACTION_CORDON) ||
			       has_action(config, CONFIG_ACTION_EVICT)) &&
				      config->store.kind != CONFIG_STORE_KUBERNETES,
			      "isolation.actions",
			      "taint, cordon and evict need Kubernetes, expected store: "
			      "{kind: kubernetes}") ?:
	       check_together(draft,
			      has_action(config, CONFIG_ACTION_EVICT) &&
				      !has_action(config, CONFIG_ACTION_FENCE),
			      "isolation.actions",
			      "evict waits until the node says that its fence is up, expected "
			      "fence, too") ?:
	       check_together(draft,
			      has_action(config, CONFIG_ACTION_HOOK) &&
				      !config->isolation.hook.argument_count,
			      "isolation.actions",
			      "hook has no command, expected isolation.hook.argv: "
			      "[/etc/tocsin/hook]") ?:
	       check_together(draft,
			      config->isolation.hook.argument_count &&
				      *config->isolation.hook.argv[0] != '/',
			      "isolation.hook.argv",
			      "names no program, expected an absolute path first");
}

static int check_findings(const struct config_draft *draft)
{
	bool kubernetes = draft->config.store.kind == CONFIG_STORE_KUBERNETES;
	char path[CONFIG_KEY_PATH_MAX];
	int error = 0;

	for (unsigned int kind = 0; kind < FINDING_KINDS && !error; kind++) {
		const struct finding_settings *settings = &draft->config.findings.settings[kind];
		bool runs = settings->response >= FINDING_RESPONSE_HOOK;

		snprintf(path, sizeof(path), "findings.%s.%s", finding_kind_name(kind),
			 settings->hook_argument_count ? "hook" : "response");
		error = check_together(draft,
				       settings->response == FINDING_RESPONSE_HOOK &&
					       !settings->hook_argument_count,
				       path,
				       "hook has no command, expected hook: [/etc/tocsin/hook]") ?:
			check_together(draft,
				       settings->response == FINDING_RESPONSE_NO_SCHEDULE &&
					       !kubernetes,
				       path,
				       "no-schedule needs Kubernetes, expected store: "
				       "{kind: kubernetes}") ?:
			check_together(draft, !runs && settings->hook_argument_count, path,
				       "is of no use without response: hook or no-schedule") ?:
			check_together(draft,
				       settings->hook_argument_count && *settings->hook[0] != '/',
				       path, "names no program, expected an absolute path first");
	}
	return error;
}

static bool same_watch(const struct config_watch *one, const struct config_watch *other)
{
	return !strcmp(one->exe, other->exe) && !strcmp(one->unit, other->unit) &&
	       one->port == other->port;
}

static int check_watches(const struct config_draft *draft)
{
	const struct config *config = &draft->config;
	char path[CONFIG_KEY_PATH_MAX];
	int error = 0;

	for (unsigned int i = 0; i < config->watch_count && !error; i++) {
		const struct config_watch *watch = &config->watches[i];
		unsigned int first = 0;

		snprintf(path, sizeof(path), "watch[%u]", i);
		if (!!*watch->exe + !!*watch->unit + !!watch->port != 1)
			error = config_reader_fail(&draft->reader, draft->watch_positions[i], path,
						   "expected exactly one of exe, unit and port");
		while (first < i && !same_watch(&config->watches[first], watch))
			first++;
		if (!error && first < i)
			error = config_reader_fail(
				&draft->reader, draft->watch_positions[i], path,
				"is the same as watch[%u] (line %u), expected each once", first,
				draft->watch_positions[first].line);
	}
	return error;
}

int config_draft_check(struct config_draft *draft)
{
	struct config *config = &draft->config;
	int error = 0;

	config->kubernetes.has_members =
		config->store.kind == CONFIG_STORE_KUBERNETES && !config->node_count;
	if (draft->config.node_count)
		error = check_required(draft) ?: check_names(draft) ?: check_addresses(draft);
	return error ?: check_self(draft) ?: check_key_file(draft) ?: check_store(draft) ?:
	       check_findings(draft) ?: check_watches(draft);
}
