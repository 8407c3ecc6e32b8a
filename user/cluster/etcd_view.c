// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is in the store: one ranged read of all that is below the prefix, then one watch from its
 * revision on. A watch that breaks is opened again where it was, by any endpoint; only when that
 * revision has been compacted away, or the store is not the one that it was, is all read again.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cluster/etcd_store.h"

#include <errno.h>
#include <string.h>

#define PAGE_PAIRS     32
#define GARBAGE_LOG_NS (10 * NS_PER_S)

/* Pairs */

/* Each change once, and not more often than that. */
static void log_garbage(struct etcd_store *store, const struct etcd_pair *pair, const char *reason)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (pair->mod_revision <= store->garbage.told_revision)
		return;
	if (pair->mod_revision > store->garbage.newest_revision)
		store->garbage.newest_revision = pair->mod_revision;
	if (store->garbage.logged_ns && now_ns - store->garbage.logged_ns < GARBAGE_LOG_NS) {
		store->garbage.suppressed++;
		return;
	}
	log_warning("key of the store ignored", log_string("key", pair->key),
		    log_string("reason", reason), log_unsigned("revision", pair->mod_revision),
		    log_unsigned("others_before", store->garbage.suppressed));
	store->garbage.logged_ns = now_ns;
	store->garbage.suppressed = 0;
}

/* The name behind 'kind', when the key is of it; NULL when it is not. */
static const char *name_of(const struct etcd_store *store, const char *key, const char *kind)
{
	size_t length = strlen(kind);

	key += strlen(store->prefix);
	return strncmp(key, kind, length) ? NULL : key + length;
}

static bool is_name(const char *name)
{
	size_t length = strlen(name);

	if (!length || length >= STORE_NAME_MAX)
		return false;
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= 0x20 || *c == 0x7f || *c == '/')
			return false;
	return true;
}

static void tell_row(struct etcd_store *store, const char *node, bool deleted,
		     const struct etcd_pair *pair)
{
	const struct store_handlers *handlers = &store->store.handlers;
	bool own = !strcmp(node, store->node);

	handlers->row(handlers->context, node, deleted ? NULL : pair->value,
		      deleted ? 0 : pair->value_bytes, pair->mod_revision);
	if (own && deleted && store->lease.id) {
		/* By hand: the lease would have taken itself away, too. */
		store->row.dirty = true;
		etcd_wake(store);
	}
	if (own && !deleted && store->lease.id && pair->lease != store->lease.id &&
	    store->row.revision && pair->mod_revision > store->row.revision &&
	    !store->row.contested) {
		store->row.contested = true;
		log_warning("another process writes the row of this node", log_string("node", node),
			    log_string("reason", "does another node have the same name?"));
	}
}

static void tell_pair(struct etcd_store *store, bool deleted, const struct etcd_pair *pair)
{
	const struct store_handlers *handlers = &store->store.handlers;
	const char *node;

	if (!etcd_pair_is_text(pair) || strncmp(pair->key, store->prefix, strlen(store->prefix))) {
		log_garbage(store, pair, "it is too long, or no text");
	} else if ((node = name_of(store, pair->key, ETCD_ACTOR)) && !*node) {
		etcd_actor_told(store, deleted, pair);
		if (!deleted && !pair->lease)
			log_garbage(store, pair,
				    "it has no lease and keeps all from being elected: delete it");
	} else if (pair->value_too_long && !deleted) {
		log_garbage(store, pair, "its value is too long");
	} else if ((node = name_of(store, pair->key, ETCD_ROWS)) && is_name(node)) {
		tell_row(store, node, deleted, pair);
	} else if ((node = name_of(store, pair->key, ETCD_ISOLATIONS)) && is_name(node)) {
		handlers->isolation(handlers->context, node, deleted ? NULL : pair->value,
				    deleted ? 0 : pair->value_bytes, pair->mod_revision);
	} else {
		log_garbage(store, pair,
			    "it is not one of tocsin's: does something else use the "
			    "prefix?");
	}
}

