/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_KUBERNETES_STORE_H
#define TOCSIN_CLUSTER_KUBERNETES_STORE_H

/*
 * What the parts of the store in Kubernetes share; not for others. As in the store in etcd, each
 * part has a function that looks at what is wanted and what is so, and makes the call that leads
 * from one to the other (kubernetes_..._work()). They run one after the other, from the loop,
 * whenever something has happened (kubernetes_wake()). Answers only change what is so.
 */

#include "cluster/kubernetes.h"
#include "cluster/kubernetes_api.h"
#include "cluster/store_turn.h"
#include "kubernetes/link.h"
#include "kubernetes/watch.h"

#include <sys/queue.h>

/* A node, as its Lease and its TocsinNode tell of it. */
struct kubernetes_node {
	LIST_ENTRY(kubernetes_node) list;
	char name[STORE_NAME_MAX];
	struct kubernetes_lease lease;
	bool has_lease, lease_seen; /* in the list that is under way */
	uint64_t renewed_ns;	    /* CLOCK_BOOTTIME when a renewal was seen to come; 0: none */
	json_t *row;		    /* NULL: none */
	bool row_seen;
	uint64_t row_revision;
	bool told;   /* its row, as it is */
	bool paused; /* by a person, with an annotation */
};

struct kubernetes_store {
	struct store store;
	struct store_turn turn;
	bool closing;
	uint64_t failures; /* of the link, that were seen */
	struct kubernetes_link *link;
	char node[STORE_NAME_MAX];
	char leases_path[256], nodes_path[256];		      /* of the collections */
	unsigned int renew_interval_ms, lease_seconds_wanted; /* 0: the default */
	unsigned int lease_seconds;

	struct {
		struct kubernetes_call call;
		bool absent;	  /* it must be created */
		bool unproven;	  /* not renewed since the last failure */
		uint64_t next_ns; /* CLOCK_BOOTTIME of the next renewal */
	} lease;

	struct {
		struct kubernetes_call call;
		json_t *wanted; /* NULL: none to publish */
		bool dirty;	/* what is wanted was not sent yet */
		bool absent;	/* the object must be created */
		bool unproven;	/* not written since the last failure */
		bool contested; /* another process writes it, too, and that was logged */
		uint64_t revision;
	} row;

	struct {
		struct kubernetes_watch leases, nodes;
		LIST_HEAD(, kubernetes_node) list;
		void *by_name;	     /* a tree, as of tsearch() */
		uint64_t expiry_ns;  /* no lease ends before; CLOCK_BOOTTIME */
		bool told_all;	     /* the start, up to 'synced' */
		bool tells_again;    /* that is to be told once more */
		uint64_t settled_ns; /* by then all that live have been seen; 0: not known yet */
		bool was_live;	     /* when it was looked at last */
		uint64_t fresh_ns;   /* as of when the leases were known then; CLOCK_BOOTTIME */
		uint64_t garbage_ns; /* when an object was last found bad, CLOCK_MONOTONIC */
	} view;

	struct {
		struct kubernetes_call call;
		bool wanted;
		bool known;  /* read at least once */
		bool reread; /* it is not what it was: read it */
		bool seen;   /* in the list that is under way */
		bool present;
		uint64_t revision;    /* of the object; 0: there is none */
		uint64_t answered_ns; /* when a write of it was last; CLOCK_BOOTTIME */
		uint64_t transitions;
		char name[STORE_NAME_MAX]; /* "": nobody */
		json_t *isolations;
		bool elected; /* this process was, by these transitions: */
		uint64_t elected_transitions;
		uint64_t elected_revision;
		bool deposing;		      /* that has been asked for */
		uint64_t deposed_transitions; /* + 1; of the election that is to be ended */
		uint64_t try_ns;	      /* CLOCK_MONOTONIC */
	} actor;

	LIST_HEAD(, kubernetes_commit) commits;
	unsigned int commit_count;
};

/* Has the parts look again, from the loop. */
void kubernetes_wake(struct kubernetes_store *store);

/* What the API does not take now is tried again after a pause; where nobody answers, that is made
 * already. */
void kubernetes_refused(struct kubernetes_store *store, const struct kubernetes_answer *answer);

/* kubernetes_view.c */
void kubernetes_view_open(struct kubernetes_store *store);
void kubernetes_view_work(struct kubernetes_store *store, uint64_t now_ns);
bool kubernetes_view_is_live(const struct kubernetes_store *store);
void kubernetes_view_forgive(struct kubernetes_store *store, uint64_t late_ns);
/* Whether a node holds a lease that is alive. */
bool kubernetes_view_is_alive(const struct kubernetes_store *store, const char *node);
/* When it must look again at the latest, CLOCK_MONOTONIC. */
uint64_t kubernetes_view_due_ns(const struct kubernetes_store *store);
void kubernetes_view_close(struct kubernetes_store *store);
void kubernetes_view_free(struct kubernetes_store *store);

/* kubernetes_actor.c */
void kubernetes_actor_open(struct kubernetes_store *store);
void kubernetes_actor_work(struct kubernetes_store *store, uint64_t now_ns);
/* A list begins; the actor's lease as it is now, or that it is gone; the list is complete. */
void kubernetes_actor_begin(struct kubernetes_store *store);
void kubernetes_actor_told(struct kubernetes_store *store, const json_t *lease, bool deleted);
void kubernetes_actor_synced(struct kubernetes_store *store);
/* Whatever is known of isolations is told. */
void kubernetes_actor_tell_all(struct kubernetes_store *store);
bool kubernetes_actor_is_mine(const struct kubernetes_store *store);
void kubernetes_actor_depose(struct store *store);
int kubernetes_actor_commit(struct store *store, const char *node, const void *data, size_t size,
			    uint64_t expected_revision);
uint64_t kubernetes_actor_due_ns(const struct kubernetes_store *store);
void kubernetes_actor_close(struct kubernetes_store *store);
void kubernetes_actor_free(struct kubernetes_store *store);

#endif
