// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is in the store: two watches, of leases and of rows. A row is told while its node's lease is
 * alive.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cluster/kubernetes_store.h"
#include "kubernetes/node.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#define GARBAGE_LOG_NS (10 * NS_PER_S)

/* ---- nodes ---- */

static int compare_names(const void *a, const void *b)
{
	const struct kubernetes_node *one = a, *other = b;

	return strcmp(one->name, other->name);
}

static struct kubernetes_node *find_node(const struct kubernetes_store *store, const char *name)
{
	struct kubernetes_node key;
	void *found;

	if (text_copy(key.name, sizeof(key.name), name))
		return NULL;
	found = tfind(&key, &store->view.by_name, compare_names);
	return found ? *(struct kubernetes_node **)found : NULL;
}

/* NULL when there is no memory for it. */
static struct kubernetes_node *find_or_add_node(struct kubernetes_store *store, const char *name)
{
	struct kubernetes_node *node = find_node(store, name);

	if (node)
		return node;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	(void)text_copy(node->name, sizeof(node->name), name);
	if (!tsearch(node, &store->view.by_name, compare_names)) {
		free(node);
		return NULL;
	}
	LIST_INSERT_HEAD(&store->view.list, node, list);
	return node;
}

static void free_node(struct kubernetes_store *store, struct kubernetes_node *node)
{
	(void)tdelete(node, &store->view.by_name, compare_names);
	LIST_REMOVE(node, list);
	json_decref(node->row);
	free(node);
}

static void log_garbage(struct kubernetes_store *store, const char *kind, const json_t *object,
			const char *reason)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (store->view.garbage_ns && now_ns - store->view.garbage_ns < GARBAGE_LOG_NS)
		return;
	store->view.garbage_ns = now_ns;
	log_warning("object of the store ignored", log_string("kind", kind),
		    log_string("name", kubernetes_object_name(object)),
		    log_string("reason", reason));
}

static bool is_name(const char *name)
{
	return *name && strlen(name) < STORE_NAME_MAX;
}

/* ---- leases, and what they let be told ---- */

static bool is_alive(const struct kubernetes_node *node, uint64_t now_ns)
{
	return node->has_lease && *node->lease.holder && node->renewed_ns &&
	       now_ns < node->renewed_ns + node->lease.duration_ns;
}

/*
 * As of when the leases are known, CLOCK_BOOTTIME. While something that was written has not been
 * told, that may be a watch that is dead, and silence says nothing.
 */
static uint64_t fresh_ns(const struct kubernetes_store *store)
{
	const struct kubernetes_watch *watch = &store->view.leases;

	if (!kubernetes_watch_is_live(watch))
		return store->view.fresh_ns;
	return clock_boottime_ns() -
	       (watch->expected ? clock_monotonic_ns() - watch->expected_since_ns : 0);
}

bool kubernetes_view_is_alive(const struct kubernetes_store *store, const char *name)
{
	const struct kubernetes_node *node = find_node(store, name);

	return node && is_alive(node, fresh_ns(store));
}

static void tell_row(struct kubernetes_store *store, struct kubernetes_node *node)
{
	const struct store_handlers *handlers = &store->store.handlers;
	char data[STORE_ROW_BYTES_MAX];
	size_t size = json_dumpb(node->row, data, sizeof(data), JSON_COMPACT);

	if (!size || size > sizeof(data)) {
		log_warning("row ignored", log_string("node", node->name),
			    log_string("reason", "it is too long"), log_unsigned("bytes", size));
		return;
	}
	node->told = true;
	handlers->row(handlers->context, node->name, data, size, node->row_revision);
}

static void tell_end(struct kubernetes_store *store, struct kubernetes_node *node)
{
	const struct store_handlers *handlers = &store->store.handlers;

	node->told = false;
	handlers->row(handlers->context, node->name, NULL, 0, node->row_revision);
}

/* Tells what has come of it: a row, or the end of its lease. The node may be no more then. */
static void update_node(struct kubernetes_store *store, struct kubernetes_node *node)
{
	bool is_row = node->row && is_alive(node, fresh_ns(store));

	if (!store->view.told_all)
		return;
	if (is_row && !node->told)
		tell_row(store, node);
	else if (!is_row && node->told)
		tell_end(store, node);
	if (!node->row && !node->has_lease)
		free_node(store, node);
}

static void update_nodes(struct kubernetes_store *store)
{
	struct kubernetes_node *node, *next;
	uint64_t expiry_ns = UINT64_MAX, now_ns = fresh_ns(store);

	for (node = LIST_FIRST(&store->view.list); node && !store->closing; node = next) {
		uint64_t end_ns = node->renewed_ns + node->lease.duration_ns;

		next = LIST_NEXT(node, list);
		if (is_alive(node, now_ns) && end_ns < expiry_ns)
			expiry_ns = end_ns;
		update_node(store, node);
	}
	store->view.expiry_ns = expiry_ns;
}

