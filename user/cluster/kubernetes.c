// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/kubernetes.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/kubernetes_store.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a call may take: the API server's own objective is 1 s for 99 % of them. */
#define REQUEST_LIMIT_MS 1500
/* Renewals of all clients together: one each so many ms. */
#define RENEWAL_SHARE_MS 20
/* As often as the kubelet renews its own. */
#define RENEWAL_MS_MAX 10000
/* A lease outlives so many renewals that fail. */
#define LEASE_RENEWALS 5

static struct kubernetes_store *of(struct store *store)
{
	_Static_assert(offsetof(struct kubernetes_store, store) == 0, "one is the other's head");
	return (struct kubernetes_store *)store;
}

void kubernetes_refused(struct kubernetes_store *store, const struct kubernetes_answer *answer)
{
	if (answer->outcome != KUBERNETES_UNAVAILABLE && answer->outcome != KUBERNETES_UNAUTHORIZED)
		kubernetes_link_fail(store->link, answer->message);
}

/* ---- the lease ---- */

static void on_lease_written(void *context, const struct kubernetes_answer *answer)
{
	struct kubernetes_store *store = context;

	kubernetes_wake(store);
	switch (answer->outcome) {
	case KUBERNETES_OK:
		store->lease.absent = false;
		store->lease.unproven = false;
		store->store.state.renewed_ns = answer->sent_ns;
		kubernetes_watch_expect(&store->view.leases,
					kubernetes_object_revision(answer->root));
		return;
	case KUBERNETES_NOT_FOUND:
		/* Or its namespace is not there: then to create it is not found, either. */
		if (store->lease.absent)
			kubernetes_refused(store, answer);
		store->lease.absent = true;
		break;
	case KUBERNETES_EXISTS:
		store->lease.absent = false;
		break;
	default:
		kubernetes_refused(store, answer);
		break;
	}
	store->lease.next_ns = 0;
}

static void lease_work(struct kubernetes_store *store)
{
	uint64_t boot_ns = clock_boottime_ns(), wall_ns = clock_realtime_ns();
	char name[STORE_NAME_MAX + sizeof(KUBERNETES_LEASE_PREFIX)], path[512];
	struct kubernetes_request request = {.method = "POST", .path = store->leases_path};

	if (store->lease.call.http || boot_ns < store->lease.next_ns ||
	    !kubernetes_link_ready(store->link))
		return;
	store->lease.next_ns = boot_ns + store->store.state.renew_interval_ns;
	snprintf(name, sizeof(name), KUBERNETES_LEASE_PREFIX "%s", store->node);
	if (store->lease.absent) {
		request.body = kubernetes_encode_lease(name, store->node, store->lease_seconds, 0,
						       wall_ns);
	} else {
		snprintf(path, sizeof(path), "%s/%s", store->leases_path, name);
		request = (struct kubernetes_request){
			.method = "PATCH",
			.path = path,
			.patch = "merge-patch",
			.body = kubernetes_encode_renewal(store->node, store->lease_seconds,
							  wall_ns),
		};
	}
	kubernetes_link_call(store->link, &store->lease.call, &request);
}

/* ---- the row ---- */

static void on_row_written(void *context, const struct kubernetes_answer *answer)
{
	struct kubernetes_store *store = context;

	kubernetes_wake(store);
	switch (answer->outcome) {
	case KUBERNETES_OK:
		store->row.absent = false;
		store->row.unproven = false;
		store->row.revision = kubernetes_object_revision(answer->root);
		kubernetes_watch_expect(&store->view.nodes, store->row.revision);
		return;
	case KUBERNETES_NOT_FOUND:
		/* Or the kind is not known there. */
		if (store->row.absent)
			kubernetes_refused(store, answer);
		store->row.absent = true;
		break;
	case KUBERNETES_EXISTS:
		store->row.absent = false;
		break;
	default:
		kubernetes_refused(store, answer);
		break;
	}
	store->row.dirty = true;
}

static void row_work(struct kubernetes_store *store)
{
	struct kubernetes_request request = {.method = "POST", .path = store->nodes_path};
	char path[512];

	if (store->row.call.http || !store->row.dirty || !store->row.wanted ||
	    !store->store.state.renewed_ns || !kubernetes_link_ready(store->link))
		return;
	store->row.dirty = false;
	if (store->row.absent) {
		request.body = kubernetes_encode_node(store->node, store->row.wanted);
	} else {
		snprintf(path, sizeof(path), "%s/%s", store->nodes_path, store->node);
		request = (struct kubernetes_request){
			.method = "PATCH",
			.path = path,
			.patch = "json-patch",
			.body = kubernetes_encode_row(store->row.wanted),
		};
	}
	kubernetes_link_call(store->link, &store->row.call, &request);
}

