// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The election of the actor, and what only the actor may write. The actor is whoever has created
 * the key; it goes with its creator's lease, and whoever sees it gone tries to create it.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cluster/etcd_store.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Those who see the key gone at the same time do not all come at the same time. */
#define JITTER_MAX_MS 10
#define COMMITS_MAX   256
#define IN_FLIGHT_MAX 4

struct commit {
	LIST_ENTRY(commit) list;
	struct etcd_store *store;
	struct etcd_call call;
	char node[STORE_NAME_MAX];
	uint64_t expected_revision, actor_revision;
	uint64_t limit_ns; /* CLOCK_MONOTONIC: not to be sent after that */
	bool delete;
	size_t size;
	uint8_t data[];
};

static bool is_mine(const struct etcd_store *store)
{
	return store->actor.present && store->lease.id && store->actor.lease == store->lease.id;
}

/* The election */

/* Who it is. A value that can be nobody's name was not written by an agent. */
static void take_name(struct etcd_store *store, const struct etcd_pair *pair)
{
	size_t bytes = pair->value_bytes;

	if (pair->value_too_long || bytes >= sizeof(store->actor.name) ||
	    memchr(pair->value, '\0', bytes))
		bytes = 0;
	memcpy(store->actor.name, pair->value, bytes);
	store->actor.name[bytes] = '\0';
}

void etcd_actor_told(struct etcd_store *store, bool deleted, const struct etcd_pair *pair)
{
	store->actor.seen = true;
	/* Answers and the watch overtake each other. */
	if (pair->mod_revision < store->actor.mod_revision && store->view.synced)
		return;
	store->actor.mod_revision = pair->mod_revision;
	store->actor.present = !deleted;
	if (deleted) {
		store->actor.try_ns =
			clock_monotonic_ns() + randombytes_uniform(JITTER_MAX_MS + 1) * NS_PER_MS;
	} else {
		store->actor.create_revision = pair->create_revision;
		store->actor.lease = pair->lease;
		take_name(store, pair);
	}
	etcd_wake(store);
}

static void on_campaigned(void *context, const struct etcd_answer *answer)
{
	struct etcd_store *store = context;
	struct etcd_transaction transaction;
	struct etcd_pair pair = {.lease = store->lease.id};
	int err;

	etcd_wake(store);
	if (answer->error == ETCD_LEASE_GONE)
		etcd_lease_gone(store);
	if (answer->error)
		return;
	err = etcd_decode_transaction(answer->root, &transaction);
	if (!err && transaction.succeeded) {
		pair.create_revision = transaction.revision;
		pair.mod_revision = transaction.revision;
		pair.value_bytes = strlen(store->node);
		memcpy(pair.value, store->node, pair.value_bytes);
	} else if (!err) {
		err = etcd_decode_found(&transaction, 0, &pair);
	}
	if (err)
		etcd_link_fail(store->link, ETCD_GARBAGE, "no outcome of the election");
	else
		etcd_actor_told(store, false, &pair);
}

static void on_resigned(void *context, const struct etcd_answer *answer)
{
	struct etcd_store *store = context;

	/* The watch tells the rest. */
	if (answer->error == ETCD_OK)
		store->actor.lease = 0;
	etcd_wake(store);
}

static void on_deposed(void *context, const struct etcd_answer *answer)
{
	struct etcd_store *store = context;

	/* When it is refused, there is another one already; the watch tells. */
	if (answer->error == ETCD_OK)
		log_info("the actor is deposed", log_string("node", store->actor.name));
	else
		store->actor.deposed_revision = 0;
	etcd_wake(store);
}

/* Somebody else's election is to end. */
static bool wants_end(const struct etcd_store *store)
{
	return store->actor.present && store->actor.deposed_revision &&
	       store->actor.deposed_revision == store->actor.create_revision && !is_mine(store) &&
	       !store->actor.deposing && !store->actor.call.http;
}

