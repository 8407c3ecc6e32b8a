// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/etcd_api.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Compares as JSON, and frees. */
static void assert_encoded(char *text, const char *expected)
{
	json_t *one, *other = json_loads(expected, 0, NULL);

	assert_non_null(text);
	assert_non_null(other);
	one = json_loads(text, 0, NULL);
	if (!json_equal(one, other))
		fail_msg("expected %s, not %s", expected, text);
	json_decref(one);
	json_decref(other);
	free(text);
}

static void test_encode(void **state)
{
	const struct etcd_bytes value = {"\0\xff", 2}, none = {NULL, 0}, first = {"/t/a\0", 5};
	const struct etcd_commit put = {.guard_key = "/t/actor",
					.guard_revision = 7,
					.key = "/t/i/n",
					.expected_revision = 9,
					.value = &value};
	const struct etcd_commit delete = {
		.guard_key = "/t/actor", .guard_revision = UINT64_MAX, .key = "/t/i/n"};

	(void)state;
	assert_encoded(
		etcd_encode_range("/t/", none, 0, 32),
		"{\"key\":\"L3Qv\",\"range_end\":\"L3Qw\",\"revision\":\"0\",\"limit\":\"32\"}");
	assert_encoded(etcd_encode_range("/t/", first, 5, 1),
		       "{\"key\":\"L3QvYQA=\",\"range_end\":\"L3Qw\",\"revision\":\"5\",\"limit\":"
		       "\"1\"}");
	assert_encoded(
		etcd_encode_range("a\xff\xff", none, 0, 1),
		"{\"key\":\"Yf//\",\"range_end\":\"Yg==\",\"revision\":\"0\",\"limit\":\"1\"}");
	assert_encoded(
		etcd_encode_range("\xff", none, 0, 1),
		"{\"key\":\"/w==\",\"range_end\":\"AA==\",\"revision\":\"0\",\"limit\":\"1\"}");
	assert_encoded(etcd_encode_watch("/t/", 12),
		       "{\"create_request\":{\"key\":\"L3Qv\",\"range_end\":\"L3Qw\","
		       "\"start_revision\":\"12\",\"progress_notify\":true,\"fragment\":true}}");
	assert_encoded(etcd_encode_put("/t/a", value, 77),
		       "{\"key\":\"L3QvYQ==\",\"value\":\"AP8=\",\"lease\":\"77\"}");
	assert_encoded(etcd_encode_put("/t/a", none, 0),
		       "{\"key\":\"L3QvYQ==\",\"value\":\"\",\"lease\":\"0\"}");
	assert_encoded(etcd_encode_grant(2), "{\"TTL\":\"2\"}");
	assert_encoded(etcd_encode_lease(UINT64_C(0x7fffffffffffffff)),
		       "{\"ID\":\"9223372036854775807\"}");
	assert_encoded(etcd_encode_authenticate("a\"", "b\\"),
		       "{\"name\":\"a\\\"\",\"password\":\"b\\\\\"}");
	assert_null(etcd_encode_authenticate("a", "\xff"));
	assert_encoded(
		etcd_encode_create("/t/actor", value, 5),
		"{\"compare\":[{\"target\":\"CREATE\",\"result\":\"EQUAL\",\"key\":"
		"\"L3QvYWN0b3I=\",\"create_revision\":\"0\"}],\"success\":[{\"request_put\":"
		"{\"key\":\"L3QvYWN0b3I=\",\"value\":\"AP8=\",\"lease\":\"5\"}}],\"failure\":"
		"[{\"request_range\":{\"key\":\"L3QvYWN0b3I=\"}}]}");
	assert_encoded(etcd_encode_remove("/t/actor", 5),
		       "{\"compare\":[{\"target\":\"CREATE\",\"result\":\"EQUAL\",\"key\":"
		       "\"L3QvYWN0b3I=\",\"create_revision\":\"5\"}],\"success\":"
		       "[{\"request_delete_range\":{\"key\":\"L3QvYWN0b3I=\"}}]}");
	assert_encoded(
		etcd_encode_commit(&put),
		"{\"compare\":[{\"target\":\"CREATE\",\"result\":\"EQUAL\",\"key\":"
		"\"L3QvYWN0b3I=\",\"create_revision\":\"7\"},{\"target\":\"MOD\",\"result\":"
		"\"EQUAL\",\"key\":\"L3QvaS9u\",\"mod_revision\":\"9\"}],\"success\":"
		"[{\"request_put\":{\"key\":\"L3QvaS9u\",\"value\":\"AP8=\",\"lease\":\"0\"}}],"
		"\"failure\":[{\"request_range\":{\"key\":\"L3QvYWN0b3I=\"}},"
		"{\"request_range\":{\"key\":\"L3QvaS9u\"}}]}");
	assert_encoded(
		etcd_encode_commit(&delete),
		"{\"compare\":[{\"target\":\"CREATE\",\"result\":\"EQUAL\",\"key\":"
		"\"L3QvYWN0b3I=\",\"create_revision\":\"18446744073709551615\"},{\"target\":"
		"\"MOD\",\"result\":\"EQUAL\",\"key\":\"L3QvaS9u\",\"mod_revision\":\"0\"}],"
		"\"success\":[{\"request_delete_range\":{\"key\":\"L3QvaS9u\"}}],\"failure\":"
		"[{\"request_range\":{\"key\":\"L3QvYWN0b3I=\"}},{\"request_range\":{\"key\":"
		"\"L3QvaS9u\"}}]}");
}

