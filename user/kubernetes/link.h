/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_KUBERNETES_LINK_H
#define TOCSIN_KUBERNETES_LINK_H

/*
 * Calls to the Kubernetes API. Sees to the token, which it reads again when it is refused and each
 * minute, to what the server asks for when it has too much to do (Retry-After), to growing pauses
 * while the server does not answer or does not know this account, and to the words for what is
 * wrong. All calls wait while it pauses. What the server says of one call is its caller's to see
 * to.
 */

#include "http/http_client.h"
#include "kubernetes/access.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct kubernetes_link;

#define KUBERNETES_PATH_MAX 2048 /* with the query, NUL included */

enum kubernetes_outcome {
	KUBERNETES_OK,
	KUBERNETES_UNAVAILABLE,	 /* no answer, or it cannot now: goes away by itself */
	KUBERNETES_UNAUTHORIZED, /* it does not know the token or certificate */
	KUBERNETES_FORBIDDEN,	 /* this account may not */
	KUBERNETES_NOT_FOUND,
	KUBERNETES_CONFLICT, /* the object is not the one that was read */
	KUBERNETES_EXISTS,   /* to be created, and is there */
	KUBERNETES_EXPIRED,  /* that resourceVersion is not kept any more */
	KUBERNETES_REFUSED,  /* anything else */
};

struct kubernetes_answer {
	enum kubernetes_outcome outcome;
	const json_t *root;  /* the answer's JSON; NULL when it has none, or came as lines */
	const char *message; /* what is wrong, in plain words; "" when it is OK */
	uint64_t sent_ns;    /* CLOCK_BOOTTIME before the call was made */
};

/* A call, inside of what it is for. In flight while 'http' is set. */
struct kubernetes_call {
	LIST_ENTRY(kubernetes_call) list;
	struct kubernetes_link *link;
	struct http_call *http;
	uint64_t sent_ns;
	const char *method;
	char what[128]; /* the path, shortened, for messages */
	void *context;
	/* The end, exactly once for each call that was made, unless it is dropped. */
	void (*answered)(void *context, const struct kubernetes_answer *answer);
	/* A watch's events as they come; NULL: the answer is one object. */
	void (*line)(void *context, const char *line, size_t length);
};

struct kubernetes_request {
	const char *method; /* "GET", "POST", "PATCH", "DELETE" */
	const char *path;   /* from "/api" on, with the query */
	const char *patch;  /* with PATCH: "merge-patch", "strategic-merge-patch", "json-patch" */
	json_t *body;	    /* taken; NULL: none, or no memory for one that is needed */
};

/*
 * 'wake' is called from the loop when calls can be made again after a pause, or after a failure.
 * Returns 0, or -errno with a line in 'error'.
 */
int kubernetes_link_open(struct kubernetes_link **ret_link, struct uv_loop_s *loop,
			 const char *kubeconfig, unsigned int limit_ms, void *context,
			 void (*wake)(void *context), struct text *error);

/* Whether calls can be made now; if not, 'wake' will tell. */
bool kubernetes_link_ready(const struct kubernetes_link *link);

/* Makes a call, unless it is in flight or the link is not ready: then it does nothing. */
void kubernetes_link_call(struct kubernetes_link *link, struct kubernetes_call *call,
			  const struct kubernetes_request *request);

/* Drops a call if it is in flight. */
void kubernetes_call_cancel(struct kubernetes_call *call);

/* Has the owner look for what there is to do. */
void kubernetes_link_wake(struct kubernetes_link *link);

/* Pauses as after a failure, for this reason. */
void kubernetes_link_fail(struct kubernetes_link *link, const char *reason);

/* Everything works: the next failure's pause is a short one. */
void kubernetes_link_settled(struct kubernetes_link *link);

/* How many failures there were that it paused for. */
uint64_t kubernetes_link_failures(const struct kubernetes_link *link);

/* The words for the last failure; "" when there was none since all worked. */
const char *kubernetes_link_reason(const struct kubernetes_link *link);
const char *kubernetes_link_server(const struct kubernetes_link *link);
const char *kubernetes_link_namespace(const struct kubernetes_link *link);

/* Calls in flight are dropped; but one last one may be made on the way, answered to nobody. */
void kubernetes_link_close(struct kubernetes_link *link, const struct kubernetes_request *last);

#endif
