// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The election of the actor, and what only the actor may write: both in one Lease, each write of
 * which holds only at the revision that its writer has read. So a commit of one who is not the
 * actor any more is refused, whatever he believes.
 *
 * That Lease is not renewed. Its holder is the actor while his own node's lease is alive; whoever
 * sees that one end, or no holder, tries to become it.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cluster/kubernetes_store.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Those who see the actor gone at the same time do not all come at the same time. */
#define JITTER_MAX_MS 20
#define COMMITS_MAX   256
/* A commit that could not be made by then is not made any more. */
#define COMMIT_LIMIT_NS (3 * NS_PER_S)

struct kubernetes_commit {
	LIST_ENTRY(kubernetes_commit) list;
	char node[STORE_NAME_MAX];
	uint64_t expected_revision, actor_revision;
	uint64_t limit_ns; /* CLOCK_MONOTONIC */
	json_t *record;	   /* NULL: it is deleted */
	bool sent;
};

bool kubernetes_actor_is_mine(const struct kubernetes_store *store)
{
	return store->actor.present && store->actor.elected &&
	       store->actor.transitions == store->actor.elected_transitions &&
	       !strcmp(store->actor.name, store->node);
}

/* ---- what is told ---- */

static uint64_t revision_of(const json_t *isolation)
{
	json_int_t revision = json_integer_value(json_object_get(isolation, "revision"));

	return revision > 0 ? (uint64_t)revision : 0;
}

static void tell_isolation(struct kubernetes_store *store, const char *node, const json_t *before,
			   const json_t *isolation)
{
	const struct store_handlers *handlers = &store->store.handlers;
	const json_t *record = json_object_get(isolation, "record");
	char *data;

	if (revision_of(before) == revision_of(isolation))
		return;
	if (!isolation) {
		handlers->isolation(handlers->context, node, NULL, 0, store->actor.revision);
		return;
	}
	data = json_dumps(record, JSON_COMPACT | JSON_ENCODE_ANY);
	if (data && strlen(data) <= STORE_RECORD_BYTES_MAX && strlen(node) < STORE_NAME_MAX)
		handlers->isolation(handlers->context, node, data, strlen(data),
				    revision_of(isolation));
	else
		log_warning("isolation record ignored", log_string("node", node),
			    log_string("reason", "it is too long, no record, or no memory"));
	free(data);
}

/* Takes what stands in the lease now, and tells what is different. */
static void take_isolations(struct kubernetes_store *store, json_t *isolations)
{
	json_t *before = store->actor.isolations, *isolation;
	const char *node;

	store->actor.isolations = isolations;
	if (store->view.told_all) {
		json_object_foreach(isolations, node, isolation)
		{
			if (store->closing)
				break;
			tell_isolation(store, node, json_object_get(before, node), isolation);
		}
		json_object_foreach(before, node, isolation)
		{
			if (store->closing)
				break;
			if (!json_object_get(isolations, node))
				tell_isolation(store, node, isolation, NULL);
		}
	}
	json_decref(before);
}

void kubernetes_actor_tell_all(struct kubernetes_store *store)
{
	json_t *isolation;
	const char *node;

	json_object_foreach(store->actor.isolations, node, isolation)
	{
		if (store->closing)
			return;
		tell_isolation(store, node, NULL, isolation);
	}
}

static void wait_a_little(struct kubernetes_store *store)
{
	store->actor.try_ns =
		clock_monotonic_ns() + randombytes_uniform(JITTER_MAX_MS + 1) * NS_PER_MS;
}

void kubernetes_actor_told(struct kubernetes_store *store, const json_t *lease, bool deleted)
{
	uint64_t revision = kubernetes_object_revision(lease);
	struct kubernetes_lease spec = {0};
	json_t *isolations;

	store->actor.seen = true;
	/* Answers and the watch overtake each other. */
	if (store->actor.known && revision <= store->actor.revision)
		return;
	if (!deleted)
		kubernetes_decode_lease(lease, &spec);
	if (store->actor.present && (deleted || !*spec.holder))
		wait_a_little(store);
	store->actor.known = true;
	store->actor.reread = false;
	store->actor.present = !deleted;
	store->actor.revision = revision;
	store->actor.transitions = spec.transitions;
	memcpy(store->actor.name, spec.holder, sizeof(store->actor.name));
	isolations = deleted ? json_object() : kubernetes_decode_isolations(lease);
	if (isolations)
		take_isolations(store, isolations);
	kubernetes_wake(store);
}

