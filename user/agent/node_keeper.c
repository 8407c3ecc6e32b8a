// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/node_keeper.h"

#include "agent/acting.h"
#include "agent/agent.h"
#include "agent/cluster.h"
#include "agent/findings.h"
#include "agent/node_events.h"
#include "base/clock.h"
#include "base/log.h"
#include "isolate/node_wish.h"
#include "kubernetes/link.h"
#include "kubernetes/node.h"
#include "kubernetes/object.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Between two looks through all nodes. */
#define LOOK_NS (250 * NS_PER_MS)
/* Whatever seems to be as it should is compared again so often: conditions age. */
#define AGAIN_NS (60 * NS_PER_S)
#define RETRY_NS (5 * NS_PER_S)

struct node_keeper {
	struct agent *agent;
	struct node_objects *objects;
	struct node_events *events;
	struct kubernetes_call call;
	char node[CONFIG_NAME_MAX]; /* that the call is about */
	unsigned int changed;	    /* the conditions that the call turns */
	unsigned int taints;	    /* what the call adds or removes: TAINT_... of 'isolated' */
	bool taints_end;
	uint64_t looked_ns, again_ns;
	uint64_t retry_ns; /* nothing is tried before */
	char reason[512];  /* of the last failure, which was logged */
};

/* ---- excerpts ---- */

static json_t *own_conditions(const json_t *object)
{
	const json_t *status = json_object_get(object, "status");
	const json_t *list = json_object_get(status, "conditions"), *condition;
	json_t *own = json_array();
	size_t at;

	json_array_foreach(list, at, condition)
	{
		const char *type = kubernetes_text(condition, "type");

		for (unsigned int kind = CONDITION_NONE + 1; kind < CONDITION_KINDS; kind++)
			if (!strcmp(type, condition_name(kind)) &&
			    json_array_append(own, (json_t *)condition)) {
				json_decref(own);
				return NULL;
			}
	}
	return own;
}

static json_t *own_annotations(const json_t *metadata)
{
	json_t *annotations = json_object_get(metadata, "annotations"), *value;
	json_t *own = json_object();
	const char *key;

	json_object_foreach(annotations, key, value)
	{
		if (!strncmp(key, "tocsin.dev/", strlen("tocsin.dev/")) &&
		    json_object_set(own, key, value)) {
			json_decref(own);
			return NULL;
		}
	}
	return own;
}

json_t *node_keeper_excerpt(const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const json_t *spec = json_object_get(object, "spec");

	return json_pack("{s{sO* sO* sO* so} s{sO* sO*} s{so}}", "metadata", "name",
			 json_object_get(metadata, "name"), "uid", json_object_get(metadata, "uid"),
			 "resourceVersion", json_object_get(metadata, "resourceVersion"),
			 "annotations", own_annotations(metadata), "spec", "taints",
			 json_object_get(spec, "taints"), "unschedulable",
			 json_object_get(spec, "unschedulable"), "status", "conditions",
			 own_conditions(object));
}

bool node_keeper_is_same(const json_t *one, const json_t *other)
{
	static const char *const parts[] = {"spec", "status"};
	const json_t *metadata = json_object_get(one, "metadata");
	const json_t *others = json_object_get(other, "metadata");

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (!json_equal(json_object_get(one, parts[i]), json_object_get(other, parts[i])))
			return false;
	return json_equal(json_object_get(metadata, "annotations"),
			  json_object_get(others, "annotations"));
}

/* ---- what is wanted ---- */

/* What the isolation's actions make of a Node. */
static unsigned int isolation_parts(const struct config *config, bool fenced)
{
	static const unsigned int parts[CONFIG_ACTIONS] = {
		[CONFIG_ACTION_TAINT] = TAINT_NO_SCHEDULE,
		[CONFIG_ACTION_CORDON] = TAINT_CORDON,
		/* First, or what is evicted may come back. */
		[CONFIG_ACTION_EVICT] = TAINT_NO_SCHEDULE,
	};
	/* Pods that run on must not be started elsewhere. */
	static const unsigned int proven_parts[CONFIG_ACTIONS] = {
		[CONFIG_ACTION_EVICT] = TAINT_NO_EXECUTE,
	};
	unsigned int result = 0;

	for (unsigned int i = 0; i < config->isolation.action_count; i++) {
		result |= parts[config->isolation.actions[i]];
		if (fenced)
			result |= proven_parts[config->isolation.actions[i]];
	}
	return result;
}