/* What has no place in a request is no request. */
static void test_encode_too_long(void **state)
{
	char key[ETCD_KEY_MAX + 1], large[STORE_ROW_BYTES_MAX + 3] = "";
	const struct etcd_bytes most = {large, STORE_ROW_BYTES_MAX}, more = {large, sizeof(large)};
	char *text;

	(void)state;
	memset(key, 'k', sizeof(key));
	key[ETCD_KEY_MAX] = '\0';
	assert_null(etcd_encode_watch(key, 1));
	assert_null(etcd_encode_put("k", more, 1));
	text = etcd_encode_put("k", most, 1);
	assert_non_null(text);
	free(text);
}

static void test_parse(void **state)
{
	static const char *const wrong[] = {
		"", "[]", "1", "{", "{} {}", "null", "{\"a\":\"\xff\"}"};
	json_t *root;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		if (etcd_parse(wrong[i], strlen(wrong[i])))
			fail_msg("took '%s'", wrong[i]);
	root = etcd_parse("{}", 2);
	assert_non_null(root);
	json_decref(root);
}

static void test_errors(void **state)
{
	static const struct {
		unsigned int status;
		const char *body;
		enum etcd_error error;
		const char *words;
	} cases[] = {
		{200, "{}", ETCD_OK, ""},
		{200, "{\"header\":{}}", ETCD_OK, ""},
		{200, "", ETCD_GARBAGE, "HTTP status 200, ''"},
		{200, "[]", ETCD_GARBAGE, "'[]'"},
		{404, "Not Found\n", ETCD_GARBAGE, "HTTP status 404, 'Not Found '"},
		{502, "<html>", ETCD_UNAVAILABLE, "HTTP status 502, '<html>'"},
		{500, "{\"error\":1}", ETCD_UNAVAILABLE, "HTTP status 500"},
		{400, "{\"error\":\"e\"}", ETCD_GARBAGE, "HTTP status 400"},
		{400, "{\"error\":\"e\",\"code\":\"x\"}", ETCD_GARBAGE, "HTTP status 400"},
		{404,
		 "{\"error\":\"etcdserver: requested lease not found\",\"message\":"
		 "\"etcdserver: requested lease not found\",\"code\":5}",
		 ETCD_LEASE_GONE, "requested lease not found"},
		{401, "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}", ETCD_TOKEN,
		 "invalid auth token"},
		{400, "{\"message\":\"etcdserver: user name is empty\",\"code\":3}", ETCD_TOKEN,
		 "user name"},
		{400, "{\"message\":\"etcdserver: revision of auth store is old\",\"code\":3}",
		 ETCD_TOKEN, ""},
		{400, "{\"message\":\"etcdserver: authentication failed, invalid\",\"code\":3}",
		 ETCD_CREDENTIALS, ""},
		{412, "{\"message\":\"etcdserver: authentication is not enabled\",\"code\":9}",
		 ETCD_NO_AUTH, ""},
		{403, "{\"message\":\"etcdserver: permission denied\",\"code\":7}", ETCD_PERMISSION,
		 ""},
		{429, "{\"message\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}",
		 ETCD_FULL, ""},
		{429, "{\"message\":\"etcdserver: too many requests\",\"code\":8}",
		 ETCD_UNAVAILABLE, ""},
		{503, "{\"message\":\"etcdserver: no leader\",\"code\":14}", ETCD_UNAVAILABLE,
		 "no leader"},
		{400,
		 "{\"message\":\"etcdserver: mvcc: required revision has been compacted\","
		 "\"code\":11}",
		 ETCD_COMPACTED, ""},
		{400, "{\"message\":\"something new\",\"code\":99}", ETCD_REFUSED, "something new"},
		/* A stream's own form. */
		{200,
		 "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"a\\nb\","
		 "\"http_status\":\"Service Unavailable\"}}",
		 ETCD_UNAVAILABLE, "a b"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *root = etcd_parse(cases[i].body, strlen(cases[i].body));
		char words[256] = "";
		struct text text = TEXT(words);
		enum etcd_error error =
			etcd_decode_error(cases[i].status, root, cases[i].body, &text);

		if (error != cases[i].error || !strstr(words, cases[i].words))
			fail_msg("case %zu: error %d, '%s'", i, error, words);
		json_decref(root);
	}
}

/* Whatever another one wrote ends up in one printable, bounded line. */
static void test_error_words(void **state)
{
	char body[2000], words[64] = "";
	struct text text = TEXT(words);

	(void)state;
	memset(body, '\x01', sizeof(body));
	body[sizeof(body) - 1] = '\0';
	assert_int_equal(etcd_decode_error(400, NULL, body, &text), ETCD_GARBAGE);
	assert_true(text.truncated);
	for (const char *c = words; *c; c++)
		assert_true(*c >= 0x20 && *c < 0x7f);
}

static json_t *parse(const char *text)
{
	json_t *root = etcd_parse(text, strlen(text));

	if (!root)
		fail_msg("no JSON: %s", text);
	return root;
}

static void test_leases(void **state)
{
	static const struct {
		const char *grant;
		int result;
		uint64_t id, ttl_s;
	} cases[] = {
		{"{\"ID\":\"123456789012345678\",\"TTL\":\"2\"}", 0, 123456789012345678, 2},
		{"{\"ID\":7,\"TTL\":2}", 0, 7, 2},
		{"{\"ID\":\"7\"}", -EPROTO, 0, 0},
		{"{\"TTL\":\"2\"}", -EPROTO, 0, 0},
		{"{\"ID\":\"-7\",\"TTL\":\"2\"}", -EPROTO, 0, 0},
		{"{\"ID\":-7,\"TTL\":\"2\"}", -EPROTO, 0, 0},
		{"{\"ID\":\"7x\",\"TTL\":\"2\"}", -EPROTO, 0, 0},
		{"{\"ID\":\" 7\",\"TTL\":\"2\"}", -EPROTO, 0, 0},
		{"{\"ID\":\"99999999999999999999\",\"TTL\":\"2\"}", -EPROTO, 0, 0},
		{"{\"ID\":7.5,\"TTL\":\"2\"}", -EPROTO, 0, 0},
		{"{\"ID\":{},\"TTL\":\"2\"}", -EPROTO, 0, 0},
		{"{}", -EPROTO, 0, 0},
	};
	struct etcd_lease lease;
	json_t *root;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		root = parse(cases[i].grant);
		if (etcd_decode_grant(root, &lease) != cases[i].result ||
		    (!cases[i].result &&
		     (lease.id != cases[i].id || lease.ttl_s != cases[i].ttl_s)))
			fail_msg("case %zu", i);
		json_decref(root);
	}
	root = parse("{\"result\":{\"ID\":\"7\",\"TTL\":\"2\"}}");
	assert_int_equal(etcd_decode_keepalive(root, &lease), 0);
	assert_int_equal(lease.ttl_s, 2);
	json_decref(root);
	/* One that has ended is an answer, too. */
	root = parse("{\"result\":{\"ID\":\"7\"}}");
	assert_int_equal(etcd_decode_keepalive(root, &lease), 0);
	assert_int_equal(lease.ttl_s, 0);
	json_decref(root);
	root = parse("{\"result\":[]}");
	assert_int_equal(etcd_decode_keepalive(root, &lease), -EPROTO);
	json_decref(root);
}

