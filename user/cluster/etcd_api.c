// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/etcd_api.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIANT	    sodium_base64_VARIANT_ORIGINAL
#define VALUE_MAX   STORE_RECORD_BYTES_MAX
#define MESSAGE_MAX 160

/* Encoding. A missing part makes json_pack() fail, and with it the whole. */

static json_t *base64(const void *data, size_t size)
{
	char encoded[sodium_base64_ENCODED_LEN(VALUE_MAX, VARIANT)];

	if (sodium_base64_encoded_len(size, VARIANT) > sizeof(encoded))
		return NULL;
	return json_string(sodium_bin2base64(encoded, sizeof(encoded), data, size, VARIANT));
}

static json_t *base64_text(const char *text)
{
	return base64(text, strlen(text));
}

static json_t *number(uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	return json_string(digits);
}

static char *dump(json_t *root)
{
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	return text;
}

/* Turns bytes into the first ones that are behind all that begin with them. Returns how many these
 * are; 0 when there are none. */
static size_t step_over(char *bytes, size_t size)
{
	while (size && (unsigned char)bytes[size - 1] == 0xff)
		size--;
	if (size)
		bytes[size - 1]++;
	return size;
}

static json_t *prefix_end(const char *prefix)
{
	char end[ETCD_KEY_MAX];
	size_t size = strlen(prefix);

	if (text_copy(end, sizeof(end), prefix))
		return NULL;
	size = step_over(end, size);
	/* A single NUL means 'to the last'. */
	return size ? base64(end, size) : base64("", 1);
}

char *etcd_encode_range(const char *prefix, struct etcd_bytes first, uint64_t revision,
			unsigned int limit)
{
	json_t *from = first.size ? base64(first.data, first.size) : base64_text(prefix);

	return dump(json_pack("{s:o,s:o,s:o,s:o}", "key", from, "range_end", prefix_end(prefix),
			      "revision", number(revision), "limit", number(limit)));
}

char *etcd_encode_delete(const char *key)
{
	return dump(json_pack("{s:o}", "key", base64_text(key)));
}

char *etcd_encode_watch(const char *prefix, uint64_t start_revision)
{
	return dump(json_pack("{s:{s:o,s:o,s:o,s:b,s:b}}", "create_request", "key",
			      base64_text(prefix), "range_end", prefix_end(prefix),
			      "start_revision", number(start_revision), "progress_notify", 1,
			      "fragment", 1));
}

static json_t *put(const char *key, struct etcd_bytes value, uint64_t lease)
{
	return json_pack("{s:o,s:o,s:o}", "key", base64_text(key), "value",
			 base64(value.data, value.size), "lease", number(lease));
}

char *etcd_encode_put(const char *key, struct etcd_bytes value, uint64_t lease)
{
	return dump(put(key, value, lease));
}

char *etcd_encode_grant(unsigned int seconds)
{
	return dump(json_pack("{s:o}", "TTL", number(seconds)));
}

char *etcd_encode_lease(uint64_t lease)
{
	return dump(json_pack("{s:o}", "ID", number(lease)));
}

char *etcd_encode_authenticate(const char *user, const char *password)
{
	return dump(json_pack("{s:s,s:s}", "name", user, "password", password));
}

static json_t *created_at(const char *key, uint64_t revision)
{
	return json_pack("{s:s,s:s,s:o,s:o}", "target", "CREATE", "result", "EQUAL", "key",
			 base64_text(key), "create_revision", number(revision));
}

static json_t *read_one(const char *key)
{
	return json_pack("{s:{s:o}}", "request_range", "key", base64_text(key));
}

static json_t *delete_one(const char *key)
{
	return json_pack("{s:{s:o}}", "request_delete_range", "key", base64_text(key));
}

char *etcd_encode_create(const char *key, struct etcd_bytes value, uint64_t lease)
{
	return dump(json_pack("{s:[o],s:[{s:o}],s:[o]}", "compare", created_at(key, 0), "success",
			      "request_put", put(key, value, lease), "failure", read_one(key)));
}

