// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The store in etcd when what answers is not, or not quite, etcd: whatever it says and to whatever,
 * the store says what is wrong, tries again, and works once the answers are right.
 */
#include "cluster/etcd.h"

#include "unit/fake_http.h"
#include "unit/loop.h"
#include "unit/slowdown.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define GRANT  "/v3/lease/grant"
#define RENEW  "/v3/lease/keepalive"
#define RANGE  "/v3/kv/range"
#define PUT    "/v3/kv/put"
#define WATCH  "/v3/watch"
#define TXN    "/v3/kv/txn"
#define STATUS "/v3/maintenance/status"

struct bench {
	uv_loop_t loop;
	struct fake_http fake;
	struct store *store;
	struct fake_client *watcher;
	bool muted; /* the watch is told nothing by itself */
	unsigned int revision;
	const char *bad_path; /* what is answered wrongly, */
	const char *bad_body; /* with this; NULL: not at all, "": the connection is closed */
	unsigned int bad_status;
	unsigned int bad_answers;
	unsigned int rows, resets, syncs, committed, losses;
	enum store_commit_result result;
	char last_row[64];
	bool was_connected;
	unsigned int renew_interval_ms; /* 0: short */
	/* Where the store is to be closed: the handler's name. */
	const char *close_in;
};

static void answer_watch(struct bench *bench, struct fake_client *client, const char *message)
{
	bench->watcher = client;
	fake_begin_chunks(client);
	fake_send_chunk(client, message);
}

/* Tells the watch that all is told up to here. */
static void tell_progress(struct bench *bench)
{
	char message[128];

	snprintf(message, sizeof(message), "{\"result\":{\"header\":{\"revision\":\"%u\"}}}\n",
		 bench->revision);
	if (bench->watcher && !bench->muted)
		fake_send_chunk(bench->watcher, message);
}

static void answer_badly(struct bench *bench, struct fake_client *client)
{
	bench->bad_answers++;
	if (!bench->bad_body)
		return;
	if (!*bench->bad_body)
		fake_hang_up(client);
	else if (!strcmp(bench->bad_path, WATCH) && bench->bad_status == 200)
		answer_watch(bench, client, bench->bad_body);
	else
		fake_answer(client, bench->bad_status, bench->bad_body);
}

static void on_request(void *context, struct fake_client *client, const char *path,
		       const char *body)
{
	struct bench *bench = context;
	char answer[256];

	if (bench->bad_path && !strcmp(path, bench->bad_path)) {
		answer_badly(bench, client);
		return;
	}
	snprintf(answer, sizeof(answer), "{\"header\":{\"revision\":\"%u\"}}", bench->revision);
	if (!strcmp(path, GRANT)) {
		fake_answer(client, 200, "{\"ID\":\"7\",\"TTL\":\"1\"}");
	} else if (!strcmp(path, RENEW)) {
		fake_answer(client, 200, "{\"result\":{\"ID\":\"7\",\"TTL\":\"1\"}}");
	} else if (!strcmp(path, RANGE)) {
		fake_answer(client, 200, answer);
	} else if (!strcmp(path, WATCH)) {
		answer_watch(bench, client, "{\"result\":{\"header\":{},\"created\":true}}\n");
		tell_progress(bench);
	} else if (!strcmp(path, PUT)) {
		snprintf(answer, sizeof(answer), "{\"header\":{\"revision\":\"%u\"}}",
			 ++bench->revision);
		fake_answer(client, 200, answer);
		tell_progress(bench);
	} else if (!strcmp(path, TXN)) {
		snprintf(answer, sizeof(answer),
			 "{\"header\":{\"revision\":\"%u\"},\"succeeded\":true}",
			 ++bench->revision);
		fake_answer(client, 200, answer);
		tell_progress(bench);
	} else {
		fake_answer(client, 200, "{}");
	}
	(void)body;
}

