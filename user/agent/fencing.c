// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/fencing.h"

#include "agent/agent.h"
#include "agent/api_endpoints.h"
#include "agent/cluster.h"
#include "agent/journal.h"
#include "agent/node_objects.h"
#include "base/clock.h"
#include "base/log.h"
#include "cluster/kubernetes.h"
#include "isolate/hook.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* etcd's peers speak on the port after that of its clients: 2380 after 2379 by default. */
#define ETCD_PEER_PORT_OFFSET 1
/* A fence that cannot be put up or taken down is tried again. */
#define RETRY_NS NS_PER_S

struct fencing {
	struct agent *agent;
	struct hook_runner *hooks; /* NULL: no hook is configured */
	bool on;		   /* as far as is known */
	bool advised;		   /* mode advise: it was told that it would be on */
	bool failing;
	uint64_t tried_ns;

	/* The change that is under way. */
	bool changing;
	bool wanted; /* on or off */
	char sentence[256];
	struct nft_run run;
	uv_poll_t poll; /* of the run's end */
	bool poll_open; /* the loop still has it */
	bool closed;
};

static bool has_action(const struct config *config, enum config_action action)
{
	for (unsigned int i = 0; i < config->isolation.action_count; i++)
		if (config->isolation.actions[i] == action)
			return true;
	return false;
}

bool fencing_is_on(const struct fencing *fencing)
{
	return fencing && fencing->on;
}

bool fencing_is_settled(const struct fencing *fencing, bool on)
{
	return !fencing->changing && fencing->on == on;
}

int fencing_endpoint(const char *url, struct fence_endpoint *ret_endpoint)
{
	CURLU *parts = curl_url();
	char *host = NULL, *port = NULL;
	int r = -EINVAL;

	if (!parts)
		return -ENOMEM;
	if (!curl_url_set(parts, CURLUPART_URL, url, 0) &&
	    !curl_url_get(parts, CURLUPART_HOST, &host, 0) &&
	    !curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)) {
		/* IPv6 addresses stand in brackets. */
		host[strcspn(host, "]")] = '\0';
		r = address_parse(host + (*host == '['), &ret_endpoint->address);
		ret_endpoint->port = (uint16_t)strtoul(port, NULL, 10);
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parts);
	return r;
}

/* Without its peers' port, too, a member of etcd could not catch up behind the fence. */
unsigned int fencing_store(const struct config *config,
			   struct fence_endpoint ret_endpoints[FENCING_STORE_MAX])
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < config->etcd.endpoint_count; i++) {
		struct fence_endpoint endpoint;

		if (fencing_endpoint(config->etcd.endpoints[i], &endpoint))
			continue;
		ret_endpoints[count++] = endpoint;
		endpoint.port = (uint16_t)(endpoint.port + ETCD_PEER_PORT_OFFSET);
		ret_endpoints[count++] = endpoint;
	}
	return count;
}

/* The API by the address of its service, and its servers by their own. */
static unsigned int find_api(const struct agent *agent,
			     struct fence_endpoint ret_endpoints[FENCING_STORE_MAX])
{
	const char *url = kubernetes_server(agent->cluster->store);
	unsigned int count = !fencing_endpoint(url, &ret_endpoints[0]);

	_Static_assert(API_ENDPOINTS_MAX + 1 <= FENCING_STORE_MAX, "all fit");
	return count +
	       api_endpoints_get(node_objects_api(agent->node_objects), &ret_endpoints[count]);
}