char *etcd_encode_remove(const char *key, uint64_t create_revision)
{
	return dump(json_pack("{s:[o],s:[o]}", "compare", created_at(key, create_revision),
			      "success", delete_one(key)));
}

char *etcd_encode_commit(const struct etcd_commit *commit)
{
	json_t *unchanged = json_pack("{s:s,s:s,s:o,s:o}", "target", "MOD", "result", "EQUAL",
				      "key", base64_text(commit->key), "mod_revision",
				      number(commit->expected_revision));
	json_t *change = commit->value ? json_pack("{s:o}", "request_put",
						   put(commit->key, *commit->value, 0))
				       : delete_one(commit->key);

	return dump(json_pack("{s:[o,o],s:[o],s:[o,o]}", "compare",
			      created_at(commit->guard_key, commit->guard_revision), unchanged,
			      "success", change, "failure", read_one(commit->guard_key),
			      read_one(commit->key)));
}

/* Decoding */

json_t *etcd_parse(const char *body, size_t size)
{
	json_t *root = json_loadb(body, size, 0, NULL);

	if (json_is_object(root))
		return root;
	json_decref(root);
	return NULL;
}

/* A number that is left out is 0. */
static int read_number(const json_t *object, const char *name, uint64_t *ret)
{
	const json_t *value = json_object_get(object, name);
	const char *digits = json_string_value(value);
	char *end;

	*ret = 0;
	if (!value)
		return 0;
	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*ret = (uint64_t)json_integer_value(value);
		return 0;
	}
	if (!digits || *digits < '0' || *digits > '9')
		return -EPROTO;
	errno = 0;
	*ret = strtoull(digits, &end, 10);
	return errno || *end ? -EPROTO : 0;
}

/* What is left out is false. */
static int read_flag(const json_t *object, const char *name, bool *ret)
{
	const json_t *value = json_object_get(object, name);

	*ret = json_is_true(value);
	return value && !json_is_boolean(value) ? -EPROTO : 0;
}

/* An array that is left out is NULL. */
static int read_array(const json_t *object, const char *name, const json_t **ret)
{
	*ret = json_object_get(object, name);
	return *ret && !json_is_array(*ret) ? -EPROTO : 0;
}

/* Bytes that are left out are none. -E2BIG when there are more than there is room for; then it is
 * filled. */
static int read_bytes(const json_t *object, const char *name, void *target, size_t room,
		      size_t *ret_size)
{
	const json_t *value = json_object_get(object, name);
	const char *text = json_string_value(value), *end;
	size_t length = json_string_length(value);

	*ret_size = 0;
	if (!value)
		return 0;
	if (!text)
		return -EPROTO;
	if (length % 4)
		return -EPROTO;
	errno = 0;
	if (sodium_base642bin(target, room, text, length, NULL, ret_size, &end, VARIANT)) {
		*ret_size = 0;
		return errno == ERANGE ? -E2BIG : -EPROTO;
	}
	return end == text + length ? 0 : -EPROTO;
}

/* What others wrote, for a line of the log. */
static void add_printable(struct text *text, const char *words)
{
	for (size_t i = 0; words[i] && i < MESSAGE_MAX; i++) {
		unsigned char c = (unsigned char)words[i];

		text_printf(text, "%c", c >= 0x20 && c < 0x7f ? c : ' ');
	}
}

/* gRPC's codes, and words where one code means several things; the first that fits. */
static const struct {
	uint64_t code;
	const char *words;
	enum etcd_error error;
} errors[] = {
	{16, "", ETCD_TOKEN},
	{3, "revision of auth store is old", ETCD_TOKEN},
	{3, "user name is empty", ETCD_TOKEN},
	{3, "user name not found", ETCD_CREDENTIALS},
	{3, "authentication failed", ETCD_CREDENTIALS},
	{9, "authentication is not enabled", ETCD_NO_AUTH},
	{7, "", ETCD_PERMISSION},
	{5, "requested lease not found", ETCD_LEASE_GONE},
	{8, "database space exceeded", ETCD_FULL},
	{11, "has been compacted", ETCD_COMPACTED},
	{4, "", ETCD_UNAVAILABLE},
	{8, "", ETCD_UNAVAILABLE},
	{13, "", ETCD_UNAVAILABLE},
	{14, "", ETCD_UNAVAILABLE},
};