void kubernetes_actor_begin(struct kubernetes_store *store)
{
	const struct kubernetes_watch *leases = &store->view.leases;

	store->actor.seen = false;
	/* Older than what was known before it was asked for: the server's own store was restored
	 * from the past, and revisions begin anew from there. */
	if (leases->newest < store->actor.revision &&
	    store->actor.answered_ns < leases->call.sent_ns)
		store->actor.known = false;
}

void kubernetes_actor_synced(struct kubernetes_store *store)
{
	json_t *none = store->actor.seen ? NULL : json_object();

	store->actor.known = true;
	if (!none)
		return;
	store->actor.present = false;
	store->actor.name[0] = '\0';
	take_isolations(store, none);
}

/* ---- the election ---- */

/* Somebody else has written it: what it is now decides. */
static void on_read(void *context, const struct kubernetes_answer *answer)
{
	struct kubernetes_store *store = context;

	if (answer->outcome == KUBERNETES_OK) {
		kubernetes_actor_told(store, answer->root, false);
		/* Also when the watch was faster. */
		store->actor.reread = false;
	} else if (answer->outcome == KUBERNETES_NOT_FOUND) {
		store->actor.present = false;
		store->actor.reread = false;
		store->actor.name[0] = '\0';
	} else {
		kubernetes_refused(store, answer);
	}
	kubernetes_wake(store);
}

/* A write is over: of the election, or of its end. */
static void on_written(void *context, const struct kubernetes_answer *answer)
{
	struct kubernetes_store *store = context;

	store->actor.answered_ns = clock_boottime_ns();
	store->actor.deposing = false;
	if (answer->outcome == KUBERNETES_OK)
		kubernetes_actor_told(store, answer->root, false);
	else
		store->actor.reread = true;
	kubernetes_wake(store);
}

static void on_campaigned(void *context, const struct kubernetes_answer *answer)
{
	struct kubernetes_store *store = context;
	struct kubernetes_lease lease;

	if (answer->outcome == KUBERNETES_OK) {
		kubernetes_decode_lease(answer->root, &lease);
		store->actor.elected = true;
		store->actor.elected_transitions = lease.transitions;
		store->actor.elected_revision = kubernetes_object_revision(answer->root);
	}
	on_written(context, answer);
}

static void on_deposed(void *context, const struct kubernetes_answer *answer)
{
	struct kubernetes_store *store = context;

	if (answer->outcome == KUBERNETES_OK)
		log_info("the actor is deposed", log_string("node", store->actor.name));
	on_written(context, answer);
}

static void patch_actor(struct kubernetes_store *store, json_t *body,
			void (*answered)(void *context, const struct kubernetes_answer *answer))
{
	char path[512];
	const struct kubernetes_request request = {
		.method = "PATCH",
		.path = path,
		.patch = "merge-patch",
		.body = body,
	};

	snprintf(path, sizeof(path), "%s/" KUBERNETES_ACTOR_LEASE, store->leases_path);
	store->actor.call.answered = answered;
	kubernetes_link_call(store->link, &store->actor.call, &request);
}

static void read_actor(struct kubernetes_store *store)
{
	char path[512];
	const struct kubernetes_request request = {.method = "GET", .path = path};

	snprintf(path, sizeof(path), "%s/" KUBERNETES_ACTOR_LEASE, store->leases_path);
	store->actor.call.answered = on_read;
	kubernetes_link_call(store->link, &store->actor.call, &request);
}

static void run_for_actor(struct kubernetes_store *store)
{
	uint64_t wall_ns = clock_realtime_ns();
	struct kubernetes_request create = {.method = "POST", .path = store->leases_path};

	if (store->actor.present) {
		patch_actor(store,
			    kubernetes_encode_election(store->actor.revision, store->node,
						       store->lease_seconds,
						       store->actor.transitions + 1, wall_ns),
			    on_campaigned);
		return;
	}
	create.body = kubernetes_encode_lease(KUBERNETES_ACTOR_LEASE, store->node,
					      store->lease_seconds, 0, wall_ns);
	store->actor.call.answered = on_campaigned;
	kubernetes_link_call(store->link, &store->actor.call, &create);
}