static void handler_runs(struct bench *bench, const char *name)
{
	/* None after the end. */
	assert_non_null(bench->store);
	if (bench->close_in && !strcmp(bench->close_in, name)) {
		store_close(bench->store);
		bench->store = NULL;
	}
}

static void on_row(void *context, const char *node, const void *data, size_t size,
		   uint64_t revision)
{
	(void)revision;
	struct bench *bench = context;

	bench->rows++;
	snprintf(bench->last_row, sizeof(bench->last_row), "%s=%.*s", node, (int)size,
		 data ? (const char *)data : "");
	handler_runs(bench, "row");
}

static void on_isolation(void *context, const char *node, const void *data, size_t size,
			 uint64_t revision)
{
	(void)node;
	(void)data;
	(void)size;
	assert_true(revision > 0);
	handler_runs(context, "isolation");
}

static void on_reset(void *context)
{
	struct bench *bench = context;

	bench->resets++;
	handler_runs(bench, "reset");
}

static void on_synced(void *context)
{
	struct bench *bench = context;

	bench->syncs++;
	handler_runs(bench, "synced");
}

static void on_changed(void *context, const struct store_state *state)
{
	struct bench *bench = context;

	assert_true(state->connected == !*state->reason);
	bench->losses += bench->was_connected && !state->connected;
	bench->was_connected = state->connected;
	handler_runs(context, state->connected ? "connected" : "lost");
}

static void on_committed(void *context, const char *node, enum store_commit_result result)
{
	struct bench *bench = context;

	(void)node;
	bench->committed++;
	bench->result = result;
	handler_runs(bench, "committed");
}

/* Where all takes longer, so do the answers of the server, which is this process. */
#define PATIENCE (slowdown() > 1 ? 5 : 1)

static void open_store(struct bench *bench)
{
	char url[64], reason[256] = "";
	struct text error = TEXT(reason);
	const struct etcd_settings settings = {
		.endpoints = {url},
		.endpoint_count = 1,
		.prefix = "/t/",
		.request_limit_ms = 50 * PATIENCE,
		.renew_interval_ms = bench->renew_interval_ms ?: 20 * PATIENCE,
	};
	const struct store_handlers handlers = {
		.context = bench,
		.row = on_row,
		.isolation = on_isolation,
		.reset = on_reset,
		.synced = on_synced,
		.changed = on_changed,
		.committed = on_committed,
	};

	snprintf(url, sizeof(url), "http://127.0.0.1:%u//", bench->fake.port);
	if (store_open_etcd(&bench->store, &bench->loop, "n1", &settings, &handlers, &error))
		fail_msg("%s", reason);
}

static void open_store_with_row(struct bench *bench)
{
	open_store(bench);
	store_put_row(bench->store, "row", 3);
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	assert_int_equal(uv_loop_init(&bench->loop), 0);
	bench->fake.context = bench;
	bench->fake.request = on_request;
	bench->revision = 10;
	fake_open(&bench->fake, &bench->loop);
	open_store_with_row(bench);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	bench->bad_path = NULL;
	store_close(bench->store);
	bench->store = NULL;
	loop_turn_for(&bench->loop, 10 * NS_PER_MS);
	fake_close(&bench->fake);
	loop_end(&bench->loop);
	free(bench);
	return 0;
}

#define wait_for(bench, condition)                                                             \
	do {                                                                                   \
		uint64_t limit_ns_ = clock_monotonic_ns() + LOOP_LIMIT_NS;                     \
		while (!(condition)) {                                                         \
			if (clock_monotonic_ns() > limit_ns_)                                  \
				fail_msg("line %d: never came: %s (%s)", __LINE__, #condition, \
					 (bench)->store ? store_state((bench)->store)->reason  \
							: "");                                 \
			loop_turn(&(bench)->loop);                                             \
		}                                                                              \
	} while (0)

#define PAIR(key) "{\"key\":\"" key "\",\"mod_revision\":\"99\"}"