static void put_row(struct store *head, const void *data, size_t size)
{
	struct kubernetes_store *store = of(head);
	json_t *row = NULL;

	if (size <= STORE_ROW_BYTES_MAX)
		row = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(row)) {
		log_error("row not published",
			  log_string("reason", "it is no JSON object, too long, or no memory"),
			  log_unsigned("bytes", size),
			  log_unsigned("bytes_max", STORE_ROW_BYTES_MAX));
		json_decref(row);
		return;
	}
	json_decref(store->row.wanted);
	store->row.wanted = row;
	store->row.dirty = true;
	kubernetes_wake(store);
}

/* ---- the whole ---- */

static bool is_actor(const struct kubernetes_store *store)
{
	const struct store_state *state = &store->store.state;

	/* When the lease may have ended, so may have the election, which hangs on it. */
	return store->actor.wanted && kubernetes_actor_is_mine(store) && state->renewed_ns &&
	       clock_boottime_ns() < state->renewed_ns + state->lease_ns;
}

static bool is_connected(const struct kubernetes_store *store)
{
	return store->store.state.renewed_ns && !store->lease.unproven && !store->row.unproven &&
	       kubernetes_view_is_live(store);
}

static void explain_state(const struct kubernetes_store *store, struct text *reason)
{
	const char *const words[] = {
		kubernetes_link_reason(store->link),
		store->view.leases.reason,
		store->view.nodes.reason,
		"the API server has not answered yet",
	};
	size_t i = 0;

	while (!*words[i])
		i++;
	text_printf(reason, "%s", words[i]);
}

static void update_state(struct kubernetes_store *store)
{
	struct store_state *state = &store->store.state, before = *state;
	struct text reason = TEXT(state->reason);

	state->connected = is_connected(store);
	state->actor = is_actor(store);
	state->actor_revision = state->actor ? store->actor.elected_revision : 0;
	(void)text_copy(state->actor_name, sizeof(state->actor_name), store->actor.name);
	state->reason[0] = '\0';
	if (state->connected)
		kubernetes_link_settled(store->link);
	else
		explain_state(store, &reason);
	store_tell_state(&store->store, &before, kubernetes_link_server(store->link),
			 store->actor.elected_revision);
}

static void arm_turn(struct kubernetes_store *store)
{
	const struct store_state *state = &store->store.state;
	uint64_t boot_due_ns = UINT64_MAX;

	if (!store->lease.call.http && kubernetes_link_ready(store->link))
		boot_due_ns = store->lease.next_ns;
	if (state->actor)
		boot_due_ns = clock_earlier(boot_due_ns, state->renewed_ns + state->lease_ns);
	store_turn_arm(&store->turn,
		       clock_earlier(kubernetes_view_due_ns(store), kubernetes_actor_due_ns(store)),
		       boot_due_ns);
}

static void on_turn(void *context, uint64_t now_ns, uint64_t late_ns)
{
	struct kubernetes_store *store = context;

	if (late_ns)
		kubernetes_view_forgive(store, late_ns);
	lease_work(store);
	row_work(store);
	kubernetes_view_work(store, now_ns);
	if (!store->closing)
		kubernetes_actor_work(store, now_ns);
	if (!store->closing)
		update_state(store);
	if (!store->closing)
		arm_turn(store);
}

void kubernetes_wake(struct kubernetes_store *store)
{
	if (!store->closing)
		store_turn_wake(&store->turn);
}

static void on_link_wake(void *context)
{
	struct kubernetes_store *store = context;
	uint64_t failures = kubernetes_link_failures(store->link);

	/* All is written again after a failure, which shows that writing works; and what comes back
	 * shows that the watches are up to date. */
	if (failures != store->failures) {
		store->lease.unproven = true;
		store->lease.next_ns = 0;
		store->row.unproven = store->row.dirty = !!store->row.wanted;
	}
	store->failures = failures;
	kubernetes_wake(store);
}

/* ---- opening and closing ---- */

static void on_closed(void *context)
{
	struct kubernetes_store *store = context;

	kubernetes_view_free(store);
	kubernetes_actor_free(store);
	json_decref(store->row.wanted);
	free(store);
}