static void take_lease(struct kubernetes_store *store, const char *name, const json_t *object,
		       bool deleted)
{
	struct kubernetes_node *node = is_name(name) ? find_or_add_node(store, name) : NULL;
	uint64_t now_ns = clock_boottime_ns();
	struct kubernetes_lease lease;

	if (!node) {
		log_garbage(store, "Lease", object, "its name is no node's");
		return;
	}
	kubernetes_decode_lease(object, &lease);
	/* Of one that was there before anything was seen to come, nothing is known yet. */
	if (!deleted && strcmp(lease.renewed, node->lease.renewed) &&
	    (node->has_lease || store->view.leases.synced))
		node->renewed_ns = now_ns;
	node->lease_seen = true;
	node->has_lease = !deleted;
	node->lease = lease;
	if (now_ns + lease.duration_ns < store->view.expiry_ns)
		store->view.expiry_ns = now_ns + lease.duration_ns;
	if (deleted && !strcmp(name, store->node)) {
		store->lease.absent = true;
		store->lease.next_ns = 0;
		kubernetes_wake(store);
	}
	update_node(store, node);
}

static void on_leases_begin(void *context)
{
	struct kubernetes_store *store = context;
	struct kubernetes_node *node;

	LIST_FOREACH(node, &store->view.list, list)
	node->lease_seen = false;
	kubernetes_actor_begin(store);
}

static void on_lease(void *context, const json_t *object, bool deleted)
{
	struct kubernetes_store *store = context;
	const char *name = kubernetes_object_name(object);
	size_t prefix = strlen(KUBERNETES_LEASE_PREFIX);

	if (!strcmp(name, KUBERNETES_ACTOR_LEASE))
		kubernetes_actor_told(store, object, deleted);
	else if (!strncmp(name, KUBERNETES_LEASE_PREFIX, prefix))
		take_lease(store, name + prefix, object, deleted);
	else
		log_garbage(store, "Lease", object, "it is not one of tocsin's");
	kubernetes_wake(store);
}

static void on_leases_synced(void *context)
{
	struct kubernetes_store *store = context;
	struct kubernetes_node *node, *next;

	for (node = LIST_FIRST(&store->view.list); node && !store->closing; node = next) {
		next = LIST_NEXT(node, list);
		if (node->lease_seen)
			continue;
		node->has_lease = false;
		update_node(store, node);
	}
	if (!store->view.settled_ns)
		store->view.settled_ns = clock_boottime_ns() + store->store.state.lease_ns;
	kubernetes_actor_synced(store);
	kubernetes_wake(store);
}

/* ---- rows ---- */

static void take_row(struct kubernetes_store *store, struct kubernetes_node *node, json_t *row,
		     uint64_t revision)
{
	bool own = !strcmp(node->name, store->node), same;

	node->row_seen = true;
	node->row_revision = revision;
	same = node->row && row && json_equal(node->row, row);
	json_decref(node->row);
	node->row = json_incref(row);
	node->told &= same || !row;
	if (own && !row) {
		store->row.absent = true;
		store->row.dirty = true;
	} else if (own && !store->row.call.http && !store->row.dirty && !store->row.contested &&
		   store->row.revision && revision > store->row.revision &&
		   !json_equal(row, store->row.wanted)) {
		store->row.contested = true;
		log_warning("another process writes the row of this node",
			    log_string("node", node->name),
			    log_string("reason", "does another node have the same name?"));
	}
	update_node(store, node);
}

/* A person's word, which holds whether the node's agent is alive or not. */
static void take_pause(struct kubernetes_store *store, struct kubernetes_node *node, bool paused)
{
	const struct kubernetes_node *other;

	if (paused == node->paused)
		return;
	node->paused = paused;
	store->store.state.paused = false;
	LIST_FOREACH(other, &store->view.list, list)
	store->store.state.paused |= other->paused;
	log_warning(store->store.state.paused ? "acting is paused"
					      : "acting is not paused any more",
		    log_string("node", node->name),
		    log_string("by", "an annotation tocsin.dev/pause of its TocsinNode"));
}

static void on_nodes_begin(void *context)
{
	struct kubernetes_store *store = context;
	struct kubernetes_node *node;

	LIST_FOREACH(node, &store->view.list, list)
	node->row_seen = false;
}

static void on_node(void *context, const json_t *object, bool deleted)
{
	struct kubernetes_store *store = context;
	const char *name = kubernetes_object_name(object);
	struct kubernetes_node *node = is_name(name) ? find_or_add_node(store, name) : NULL;
	json_t *row = json_object_get(object, "row");

	if (!node || !json_is_object(row)) {
		log_garbage(store, "TocsinNode", object,
			    node ? "it has no row" : "its name is no node's");
		row = NULL;
	}
	if (node) {
		take_pause(store, node, !deleted && kubernetes_is_paused(object));
		take_row(store, node, deleted ? NULL : row, kubernetes_object_revision(object));
	}
	kubernetes_wake(store);
}

