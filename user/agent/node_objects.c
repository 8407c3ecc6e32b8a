// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/node_objects.h"

#include "agent/agent.h"
#include "agent/api_endpoints.h"
#include "agent/node_keeper.h"
#include "agent/pods.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/overlap.h"
#include "kubernetes/node.h"
#include "kubernetes/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define REQUEST_LIMIT_MS 5000
/* Nodes that join or leave one after the other are taken in together. */
#define SETTLE_MS 500

struct node_objects {
	struct agent *agent;
	struct kubernetes_link *link;
	struct kubernetes_watch watch;
	struct node_keeper *keeper;
	struct api_endpoints *api;
	struct pods *pods;
	uv_timer_t call_timer;	 /* at once: makes calls */
	uv_timer_t settle_timer; /* tells that the members are other ones */
	struct node_object **list;
	unsigned int count, capacity;
	bool members_changed;
	bool closing;
	unsigned int open_timers;
};

/* ---- the table ---- */

static int compare(const void *key, const void *entry)
{
	const struct node_object *const *object = entry;

	return strcmp(key, (*object)->member.name);
}

static struct node_object **find_place(const struct node_objects *objects, const char *name)
{
	return objects->count ? bsearch(name, objects->list, objects->count,
					sizeof(struct node_object *), compare)
			      : NULL;
}

struct node_object *node_objects_find(const struct node_objects *objects, const char *name)
{
	struct node_object **place = find_place(objects, name);

	return place ? *place : NULL;
}

unsigned int node_objects_count(const struct node_objects *objects)
{
	return objects->count;
}

struct node_object *node_objects_at(struct node_objects *objects, unsigned int index)
{
	return objects->list[index];
}

static void free_object(struct node_object *object)
{
	json_decref(object->object);
	free(object);
}

static void remove_object(struct node_objects *objects, struct node_object **place)
{
	size_t behind = (size_t)(objects->list + objects->count - (place + 1));

	objects->members_changed |= (*place)->is_member;
	free_object(*place);
	memmove(place, place + 1, behind * sizeof(struct node_object *));
	objects->count--;
}

/* NULL when there is no room. */
static struct node_object *make_object(struct node_objects *objects, const char *name)
{
	struct node_object *object;
	unsigned int place = 0;

	if (objects->count == CONFIG_NODES_MAX)
		return NULL;
	if (objects->count == objects->capacity) {
		unsigned int capacity = objects->capacity ? 2 * objects->capacity : 16;
		struct node_object **list =
			reallocarray(objects->list, capacity, sizeof(struct node_object *));

		if (!list)
			return NULL;
		objects->list = list;
		objects->capacity = capacity;
	}
	object = calloc(1, sizeof(*object));
	if (!object)
		return NULL;
	(void)text_copy(object->member.name, sizeof(object->member.name), name);
	while (place < objects->count && strcmp(objects->list[place]->member.name, name) < 0)
		place++;
	memmove(&objects->list[place + 1], &objects->list[place],
		(objects->count - place) * sizeof(struct node_object *));
	objects->list[place] = object;
	objects->count++;
	return object;
}

/* ---- what the API tells ---- */

static void on_settled(uv_timer_t *timer);

static void tell_soon(struct node_objects *objects)
{
	/* Fails only for a timer that is being closed. */
	if (objects->members_changed && objects->watch.synced && !objects->closing &&
	    !uv_is_active((uv_handle_t *)&objects->settle_timer))
		(void)uv_timer_start(&objects->settle_timer, on_settled, SETTLE_MS, 0);
}

static void on_begin(void *context)
{
	struct node_objects *objects = context;

	for (unsigned int i = 0; i < objects->count; i++)
		objects->list[i]->seen = false;
}