static void test_bad_answers(void **state)
{
	static const char *const paths[] = {GRANT, RENEW, RANGE, WATCH, PUT};
	static const struct {
		unsigned int status;
		const char *body;
	} answers[] = {
		{200, NULL},
		{200, ""},
		{200, "<html>hello</html>\n"},
		{200, "{\"header\":\n"},
		{200, "[]\n"},
		{200, "{\"error\":[]}\n"},
		{500, "oops"},
		{503, "{\"error\":\"etcdserver: no leader\",\"code\":14}"},
		{400, "{\"error\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}"},
		{403, "{\"error\":\"etcdserver: permission denied\",\"code\":7}"},
		{401, "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}"},
		{200, "{\"error\":{\"grpc_code\":14,\"message\":\"going away\"}}\n"},
		{200, "{\"result\":{\"ID\":\"8\",\"TTL\":\"1\",\"created\":7,\"events\":7}}\n"},
		{301, "moved"},
	};
	struct bench *bench = *state;

	for (size_t p = 0; p < COUNT(paths); p++) {
		for (size_t i = 0; i < COUNT(answers); i++) {
			unsigned int before = bench->bad_answers;
			char reason[256];

			bench->bad_body = answers[i].body;
			bench->bad_status = answers[i].status;
			bench->bad_path = paths[p];
			/* From the start, so that each path is in use. */
			store_close(bench->store);
			open_store_with_row(bench);
			wait_for(bench, bench->bad_answers > before);
			wait_for(bench, !store_state(bench->store)->connected &&
						strstr(store_state(bench->store)->reason,
						       "http://127.0.0.1:"));
			strcpy(reason, store_state(bench->store)->reason);
			if (strlen(reason) < 40)
				fail_msg("%s, answer %zu: %s", paths[p], i, reason);
			bench->bad_path = NULL;
			wait_for(bench, store_state(bench->store)->connected);
		}
	}
}

/* Lines of a watch that are well-formed and make no sense. */
static void test_bad_events(void **state)
{
	static const char *const fatal[] = {
		"{\"result\":{\"header\":{},\"events\":[7]}}\n",
		"{\"result\":{\"header\":{},\"events\":[{\"kv\":{}}]}}\n",
		"{\"result\":{\"header\":{},\"events\":[{\"type\":\"MOVE\",\"kv\":" PAIR(
			"L3Qvcm93cy9h") "}]}}\n",
		"{\"result\":{\"header\":{},\"canceled\":true}}\n",
	};
	/* Ignored: too old; not ours; no text; its name is none. */
	static const char *const harmless[] = {
		"{\"result\":{\"header\":{},\"events\":[{\"kv\":{\"key\":\"L3Qvcm93cy9h\","
		"\"mod_revision\":\"1\"}}]}}\n",
		"{\"result\":{\"header\":{},\"events\":[{\"kv\":" PAIR("YWJj") "}]}}\n",
		"{\"result\":{\"header\":{},\"fragment\":true,\"events\":[{\"kv\":{\"key\":"
		"\"L3QvAGFi\",\"mod_revision\":\"100\"}}]}}\n",
		"{\"result\":{\"header\":{},\"events\":[{\"kv\":{\"key\":\"L3Qvcm93cy8v\","
		"\"mod_revision\":\"100\"}}]}}\n",
		"{\"result\":{}}\n",
	};
	struct bench *bench = *state;
	unsigned int rows;

	for (size_t i = 0; i < COUNT(fatal); i++) {
		wait_for(bench, store_state(bench->store)->connected);
		fake_send_chunk(bench->watcher, fatal[i]);
		wait_for(bench, !store_state(bench->store)->connected);
	}
	wait_for(bench, store_state(bench->store)->connected);
	rows = bench->rows;
	for (size_t i = 0; i < COUNT(harmless); i++)
		fake_send_chunk(bench->watcher, harmless[i]);
	fake_send_chunk(bench->watcher,
			"{\"result\":{\"header\":{},\"events\":[{\"kv\":{\"key\":\"L3Qvcm93cy9h\","
			"\"value\":\"eA==\",\"mod_revision\":\"101\"}}]}}\n");
	wait_for(bench, bench->rows == rows + 1);
	assert_string_equal(bench->last_row, "a=x");
	assert_true(store_state(bench->store)->connected);
}