/* The actor's words on any node. */
static void want_as_actor(const struct node_keeper *keeper, const struct node_object *object,
			  uint32_t member, struct node_wish *wish)
{
	const struct cluster *cluster = keeper->agent->cluster;
	const struct actor *actor = acting_actor(cluster->acting);
	const struct actor_record *record = actor_find_record(actor, member);
	const struct view_row *row = &cluster->view.rows[member];

	wish->taints_isolated = keeper->agent->config.mode == CONFIG_MODE_ENFORCE;
	if (record && actor_is_isolated(actor, member)) {
		wish->isolated.value = record->record.class;
		wish->isolated.parts = isolation_parts(
			&keeper->agent->config, row->present && row->flags & ROW_FLAG_FENCED);
		/* What was proven once stays proven while the node is isolated. */
		if (isolation_parts(&keeper->agent->config, true) & TAINT_NO_EXECUTE)
			wish->isolated.parts |=
				taint_added(object->object, TAINT_ISOLATED) & TAINT_NO_EXECUTE;
	}
	node_wish_verdicts(wish, &cluster->verdicts, &cluster->judgement, &cluster->view, member,
			   clock_boottime_ns());
	node_wish_claim_network(wish, object->object);
}

static void want(const struct node_keeper *keeper, const struct node_object *object,
		 struct node_wish *wish)
{
	const struct cluster *cluster = keeper->agent->cluster;
	int64_t member = membership_find(&cluster->membership, object->member.name);

	*wish = (struct node_wish){
		.isolated = {.key = TAINT_ISOLATED, .value = ""},
		.unhealthy = {.key = TAINT_UNHEALTHY, .value = ""},
	};
	if (!strcmp(object->member.name, keeper->agent->config.node))
		node_wish_findings(wish, agent_findings_list(keeper->agent->findings),
				   keeper->agent->config.findings.settings);
	if (member >= 0 && cluster->kind == CONFIG_STORE_KUBERNETES && cluster->synced &&
	    store_state(cluster->store)->actor)
		want_as_actor(keeper, object, (uint32_t)member, wish);
}

/* Changes when the wish does, but for words. */
static unsigned int summary(const struct node_wish *wish)
{
	unsigned int bits = wish->isolated.parts | wish->unhealthy.parts << 3 |
			    (unsigned int)wish->taints_isolated << 4 |
			    (unsigned int)wish->taints_unhealthy << 5;

	for (unsigned int kind = CONDITION_NONE + 1; kind < CONDITION_KINDS; kind++)
		bits |= (unsigned int)wish->conditions[kind].holds << (6 + 2 * kind) |
			(unsigned int)wish->conditions[kind].mine << (7 + 2 * kind);
	return bits;
}

/* ---- what is to be done ---- */

struct node_change {
	json_t *patch; /* NULL: nothing */
	bool of_status;
	unsigned int conditions; /* that turn */
	unsigned int taints;	 /* of 'isolated', that come or go */
};

/* The next change that leads from the Node to the wish. Returns 0, or -errno: nothing can be done.
 */
static int plan(const json_t *node, const struct node_wish *wish, struct node_change *ret)
{
	int r = 0;

	*ret = (struct node_change){0};
	if (wish->taints_isolated) {
		r = taint_plan(node, &wish->isolated, &ret->patch);
		ret->taints = taint_added(node, TAINT_ISOLATED) ^ wish->isolated.parts;
	}
	if (!r && !ret->patch && wish->taints_unhealthy)
		r = taint_plan(node, &wish->unhealthy, &ret->patch);
	if (r && r != -EPERM)
		return r;
	if (!ret->patch) {
		int err = condition_plan(node, wish->conditions, clock_realtime_ns(), &ret->patch,
					 &ret->conditions);

		ret->of_status = true;
		ret->taints = 0;
		return err ?: ret->patch ? 0 : r;
	}
	return 0;
}

static void tell_paused(struct node_object *object, int r)
{
	if (r == -EPERM && !object->paused_told)
		log_warning("node is left as it is", log_string("node", object->member.name),
			    log_string("reason", "its annotation tocsin.dev/pause"));
	object->paused_told = r == -EPERM;
}

static void tell_change(struct node_keeper *keeper, const json_t *node,
			const struct node_wish *wish)
{
	for (unsigned int kind = CONDITION_NONE + 1; kind < CONDITION_KINDS; kind++) {
		const struct condition_wish *condition = &wish->conditions[kind];
		char reason[80];

		if (!(keeper->changed & 1U << kind))
			continue;
		snprintf(reason, sizeof(reason), "%s%s", condition->holds ? "" : "No",
			 condition_name(kind));
		node_events_add(keeper->events, node, condition->holds, reason,
				condition->holds ? condition->message
						 : condition_good_message(kind));
	}
	if (keeper->taints)
		node_events_add(keeper->events, node, !keeper->taints_end,
				keeper->taints_end ? "Released" : "Isolated",
				keeper->taints_end
					? "taints and cordon of the isolation are removed"
					: "pods are kept off: the node is isolated");
}

/* What the server refuses it will refuse the next moment, too; after a conflict it is read again.
 */
static bool has_failed(struct node_keeper *keeper, struct node_object *object,
		       const struct kubernetes_answer *answer)
{
	if (answer->outcome == KUBERNETES_OK)
		return false;
	if (object)
		object->changed = true;
	if (answer->outcome != KUBERNETES_CONFLICT) {
		keeper->retry_ns = clock_monotonic_ns() + RETRY_NS;
		if (strcmp(keeper->reason, answer->message) != 0)
			log_warning("node not changed", log_string("node", keeper->node),
				    log_string("reason", answer->message));
		(void)text_copy(keeper->reason, sizeof(keeper->reason), answer->message);
	}
	return true;
}