static void on_nodes_synced(void *context)
{
	struct kubernetes_store *store = context;
	struct kubernetes_node *node, *next;

	for (node = LIST_FIRST(&store->view.list); node && !store->closing; node = next) {
		next = LIST_NEXT(node, list);
		if (node->row_seen)
			continue;
		take_pause(store, node, false);
		if (node->row)
			take_row(store, node, NULL, node->row_revision);
	}
	kubernetes_wake(store);
}

/* ---- the whole ---- */

/* All nodes whose leases are alive have been seen to renew them, or have had the time to. */
static bool is_settled(const struct kubernetes_store *store, uint64_t now_ns)
{
	const struct kubernetes_node *node;

	if (!store->view.leases.synced || !store->view.nodes.synced)
		return false;
	if (now_ns >= store->view.settled_ns)
		return true;
	LIST_FOREACH(node, &store->view.list, list)
	if (node->has_lease && *node->lease.holder && !node->renewed_ns)
		return false;
	return true;
}

static void tell_start(struct kubernetes_store *store)
{
	const struct store_handlers *handlers = &store->store.handlers;
	struct kubernetes_node *node;

	handlers->reset(handlers->context);
	store->view.told_all = true;
	store->view.tells_again = false;
	LIST_FOREACH(node, &store->view.list, list)
	node->told = false;
	update_nodes(store);
	if (!store->closing)
		kubernetes_actor_tell_all(store);
	if (!store->closing)
		handlers->synced(handlers->context);
}

bool kubernetes_view_is_live(const struct kubernetes_store *store)
{
	return store->view.told_all && kubernetes_watch_is_live(&store->view.leases) &&
	       kubernetes_watch_is_live(&store->view.nodes);
}

/* What was not seen may have been: leases are as young as they were when that began. */
static void forgive_leases(struct kubernetes_store *store, uint64_t late_ns)
{
	struct kubernetes_node *node;

	LIST_FOREACH(node, &store->view.list, list)
	if (node->renewed_ns)
		node->renewed_ns += late_ns;
}

void kubernetes_view_forgive(struct kubernetes_store *store, uint64_t late_ns)
{
	kubernetes_watch_forgive(&store->view.leases, late_ns);
	kubernetes_watch_forgive(&store->view.nodes, late_ns);
	forgive_leases(store, late_ns);
}

void kubernetes_view_work(struct kubernetes_store *store, uint64_t now_ns)
{
	uint64_t boot_ns = clock_boottime_ns();
	bool live;

	kubernetes_watch_work(&store->view.leases, now_ns);
	kubernetes_watch_work(&store->view.nodes, now_ns);
	live = kubernetes_watch_is_live(&store->view.leases);
	if (live && !store->view.was_live && store->view.fresh_ns)
		forgive_leases(store, boot_ns - store->view.fresh_ns);
	store->view.fresh_ns = fresh_ns(store);
	store->view.was_live = live;
	if (!live)
		return;
	if (store->view.told_all ? store->view.tells_again : is_settled(store, boot_ns))
		tell_start(store);
	else if (store->view.fresh_ns >= store->view.expiry_ns)
		update_nodes(store);
}

uint64_t kubernetes_view_due_ns(const struct kubernetes_store *store)
{
	uint64_t leases_ns = kubernetes_watch_due_ns(&store->view.leases);
	uint64_t nodes_ns = kubernetes_watch_due_ns(&store->view.nodes);
	uint64_t boot_ns = clock_boottime_ns(), due_ns = UINT64_MAX;

	/* While what is known is not of now, nothing ends. */
	if (!kubernetes_watch_is_live(&store->view.leases) || store->view.leases.expected)
		due_ns = UINT64_MAX;
	else if (store->view.told_all)
		due_ns = store->view.expiry_ns;
	else if (store->view.nodes.synced)
		due_ns = store->view.settled_ns;
	/* On the other clock. */
	if (due_ns != UINT64_MAX)
		due_ns = clock_monotonic_ns() + (due_ns > boot_ns ? due_ns - boot_ns : 0);
	if (leases_ns < due_ns)
		due_ns = leases_ns;
	return nodes_ns < due_ns ? nodes_ns : due_ns;
}

void kubernetes_view_open(struct kubernetes_store *store)
{
	const struct kubernetes_watch_handlers leases = {store, on_leases_begin, on_lease,
							 on_leases_synced};
	const struct kubernetes_watch_handlers nodes = {store, on_nodes_begin, on_node,
							on_nodes_synced};

	LIST_INIT(&store->view.list);
	store->view.expiry_ns = UINT64_MAX;
	kubernetes_watch_open(&store->view.leases, store->link, store->leases_path,
			      KUBERNETES_SELECTOR, &leases);
	kubernetes_watch_open(&store->view.nodes, store->link, store->nodes_path,
			      KUBERNETES_SELECTOR, &nodes);
}

void kubernetes_view_close(struct kubernetes_store *store)
{
	kubernetes_watch_close(&store->view.leases);
	kubernetes_watch_close(&store->view.nodes);
}

void kubernetes_view_free(struct kubernetes_store *store)
{
	while (!LIST_EMPTY(&store->view.list))
		free_node(store, LIST_FIRST(&store->view.list));
}
