/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_STORE_H
#define TOCSIN_CLUSTER_STORE_H

/*
 * What the agents of a cluster share: each node's row under that node's lease, one actor, and the
 * records of isolated nodes. Agreement and leases are the store's (etcd, Kubernetes); the local
 * store serves a single node. All calls return at once; what happens is told through the handlers,
 * from the agent's loop. Whatever the store does (down, slow, refusing, garbage in a key), these
 * calls neither fail nor block: the state says what is wrong, and it is tried again.
 *
 * Times are CLOCK_BOOTTIME ns, so that time asleep counts for a lease.
 */

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct uv_loop_s;

#define STORE_ROW_BYTES_MAX    4096
#define STORE_RECORD_BYTES_MAX 4096
#define STORE_NAME_MAX	       64 /* of a node, NUL included */

struct store_state {
	bool connected; /* the last exchange went well, and the watch is up to date */
	/* When the renewal that was answered last was sent; 0: this node holds no lease. A lease is
	 * good for lease_ns from then on, at the least. */
	uint64_t renewed_ns;
	uint64_t lease_ns;
	/* It is renewed so often while all is well. */
	uint64_t renew_interval_ns;
	/* This node holds the election: campaigning, and only while its lease is good. */
	bool actor;
	uint64_t actor_revision; /* fences what the actor writes: grows with each election */
	/* Whoever holds the election, as the store has it; "" when nobody does. */
	char actor_name[STORE_NAME_MAX];
	bool paused;	  /* a person has paused all acting by what is in the store */
	char reason[256]; /* why not connected; "" when it is */
};

enum store_commit_result {
	STORE_COMMITTED,
	STORE_CONFLICT, /* the record is not the one at 'expected_revision' any more */
	STORE_FENCED,	/* this node is not the actor (any more) */
	STORE_UNKNOWN,	/* not answered: it may have been written, and the watch will tell */
};

/* 'data' is only valid during the call, is not NUL-terminated and may be anything. */
struct store_handlers {
	void *context;
	/* A node's row was written (data), or its lease ended (NULL). This node's own is told, too:
	 * what is told back has been written. 'revision' grows with each change of the store. */
	void (*row)(void *context, const char *node, const void *data, size_t size_bytes,
		    uint64_t revision);
	/* A node's isolation record was written, or deleted (NULL). 'revision' is what
	 * store_commit() expects. */
	void (*isolation)(void *context, const char *node, const void *data, size_t size_bytes,
			  uint64_t revision);
	/* What was told before is void: all there is follows, then 'synced'. At the start, and
	 * after the watch had a gap. */
	void (*reset)(void *context);
	void (*synced)(void *context);
	/* Connected or not, actor or not, who it is: told on each change. */
	void (*changed)(void *context, const struct store_state *state);
	/* The answer to store_commit(), exactly one for each call. */
	void (*committed)(void *context, const char *node, enum store_commit_result result);
};

/* What a kind of store must do; see the functions of the same names. */
struct store_operations {
	void (*put_row)(struct store *store, const void *data, size_t size_bytes);
	void (*campaign)(struct store *store, bool wanted);
	void (*depose)(struct store *store);
	int (*commit)(struct store *store, const char *node, const void *data, size_t size_bytes,
		      uint64_t expected_revision);
	bool (*tell_again)(struct store *store, unsigned int clients); /* NULL: cannot */
	void (*close)(struct store *store);
};

/* The head of each kind's own struct. */
struct store {
	const struct store_operations *operations;
	struct store_handlers handlers;
	struct store_state state;
};

/*
 * For kinds of store: logs what has changed in store->state since 'before', and tells the handler
 * if it is anything that it is told. 'election_revision' is of the last election that this node
 * won.
 */
void store_tell_state(struct store *store, const struct store_state *before, const char *endpoint,
		      uint64_t election_revision);

/* The store of a single node: always connected, always the actor, nothing leaves the process. */
int store_open_local(struct store **ret_store, struct uv_loop_s *loop, const char *node,
		     const struct store_handlers *handlers);

/*
 * Publishes this node's row, at most STORE_ROW_BYTES_MAX bytes; of several calls in a row the last
 * wins. Kept alive by this node's lease, and written again by itself when a new lease is needed.
 */
static inline void store_put_row(struct store *store, const void *data, size_t size_bytes)
{
	store->operations->put_row(store, data, size_bytes);
}

/* Takes part in the election of the actor, or withdraws (and resigns). */
static inline void store_campaign(struct store *store, bool wanted)
{
	store->operations->campaign(store, wanted);
}

/*
 * Ends the election of the present actor, if it is still the one of this revision when the store
 * comes to it; then there is another election at once. For when the actor is known to be cut off:
 * else all would wait for its lease to end. What it commits after that is fenced.
 */
static inline void store_depose(struct store *store)
{
	store->operations->depose(store);
}

/*
 * Writes (data) or deletes (NULL) the isolation record of a node, in one transaction that holds
 * only while this node is the actor of state.actor_revision and the record is at
 * expected_revision (0: there is none). Returns 0, and the answer comes later; -EBUSY while
 * another commit of the same node is under way, or too many are; -EPERM when this node is not the
 * actor; -EINVAL for a name or data that cannot be a record; -ENOMEM. Whether the answer or
 * the handler of what was written comes first is not said.
 */
static inline int store_commit(struct store *store, const char *node, const void *data,
			       size_t size_bytes, uint64_t expected_revision)
{
	return store->operations->commit(store, node, data, size_bytes, expected_revision);
}

/*
 * Other nodes than before use the store, so many: all there is, also of those who were not known,
 * is told again ('reset' to 'synced', at once). Returns false when a store of this kind must be
 * opened anew for that.
 */
static inline bool store_tell_again(struct store *store, unsigned int clients)
{
	return store->operations->tell_again && store->operations->tell_again(store, clients);
}

static inline const struct store_state *store_state(const struct store *store)
{
	return &store->state;
}

/* Gives the lease back, if that goes without waiting; no handler is called any more. The loop must
 * run on until it has nothing left to do. May be called from a handler. */
static inline void store_close(struct store *store)
{
	if (store)
		store->operations->close(store);
}

#endif