static void test_tokens(void **state)
{
	char token[ETCD_TOKEN_MAX] = "", long_one[ETCD_TOKEN_MAX + 32];
	json_t *root = parse("{\"token\":\"abc.12\"}");

	(void)state;
	assert_int_equal(etcd_decode_token(root, token), 0);
	assert_string_equal(token, "abc.12");
	json_decref(root);
	snprintf(long_one, sizeof(long_one), "{\"token\":\"%0*d\"}", ETCD_TOKEN_MAX, 0);
	const char *const wrong[] = {"{}", "{\"token\":1}", "{\"token\":\"\"}",
				     "{\"token\":\"a\\r\\nHost: b\"}", long_one};

	for (size_t i = 0; i < COUNT(wrong); i++) {
		root = parse(wrong[i]);
		assert_int_equal(etcd_decode_token(root, token), -EPROTO);
		json_decref(root);
	}
}

static void test_pairs(void **state)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
		{"{\"key\":\"YQ==\",\"mod_revision\":\"3\"}", 0},
		{"{\"key\":\"YQ==\"}", -EPROTO},
		{"{\"mod_revision\":\"3\"}", -EPROTO},
		{"{\"key\":\"\",\"mod_revision\":\"3\"}", -EPROTO},
		{"{\"key\":\"YQ=\",\"mod_revision\":\"3\"}", -EPROTO},
		{"{\"key\":\"Y!==\",\"mod_revision\":\"3\"}", -EPROTO},
		{"{\"key\":7,\"mod_revision\":\"3\"}", -EPROTO},
		{"{\"key\":\"YQ==\",\"value\":\"====\",\"mod_revision\":\"3\"}", -EPROTO},
		{"{\"key\":\"YQ==\",\"value\":[],\"mod_revision\":\"3\"}", -EPROTO},
		{"{\"key\":\"YQ==\",\"mod_revision\":\"3\",\"lease\":true}", -EPROTO},
		{"{\"key\":\"YQ==\",\"mod_revision\":\"3\",\"create_revision\":\"a\"}", -EPROTO},
	};
	struct etcd_pair pair;
	json_t *root;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		root = parse(cases[i].text);
		if (etcd_decode_pair(root, &pair) != cases[i].result)
			fail_msg("case %zu", i);
		json_decref(root);
	}
	assert_int_equal(etcd_decode_pair(NULL, &pair), -EPROTO);
	root = parse("{\"key\":\"L3QvYQ==\",\"create_revision\":\"2\",\"mod_revision\":\"3\","
		     "\"version\":\"1\",\"value\":\"AP8=\",\"lease\":\"5\"}");
	assert_int_equal(etcd_decode_pair(root, &pair), 0);
	json_decref(root);
	assert_string_equal(pair.key, "/t/a");
	assert_true(etcd_pair_is_text(&pair));
	assert_int_equal(pair.value_bytes, 2);
	assert_memory_equal(pair.value, "\0\xff", 2);
	assert_int_equal(pair.create_revision, 2);
	assert_int_equal(pair.mod_revision, 3);
	assert_int_equal(pair.lease, 5);
}