/* A watch that says nothing of what is written is torn down. */
static void test_silent_watch(void **state)
{
	struct bench *bench = *state;
	struct fake_client *watcher;

	wait_for(bench, store_state(bench->store)->connected);
	watcher = bench->watcher;
	bench->watcher = NULL;
	store_put_row(bench->store, "more", 4);
	wait_for(bench, !store_state(bench->store)->connected);
	assert_non_null(strstr(store_state(bench->store)->reason, "watch"));
	wait_for(bench, bench->watcher && store_state(bench->store)->connected);
	assert_true(bench->watcher != watcher || bench->fake.accepted > 1);
}

/* Whoever has no row is not connected either before a renewal is answered: it is what shows that a
 * majority is behind the endpoint, whose watch alone would open without. */
static void test_renewals_unanswered(void **state)
{
	struct bench *bench = *state;

	store_close(bench->store);
	open_store(bench);
	wait_for(bench, store_state(bench->store)->connected);
	bench->bad_path = RENEW;
	wait_for(bench, !store_state(bench->store)->connected);
	bench->losses = 0;
	loop_turn_for(&bench->loop, 400 * NS_PER_MS);
	assert_int_equal(bench->losses, 0);
	assert_false(store_state(bench->store)->connected);
	bench->bad_path = NULL;
	wait_for(bench, store_state(bench->store)->connected);
}

/* What the watch has said while the loop stood still is read before it is called silent. */
static void test_loop_stood_still(void **state)
{
	struct bench *bench = *state;
	unsigned int revision;

	/* The server stands still, too: nothing is to be asked of it meanwhile. */
	store_close(bench->store);
	bench->renew_interval_ms = 60000;
	open_store_with_row(bench);
	wait_for(bench, store_state(bench->store)->connected);
	bench->losses = 0;
	/* Until then libcurl has timers of its own for a new connection. */
	loop_turn_for(&bench->loop, 250 * NS_PER_MS);
	revision = bench->revision;
	bench->muted = true;
	store_put_row(bench->store, "more", 4);
	wait_for(bench, bench->revision > revision);
	/* The answer is taken, and what the watch says is on its way. */
	loop_turn_for(&bench->loop, 10 * NS_PER_MS);
	bench->muted = false;
	tell_progress(bench);
	poll(NULL, 0, 800);
	loop_turn_for(&bench->loop, 150 * NS_PER_MS);
	assert_true(store_state(bench->store)->connected);
	assert_int_equal(bench->losses, 0);
}

/* The watch is behind an answer: it tells the end of an election before this node's own. */
static void test_overtaken_watch(void **state)
{
	static const char ended[] =
		"{\"result\":{\"header\":{},\"events\":[{\"type\":\"DELETE\","
		"\"kv\":{\"key\":\"L3QvYWN0b3I=\",\"mod_revision\":\"%u\"}}]}}\n";
	struct bench *bench = *state;
	uint64_t elected;
	char message[256];

	wait_for(bench, store_state(bench->store)->connected);
	bench->muted = true;
	bench->revision += 10;
	store_campaign(bench->store, true);
	wait_for(bench, store_state(bench->store)->actor);
	elected = store_state(bench->store)->actor_revision;
	assert_int_equal(elected, bench->revision);
	snprintf(message, sizeof(message), ended, bench->revision - 1);
	fake_send_chunk(bench->watcher, message);
	loop_turn_for(&bench->loop, 50 * NS_PER_MS);
	assert_true(store_state(bench->store)->actor);
	assert_int_equal(store_state(bench->store)->actor_revision, elected);
	/* Its own end, in contrast. */
	snprintf(message, sizeof(message), ended, bench->revision + 1);
	bench->revision += 10;
	fake_send_chunk(bench->watcher, message);
	wait_for(bench, store_state(bench->store)->actor_revision > elected);
}