void etcd_actor_depose(struct store *head)
{
	struct etcd_store *store = (struct etcd_store *)head;

	if (!store->actor.present || store->actor.deposed_revision == store->actor.create_revision)
		return;
	store->actor.deposed_revision = store->actor.create_revision;
	store->actor.deposing = false;
	etcd_wake(store);
}

static bool wants_election(const struct etcd_store *store)
{
	return store->actor.wanted && !store->actor.present && store->lease.id &&
	       store->view.synced && !store->actor.call.http;
}

static void election_work(struct etcd_store *store, uint64_t now_ns)
{
	struct etcd_key key = etcd_key(store, ETCD_ACTOR, "");
	const struct etcd_bytes node = {store->node, strlen(store->node)};

	if (wants_election(store) && now_ns >= store->actor.try_ns) {
		store->actor.call.answered = on_campaigned;
		etcd_link_call(store->link, &store->actor.call, "/v3/kv/txn",
			       etcd_encode_create(key.text, node, store->lease.id),
			       ETCD_PATIENCE_WORK);
	} else if (wants_end(store)) {
		store->actor.deposing = true;
		store->actor.call.answered = on_deposed;
		etcd_link_call(store->link, &store->actor.call, "/v3/kv/txn",
			       etcd_encode_remove(key.text, store->actor.deposed_revision),
			       ETCD_PATIENCE_WORK);
	} else if (!store->actor.wanted && is_mine(store)) {
		store->actor.call.answered = on_resigned;
		etcd_link_call(store->link, &store->actor.call, "/v3/kv/txn",
			       etcd_encode_remove(key.text, store->actor.create_revision),
			       ETCD_PATIENCE_WORK);
	}
}

/* Commits */

static void end_commit(struct commit *commit, enum store_commit_result result)
{
	struct etcd_store *store = commit->store;
	const struct store_handlers *handlers = &store->store.handlers;

	etcd_link_cancel(store->link, &commit->call);
	LIST_REMOVE(commit, list);
	store->commit_count--;
	handlers->committed(handlers->context, commit->node, result);
	free(commit);
}

/* Why the transaction was refused. */
static enum store_commit_result refusal(const struct commit *commit,
					const struct etcd_transaction *transaction)
{
	struct etcd_pair actor;
	int err = etcd_decode_found(transaction, 0, &actor);

	if (err == -ENOENT || (!err && actor.create_revision != commit->actor_revision))
		return STORE_FENCED;
	return err ? STORE_UNKNOWN : STORE_CONFLICT;
}

static void on_committed(void *context, const struct etcd_answer *answer)
{
	struct commit *commit = context;
	struct etcd_store *store = commit->store;
	struct etcd_transaction transaction;

	etcd_wake(store);
	if (answer->error == ETCD_TOKEN)
		return;
	if (answer->error || etcd_decode_transaction(answer->root, &transaction)) {
		end_commit(commit, STORE_UNKNOWN);
	} else if (!transaction.succeeded) {
		end_commit(commit, refusal(commit, &transaction));
	} else {
		if (!commit->delete)
			etcd_view_expect(store, transaction.revision);
		end_commit(commit, STORE_COMMITTED);
	}
}

static void send_commit(struct commit *commit)
{
	struct etcd_store *store = commit->store;
	const struct etcd_bytes value = {commit->data, commit->size};
	struct etcd_key actor = etcd_key(store, ETCD_ACTOR, "");
	struct etcd_key key = etcd_key(store, ETCD_ISOLATIONS, commit->node);
	const struct etcd_commit request = {
		.guard_key = actor.text,
		.guard_revision = commit->actor_revision,
		.key = key.text,
		.expected_revision = commit->expected_revision,
		.value = commit->delete ? NULL : &value,
	};

	etcd_link_call(store->link, &commit->call, "/v3/kv/txn", etcd_encode_commit(&request),
		       ETCD_PATIENCE_WORK);
}