/* Bytes of base64 that decode to 'size' times "i". */
static json_t *pair_of_sizes(size_t key_bytes, size_t value_bytes)
{
	char *key = calloc(1, key_bytes / 3 * 4 + 1), *value = calloc(1, value_bytes / 3 * 4 + 1);
	json_t *root;

	assert_true(key && value && key_bytes % 3 == 0 && value_bytes % 3 == 0);
	for (size_t i = 0; i < key_bytes / 3; i++)
		memcpy(key + 4 * i, "aWlp", 4);
	for (size_t i = 0; i < value_bytes / 3; i++)
		memcpy(value + 4 * i, "aWlp", 4);
	root = json_pack("{s:s,s:s,s:s}", "key", key, "value", value, "mod_revision", "1");
	assert_non_null(root);
	free(key);
	free(value);
	return root;
}

static void test_large_pairs(void **state)
{
	struct etcd_pair pair;
	char next[ETCD_KEY_MAX];
	json_t *root = pair_of_sizes(ETCD_KEY_MAX - 3, STORE_RECORD_BYTES_MAX - 1);

	(void)state;
	assert_int_equal(etcd_decode_pair(root, &pair), 0);
	json_decref(root);
	assert_int_equal(pair.key_bytes, ETCD_KEY_MAX - 3);
	assert_true(etcd_pair_is_text(&pair));
	assert_int_equal(pair.value_bytes, STORE_RECORD_BYTES_MAX - 1);
	assert_false(pair.value_too_long);
	assert_int_equal(etcd_pair_next(&pair, next), pair.key_bytes + 1);
	assert_memory_equal(next, pair.key, pair.key_bytes + 1);

	root = pair_of_sizes(ETCD_KEY_MAX, STORE_RECORD_BYTES_MAX + 2);
	assert_int_equal(etcd_decode_pair(root, &pair), 0);
	json_decref(root);
	assert_true(pair.key_too_long && pair.value_too_long);
	assert_false(etcd_pair_is_text(&pair));
	assert_int_equal(pair.value_bytes, 0);
	/* Behind all that begin with what is left of the key. */
	assert_int_equal(etcd_pair_next(&pair, next), ETCD_KEY_MAX - 1);
	assert_int_equal(next[ETCD_KEY_MAX - 2], 'j');
	assert_memory_equal(next, pair.key, ETCD_KEY_MAX - 2);

	root = parse("{\"key\":\"YQBi\",\"mod_revision\":\"1\"}");
	assert_int_equal(etcd_decode_pair(root, &pair), 0);
	json_decref(root);
	assert_false(etcd_pair_is_text(&pair));
	assert_int_equal(etcd_pair_next(&pair, next), 4);
	assert_memory_equal(next, "a\0b\0", 4);
}

