/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_HTTP_HTTP_CLIENT_H
#define TOCSIN_HTTP_HTTP_CLIENT_H

/*
 * HTTP/1.1 requests on the agent's loop: libcurl's multi interface, driven by its socket and timer
 * callbacks. Answers come whole, or line by line while they last (a watch). Connections are kept
 * and used again. No proxy, no redirect.
 *
 * What lies unread in a socket is not silence: when the loop stood still and a limit is found to be
 * long over, what has come meanwhile is read first.
 *
 * Handlers are called from the loop, never from within a call of this interface; they may call
 * anything of it.
 */

#include <stddef.h>
#include <stdint.h>

struct http_client;
struct http_call;
struct uv_loop_s;

/* Paths, "" or NULL for none. They are read with each new connection. */
struct http_client_files {
	const char *ca_file;   /* else the system's */
	const char *cert_file; /* the client's own certificate */
	const char *key_file;
};

/* Why there is no answer. */
enum http_failure {
	HTTP_FAILURE_NONE,
	HTTP_FAILURE_NAME,	  /* the host's name is not known */
	HTTP_FAILURE_CONNECT,	  /* refused, no route */
	HTTP_FAILURE_TIME,	  /* nothing within the limit */
	HTTP_FAILURE_CERTIFICATE, /* the server's is not trusted, or ours not usable or not taken */
	HTTP_FAILURE_TLS,	  /* no TLS could be agreed on */
	HTTP_FAILURE_LENGTH,	  /* longer than allowed */
	HTTP_FAILURE_BROKEN,	  /* ended early, no HTTP */
	HTTP_FAILURE_MEMORY,
};

struct http_result {
	enum http_failure failure;
	const char *message;	    /* libcurl's words when there is a failure, else "" */
	unsigned int status;	    /* 0 with most failures */
	unsigned int retry_after_s; /* as the server asks; 0: it does not */
	const char *body;	    /* NUL-terminated */
	size_t body_bytes;
};

struct http_request {
	const char *method; /* NULL: POST with a body, else GET */
	const char *url;
	const char *body;	       /* NULL: none */
	const char *content_type;      /* of the body; NULL: application/json */
	const char *authorization;     /* the header's value; NULL: none */
	unsigned int limit_ms;	       /* for all of it; 0: none */
	unsigned int connect_limit_ms; /* for a new connection, TLS included; 0: libcurl's */
	size_t bytes_max;	       /* of the answer's body; of a line, where lines are taken */
	void *context;
	/* Each line of an answer of status 200 as it comes, without its end. NULL: not wanted. */
	void (*line)(void *context, const char *line, size_t length);
	/* The end, exactly once unless cancelled. The body lacks what was given as lines. */
	void (*done)(void *context, const struct http_result *result);
};

int http_client_open(struct http_client **ret_client, struct uv_loop_s *loop,
		     const struct http_client_files *files);

/* Starts a request, all strings of which are copied. */
int http_client_send(struct http_client *client, const struct http_request *request,
		     struct http_call **ret_call);

/* Ends a request that has not been told as done; none of its handlers is called any more. */
void http_call_cancel(struct http_call *call);

/* Closes connections that are not in use: the next requests make new ones. Only while no request
 * is under way; else it does nothing. */
void http_client_drop_connections(struct http_client *client);

/* Cancels all requests. The loop must run on until it has nothing left to do. */
void http_client_close(struct http_client *client);

#endif
