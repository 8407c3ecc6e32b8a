/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_KUBERNETES_WATCH_H
#define TOCSIN_KUBERNETES_WATCH_H

/*
 * All objects of a kind and what becomes of them: a list in pages, then a watch from its
 * resourceVersion on, which bookmarks keep young. A watch that ends is opened again where it was;
 * only when the server has not kept its past so long (410 Gone) is all listed again. Objects are
 * not kept here.
 *
 * A watch on which nothing comes may be dead without a sign. Whoever writes what it watches says so
 * (kubernetes_watch_expect()), and a watch that does not tell it in time is given up.
 */

#include "kubernetes/link.h"
#include "kubernetes/object.h"

#define KUBERNETES_REVISION_MAX 32
#define KUBERNETES_CONTINUE_MAX 1024

struct kubernetes_watch_handlers {
	void *context;
	/* All that there is follows; what does not is gone. */
	void (*begin)(void *context);
	void (*object)(void *context, const json_t *object, bool deleted);
	/* That was all. */
	void (*synced)(void *context);
};

/* Private but for 'synced', 'reason', and 'cached', which is set after opening. */
struct kubernetes_watch {
	struct kubernetes_link *link;
	struct kubernetes_call call;
	struct kubernetes_watch_handlers handlers;
	const char *path, *selector; /* of labels or fields, as in a query; "": all */
	bool synced;		     /* all that was there has been told, and what came since */
	bool listing;		     /* in pages */
	bool closed;
	/* Lists come from the server's cache, however old that is, in one page: to find the few
	 * that a selector of fields picks, it would else read all that there are. */
	bool cached;
	bool proven; /* something came since the last failure */
	char revision[KUBERNETES_REVISION_MAX];
	char next_page[KUBERNETES_CONTINUE_MAX]; /* "": the first */
	uint64_t newest;			 /* revision that was told */
	uint64_t expected, expected_since_ns;	 /* 0: nothing; CLOCK_MONOTONIC */
	unsigned int failures;			 /* of its own, in a row */
	uint64_t retry_ns;			 /* no call before; CLOCK_MONOTONIC */
	char reason[512];			 /* of the last failure; "" when all is well */
};

/* 'path' is the collection's ("/api/v1/nodes"); both strings must last. */
void kubernetes_watch_open(struct kubernetes_watch *watch, struct kubernetes_link *link,
			   const char *path, const char *selector,
			   const struct kubernetes_watch_handlers *handlers);

/* Makes the next call, if there is one to make; to be called whenever the link wakes its owner. */
void kubernetes_watch_work(struct kubernetes_watch *watch, uint64_t now_ns);

/* When it must look again at the latest, CLOCK_MONOTONIC; UINT64_MAX: no need. */
uint64_t kubernetes_watch_due_ns(const struct kubernetes_watch *watch);

/* This revision has been written to what is watched. */
void kubernetes_watch_expect(struct kubernetes_watch *watch, uint64_t revision);

/* The loop stood still for so long: what came meanwhile is unread. */
void kubernetes_watch_forgive(struct kubernetes_watch *watch, uint64_t late_ns);

/* All is told, what comes is told at once, and that has been seen since the last failure. */
bool kubernetes_watch_is_live(const struct kubernetes_watch *watch);

void kubernetes_watch_close(struct kubernetes_watch *watch);

#endif