static bool has_actor(const struct kubernetes_store *store)
{
	if (!store->actor.present || !*store->actor.name)
		return false;
	/* An earlier process of this node's. */
	if (!strcmp(store->actor.name, store->node))
		return kubernetes_actor_is_mine(store);
	return kubernetes_view_is_alive(store, store->actor.name);
}

static bool wants_election(const struct kubernetes_store *store)
{
	const struct store_state *state = &store->store.state;

	return store->actor.wanted && store->actor.known && store->view.told_all &&
	       kubernetes_view_is_live(store) && state->renewed_ns &&
	       clock_boottime_ns() < state->renewed_ns + state->lease_ns && !has_actor(store);
}

/* Somebody else's election is to end. */
static bool wants_end(const struct kubernetes_store *store)
{
	return store->actor.present && *store->actor.name && store->actor.deposed_transitions &&
	       store->actor.deposed_transitions == store->actor.transitions + 1 &&
	       !kubernetes_actor_is_mine(store);
}

void kubernetes_actor_depose(struct store *head)
{
	struct kubernetes_store *store = (struct kubernetes_store *)head;

	if (!store->actor.present)
		return;
	store->actor.deposed_transitions = store->actor.transitions + 1;
	kubernetes_wake(store);
}

/* ---- commits ---- */

static void end_commit(struct kubernetes_store *store, struct kubernetes_commit *commit,
		       enum store_commit_result result)
{
	const struct store_handlers *handlers = &store->store.handlers;

	LIST_REMOVE(commit, list);
	store->commit_count--;
	handlers->committed(handlers->context, commit->node, result);
	json_decref(commit->record);
	free(commit);
}

/* Ends all that were sent, or all. */
static void end_commits(struct kubernetes_store *store, bool sent_only,
			enum store_commit_result result)
{
	struct kubernetes_commit *commit, *next;

	for (commit = LIST_FIRST(&store->commits); commit && !store->closing; commit = next) {
		next = LIST_NEXT(commit, list);
		if (commit->sent || !sent_only)
			end_commit(store, commit, result);
	}
}

static void on_committed(void *context, const struct kubernetes_answer *answer)
{
	struct kubernetes_store *store = context;
	struct kubernetes_commit *commit;

	store->actor.answered_ns = clock_boottime_ns();
	switch (answer->outcome) {
	case KUBERNETES_OK:
		kubernetes_actor_told(store, answer->root, false);
		end_commits(store, true, STORE_COMMITTED);
		break;
	case KUBERNETES_CONFLICT:
		/* What it is now tells whether they are tried again. */
		LIST_FOREACH(commit, &store->commits, list)
		commit->sent = false;
		store->actor.reread = true;
		break;
	default:
		store->actor.reread = true;
		end_commits(store, true, STORE_UNKNOWN);
		break;
	}
	kubernetes_wake(store);
}

/* The records as they are to be, with all commits that hold in them; the others end here. NULL when
 * there is nothing to write, or no memory. */
static json_t *merge_commits(struct kubernetes_store *store)
{
	json_t *isolations = json_copy(store->actor.isolations);
	struct kubernetes_commit *commit, *next;
	unsigned int merged = 0;

	for (commit = LIST_FIRST(&store->commits); commit && !store->closing; commit = next) {
		const json_t *known = json_object_get(store->actor.isolations, commit->node);
		int err = 0;

		next = LIST_NEXT(commit, list);
		if (commit->actor_revision != store->actor.elected_revision) {
			end_commit(store, commit, STORE_FENCED);
			continue;
		}
		if (revision_of(known) != commit->expected_revision ||
		    (!known && !commit->record)) {
			end_commit(store, commit, STORE_CONFLICT);
			continue;
		}
		/* A revision of this lease leads to one write at the most: its number is new. */
		if (commit->record)
			err = json_object_set_new(isolations, commit->node,
						  json_pack("{sI sO}", "revision",
							    (json_int_t)store->actor.revision,
							    "record", commit->record));
		else
			(void)json_object_del(isolations, commit->node);
		if (err)
			continue;
		commit->sent = true;
		merged++;
	}
	if (merged && !store->closing)
		return isolations;
	json_decref(isolations);
	return NULL;
}

static void commit_work(struct kubernetes_store *store)
{
	json_t *isolations;

	if (LIST_EMPTY(&store->commits))
		return;
	if (!kubernetes_actor_is_mine(store)) {
		end_commits(store, false, STORE_FENCED);
		return;
	}
	isolations = merge_commits(store);
	if (!isolations)
		return;
	patch_actor(store, kubernetes_encode_isolations(store->actor.revision, isolations),
		    on_committed);
	json_decref(isolations);
}