/* The read */

static void begin_read(struct etcd_store *store)
{
	const struct store_handlers *handlers = &store->store.handlers;

	store->view.synced = false;
	store->actor.seen = false;
	handlers->reset(handlers->context);
}

static void end_read(struct etcd_store *store)
{
	const struct store_handlers *handlers = &store->store.handlers;

	store->view.reading = false;
	store->view.synced = true;
	store->view.next_key_bytes = 0;
	store->view.page_pairs = PAGE_PAIRS;
	store->garbage.told_revision = store->garbage.newest_revision;
	if (!store->actor.seen) {
		store->actor.present = false;
		store->actor.mod_revision = store->view.revision;
	}
	handlers->synced(handlers->context);
}

/* The next page begins behind this pair, which is behind the last. */
static int turn_page(struct etcd_store *store, const struct etcd_pair *pair)
{
	char next[ETCD_KEY_MAX];
	size_t bytes = etcd_pair_next(pair, next);
	size_t common = bytes < store->view.next_key_bytes ? bytes : store->view.next_key_bytes;
	int order = memcmp(next, store->view.next_key, common);

	if (order < 0 || (!order && bytes <= store->view.next_key_bytes))
		return -EPROTO;
	memcpy(store->view.next_key, next, bytes);
	store->view.next_key_bytes = bytes;
	return 0;
}

static int take_page(struct etcd_store *store, const struct etcd_range *range)
{
	size_t count = json_array_size(range->pairs);
	struct etcd_pair pair;

	for (size_t i = 0; i < count; i++) {
		if (etcd_decode_pair(json_array_get(range->pairs, i), &pair))
			return -EPROTO;
		tell_pair(store, false, &pair);
		if (store->closing)
			return 0;
		if (range->more && i == count - 1)
			return turn_page(store, &pair);
	}
	return range->more ? -EPROTO : 0;
}

static void on_page(void *context, const struct etcd_answer *answer)
{
	struct etcd_store *store = context;
	struct etcd_range range;

	etcd_wake(store);
	if (answer->error == ETCD_TOKEN)
		return;
	if (answer->error) {
		etcd_view_restart(store);
		return;
	}
	if (etcd_decode_range(answer->root, &range)) {
		etcd_link_fail(store->link, ETCD_GARBAGE, "no keys in its answer");
		return;
	}
	if (!store->view.next_key_bytes) {
		store->view.revision = range.revision;
		begin_read(store);
	}
	if (store->closing)
		return;
	if (take_page(store, &range))
		etcd_link_fail(store->link, ETCD_GARBAGE, "its keys cannot be read");
	else if (!range.more && !store->closing)
		end_read(store);
}

static void read_page(struct etcd_store *store)
{
	const struct etcd_bytes first = {store->view.next_key, store->view.next_key_bytes};

	store->view.reading = true;
	store->view.call.answered = on_page;
	etcd_link_call(store->link, &store->view.call, "/v3/kv/range",
		       etcd_encode_range(store->prefix, first,
					 first.size ? store->view.revision : 0,
					 store->view.page_pairs),
		       ETCD_PATIENCE_WORK);
}

/* The watch */

static void take_events(struct etcd_store *store, const struct etcd_watch *watch)
{
	uint64_t newest = store->view.revision;
	struct etcd_pair pair;
	bool deleted;

	for (size_t i = 0; i < json_array_size(watch->events) && !store->closing; i++) {
		if (etcd_decode_event(json_array_get(watch->events, i), &deleted, &pair)) {
			etcd_link_fail(store->link, ETCD_GARBAGE, "its events cannot be read");
			return;
		}
		if (pair.mod_revision <= store->view.revision) {
			log_garbage(store, &pair, "the watch told it out of order");
			continue;
		}
		if (pair.mod_revision > newest)
			newest = pair.mod_revision;
		tell_pair(store, deleted, &pair);
	}
	/* A message without events says how far the watch is. */
	if (!json_array_size(watch->events) && !watch->created && watch->revision > newest)
		newest = watch->revision;
	if (!watch->fragment)
		store->view.revision = newest;
	store->garbage.told_revision = store->garbage.newest_revision;
}