enum etcd_error etcd_decode_error(unsigned int status, const json_t *root, const char *body,
				  struct text *message)
{
	const json_t *error = json_object_get(root, "error");
	const json_t *holder = json_is_object(error) ? error : root;
	const char *words = json_string_value(json_object_get(holder, "message"));
	uint64_t code = 0;

	if (status == 200 && root && !error)
		return ETCD_OK;
	if (!words)
		words = json_string_value(error);
	if (read_number(holder, json_is_object(error) ? "grpc_code" : "code", &code))
		code = 0;
	if (!words || !code) {
		text_printf(message, "HTTP status %u, '", status);
		add_printable(message, body);
		text_printf(message, "'");
		/* A server's, or a proxy's, own trouble. */
		return status >= 500 ? ETCD_UNAVAILABLE : ETCD_GARBAGE;
	}
	add_printable(message, words);
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (errors[i].code == code && strstr(words, errors[i].words))
			return errors[i].error;
	return ETCD_REFUSED;
}

uint64_t etcd_decode_revision(const json_t *root)
{
	uint64_t revision;

	if (read_number(json_object_get(root, "header"), "revision", &revision))
		return 0;
	return revision;
}

static int read_lease(const json_t *object, struct etcd_lease *lease)
{
	if (read_number(object, "ID", &lease->id) || read_number(object, "TTL", &lease->ttl_s) ||
	    !lease->id)
		return -EPROTO;
	return 0;
}

int etcd_decode_grant(const json_t *root, struct etcd_lease *lease)
{
	int err = read_lease(root, lease);

	return err ?: lease->ttl_s ? 0 : -EPROTO;
}

int etcd_decode_keepalive(const json_t *root, struct etcd_lease *lease)
{
	return read_lease(json_object_get(root, "result"), lease);
}

int etcd_decode_token(const json_t *root, char token[static ETCD_TOKEN_MAX])
{
	const char *text = json_string_value(json_object_get(root, "token"));

	/* It becomes a header of HTTP. */
	if (!text || !*text)
		return -EPROTO;
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
			return -EPROTO;
	return text_copy(token, ETCD_TOKEN_MAX, text) ? -EPROTO : 0;
}

static int read_key(const json_t *object, struct etcd_pair *pair)
{
	size_t room = sizeof(pair->key) - 1;
	int err = read_bytes(object, "key", pair->key, room, &pair->key_bytes);

	pair->key_too_long = err == -E2BIG;
	if (pair->key_too_long)
		pair->key_bytes = room;
	pair->key[pair->key_bytes] = '\0';
	if (err && !pair->key_too_long)
		return err;
	return pair->key_bytes ? 0 : -EPROTO;
}

int etcd_decode_pair(const json_t *object, struct etcd_pair *pair)
{
	int err = read_key(object, pair);

	if (err)
		return err;
	err = read_bytes(object, "value", pair->value, sizeof(pair->value), &pair->value_bytes);
	if (err && err != -E2BIG)
		return err;
	pair->value_too_long = err == -E2BIG;
	if (read_number(object, "create_revision", &pair->create_revision) ||
	    read_number(object, "mod_revision", &pair->mod_revision) ||
	    read_number(object, "lease", &pair->lease) || !pair->mod_revision)
		return -EPROTO;
	return 0;
}

bool etcd_pair_is_text(const struct etcd_pair *pair)
{
	return !pair->key_too_long && strlen(pair->key) == pair->key_bytes;
}

