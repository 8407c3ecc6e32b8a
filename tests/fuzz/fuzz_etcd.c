// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What etcd, or whatever answers in its place, may say: each input goes through every decoder. What
 * must hold, besides memory safety: a message is printable and one line, a token can be a header,
 * keys are in bounds and the next page begins behind them.
 */
#include "cluster/etcd_api.h"
#include "fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

static void require_printable(const char *text, size_t size)
{
	require(strnlen(text, size) < size);
	for (const char *c = text; *c; c++)
		require(*c >= 0x20 && *c < 0x7f);
}

static void check_error(unsigned int status, const json_t *root, const char *body)
{
	char words[300] = "";
	struct text text = TEXT(words);
	enum etcd_error error = etcd_decode_error(status, root, body, &text);

	require(error <= ETCD_REFUSED);
	require(!error == (status == 200 && root && !json_object_get(root, "error")));
	require_printable(words, sizeof(words));
}

static void check_pair(const json_t *object)
{
	char next[ETCD_KEY_MAX];
	struct etcd_pair pair;
	size_t bytes;

	if (etcd_decode_pair(object, &pair))
		return;
	require(pair.key_bytes > 0 && pair.key_bytes < ETCD_KEY_MAX);
	require(pair.key[pair.key_bytes] == '\0' && pair.mod_revision > 0);
	require(pair.value_bytes <= STORE_RECORD_BYTES_MAX);
	require(!pair.value_too_long || !pair.value_bytes);
	require(!etcd_pair_is_text(&pair) || strlen(pair.key) == pair.key_bytes);
	bytes = etcd_pair_next(&pair, next);
	require(bytes <= ETCD_KEY_MAX);
	if (bytes) {
		size_t common = bytes < pair.key_bytes ? bytes : pair.key_bytes;
		int order = memcmp(next, pair.key, common);

		require(order > 0 || (!order && bytes > pair.key_bytes));
	}
}

static void check_lists(const json_t *root)
{
	struct etcd_transaction transaction;
	struct etcd_range range;
	struct etcd_watch watch;
	struct etcd_pair pair;
	bool deleted;

	if (!etcd_decode_range(root, &range))
		for (size_t i = 0; i < json_array_size(range.pairs); i++)
			check_pair(json_array_get(range.pairs, i));
	if (!etcd_decode_transaction(root, &transaction))
		for (size_t i = 0; i <= json_array_size(transaction.responses); i++) {
			int err = etcd_decode_found(&transaction, i, &pair);

			require(!err || err == -ENOENT || err == -EPROTO);
		}
	if (etcd_decode_watch(root, &watch))
		return;
	require(!watch.cancelled == !watch.error);
	for (size_t i = 0; i < json_array_size(watch.events); i++) {
		const json_t *event = json_array_get(watch.events, i);

		if (!etcd_decode_event(event, &deleted, &pair))
			check_pair(json_object_get(event, "kv"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char token[ETCD_TOKEN_MAX];
	char *body = make_string(data, size);
	struct etcd_member member;
	struct etcd_lease lease;
	json_t *root;

	root = etcd_parse(body, size);
	check_error(200, root, body);
	check_error(503, root, body);
	if (root) {
		check_lists(root);
		check_pair(root);
		if (!etcd_decode_grant(root, &lease))
			require(lease.id && lease.ttl_s);
		if (!etcd_decode_keepalive(root, &lease))
			require(lease.id);
		if (!etcd_decode_token(root, token)) {
			require_printable(token, sizeof(token));
			require(*token && !strchr(token, ' '));
		}
		if (!etcd_decode_member(root, &member)) {
			require(member.member_id);
			require_printable(member.version, sizeof(member.version));
			require_printable(member.errors, sizeof(member.errors));
		}
	}
	json_decref(root);
	free(body);
	return 0;
}