/* One that loses its address for a moment stays the member that it was. */
static void take_member(struct node_objects *objects, struct node_object *object,
			const json_t *json)
{
	char words[128] = "";
	struct text reason = TEXT(words);
	struct config_node member;

	if (kubernetes_node_decode(json, &member, &reason)) {
		log_debug("node is no member", log_string("node", object->member.name),
			  log_string("reason", words));
		return;
	}
	if (object->is_member && !memcmp(&object->member, &member, sizeof(member)))
		return;
	object->member = member;
	object->is_member = true;
	objects->members_changed = true;
}

void node_objects_take(struct node_objects *objects, const json_t *json)
{
	const char *name = kubernetes_object_name(json);
	struct node_object *object = node_objects_find(objects, name);
	json_t *kept;

	/* Answers and the watch overtake each other. */
	if (object && kubernetes_object_revision(json) < kubernetes_object_revision(object->object))
		return;
	if (!object && *name && strlen(name) < sizeof(object->member.name))
		object = make_object(objects, name);
	kept = object ? node_keeper_excerpt(json) : NULL;
	if (!kept) {
		log_error(
			"node ignored", log_string("node", name),
			log_string("reason", "its name is too long, too many nodes, or no memory"));
		return;
	}
	object->changed |= !object->object || !node_keeper_is_same(object->object, kept);
	json_decref(object->object);
	object->object = kept;
	object->seen = true;
	object->control_plane = kubernetes_node_is_control_plane(json);
	object->paused = kubernetes_is_paused(json);
	take_member(objects, object, json);
	tell_soon(objects);
}

static void on_object(void *context, const json_t *json, bool deleted)
{
	struct node_objects *objects = context;
	struct node_object **place = find_place(objects, kubernetes_object_name(json));

	if (!deleted) {
		node_objects_take(objects, json);
	} else if (place) {
		remove_object(objects, place);
		tell_soon(objects);
	}
}

static void on_synced(void *context)
{
	struct node_objects *objects = context;

	for (unsigned int i = objects->count; i-- > 0;)
		if (!objects->list[i]->seen)
			remove_object(objects, &objects->list[i]);
	kubernetes_link_settled(objects->link);
	tell_soon(objects);
}

/* ---- the members ---- */

int node_objects_fill(const struct node_objects *objects, struct config *config)
{
	struct config_node *nodes = calloc(objects->count + 1, sizeof(*nodes));
	struct config_overlap overlap;
	int r;

	if (!nodes)
		return -ENOMEM;
	config->nodes = nodes;
	config->node_count = 0;
	for (unsigned int i = 0; i < objects->count; i++)
		if (objects->list[i]->is_member)
			config->nodes[config->node_count++] = objects->list[i]->member;
	if (!config->node_count)
		return 0;
	r = config_find_overlap(config->nodes, config->node_count, &overlap);
	if (!r && config_find_node(config, config->node))
		return 0;
	if (r > 0)
		log_error("two nodes have the same address",
			  log_string("node", config->nodes[overlap.node].name),
			  log_string("other", config->nodes[overlap.other_node].name),
			  log_string("consequence", "this node is alone until they differ"));
	else if (!r)
		log_warning("this node is none of the cluster's", log_string("node", config->node),
			    log_string("consequence",
				       "it is alone until there is a Node of this name"));
	config->node_count = 0;
	if (r < 0)
		config_free(config);
	return r < 0 ? r : 0;
}

static void on_settled(uv_timer_t *timer)
{
	struct node_objects *objects = timer->data;
	struct config config = objects->agent->config;

	objects->members_changed = false;
	if (!config.kubernetes.has_members)
		return;
	if (node_objects_fill(objects, &config))
		log_error("the members of the cluster stay as they were",
			  log_string("reason", "no memory"));
	else
		(void)agent_apply_config(objects->agent, &config);
}

/* ---- opening and closing ---- */

bool node_objects_are_live(const struct node_objects *objects)
{
	return kubernetes_watch_is_live(&objects->watch);
}

struct kubernetes_link *node_objects_link(struct node_objects *objects)
{
	return objects->link;
}