static void test_answers(void **state)
{
	struct etcd_range range;
	struct etcd_transaction transaction;
	struct etcd_pair pair;
	json_t *root = parse("{\"header\":{\"revision\":\"3\"},\"kvs\":[{}],\"more\":true}");
	static const char *const no_ranges[] = {
		"{}", "{\"header\":{\"revision\":\"3\"},\"kvs\":{}}",
		"{\"header\":{\"revision\":\"3\"},\"more\":\"yes\"}",
		"{\"header\":{\"revision\":[]}}"};

	(void)state;
	assert_int_equal(etcd_decode_range(root, &range), 0);
	assert_true(range.more && range.revision == 3 && json_array_size(range.pairs) == 1);
	json_decref(root);
	for (size_t i = 0; i < COUNT(no_ranges); i++) {
		root = parse(no_ranges[i]);
		assert_int_equal(etcd_decode_range(root, &range), -EPROTO);
		json_decref(root);
	}

	root = parse("{\"header\":{\"revision\":\"3\"},\"responses\":[{\"response_range\":"
		     "{\"header\":{\"revision\":\"3\"},\"kvs\":[{\"key\":\"YQ==\","
		     "\"create_revision\":\"2\",\"mod_revision\":\"2\"}],\"count\":\"1\"}},"
		     "{\"response_range\":{}},{\"response_put\":{}}]}");
	assert_int_equal(etcd_decode_transaction(root, &transaction), 0);
	assert_false(transaction.succeeded);
	assert_int_equal(etcd_decode_found(&transaction, 0, &pair), 0);
	assert_int_equal(pair.create_revision, 2);
	assert_int_equal(etcd_decode_found(&transaction, 1, &pair), -ENOENT);
	assert_int_equal(etcd_decode_found(&transaction, 2, &pair), -EPROTO);
	assert_int_equal(etcd_decode_found(&transaction, 3, &pair), -EPROTO);
	json_decref(root);
	root = parse("{\"header\":{\"revision\":\"4\"},\"succeeded\":true,\"responses\":[]}");
	assert_int_equal(etcd_decode_transaction(root, &transaction), 0);
	assert_true(transaction.succeeded && transaction.revision == 4);
	json_decref(root);
}