/* Begins to put up the fence that the configuration describes. */
static int put_up(struct fencing *fencing, struct text *error)
{
	const struct config *config = &fencing->agent->config;
	struct fence_endpoint endpoints[FENCING_STORE_MAX];
	struct cidr *members =
		calloc((size_t)config->node_count * CONFIG_ADDRESSES_MAX + 1, sizeof(*members));
	struct fence_settings settings = {.agent_port = config->heartbeat.listen.port,
					  .allow = config->isolation.allow,
					  .allow_count = config->isolation.allow_count};
	int r;

	if (!members) {
		text_printf(error, "out of memory");
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < config->node_count; i++)
		for (unsigned int j = 0; j < config->nodes[i].address_count; j++)
			members[settings.member_count++] = config->nodes[i].addresses[j];
	settings.members = members;
	settings.store = endpoints;
	settings.store_count = config->store.kind == CONFIG_STORE_KUBERNETES
				       ? find_api(fencing->agent, endpoints)
				       : fencing_store(config, endpoints);
	r = fence_begin(&fencing->run, &settings, error);
	free(members);
	return r;
}

static void tell(struct fencing *fencing, bool on, int result, const char *detail)
{
	const char *node = fencing->agent->config.node;

	log_fields(result ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
		   result ? (on ? "the fence cannot be put up" : "the fence cannot be taken down")
		   : on	  ? "this node is fenced"
			  : "this node is not fenced any more",
		   log_string("detail", detail),
		   log_unsigned("monotonic_ns", clock_monotonic_ns()));
	agent_journal(fencing->agent,
		      journal_action(node, on ? JOURNAL_FENCE : JOURNAL_UNFENCE,
				     result ? JOURNAL_FAILED : JOURNAL_DONE, detail));
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct fencing *fencing = handle->data;

	fencing->poll_open = false;
	if (fencing->closed)
		free(fencing);
}

/* 'reason' is why it failed. */
static void end_change(struct fencing *fencing, int result, const char *reason)
{
	bool on = fencing->wanted;

	fencing->changing = false;
	if (!result)
		fencing->on = on;
	/* Told once, not at each try. */
	if (!result || !fencing->failing)
		tell(fencing, on, result, result ? reason : fencing->sentence);
	fencing->failing = result != 0;
	if (!result)
		fencing_run_hook(fencing, on ? "fence" : "unfence", fencing->agent->config.node, "",
				 fencing->sentence);
}

static void finish(struct fencing *fencing)
{
	char reason[256] = "";
	struct text error = TEXT(reason);
	int r;

	/* Before its descriptor is closed. */
	uv_close((uv_handle_t *)&fencing->poll, on_poll_closed);
	r = nft_finish(&fencing->run, &error);
	end_change(fencing, r, reason);
}

static void on_run_ended(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	finish(poll->data);
}

/* The loop goes on meanwhile: to load the library and to hear from the kernel takes longer than a
 * turn. */
static void begin_change(struct fencing *fencing, bool on, const char *sentence)
{
	char reason[256] = "";
	struct text error = TEXT(reason), copy = TEXT(fencing->sentence);
	int r;

	fencing->changing = true;
	fencing->wanted = on;
	fencing->sentence[0] = '\0';
	text_printf(&copy, "%s", sentence);
	r = on ? put_up(fencing, &error) : fence_begin_removal(&fencing->run, &error);
	if (!r && fencing->run.pid &&
	    !uv_poll_init(&fencing->agent->loop, &fencing->poll, fencing->run.fd)) {
		fencing->poll.data = fencing;
		fencing->poll_open = true;
		/* If this fails, fencing_set() sees to its end. */
		(void)uv_poll_start(&fencing->poll, UV_READABLE, on_run_ended);
		return;
	}
	/* There is nothing to wait for, or no way to but this. */
	end_change(fencing, r ?: nft_finish(&fencing->run, &error), reason);
}

void fencing_set(struct fencing *fencing, bool on, const char *sentence)
{
	const struct config *config = &fencing->agent->config;
	uint64_t now_ns = clock_monotonic_ns();

	if (fencing->changing && now_ns >= fencing->run.end_ns)
		finish(fencing);
	if (fencing->changing || fencing->poll_open)
		return;

	if (config->mode != CONFIG_MODE_ENFORCE || !has_action(config, CONFIG_ACTION_FENCE)) {
		if (on && !fencing->advised && config->mode == CONFIG_MODE_ADVISE)
			log_warning("would fence this node", log_string("sentence", sentence));
		fencing->advised = on;
		/* One that was put up in another mode goes when it is not wanted any more. */
		if (on || !fencing->on)
			return;
	}
	if (on == fencing->on || (fencing->failing && now_ns < fencing->tried_ns + RETRY_NS))
		return;
	fencing->tried_ns = now_ns;
	begin_change(fencing, on, sentence);
}