size_t etcd_pair_next(const struct etcd_pair *pair, char next[static ETCD_KEY_MAX])
{
	/* With the NUL behind it, which is what follows. */
	memcpy(next, pair->key, pair->key_bytes + 1);
	return pair->key_too_long ? step_over(next, pair->key_bytes) : pair->key_bytes + 1;
}

int etcd_decode_range(const json_t *root, struct etcd_range *range)
{
	range->revision = etcd_decode_revision(root);
	if (!range->revision || read_flag(root, "more", &range->more))
		return -EPROTO;
	return read_array(root, "kvs", &range->pairs);
}

int etcd_decode_transaction(const json_t *root, struct etcd_transaction *transaction)
{
	transaction->revision = etcd_decode_revision(root);
	if (!transaction->revision || read_flag(root, "succeeded", &transaction->succeeded))
		return -EPROTO;
	return read_array(root, "responses", &transaction->responses);
}

int etcd_decode_found(const struct etcd_transaction *transaction, size_t index,
		      struct etcd_pair *pair)
{
	const json_t *response = json_array_get(transaction->responses, index);
	const json_t *range = json_object_get(response, "response_range");
	const json_t *pairs;

	if (!json_is_object(range) || read_array(range, "kvs", &pairs))
		return -EPROTO;
	if (!json_array_size(pairs))
		return -ENOENT;
	return etcd_decode_pair(json_array_get(pairs, 0), pair);
}

/* The words of a cancelled watch come without a code. */
static enum etcd_error cancellation_error(const char *reason)
{
	if (strstr(reason, "invalid auth token") || strstr(reason, "user name is empty"))
		return ETCD_TOKEN;
	return strstr(reason, "permission denied") ? ETCD_PERMISSION : ETCD_REFUSED;
}

int etcd_decode_watch(const json_t *root, struct etcd_watch *watch)
{
	const json_t *result = json_object_get(root, "result");

	if (!json_is_object(result) || read_flag(result, "created", &watch->created) ||
	    read_flag(result, "canceled", &watch->cancelled) ||
	    read_flag(result, "fragment", &watch->fragment) ||
	    read_number(result, "compact_revision", &watch->compact_revision) ||
	    read_array(result, "events", &watch->events))
		return -EPROTO;
	watch->revision = etcd_decode_revision(result);
	watch->reason = json_string_value(json_object_get(result, "cancel_reason")) ?: "";
	watch->error = watch->cancelled ? cancellation_error(watch->reason) : ETCD_OK;
	return 0;
}

int etcd_decode_event(const json_t *event, bool *ret_deleted, struct etcd_pair *pair)
{
	const json_t *type = json_object_get(event, "type");
	const char *name = json_string_value(type);

	if (type && !name)
		return -EPROTO;
	*ret_deleted = name && !strcmp(name, "DELETE");
	if (name && !*ret_deleted && strcmp(name, "PUT"))
		return -EPROTO;
	return etcd_decode_pair(json_object_get(event, "kv"), pair);
}

int etcd_decode_member(const json_t *root, struct etcd_member *member)
{
	const json_t *header = json_object_get(root, "header");
	const char *version = json_string_value(json_object_get(root, "version"));
	struct text version_text = TEXT(member->version), errors_text = TEXT(member->errors);
	const json_t *list;

	memset(member, 0, sizeof(*member));
	if (!header || read_number(header, "member_id", &member->member_id) ||
	    read_number(root, "leader", &member->leader) ||
	    read_number(root, "raftTerm", &member->raft_term) ||
	    read_number(root, "raftIndex", &member->raft_index) ||
	    read_number(root, "raftAppliedIndex", &member->raft_applied_index) ||
	    read_flag(root, "isLearner", &member->learner) || read_array(root, "errors", &list) ||
	    !member->member_id)
		return -EPROTO;
	add_printable(&version_text, version ?: "");
	for (size_t i = 0; i < json_array_size(list); i++) {
		text_printf(&errors_text, "%s", i ? ", " : "");
		add_printable(&errors_text, json_string_value(json_array_get(list, i)) ?: "");
	}
	return 0;
}
