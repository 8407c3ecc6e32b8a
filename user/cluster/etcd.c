// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/etcd.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/etcd_store.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct etcd_store *of(struct store *store)
{
	_Static_assert(offsetof(struct etcd_store, store) == 0, "one is the head of the other");
	return (struct etcd_store *)store;
}

struct etcd_key etcd_key(const struct etcd_store *store, const char *kind, const char *node)
{
	struct etcd_key key;

	_Static_assert(ETCD_PREFIX_MAX + sizeof(ETCD_ISOLATIONS) + STORE_NAME_MAX <= ETCD_KEY_MAX,
		       "all keys fit");
	snprintf(key.text, sizeof(key.text), "%s%s%s", store->prefix, kind, node);
	return key;
}

/* The lease */

void etcd_lease_gone(struct etcd_store *store)
{
	if (!store->lease.id)
		return;
	log_warning("lease lost", log_string("endpoint", etcd_link_endpoint(store->link)));
	store->lease.id = 0;
	store->store.state.renewed_ns = 0;
	store->row.dirty = true;
	/* It may be another store than before, too: emptied, or restored. */
	etcd_view_restart(store);
	etcd_wake(store);
}

static void hold_lease(struct etcd_store *store, const struct etcd_lease *lease, uint64_t sent_ns)
{
	store->store.state.renewed_ns = sent_ns;
	store->store.state.lease_ns = lease->ttl_s * NS_PER_S;
	store->lease.unproven = false;
}

static void on_granted(void *context, const struct etcd_answer *answer)
{
	struct etcd_store *store = context;
	struct etcd_lease lease;

	etcd_wake(store);
	if (answer->error)
		return;
	if (etcd_decode_grant(answer->root, &lease)) {
		etcd_link_fail(store->link, ETCD_GARBAGE, "no lease in its answer");
		return;
	}
	store->lease.id = lease.id;
	store->row.dirty = true;
	hold_lease(store, &lease, answer->sent_ns);
}

static void on_renewed(void *context, const struct etcd_answer *answer)
{
	struct etcd_store *store = context;
	struct etcd_lease lease;

	etcd_wake(store);
	if (answer->error == ETCD_TOKEN)
		return;
	if (answer->error == ETCD_LEASE_GONE) {
		etcd_lease_gone(store);
	} else if (etcd_decode_keepalive(answer->root, &lease) || lease.id != store->lease.id) {
		etcd_link_fail(store->link, ETCD_GARBAGE, "no lease in its answer");
	} else if (!lease.ttl_s) {
		etcd_lease_gone(store);
	} else {
		hold_lease(store, &lease, answer->sent_ns);
	}
}

static void lease_work(struct etcd_store *store)
{
	uint64_t now_ns = clock_boottime_ns();

	if (store->lease.call.http)
		return;
	if (!store->lease.id) {
		store->lease.next_ns = now_ns + store->store.state.renew_interval_ns;
		store->lease.call.answered = on_granted;
		etcd_link_call(store->link, &store->lease.call, "/v3/lease/grant",
			       etcd_encode_grant(store->lease_seconds), ETCD_PATIENCE_WORK);
	} else if (now_ns >= store->lease.next_ns) {
		store->lease.next_ns = now_ns + store->store.state.renew_interval_ns;
		store->lease.call.answered = on_renewed;
		etcd_link_call(store->link, &store->lease.call, "/v3/lease/keepalive",
			       etcd_encode_lease(store->lease.id), ETCD_PATIENCE_PROBE);
	}
}

/* The row */

static void on_row_written(void *context, const struct etcd_answer *answer)
{
	struct etcd_store *store = context;
	uint64_t revision = etcd_decode_revision(answer->root);

	etcd_wake(store);
	if (answer->error == ETCD_LEASE_GONE)
		etcd_lease_gone(store);
	if (answer->error) {
		store->row.dirty = true;
		return;
	}
	if (!revision) {
		etcd_link_fail(store->link, ETCD_GARBAGE, "no revision in its answer");
		return;
	}
	store->row.revision = revision;
	if (!store->row.proof_revision)
		store->row.proof_revision = revision;
	/* A write has a revision of its own, newer than all before. */
	if (revision <= store->row.view_revision)
		etcd_view_restart(store);
	else
		etcd_view_expect(store, revision);
}