static void on_watch(void *context, const struct etcd_answer *answer)
{
	struct etcd_store *store = context;
	struct etcd_watch watch;

	etcd_wake(store);
	if (answer->error == ETCD_TOKEN)
		return;
	if (answer->error || etcd_decode_watch(answer->root, &watch)) {
		etcd_link_fail(store->link, ETCD_GARBAGE, "no watch in its answer");
	} else if (watch.cancelled && watch.compact_revision) {
		log_info("watch restarted", log_string("reason", "its revision was compacted"),
			 log_unsigned("revision", store->view.revision));
		etcd_view_restart(store);
	} else if (watch.cancelled) {
		etcd_link_fail(store->link, watch.error, *watch.reason ? watch.reason : "watch");
	} else {
		if (watch.created) {
			store->view.watching = true;
			store->view.expected_since_ns = clock_monotonic_ns();
		}
		take_events(store, &watch);
	}
}

static void open_watch(struct etcd_store *store, uint64_t now_ns)
{
	store->view.opened_ns = now_ns;
	store->view.call.answered = on_watch;
	etcd_link_call(store->link, &store->view.call, "/v3/watch",
		       etcd_encode_watch(store->prefix, store->view.revision + 1),
		       ETCD_PATIENCE_STREAM);
}

static uint64_t limit_ns(const struct etcd_store *store)
{
	return etcd_link_limit_ms(store->link, ETCD_PATIENCE_WORK) * NS_PER_MS;
}

static bool is_behind(const struct etcd_store *store)
{
	return store->view.watching && store->view.revision < store->view.expected_revision;
}

static bool is_opening(const struct etcd_store *store)
{
	return store->view.call.http && !store->view.reading && !store->view.watching;
}

/* When the stream has failed, unless something comes before; UINT64_MAX: not at all. */
uint64_t etcd_view_due_ns(const struct etcd_store *store)
{
	if (is_behind(store))
		return store->view.expected_since_ns + limit_ns(store);
	if (is_opening(store))
		return store->view.opened_ns + limit_ns(store);
	return UINT64_MAX;
}

void etcd_view_work(struct etcd_store *store, uint64_t now_ns)
{
	if (now_ns >= etcd_view_due_ns(store)) {
		etcd_link_fail(store->link, ETCD_UNAVAILABLE,
			       is_behind(store) ? "its watch does not tell what is written"
						: "it opens no watch");
		return;
	}
	if (store->view.call.http)
		return;
	if (store->view.synced)
		open_watch(store, now_ns);
	else
		read_page(store);
}

void etcd_view_forgive(struct etcd_store *store, uint64_t late_ns)
{
	store->view.expected_since_ns += late_ns;
	store->view.opened_ns += late_ns;
}

void etcd_view_expect(struct etcd_store *store, uint64_t revision)
{
	if (!is_behind(store))
		store->view.expected_since_ns = clock_monotonic_ns();
	store->view.expected_revision = revision;
}

void etcd_view_failed(struct etcd_store *store)
{
	/* Pages may have been too long. */
	if (store->view.reading && store->view.page_pairs > 1)
		store->view.page_pairs /= 2;
	store->view.reading = false;
	store->view.watching = false;
	store->view.next_key_bytes = 0;
	store->view.expected_revision = 0;
}

void etcd_view_restart(struct etcd_store *store)
{
	etcd_link_cancel(store->link, &store->view.call);
	store->view.reading = false;
	etcd_view_failed(store);
	store->view.synced = false;
	store->row.view_revision = 0;
}

void etcd_view_open(struct etcd_store *store)
{
	store->view.page_pairs = PAGE_PAIRS;
	store->view.call.context = store;
}