static void commits_work(struct etcd_store *store)
{
	unsigned int in_flight = 0;
	struct commit *commit;

	LIST_FOREACH(commit, &store->commits, list)
	in_flight += !!commit->call.http;
	LIST_FOREACH(commit, &store->commits, list)
	{
		if (in_flight >= IN_FLIGHT_MAX)
			break;
		if (commit->call.http)
			continue;
		send_commit(commit);
		/* Then this commit may be no more. */
		if (!etcd_link_ready(store->link))
			break;
		in_flight++;
	}
}

/* Those that found no endpoint in time. */
static void expire_commits(struct etcd_store *store, uint64_t now_ns)
{
	struct commit *commit, *next;

	for (commit = LIST_FIRST(&store->commits); commit && !store->closing; commit = next) {
		next = LIST_NEXT(commit, list);
		if (!commit->call.http && now_ns >= commit->limit_ns)
			end_commit(commit, STORE_UNKNOWN);
	}
}

static struct commit *find_commit(const struct etcd_store *store, const char *node)
{
	struct commit *commit;

	LIST_FOREACH(commit, &store->commits, list)
	if (!strcmp(commit->node, node))
		return commit;
	return NULL;
}

int etcd_actor_commit(struct store *head, const char *node, const void *data, size_t size,
		      uint64_t expected_revision)
{
	struct etcd_store *store = (struct etcd_store *)head;
	struct commit *commit;

	if (!*node || strchr(node, '/') || strlen(node) >= STORE_NAME_MAX ||
	    size > STORE_RECORD_BYTES_MAX)
		return -EINVAL;
	if (!head->state.actor)
		return -EPERM;
	if (find_commit(store, node) || store->commit_count >= COMMITS_MAX)
		return -EBUSY;
	commit = calloc(1, sizeof(*commit) + (data ? size : 0));
	if (!commit)
		return -ENOMEM;
	commit->store = store;
	commit->call.context = commit;
	commit->call.answered = on_committed;
	snprintf(commit->node, sizeof(commit->node), "%s", node);
	commit->expected_revision = expected_revision;
	commit->actor_revision = head->state.actor_revision;
	commit->limit_ns = clock_monotonic_ns() +
			   etcd_link_limit_ms(store->link, ETCD_PATIENCE_WORK) * NS_PER_MS;
	commit->delete = !data;
	if (data) {
		commit->size = size;
		memcpy(commit->data, data, size);
	}
	LIST_INSERT_HEAD(&store->commits, commit, list);
	store->commit_count++;
	etcd_wake(store);
	return 0;
}

/* Both */

void etcd_actor_work(struct etcd_store *store, uint64_t now_ns)
{
	expire_commits(store, now_ns);
	if (store->closing || !etcd_link_ready(store->link))
		return;
	election_work(store, now_ns);
	commits_work(store);
}

uint64_t etcd_actor_due_ns(const struct etcd_store *store)
{
	uint64_t due_ns = UINT64_MAX;
	const struct commit *commit;

	if (wants_election(store) && etcd_link_ready(store->link))
		due_ns = store->actor.try_ns;
	LIST_FOREACH(commit, &store->commits, list)
	if (!commit->call.http && commit->limit_ns < due_ns)
		due_ns = commit->limit_ns;
	return due_ns;
}

/* What was under way may have been done. */
void etcd_actor_failed(struct etcd_store *store)
{
	struct commit *commit, *next;

	store->actor.deposing = false;
	for (commit = LIST_FIRST(&store->commits); commit && !store->closing; commit = next) {
		next = LIST_NEXT(commit, list);
		if (commit->call.sent_ns)
			end_commit(commit, STORE_UNKNOWN);
	}
}

void etcd_actor_open(struct etcd_store *store)
{
	LIST_INIT(&store->commits);
	store->actor.call.context = store;
}

void etcd_actor_close(struct etcd_store *store)
{
	struct commit *commit;

	while ((commit = LIST_FIRST(&store->commits))) {
		etcd_link_cancel(store->link, &commit->call);
		LIST_REMOVE(commit, list);
		free(commit);
	}
}