/* The revisions go back: it is another store, and all is read again. */
static void test_another_store(void **state)
{
	struct bench *bench = *state;

	wait_for(bench, store_state(bench->store)->connected);
	assert_int_equal(bench->resets, 1);
	bench->revision = 3;
	store_put_row(bench->store, "more", 4);
	wait_for(bench, bench->resets == 2 && bench->syncs == 2);
	wait_for(bench, store_state(bench->store)->connected);
	store_put_row(bench->store, "even more", 9);
	loop_turn_for(&bench->loop, 300 * NS_PER_MS);
	/* On a slow machine an answer may have come too late for it. */
	wait_for(bench, store_state(bench->store)->connected);
	assert_int_equal(bench->resets, 2);
}

/* Pages that are too long, or that lead nowhere. */
static void test_bad_pages(void **state)
{
	static const char *const bodies[] = {
		"{\"header\":{\"revision\":\"9\"},\"more\":true}",
		"{\"header\":{\"revision\":\"9\"},\"more\":true,\"kvs\":[7]}",
		/* The same page for ever. */
		"{\"header\":{\"revision\":\"9\"},\"more\":true,\"kvs\":[" PAIR(
			"L3Qvcm93cy9h") "]}",
	};
	struct bench *bench = *state;
	size_t size = 5U << 20;
	char *large = malloc(size + 1);

	assert_non_null(large);
	memset(large, 'x', size);
	large[size] = '\0';
	for (size_t i = 0; i <= COUNT(bodies); i++) {
		bench->bad_path = RANGE;
		bench->bad_status = 200;
		bench->bad_body = i < COUNT(bodies) ? bodies[i] : large;
		store_close(bench->store);
		open_store_with_row(bench);
		wait_for(bench, strstr(store_state(bench->store)->reason,
				       i < COUNT(bodies) ? "keys" : "too long"));
		bench->bad_path = NULL;
		wait_for(bench, store_state(bench->store)->connected);
	}
	free(large);
}

static void test_commit_answers(void **state)
{
	static const struct {
		unsigned int status;
		const char *body;
		enum store_commit_result result;
	} cases[] = {
		{200,
		 "{\"header\":{\"revision\":\"50\"},\"responses\":[{\"response_range\":{}},"
		 "{\"response_range\":{}}]}",
		 STORE_FENCED},
		{200, "{\"header\":{\"revision\":\"50\"},\"responses\":[]}", STORE_UNKNOWN},
		{200, "{\"header\":{\"revision\":\"50\"}}", STORE_UNKNOWN},
		{200, "{}", STORE_UNKNOWN},
		{200, "garbage", STORE_UNKNOWN},
		{503, "{\"error\":\"etcdserver: request timed out\",\"code\":14}", STORE_UNKNOWN},
		{200, "", STORE_UNKNOWN},
		{200, NULL, STORE_UNKNOWN},
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned int committed = bench->committed;

		store_campaign(bench->store, true);
		wait_for(bench,
			 store_state(bench->store)->actor && store_state(bench->store)->connected);
		bench->bad_path = TXN;
		bench->bad_status = cases[i].status;
		bench->bad_body = cases[i].body;
		assert_int_equal(store_commit(bench->store, "n2", "x", 1, 0), 0);
		wait_for(bench, bench->committed > committed);
		if (bench->result != cases[i].result)
			fail_msg("case %zu: %d", i, bench->result);
		bench->bad_path = NULL;
		loop_turn_for(&bench->loop, 20 * NS_PER_MS);
		assert_int_equal(bench->committed, committed + 1);
	}
	wait_for(bench, store_state(bench->store)->actor && store_state(bench->store)->connected);
	assert_int_equal(store_commit(bench->store, "a/b", "x", 1, 0), -EINVAL);
	assert_int_equal(store_commit(bench->store, "", "x", 1, 0), -EINVAL);
	assert_int_equal(store_commit(bench->store, "a", "x", STORE_RECORD_BYTES_MAX + 1, 0),
			 -EINVAL);
	assert_int_equal(store_commit(bench->store, "a", "x", 1, 0), 0);
	wait_for(bench, bench->result == STORE_COMMITTED);
}