/* ---- the hook ---- */

static void on_hook_ended(void *context, const struct hook_result *result)
{
	struct fencing *fencing = context;
	bool good = result->end == HOOK_EXITED && !result->code;
	char detail[512] = "", output[256] = "";
	struct text text = TEXT(detail), shown = TEXT(output);

	hook_describe(result, &text);
	text_printf(&shown, "%.*s", (int)result->output_bytes, result->output);
	log_fields(good ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "hook ended",
		   log_string("detail", detail), log_string("output", output));
	if (*output)
		text_printf(&text, "; it wrote: %s", output);
	agent_journal(fencing->agent, journal_action(fencing->agent->config.node, "hook",
						     good ? JOURNAL_DONE : JOURNAL_FAILED, detail));
}

void fencing_run_hook(struct fencing *fencing, const char *action, const char *node,
		      const char *class, const char *sentence)
{
	const struct config *config = &fencing->agent->config;
	const char *argv[CONFIG_ARGUMENTS_MAX + 1] = {NULL};
	char time[CLOCK_TEXT_MAX];
	char *document;
	json_t *root;
	int r;

	if (!fencing->hooks || !has_action(config, CONFIG_ACTION_HOOK) ||
	    config->mode != CONFIG_MODE_ENFORCE)
		return;
	clock_format_utc(clock_realtime_ns(), time);
	root = json_pack("{ss ss ss ss ss ss}", "action", action, "node", node, "class", class,
			 "sentence", sentence, "by", config->node, "time", time);
	document = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	for (unsigned int i = 0; i < config->isolation.hook.argument_count; i++)
		argv[i] = config->isolation.hook.argv[i];
	r = document ? hook_run(fencing->hooks, argv, config->isolation.hook.timeout_ms, document,
				on_hook_ended, fencing)
		     : -ENOMEM;
	free(document);
	if (r) {
		log_error("hook not run", log_string("action", action), log_errno("error", r));
		agent_journal(fencing->agent,
			      journal_action(node, "hook", JOURNAL_FAILED, strerror(-r)));
	}
}

int fencing_reload(struct fencing *fencing)
{
	const struct config *config = &fencing->agent->config;
	char reason[256] = "";
	struct text text = TEXT(reason);
	int present;

	/* To observe takes no firewall. */
	if (config->mode == CONFIG_MODE_OBSERVE)
		return 0;
	present = fencing->on ? 1 : fence_present(&text);
	if (present > 0 && !fencing->on)
		log_warning("this node is fenced since before this start");
	fencing->on = present > 0;
	if (present < 0 && has_action(config, CONFIG_ACTION_FENCE))
		log_error("this node cannot be fenced", log_string("reason", reason));
	if (has_action(config, CONFIG_ACTION_HOOK) && !fencing->hooks)
		return hook_open(&fencing->hooks, &fencing->agent->loop);
	return 0;
}

int fencing_open(struct fencing **ret_fencing, struct agent *agent)
{
	struct fencing *fencing = calloc(1, sizeof(*fencing));

	*ret_fencing = fencing;
	if (!fencing)
		return -ENOMEM;
	fencing->agent = agent;
	return fencing_reload(fencing);
}

void fencing_close(struct fencing *fencing)
{
	if (!fencing)
		return;
	/* Who comes next must find it as it is then. */
	if (fencing->changing)
		finish(fencing);
	hook_cancel(fencing->hooks);
	fencing->closed = true;
	if (!fencing->poll_open)
		free(fencing);
}