static void test_watches(void **state)
{
	struct etcd_watch watch;
	struct etcd_pair pair;
	bool deleted;
	json_t *root =
		parse("{\"result\":{\"header\":{\"revision\":\"4\"},\"events\":[{\"type\":"
		      "\"DELETE\",\"kv\":{\"key\":\"YQ==\",\"mod_revision\":\"4\"}},"
		      "{\"kv\":{\"key\":\"YQ==\",\"mod_revision\":\"4\"}},{\"type\":\"PUT\","
		      "\"kv\":{\"key\":\"YQ==\",\"mod_revision\":\"4\"}},{\"type\":\"X\","
		      "\"kv\":{\"key\":\"YQ==\",\"mod_revision\":\"4\"}},{\"type\":1},7,{}]}}");
	static const int results[] = {0, 0, 0, -EPROTO, -EPROTO, -EPROTO, -EPROTO};

	(void)state;
	assert_int_equal(etcd_decode_watch(root, &watch), 0);
	assert_false(watch.created || watch.cancelled || watch.fragment);
	assert_int_equal(json_array_size(watch.events), COUNT(results));
	for (size_t i = 0; i < COUNT(results); i++) {
		assert_int_equal(
			etcd_decode_event(json_array_get(watch.events, i), &deleted, &pair),
			results[i]);
		if (!results[i])
			assert_int_equal(deleted, i == 0);
	}
	json_decref(root);

	root = parse("{\"result\":{\"header\":{},\"canceled\":true,\"compact_revision\":\"4\"}}");
	assert_int_equal(etcd_decode_watch(root, &watch), 0);
	assert_true(watch.cancelled && watch.compact_revision == 4);
	assert_string_equal(watch.reason, "");
	json_decref(root);
	root = parse("{\"result\":{\"canceled\":true,\"cancel_reason\":\"rpc error: code = "
		     "Unauthenticated desc = etcdserver: invalid auth token\"}}");
	assert_int_equal(etcd_decode_watch(root, &watch), 0);
	assert_int_equal(watch.error, ETCD_TOKEN);
	json_decref(root);
	static const char *const wrong[] = {"{}", "{\"result\":1}", "{\"result\":{\"created\":1}}",
					    "{\"result\":{\"events\":{}}}",
					    "{\"result\":{\"compact_revision\":\"a\"}}"};

	for (size_t i = 0; i < COUNT(wrong); i++) {
		root = parse(wrong[i]);
		assert_int_equal(etcd_decode_watch(root, &watch), -EPROTO);
		json_decref(root);
	}
}

static void test_members(void **state)
{
	struct etcd_member member;
	json_t *root =
		parse("{\"header\":{\"member_id\":\"18446744073709551615\",\"raft_term\":\"2\"},"
		      "\"version\":\"3.4.23\",\"leader\":\"5\",\"raftIndex\":\"10\","
		      "\"raftTerm\":\"2\",\"raftAppliedIndex\":\"9\",\"isLearner\":true,"
		      "\"errors\":[\"memberID:1 alarm:NOSPACE\",\"a\\nb\",3]}");

	(void)state;
	assert_int_equal(etcd_decode_member(root, &member), 0);
	json_decref(root);
	assert_true(member.member_id == UINT64_MAX);
	assert_int_equal(member.leader, 5);
	assert_int_equal(member.raft_term, 2);
	assert_int_equal(member.raft_index, 10);
	assert_int_equal(member.raft_applied_index, 9);
	assert_true(member.learner);
	assert_string_equal(member.version, "3.4.23");
	assert_string_equal(member.errors, "memberID:1 alarm:NOSPACE, a b, ");
	root = parse("{\"header\":{}}");
	assert_int_equal(etcd_decode_member(root, &member), -EPROTO);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode),	    cmocka_unit_test(test_encode_too_long),
		cmocka_unit_test(test_parse),	    cmocka_unit_test(test_errors),
		cmocka_unit_test(test_error_words), cmocka_unit_test(test_leases),
		cmocka_unit_test(test_tokens),	    cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_large_pairs), cmocka_unit_test(test_answers),
		cmocka_unit_test(test_watches),	    cmocka_unit_test(test_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