static void expire_commits(struct kubernetes_store *store, uint64_t now_ns)
{
	struct kubernetes_commit *commit, *next;

	for (commit = LIST_FIRST(&store->commits); commit && !store->closing; commit = next) {
		next = LIST_NEXT(commit, list);
		if (!commit->sent && now_ns >= commit->limit_ns)
			end_commit(store, commit, STORE_UNKNOWN);
	}
}

static size_t length_of(const json_t *value)
{
	return value ? json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) : 0;
}

static struct kubernetes_commit *find_commit(const struct kubernetes_store *store, const char *node)
{
	struct kubernetes_commit *commit;

	LIST_FOREACH(commit, &store->commits, list)
	if (!strcmp(commit->node, node))
		return commit;
	return NULL;
}

int kubernetes_actor_commit(struct store *head, const char *node, const void *data, size_t size,
			    uint64_t expected_revision)
{
	struct kubernetes_store *store = (struct kubernetes_store *)head;
	struct kubernetes_commit *commit = NULL;
	json_t *record = NULL;
	int err = -EINVAL;

	if (data && size <= STORE_RECORD_BYTES_MAX)
		record = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
	if (!*node || strlen(node) >= STORE_NAME_MAX || (data && !record))
		goto failed;
	err = -EPERM;
	if (!head->state.actor)
		goto failed;
	err = -EBUSY;
	if (find_commit(store, node) || store->commit_count >= COMMITS_MAX)
		goto failed;
	err = -ENOSPC;
	if (record && length_of(store->actor.isolations) + 2 * (size + STORE_NAME_MAX) >
			      KUBERNETES_ISOLATIONS_MAX)
		goto failed;
	err = -ENOMEM;
	commit = calloc(1, sizeof(*commit));
	if (!commit)
		goto failed;
	(void)text_copy(commit->node, sizeof(commit->node), node);
	commit->expected_revision = expected_revision;
	commit->actor_revision = head->state.actor_revision;
	commit->limit_ns = clock_monotonic_ns() + COMMIT_LIMIT_NS;
	commit->record = record;
	LIST_INSERT_HEAD(&store->commits, commit, list);
	store->commit_count++;
	kubernetes_wake(store);
	return 0;

failed:
	json_decref(record);
	return err;
}

/* ---- both ---- */

void kubernetes_actor_work(struct kubernetes_store *store, uint64_t now_ns)
{
	expire_commits(store, now_ns);
	if (store->closing || store->actor.call.http || !kubernetes_link_ready(store->link))
		return;
	if (store->actor.reread)
		read_actor(store);
	else if (wants_election(store) && now_ns >= store->actor.try_ns)
		run_for_actor(store);
	else if (wants_end(store) && !store->actor.deposing) {
		store->actor.deposing = true;
		patch_actor(store, kubernetes_encode_release(store->actor.revision), on_deposed);
	} else if (!store->actor.wanted && kubernetes_actor_is_mine(store))
		patch_actor(store, kubernetes_encode_release(store->actor.revision), on_written);
	else
		commit_work(store);
}

uint64_t kubernetes_actor_due_ns(const struct kubernetes_store *store)
{
	uint64_t due_ns = UINT64_MAX;
	const struct kubernetes_commit *commit;

	if (!store->actor.call.http && kubernetes_link_ready(store->link) && wants_election(store))
		due_ns = store->actor.try_ns;
	LIST_FOREACH(commit, &store->commits, list)
	if (!commit->sent && commit->limit_ns < due_ns)
		due_ns = commit->limit_ns;
	return due_ns;
}

void kubernetes_actor_open(struct kubernetes_store *store)
{
	LIST_INIT(&store->commits);
	store->actor.call.context = store;
}

void kubernetes_actor_close(struct kubernetes_store *store)
{
	kubernetes_call_cancel(&store->actor.call);
}

void kubernetes_actor_free(struct kubernetes_store *store)
{
	struct kubernetes_commit *commit;

	while ((commit = LIST_FIRST(&store->commits))) {
		LIST_REMOVE(commit, list);
		json_decref(commit->record);
		free(commit);
	}
	json_decref(store->actor.isolations);
}