/* The store may be closed by any handler, and then none is called any more. */
static void test_close_in_handlers(void **state)
{
	static const char *const names[] = {"row",	 "isolation", "reset",	  "synced",
					    "connected", "lost",      "committed"};
	static const char pairs[] = "{\"result\":{\"header\":{},\"events\":[{\"kv\":" PAIR(
		"L3Qvcm93cy9h") "},{\"kv\":" PAIR("L3QvaXNvbGF0aW9ucy9h") "},{\"kv\":" PAIR("L3Qvcm"
											    "93cy9"
											    "h") "}"
												 "]"
												 "}"
												 "}"
												 "\n";
	struct bench *bench = *state;

	for (size_t i = 0; i < COUNT(names); i++) {
		bench->bad_path = NULL;
		bench->close_in = names[i];
		if (!bench->store)
			open_store_with_row(bench);
		store_campaign(bench->store, true);
		wait_for(bench, !bench->store || store_state(bench->store)->actor);
		if (bench->store && strcmp(names[i], "committed") && strcmp(names[i], "lost"))
			fake_send_chunk(bench->watcher, pairs);
		if (bench->store && (!strcmp(names[i], "committed") || !strcmp(names[i], "lost"))) {
			bench->bad_path = TXN;
			bench->bad_status = 200;
			bench->bad_body = "garbage";
			assert_int_equal(store_commit(bench->store, "n2", "x", 1, 0), 0);
			assert_int_equal(store_commit(bench->store, "n3", "x", 1, 0), 0);
		}
		wait_for(bench, !bench->store);
		bench->watcher = NULL;
	}
	loop_turn_for(&bench->loop, 20 * NS_PER_MS);
}

static void test_settings(void **state)
{
	static const struct {
		const char *node;
		struct etcd_settings settings;
		const char *words;
	} cases[] = {
		{"n", {.prefix = "/t/"}, "0 endpoints"},
		{"n", {.endpoints = {"a:1"}, .endpoint_count = 1, .prefix = "/t/"}, "'a:1'"},
		{"n", {.endpoints = {"http://a"}, .endpoint_count = 99, .prefix = "/t/"}, "99"},
		{"n", {.endpoints = {"http://a"}, .endpoint_count = 1, .prefix = "/t"}, "'/t'"},
		{"n", {.endpoints = {"http://a"}, .endpoint_count = 1}, "etcd.prefix is ''"},
		{"a/b", {.endpoints = {"http://a"}, .endpoint_count = 1, .prefix = "/"}, "'a/b'"},
		{"", {.endpoints = {"http://a"}, .endpoint_count = 1, .prefix = "/"}, "node ''"},
	};
	struct bench *bench = *state;
	const struct store_handlers handlers = {.context = bench};
	struct store *store;

	for (size_t i = 0; i < COUNT(cases); i++) {
		char reason[256] = "";
		struct text error = TEXT(reason);

		assert_int_equal(store_open_etcd(&store, &bench->loop, cases[i].node,
						 &cases[i].settings, &handlers, &error),
				 -EINVAL);
		if (!strstr(reason, cases[i].words))
			fail_msg("case %zu: %s", i, reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bad_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent_watch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renewals_unanswered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loop_stood_still, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overtaken_watch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_store, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commit_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_in_handlers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