static void row_work(struct etcd_store *store)
{
	const struct etcd_bytes value = {store->row.data, store->row.size};

	if (store->row.call.http || !store->row.dirty || !store->row.data || !store->lease.id)
		return;
	store->row.dirty = false;
	/* What is being read anew says nothing about this write. */
	store->row.view_revision = store->view.synced ? store->view.revision : 0;
	etcd_link_call(store->link, &store->row.call, "/v3/kv/put",
		       etcd_encode_put(etcd_key(store, ETCD_ROWS, store->node).text, value,
				       store->lease.id),
		       ETCD_PATIENCE_WORK);
}

static void put_row(struct store *head, const void *data, size_t size)
{
	struct etcd_store *store = of(head);
	void *copy;

	if (size > STORE_ROW_BYTES_MAX) {
		log_error("row not published", log_string("reason", "it is too long"),
			  log_unsigned("bytes", size),
			  log_unsigned("bytes_max", STORE_ROW_BYTES_MAX));
		return;
	}
	copy = realloc(store->row.data, size ?: 1);
	if (!copy) {
		log_error("row not published", log_string("reason", "no memory"));
		return;
	}
	memcpy(copy, data, size);
	store->row.data = copy;
	store->row.size = size;
	store->row.dirty = true;
	etcd_wake(store);
}

/* The whole */

static bool is_actor(const struct etcd_store *store)
{
	const struct store_state *state = &store->store.state;

	/* When the lease may have ended, so may have what hangs on it. */
	return store->actor.wanted && store->actor.present && store->lease.id &&
	       store->actor.lease == store->lease.id &&
	       clock_boottime_ns() < state->renewed_ns + state->lease_ns;
}

static bool is_connected(const struct etcd_store *store)
{
	return store->lease.id && store->view.synced && store->view.watching &&
	       !store->lease.unproven && !store->row.unproven;
}

static void update_state(struct etcd_store *store)
{
	struct store_state *state = &store->store.state, before = *state;
	struct text reason = TEXT(state->reason);

	if (store->row.proof_revision && store->row.proof_revision <= store->view.revision)
		store->row.unproven = false;
	state->connected = is_connected(store);
	state->actor = is_actor(store);
	state->actor_revision = state->actor ? store->actor.create_revision : 0;
	(void)text_copy(state->actor_name, sizeof(state->actor_name),
			store->actor.present ? store->actor.name : "");
	state->reason[0] = '\0';
	if (state->connected) {
		etcd_link_settled(store->link);
	} else {
		const char *words = etcd_link_reason(store->link);

		text_printf(&reason, "%s%s",
			    etcd_link_is_down(store->link)
				    ? "no endpoint works; the last one tried: "
				    : "",
			    *words ? words : "etcd has not answered yet");
	}
	store_tell_state(&store->store, &before, etcd_link_endpoint(store->link),
			 store->actor.create_revision);
}

static void arm_turn(struct etcd_store *store)
{
	const struct store_state *state = &store->store.state;
	uint64_t boot_due_ns = UINT64_MAX;

	if (store->lease.id && !store->lease.call.http && etcd_link_ready(store->link))
		boot_due_ns = store->lease.next_ns;
	if (state->actor)
		boot_due_ns = clock_earlier(boot_due_ns, state->renewed_ns + state->lease_ns);
	store_turn_arm(&store->turn,
		       clock_earlier(etcd_view_due_ns(store), etcd_actor_due_ns(store)),
		       boot_due_ns);
}

static void on_turn(void *context, uint64_t now_ns, uint64_t late_ns)
{
	struct etcd_store *store = context;

	if (late_ns)
		etcd_view_forgive(store, late_ns);
	if (etcd_link_ready(store->link)) {
		lease_work(store);
		row_work(store);
		etcd_view_work(store, now_ns);
		etcd_actor_work(store, now_ns);
	}
	if (!store->closing)
		update_state(store);
	if (!store->closing)
		arm_turn(store);
}