static void on_call_timer(uv_timer_t *timer)
{
	struct node_objects *objects = timer->data;

	uint64_t now_ns = clock_monotonic_ns(), due_ns;

	kubernetes_watch_work(&objects->watch, now_ns);
	api_endpoints_work(objects->api, now_ns);
	pods_work(objects->pods, now_ns);
	node_keeper_work(objects->keeper);
	due_ns = clock_earlier(
		kubernetes_watch_due_ns(&objects->watch),
		clock_earlier(api_endpoints_due_ns(objects->api), pods_due_ns(objects->pods)));
	/* Fails only for a timer that is being closed. */
	if (due_ns != UINT64_MAX)
		(void)uv_timer_start(timer, on_call_timer,
				     due_ns > now_ns ? (due_ns - now_ns) / NS_PER_MS + 1 : 1, 0);
}

static void on_wake(void *context)
{
	struct node_objects *objects = context;

	/* Fails only for a timer that is being closed. */
	if (!objects->closing)
		(void)uv_timer_start(&objects->call_timer, on_call_timer, 0, 0);
}

const struct api_endpoints *node_objects_api(const struct node_objects *objects)
{
	return objects ? objects->api : NULL;
}

const struct pods *node_objects_pods(const struct node_objects *objects)
{
	return objects ? objects->pods : NULL;
}

void node_objects_turn(struct node_objects *objects)
{
	if (objects)
		node_keeper_work(objects->keeper);
}

/* The API tells of a container until it has been started anew twice, which is sooner than some ask
 * for metrics. */
static void on_pod(void *context)
{
	struct node_objects *objects = context;

	groups_name_pods(&objects->agent->groups, objects->pods);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct node_objects *objects = handle->data;

	if (--objects->open_timers)
		return;
	for (unsigned int i = 0; i < objects->count; i++)
		free_object(objects->list[i]);
	free(objects->list);
	free(objects);
}

void node_objects_close(struct node_objects *objects)
{
	if (!objects || objects->closing)
		return;
	objects->closing = true;
	node_keeper_close(objects->keeper);
	api_endpoints_close(objects->api);
	pods_close(objects->pods);
	objects->pods = NULL;
	kubernetes_watch_close(&objects->watch);
	kubernetes_link_close(objects->link, NULL);
	uv_close((uv_handle_t *)&objects->call_timer, on_timer_closed);
	uv_close((uv_handle_t *)&objects->settle_timer, on_timer_closed);
}

int node_objects_open(struct node_objects **ret_objects, struct agent *agent,
		      const char *kubeconfig, struct text *error)
{
	struct node_objects *objects = calloc(1, sizeof(*objects));
	const struct kubernetes_watch_handlers handlers = {objects, on_begin, on_object, on_synced};
	int err = -ENOMEM;

	if (!objects)
		goto failed;
	objects->agent = agent;
	err = kubernetes_link_open(&objects->link, &agent->loop, kubeconfig, REQUEST_LIMIT_MS,
				   objects, on_wake, error);
	if (err)
		goto failed;
	/* Cannot fail. */
	(void)uv_timer_init(&agent->loop, &objects->call_timer);
	(void)uv_timer_init(&agent->loop, &objects->settle_timer);
	objects->call_timer.data = objects->settle_timer.data = objects;
	objects->open_timers = 2;
	kubernetes_watch_open(&objects->watch, objects->link, KUBERNETES_NODES_PATH, "", &handlers);
	err = node_keeper_open(&objects->keeper, agent, objects)
		      ?: api_endpoints_open(&objects->api, objects->link)
		      ?: pods_open(&objects->pods, objects->link, agent->config.node, on_pod, objects);
	if (err) {
		node_objects_close(objects);
		return err;
	}
	on_wake(objects);
	*ret_objects = objects;
	return 0;

failed:
	free(objects);
	return err;
}