static void on_patched(void *context, const struct kubernetes_answer *answer)
{
	struct node_keeper *keeper = context;
	struct node_object *object = node_objects_find(keeper->objects, keeper->node);
	struct node_wish wish;

	if (has_failed(keeper, object, answer) || !object)
		return;
	kubernetes_link_settled(node_objects_link(keeper->objects));
	want(keeper, object, &wish);
	tell_change(keeper, answer->root, &wish);
	node_objects_take(keeper->objects, answer->root);
}

static void call(struct node_keeper *keeper, const char *method, const char *suffix,
		 const char *patch, json_t *body,
		 void (*answered)(void *context, const struct kubernetes_answer *answer))
{
	char path[256];
	const struct kubernetes_request request = {
		.method = method, .path = path, .patch = patch, .body = body};

	snprintf(path, sizeof(path), KUBERNETES_NODES_PATH "/%s%s", keeper->node, suffix);
	keeper->call.answered = answered;
	kubernetes_link_call(node_objects_link(keeper->objects), &keeper->call, &request);
}

/* The Node as it is: what is to be done is decided by that. */
static void on_read(void *context, const struct kubernetes_answer *answer)
{
	struct node_keeper *keeper = context;
	struct node_object *object = node_objects_find(keeper->objects, keeper->node);
	struct node_change change;
	struct node_wish wish;
	int r;

	if (has_failed(keeper, object, answer) || !object)
		return;
	node_objects_take(keeper->objects, answer->root);
	want(keeper, object, &wish);
	r = plan(answer->root, &wish, &change);
	tell_paused(object, r);
	if (!change.patch) {
		object->changed = false;
		object->wanted = summary(&wish);
		return;
	}
	keeper->changed = change.conditions;
	keeper->taints = change.taints;
	keeper->taints_end = !wish.isolated.parts;
	call(keeper, "PATCH", change.of_status ? "/status" : "",
	     change.of_status ? "strategic-merge-patch" : "merge-patch", change.patch, on_patched);
}

/* Whether there is something new to write, by what the watch has told. */
static bool needs(struct node_keeper *keeper, struct node_object *object)
{
	struct node_change change;
	struct node_wish wish;
	unsigned int wanted;
	int r;

	want(keeper, object, &wish);
	wanted = summary(&wish);
	if (!object->changed && wanted == object->wanted)
		return false;
	r = plan(object->object, &wish, &change);
	tell_paused(object, r);
	json_decref(change.patch);
	if (change.patch && (!change.of_status || change.conditions))
		return true;
	object->ages = change.patch != NULL;
	object->changed = false;
	object->wanted = wanted;
	return false;
}

static void begin(struct node_keeper *keeper, struct node_object *object)
{
	object->ages = false;
	(void)text_copy(keeper->node, sizeof(keeper->node), object->member.name);
	call(keeper, "GET", "", NULL, NULL, on_read);
}

void node_keeper_work(struct node_keeper *keeper)
{
	struct kubernetes_link *link = node_objects_link(keeper->objects);
	uint64_t now_ns = clock_monotonic_ns();
	unsigned int count = node_objects_count(keeper->objects);
	bool again = now_ns > keeper->again_ns + AGAIN_NS;
	struct node_object *ageing = NULL;

	if (!keeper->agent->cluster || keeper->agent->stopping || keeper->call.http ||
	    !node_objects_are_live(keeper->objects) || !kubernetes_link_ready(link) ||
	    now_ns < keeper->looked_ns + LOOK_NS || now_ns < keeper->retry_ns)
		return;
	node_events_work(keeper->events);
	keeper->looked_ns = now_ns;
	if (again)
		keeper->again_ns = now_ns;
	for (unsigned int i = 0; i < count; i++) {
		struct node_object *object = node_objects_at(keeper->objects, i);

		object->changed |= again;
		if (keeper->call.http)
			continue;
		if (needs(keeper, object))
			begin(keeper, object);
		else if (object->ages && !ageing)
			ageing = object;
	}
	/* The actor may have hundreds that age at once, one in each look: no taint waits for that.
	 */
	if (ageing && !keeper->call.http)
		begin(keeper, ageing);
}

int node_keeper_open(struct node_keeper **ret_keeper, struct agent *agent,
		     struct node_objects *objects)
{
	struct node_keeper *keeper = calloc(1, sizeof(*keeper));

	*ret_keeper = keeper;
	if (!keeper)
		return -ENOMEM;
	keeper->agent = agent;
	keeper->objects = objects;
	keeper->call.context = keeper;
	return node_events_open(&keeper->events, agent->config.node, node_objects_link(objects));
}

void node_keeper_close(struct node_keeper *keeper)
{
	if (!keeper)
		return;
	kubernetes_call_cancel(&keeper->call);
	node_events_close(keeper->events);
	free(keeper);
}