void etcd_wake(struct etcd_store *store)
{
	if (!store->closing)
		store_turn_wake(&store->turn);
}

static void on_ready(void *context)
{
	etcd_wake(context);
}

static void on_failed(void *context)
{
	struct etcd_store *store = context;

	/* Written again by the next endpoint in any case: this shows that writing works there, and
	 * what comes back shows that its watch is up to date. */
	store->row.dirty = true;
	store->row.unproven = !!store->row.data;
	store->row.proof_revision = 0;
	store->lease.next_ns = 0;
	store->lease.unproven = true;
	etcd_view_failed(store);
	etcd_actor_failed(store);
	etcd_wake(store);
}

/* Opening and closing */

static void on_closed(void *context)
{
	struct etcd_store *store = context;

	free(store->row.data);
	free(store);
}

static void close_store(struct store *head)
{
	struct etcd_store *store = of(head);

	if (store->closing)
		return;
	store->closing = true;
	etcd_member_close(store);
	etcd_actor_close(store);
	etcd_link_close(store->link, store->lease.id);
	store_turn_close(&store->turn);
}

static void campaign(struct store *head, bool wanted)
{
	of(head)->actor.wanted = wanted;
	etcd_wake(of(head));
}

const struct store_operations etcd_operations = {
	.put_row = put_row,
	.campaign = campaign,
	.depose = etcd_actor_depose,
	.commit = etcd_actor_commit,
	.close = close_store,
};

const char *etcd_endpoint(struct store *store)
{
	return store->operations == &etcd_operations ? etcd_link_endpoint(of(store)->link) : "";
}

static int check_names(const char *node, const struct etcd_settings *settings, struct text *error)
{
	const char *prefix = settings->prefix ?: "";
	size_t length = strlen(prefix);

	if (!length || length >= ETCD_PREFIX_MAX || prefix[length - 1] != '/') {
		text_printf(error,
			    "etcd.prefix is '%.64s', expected up to %u characters that end in '/'",
			    prefix, ETCD_PREFIX_MAX - 1);
		return -EINVAL;
	}
	if (!*node || strlen(node) >= STORE_NAME_MAX || strchr(node, '/')) {
		text_printf(
			error,
			"node '%.64s' cannot be a key, expected up to %u characters without '/'",
			node, STORE_NAME_MAX - 1);
		return -EINVAL;
	}
	return 0;
}

int store_open_etcd(struct store **ret_store, struct uv_loop_s *loop, const char *node,
		    const struct etcd_settings *settings, const struct store_handlers *handlers,
		    struct text *error)
{
	struct etcd_store *store = NULL;
	struct etcd_link_handlers link_handlers = {.ready = on_ready, .failed = on_failed};
	int err = check_names(node, settings, error);

	if (err)
		return err;
	if (sodium_init() < 0) {
		text_printf(error, "libsodium cannot be initialised: no source of random numbers");
		return -EIO;
	}
	store = calloc(1, sizeof(*store));
	if (!store) {
		text_printf(error, "no memory for the store");
		return -ENOMEM;
	}
	store->store.operations = &etcd_operations;
	store->store.handlers = *handlers;
	snprintf(store->node, sizeof(store->node), "%s", node);
	snprintf(store->prefix, sizeof(store->prefix), "%s", settings->prefix);
	store->lease_seconds = settings->lease_seconds ?: ETCD_LEASE_S_DEFAULT;
	store->store.state.renew_interval_ns =
		(settings->renew_interval_ms ?: ETCD_RENEW_INTERVAL_MS_DEFAULT) * NS_PER_MS;
	store->lease.call.context = store;
	store->row.call.context = store;
	store->row.call.answered = on_row_written;
	LIST_INIT(&store->queries);
	etcd_view_open(store);
	etcd_actor_open(store);
	link_handlers.context = store;
	err = etcd_link_open(&store->link, loop, settings, &link_handlers, error);
	if (err) {
		free(store);
		return err;
	}
	store_turn_open(&store->turn, loop, store, on_turn, on_closed);
	update_state(store);
	*ret_store = &store->store;
	return 0;
}
