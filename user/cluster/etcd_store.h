/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_ETCD_STORE_H
#define TOCSIN_CLUSTER_ETCD_STORE_H

/*
 * What the parts of the store in etcd share; not for others. Each part has a function that looks at
 * what is wanted and what is so, and makes the call that leads from one to the other
 * (etcd_..._work()). They run one after the other, from the loop, whenever something has happened
 * (etcd_wake()). Answers only change what is so.
 */

#include "cluster/etcd.h"
#include "cluster/etcd_link.h"
#include "cluster/store_turn.h"

#include <sys/queue.h>

#define ETCD_PREFIX_MAX 256 /* NUL included */

struct etcd_store {
	struct store store;
	struct store_turn turn;
	bool closing;
	struct etcd_link *link;
	char node[STORE_NAME_MAX];
	char prefix[ETCD_PREFIX_MAX];
	unsigned int lease_seconds;

	struct {
		struct etcd_call call;
		uint64_t id;	  /* 0: none */
		uint64_t next_ns; /* CLOCK_BOOTTIME of the next renewal */
		bool unproven;	  /* not renewed since the last failure */
	} lease;

	struct {
		struct etcd_call call;
		void *data; /* NULL: none to publish */
		size_t size;
		bool dirty; /* what is wanted was not sent yet */
		/* After a failure: it was not yet written by the new endpoint, at proof_revision,
		 * and told back by that one's watch. */
		bool unproven;
		uint64_t proof_revision; /* 0: not written yet */
		bool contested;		 /* another process writes it, too, and that was logged */
		uint64_t view_revision;	 /* of what was told when it was sent */
		uint64_t revision;	 /* of the last write that was answered */
	} row;

	struct {
		struct etcd_call call;
		bool synced;	   /* all that was there has been told */
		bool reading;	   /* in pages */
		bool watching;	   /* the stream is open */
		uint64_t revision; /* all up to here has been told */
		uint64_t opened_ns;
		unsigned int page_pairs;
		char next_key[ETCD_KEY_MAX]; /* with which the next page begins */
		size_t next_key_bytes;	     /* 0: the first page */
		/* What this node wrote at that revision must come back by the stream. */
		uint64_t expected_revision, expected_since_ns;
	} view;

	struct {
		uint64_t told_revision, newest_revision;
		uint64_t logged_ns;  /* 0: never */
		uint64_t suppressed; /* since then */
	} garbage;

	struct {
		struct etcd_call call;
		bool wanted;
		bool present;
		bool seen; /* in the read that is under way */
		uint64_t create_revision, mod_revision, lease;
		char name[STORE_NAME_MAX];
		uint64_t deposed_revision; /* of the election that is to be ended, or was */
		bool deposing;		   /* that has been asked for */
		uint64_t try_ns;	   /* CLOCK_MONOTONIC */
	} actor;

	LIST_HEAD(, commit) commits;
	unsigned int commit_count;
	LIST_HEAD(, member_query) queries;
	unsigned int query_count;
};

/* Has the parts look again, from the loop. */
void etcd_wake(struct etcd_store *store);

/* The lease has ended, says etcd. */
void etcd_lease_gone(struct etcd_store *store);

/* "PREFIX rows/NODE" and so on; kind with its '/'. */
struct etcd_key {
	char text[ETCD_KEY_MAX];
};
struct etcd_key etcd_key(const struct etcd_store *store, const char *kind, const char *node);

#define ETCD_ROWS	"rows/"
#define ETCD_ISOLATIONS "isolations/"
#define ETCD_ACTOR	"actor"

/* etcd_view.c: the ranged read and the watch. */
void etcd_view_open(struct etcd_store *store);
void etcd_view_work(struct etcd_store *store, uint64_t now_ns);
void etcd_view_failed(struct etcd_store *store);
/* What was told does not hold any more, or may not: read all again. */
void etcd_view_restart(struct etcd_store *store);
/* The loop stood still for so long: what the watch has said meanwhile is unread. */
void etcd_view_forgive(struct etcd_store *store, uint64_t late_ns);
/* This node has written at this revision. */
void etcd_view_expect(struct etcd_store *store, uint64_t revision);
/* When it must look again at the latest, CLOCK_MONOTONIC. */
uint64_t etcd_view_due_ns(const struct etcd_store *store);

/* etcd_actor.c: the election and what the actor commits. */
void etcd_actor_open(struct etcd_store *store);
void etcd_actor_work(struct etcd_store *store, uint64_t now_ns);
void etcd_actor_failed(struct etcd_store *store);
void etcd_actor_told(struct etcd_store *store, bool deleted, const struct etcd_pair *pair);
void etcd_actor_depose(struct store *store);
uint64_t etcd_actor_due_ns(const struct etcd_store *store);
int etcd_actor_commit(struct store *store, const char *node, const void *data, size_t size,
		      uint64_t expected_revision);
void etcd_actor_close(struct etcd_store *store);

/* etcd_member.c */
void etcd_member_close(struct etcd_store *store);

/* The operations by which a store is known to be of etcd. */
extern const struct store_operations etcd_operations;

#endif
