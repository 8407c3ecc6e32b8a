/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_ETCD_API_H
#define TOCSIN_CLUSTER_ETCD_API_H

/*
 * What is said to etcd's JSON gateway and what it answers: no I/O, no state. Bytes are base64 in
 * it, 64-bit numbers are strings, and what is zero is left out.
 *
 * Encoders return a string to be freed, or NULL when there is no memory. Decoders take whatever
 * came: they return 0, or -EPROTO for what etcd would not say.
 */

#include "base/text.h"
#include "cluster/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ETCD_KEY_MAX   384 /* NUL included */
#define ETCD_TOKEN_MAX 2048

/* A key's text, or a pair's value. */
struct etcd_bytes {
	const void *data;
	size_t size;
};

struct etcd_commit {
	const char *guard_key; /* must have been created at this revision */
	uint64_t guard_revision;
	const char *key; /* must have been written last at this revision; 0: must not be there */
	uint64_t expected_revision;
	const struct etcd_bytes *value; /* NULL: the key is deleted */
};

/* All keys that begin with 'prefix', from 'first' on (of size 0: all), 'limit' of them, as they
 * were at 'revision' (0: now). */
char *etcd_encode_range(const char *prefix, struct etcd_bytes first, uint64_t revision,
			unsigned int limit);
char *etcd_encode_delete(const char *key);
char *etcd_encode_watch(const char *prefix, uint64_t start_revision);
char *etcd_encode_put(const char *key, struct etcd_bytes value, uint64_t lease);
char *etcd_encode_grant(unsigned int seconds);
char *etcd_encode_lease(uint64_t lease); /* to keep alive, or to revoke */
char *etcd_encode_authenticate(const char *user, const char *password);

/* Creates a key when it is not there; answered with the pair that is there otherwise. */
char *etcd_encode_create(const char *key, struct etcd_bytes value, uint64_t lease);

/* Deletes the key that was created at this revision. */
char *etcd_encode_remove(const char *key, uint64_t create_revision);

/* Answered with the pairs of guard_key (0) and key (1) when it is refused. */
char *etcd_encode_commit(const struct etcd_commit *commit);

/* What an answer amounts to. */
enum etcd_error {
	ETCD_OK,
	ETCD_GARBAGE,	  /* not etcd's JSON */
	ETCD_UNAVAILABLE, /* no leader, overload, time out: goes away by itself */
	ETCD_TOKEN,	  /* a new token is needed */
	ETCD_NO_AUTH,	  /* authentication is not switched on there */
	ETCD_CREDENTIALS, /* user or password is wrong */
	ETCD_PERMISSION,  /* this user may not */
	ETCD_LEASE_GONE,  /* the lease has ended */
	ETCD_COMPACTED,	  /* that revision is not kept any more */
	ETCD_FULL,	  /* its quota is used up */
	ETCD_REFUSED,	  /* anything else */
};

/* Looks at status and body; root is NULL when that is no JSON. Its words, made printable, are
 * added to 'message'. */
enum etcd_error etcd_decode_error(unsigned int status, const json_t *root, const char *body,
				  struct text *message);

/* NULL when it is no JSON object; to be freed by json_decref(). */
json_t *etcd_parse(const char *body, size_t size);

/* The revision of the store, as the answering member knows it; 0 when it is missing. */
uint64_t etcd_decode_revision(const json_t *root);

struct etcd_lease {
	uint64_t id;
	uint64_t ttl_s; /* 0: there is no such lease any more */
};

int etcd_decode_grant(const json_t *root, struct etcd_lease *lease);
int etcd_decode_keepalive(const json_t *root, struct etcd_lease *lease);
int etcd_decode_token(const json_t *root, char token[static ETCD_TOKEN_MAX]);

struct etcd_pair {
	char key[ETCD_KEY_MAX]; /* and a NUL; what is longer is cut */
	size_t key_bytes;
	bool key_too_long;
	uint64_t create_revision;
	uint64_t mod_revision;
	uint64_t lease;
	size_t value_bytes;
	bool value_too_long; /* then it is left out */
	uint8_t value[STORE_RECORD_BYTES_MAX];
};

int etcd_decode_pair(const json_t *object, struct etcd_pair *pair);

/* Whether the key is a whole text. */
bool etcd_pair_is_text(const struct etcd_pair *pair);

/* The first key behind this one; behind all that begin with it, when it was cut. Returns its size,
 * 0 when there is none. */
size_t etcd_pair_next(const struct etcd_pair *pair, char next[static ETCD_KEY_MAX]);

struct etcd_range {
	uint64_t revision;
	bool more;	     /* there are more keys than asked for */
	const json_t *pairs; /* an array; may be NULL when there are none */
};

int etcd_decode_range(const json_t *root, struct etcd_range *range);

struct etcd_transaction {
	uint64_t revision;
	bool succeeded;
	const json_t *responses; /* an array; may be NULL */
};

int etcd_decode_transaction(const json_t *root, struct etcd_transaction *transaction);

/* The pair that the range number 'index' of a transaction found. -ENOENT when it found none. */
int etcd_decode_found(const struct etcd_transaction *transaction, size_t index,
		      struct etcd_pair *pair);

struct etcd_watch {
	uint64_t revision;
	bool created, cancelled;
	bool fragment;		   /* the events of this revision go on in the next message */
	uint64_t compact_revision; /* when cancelled: what was asked for is older than this */
	const char *reason;	   /* of the cancellation; borrowed, may be "" */
	enum etcd_error error;	   /* what the reason amounts to */
	const json_t *events;	   /* an array; may be NULL */
};

/* A message of a watch's stream that is no error. */
int etcd_decode_watch(const json_t *root, struct etcd_watch *watch);

/* Of a deleted pair only key and mod_revision are known. */
int etcd_decode_event(const json_t *event, bool *ret_deleted, struct etcd_pair *pair);

struct etcd_member {
	uint64_t member_id, leader;
	uint64_t raft_term, raft_index, raft_applied_index;
	bool learner;
	char version[32];
	char errors[128]; /* its alarms; "" when there are none */
};

int etcd_decode_member(const json_t *root, struct etcd_member *member);

#endif