static void close_store(struct store *head)
{
	struct kubernetes_store *store = of(head);
	char path[512];
	struct kubernetes_request release = {
		.method = "PATCH", .path = path, .patch = "merge-patch"};

	if (store->closing)
		return;
	store->closing = true;
	if (store->store.state.renewed_ns)
		release.body = kubernetes_encode_release(0);
	kubernetes_view_close(store);
	kubernetes_actor_close(store);
	kubernetes_call_cancel(&store->lease.call);
	kubernetes_call_cancel(&store->row.call);
	snprintf(path, sizeof(path), "%s/" KUBERNETES_LEASE_PREFIX "%s", store->leases_path,
		 store->node);
	kubernetes_link_close(store->link, release.body ? &release : NULL);
	store_turn_close(&store->turn);
}

static void campaign(struct store *head, bool wanted)
{
	of(head)->actor.wanted = wanted;
	kubernetes_wake(of(head));
}

static void set_times(struct kubernetes_store *store, unsigned int clients)
{
	uint64_t interval_ms = store->renew_interval_ms ?: KUBERNETES_RENEW_INTERVAL_MS_DEFAULT;
	uint64_t share_ms = clients * (uint64_t)RENEWAL_SHARE_MS;
	uint64_t least_s;

	if (share_ms > RENEWAL_MS_MAX)
		share_ms = RENEWAL_MS_MAX;
	if (interval_ms < share_ms)
		interval_ms = share_ms;
	least_s = (interval_ms * LEASE_RENEWALS + 999) / 1000;
	store->lease_seconds = store->lease_seconds_wanted ?: KUBERNETES_LEASE_S_DEFAULT;
	if (store->lease_seconds < least_s)
		store->lease_seconds = (unsigned int)least_s;
	store->store.state.renew_interval_ns = interval_ms * NS_PER_MS;
	store->store.state.lease_ns = store->lease_seconds * NS_PER_S;
}

static bool tell_again(struct store *head, unsigned int clients)
{
	set_times(of(head), clients);
	of(head)->view.tells_again = true;
	kubernetes_wake(of(head));
	return true;
}

static const struct store_operations operations = {
	.put_row = put_row,
	.campaign = campaign,
	.depose = kubernetes_actor_depose,
	.commit = kubernetes_actor_commit,
	.tell_again = tell_again,
	.close = close_store,
};

const char *kubernetes_server(struct store *store)
{
	return store->operations == &operations ? kubernetes_link_server(of(store)->link) : "";
}

/* As of DNS (RFC 1123), which the names of all objects are. */
static bool is_object_name(const char *name)
{
	size_t length = strlen(name);

	return length && length < STORE_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length &&
	       !strchr(".-", name[0]) && !strchr(".-", name[length - 1]);
}

int store_open_kubernetes(struct store **ret_store, struct uv_loop_s *loop, const char *node,
			  const struct kubernetes_settings *settings,
			  const struct store_handlers *handlers, struct text *error)
{
	struct kubernetes_store *store = NULL;
	int err = -EINVAL;

	if (!is_object_name(node)) {
		text_printf(error,
			    "node '%.64s' cannot be an object's name, expected up to %u lower-case "
			    "letters, digits, '-' and '.'",
			    node, STORE_NAME_MAX - 1);
		goto failed;
	}
	err = -EIO;
	if (sodium_init() < 0) {
		text_printf(error, "libsodium cannot be initialised: no source of random numbers");
		goto failed;
	}
	store = calloc(1, sizeof(*store));
	err = store ? 0 : -ENOMEM;
	if (!err)
		err = kubernetes_link_open(&store->link, loop, settings->kubeconfig ?: "",
					   REQUEST_LIMIT_MS, store, on_link_wake, error);
	else
		text_printf(error, "no memory for the store");
	if (err)
		goto failed;
	store->store.operations = &operations;
	store->store.handlers = *handlers;
	(void)text_copy(store->node, sizeof(store->node), node);
	snprintf(store->leases_path, sizeof(store->leases_path),
		 "/apis/coordination.k8s.io/v1/namespaces/%s/leases",
		 kubernetes_link_namespace(store->link));
	snprintf(store->nodes_path, sizeof(store->nodes_path),
		 "/apis/tocsin.dev/v1/namespaces/%s/tocsinnodes",
		 kubernetes_link_namespace(store->link));
	store->renew_interval_ms = settings->renew_interval_ms;
	store->lease_seconds_wanted = settings->lease_seconds;
	set_times(store, settings->clients);
	store->lease.call.context = store;
	store->lease.call.answered = on_lease_written;
	store->row.call.context = store;
	store->row.call.answered = on_row_written;
	kubernetes_view_open(store);
	kubernetes_actor_open(store);
	store_turn_open(&store->turn, loop, store, on_turn, on_closed);
	kubernetes_wake(store);
	*ret_store = &store->store;
	return 0;

failed:
	free(store);
	return err;
}
