/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_KUBE_API_H
#define TOCSIN_TESTS_LIVE_KUBE_API_H

/*
 * The stand-in for a Kubernetes API server (tests/kube), or a real one in its place, with what
 * deploy/kubernetes gives a cluster: the agents' own account may do what its roles say, and no
 * more. What cannot be done fails the test.
 */

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct kube_api {
	pid_t pid;
	char directory[64];  /* made, and removed at the end */
	char kubeconfig[96]; /* of the agents' account */
	char url[64];
};

/* Why it cannot be had here, or NULL. */
const char *kube_api_obstacle(void);

/* Moves the test into a network namespace of its own; once, before anything else. */
void kube_api_isolate(void);

void kube_api_start(struct kube_api *api);
void kube_api_stop(struct kube_api *api);

/*
 * A call as an administrator, by curl. 'type' of a body is "json", "merge-patch+json", ...; body
 * NULL: none. Returns the status of HTTP; *ret_answer, where that is not NULL, is a new reference
 * or NULL.
 */
unsigned int kube_api_call(const struct kube_api *api, const char *method, const char *path,
			   const char *type, const char *body, json_t **ret_answer);

/* Whether tests/kube/api starts a real one in its place: TOCSIN_KUBE_PROGRAMS says so. */
bool kube_api_is_real(void);

/* Skips the running test where nobody can be ordered to. */
void kube_api_skip_if_real(void);

/* Orders what the server is to do wrong: POST /testing/WHAT. Skips the test where the server is a
 * real one. */
void kube_api_order(const struct kube_api *api, const char *what, const char *body);

/* How many requests of the server's audit log have all of these words; the last one is NULL. */
unsigned int kube_api_count(const struct kube_api *api, const char *const words[]);

/* Takes all faults back. */
void kube_api_relent(const struct kube_api *api);

#endif
