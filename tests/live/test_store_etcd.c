// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The store in a real etcd of one member. */
#include "base/clock.h"
#include "live/child.h"
#include "live/store_client.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SAMPLES 200

struct bench {
	struct etcd_cluster cluster;
	struct store_client a, b;
	pid_t child;
	char cwd[2];
};

static const char *obstacle;

static int setup_group(void **state)
{
	struct bench *bench;

	obstacle = etcd_cluster_obstacle();
	if (obstacle)
		return 0;
	bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	etcd_cluster_isolate();
	etcd_cluster_start(&bench->cluster, 1, false);
	*state = bench;
	return 0;
}

static int teardown_group(void **state)
{
	struct bench *bench = *state;

	if (!bench)
		return 0;
	etcd_cluster_stop(&bench->cluster);
	free(bench);
	return 0;
}

static int setup(void **state)
{
	struct bench *bench = *state;

	if (obstacle) {
		print_message("%s\n", obstacle);
		return 0;
	}
	memset(&bench->a, 0, sizeof(bench->a));
	memset(&bench->b, 0, sizeof(bench->b));
	store_loop_open();
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;
	static const char all[] = "{\"key\":\"AA==\",\"range_end\":\"AA==\"}";

	if (obstacle)
		return 0;
	child_kill(&bench->child);
	store_close(bench->a.store);
	store_close(bench->b.store);
	store_loop_close();
	json_decref(etcd_cluster_post(&bench->cluster, 0, "/v3/kv/deleterange", all));
	return 0;
}

static struct bench *begin(void **state)
{
	if (obstacle) {
		print_message("%s\n", obstacle);
		skip();
	}
	return *state;
}

static void open_both(struct bench *bench)
{
	struct etcd_settings settings = store_client_settings(&bench->cluster);

	store_client_open(&bench->a, "a", &settings);
	store_client_open(&bench->b, "b", &settings);
	store_wait(bench->a.connected && bench->b.connected);
}

/* 0 when there is no such key. */
static uint64_t lease_of(struct bench *bench, const char *key)
{
	struct etcd_bytes none = {NULL, 0};
	char *body = etcd_encode_range(key, none, 0, 1);
	json_t *answer = etcd_cluster_post(&bench->cluster, 0, "/v3/kv/range", body);
	struct etcd_range range;
	static struct etcd_pair pair;

	free(body);
	assert_int_equal(etcd_decode_range(answer, &range), 0);
	pair.lease = 0;
	if (json_array_size(range.pairs))
		assert_int_equal(etcd_decode_pair(json_array_get(range.pairs, 0), &pair), 0);
	json_decref(answer);
	return pair.lease;
}

/* A node of another process: it publishes a row, takes part in the election, and is killed. */
static void run_other(void *context)
{
	struct bench *bench = context;
	struct etcd_settings settings = store_client_settings(&bench->cluster);
	struct store_client client;

	store_loop_open();
	store_client_open(&client, "other", &settings);
	store_client_put(&client, "row of other");
	store_campaign(client.store, true);
	for (;;)
		store_loop_turn();
}

static void test_rows(void **state)
{
	struct bench *bench = begin(state);
	char binary[] = {0, 1, 2, (char)0xff, 0, 7, 0};
	uint64_t start_ns = clock_monotonic_ns();
	const struct store_state *a;

	open_both(bench);
	print_message("connected after %.1f ms\n",
		      (double)(clock_monotonic_ns() - start_ns) / NS_PER_MS);
	a = store_state(bench->a.store);
	assert_int_equal(a->lease_ns, NS_PER_S);
	assert_true(clock_boottime_ns() - a->renewed_ns < NS_PER_S);
	assert_int_equal(bench->a.resets, 1);
	assert_int_equal(bench->a.syncs, 1);

	store_client_put(&bench->a, "lost");
	store_client_put(&bench->a, "first");
	store_client_put(&bench->b, "second");
	store_wait(store_client_has_row(&bench->b, "a", "first") &&
		   store_client_has_row(&bench->a, "b", "second") &&
		   store_client_has_row(&bench->a, "a", "first"));
	store_put_row(bench->a.store, binary, sizeof(binary));
	store_wait(store_client_row(&bench->b, "a")->size == sizeof(binary));
	assert_memory_equal(store_client_row(&bench->b, "a")->data, binary, sizeof(binary));

	/* Both stand still for longer than any answer may take. */
	store_client_put(&bench->a, "still");
	store_loop_turn();
	usleep(700000);
	store_loop_run_ms(50);
	assert_true(store_client_has_row(&bench->b, "a", "still"));
	assert_int_equal(bench->a.losses, 0);

	store_client_close(&bench->a);
	store_wait(!store_client_row(&bench->b, "a"));
	assert_non_null(store_client_row(&bench->b, "b"));
	assert_int_equal(bench->b.resets, 1);
	assert_int_equal(bench->b.losses, 0);
}

static int compare(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return (one > other) - (one < other);
}

static void test_latency(void **state)
{
	struct bench *bench = begin(state);
	double ms[SAMPLES];
	char row[64];

	open_both(bench);
	for (unsigned int i = 0; i < SAMPLES; i++) {
		uint64_t start_ns;

		snprintf(row, sizeof(row), "row %u", i);
		start_ns = clock_monotonic_ns();
		store_client_put(&bench->a, row);
		store_wait(store_client_has_row(&bench->b, "a", row));
		ms[i] = (double)(store_client_row(&bench->b, "a")->at_ns - start_ns) / NS_PER_MS;
	}
	qsort(ms, SAMPLES, sizeof(*ms), compare);
	print_message("put_row to the other's handler: p50 %.2f ms, p99 %.2f ms, max %.2f ms of "
		      "%d\n",
		      ms[SAMPLES / 2], ms[SAMPLES * 99 / 100], ms[SAMPLES - 1], SAMPLES);
	assert_true(ms[SAMPLES / 2] < 20);
	assert_int_equal(bench->b.losses, 0);
}

static void test_killed(void **state)
{
	struct bench *bench = begin(state);
	struct etcd_settings settings = store_client_settings(&bench->cluster);
	uint64_t start_ns, row_ns;

	bench->child = child_start(run_other, bench);
	store_client_open(&bench->a, "a", &settings);
	store_wait(store_client_row(&bench->a, "other") && lease_of(bench, "/tocsin/actor"));
	store_campaign(bench->a.store, true);
	store_loop_run_ms(100);
	assert_false(bench->a.actor);
	start_ns = clock_monotonic_ns();
	child_kill(&bench->child);
	store_wait(!store_client_row(&bench->a, "other"));
	row_ns = clock_monotonic_ns();
	store_wait(bench->a.actor);
	print_message("killed: row gone after %.0f ms, election won %.1f ms later\n",
		      (double)(row_ns - start_ns) / NS_PER_MS,
		      ((double)bench->a.elected_ns - (double)row_ns) / NS_PER_MS);
	/* The lease is renewed each 200 ms, and etcd looks for ended ones each 500 ms. */
	assert_in_range(row_ns - start_ns, 700 * NS_PER_MS, 2500 * NS_PER_MS);
}

static void test_election(void **state)
{
	struct bench *bench = begin(state);
	struct store_client *first, *second;
	uint64_t revision, start_ns;

	open_both(bench);
	assert_int_equal(store_commit(bench->a.store, "x", "1", 1, 0), -EPERM);
	store_campaign(bench->a.store, true);
	store_campaign(bench->b.store, true);
	store_wait(bench->a.actor || bench->b.actor);
	store_loop_run_ms(50);
	assert_int_equal(bench->a.actor + bench->b.actor, 1);
	first = bench->a.actor ? &bench->a : &bench->b;
	second = bench->a.actor ? &bench->b : &bench->a;
	revision = store_state(first->store)->actor_revision;
	assert_true(revision > 0);
	assert_int_equal(store_state(second->store)->actor_revision, 0);

	/* Resigned. */
	start_ns = clock_monotonic_ns();
	store_campaign(first->store, false);
	store_wait(second->actor);
	print_message("resigned: handed over in %.1f ms\n",
		      (double)(second->elected_ns - start_ns) / NS_PER_MS);
	assert_false(first->actor);
	assert_true(store_state(second->store)->actor_revision > revision);
	revision = store_state(second->store)->actor_revision;

	/* Closed. */
	store_campaign(first->store, true);
	store_loop_run_ms(50);
	assert_false(first->actor);
	start_ns = clock_monotonic_ns();
	store_client_close(second);
	store_wait(first->actor);
	print_message("closed: handed over in %.1f ms\n",
		      (double)(first->elected_ns - start_ns) / NS_PER_MS);
	assert_true(first->elected_ns - start_ns < 300 * NS_PER_MS);
	assert_true(store_state(first->store)->actor_revision > revision);

	/* The key is deleted by hand: the next election, with a new revision. */
	revision = store_state(first->store)->actor_revision;
	etcd_cluster_put(&bench->cluster, "/tocsin/actor", NULL, 0);
	store_wait(store_state(first->store)->actor_revision > revision);
}

static void test_commit(void **state)
{
	struct bench *bench = begin(state);
	uint64_t revision, old;
	static const char stolen[] = "/tocsin/actor";

	open_both(bench);
	store_campaign(bench->a.store, true);
	store_wait(bench->a.actor);

	assert_int_equal(store_client_commit(&bench->a, "n1", "one", 0), STORE_COMMITTED);
	store_wait(store_client_isolation(&bench->a, "n1") &&
		   store_client_isolation(&bench->b, "n1"));
	assert_string_equal(store_client_isolation(&bench->b, "n1")->data, "one");
	old = store_client_isolation(&bench->b, "n1")->revision;
	assert_int_equal(store_client_commit(&bench->a, "n1", "again", 0), STORE_CONFLICT);
	assert_int_equal(store_client_commit(&bench->a, "n1", "two", old), STORE_COMMITTED);
	store_wait(store_client_isolation(&bench->b, "n1")->revision > old);
	assert_string_equal(store_client_isolation(&bench->b, "n1")->data, "two");
	revision = store_client_isolation(&bench->b, "n1")->revision;
	assert_int_equal(store_client_commit(&bench->a, "n1", "three", old), STORE_CONFLICT);
	assert_int_equal(store_client_commit(&bench->a, "n1", NULL, old), STORE_CONFLICT);
	assert_int_equal(store_client_commit(&bench->a, "n1", NULL, revision), STORE_COMMITTED);
	store_wait(!store_client_isolation(&bench->b, "n1"));
	assert_int_equal(store_client_commit(&bench->a, "n1", NULL, revision), STORE_CONFLICT);
	/* The records stay when the node goes. */
	assert_int_equal(store_client_commit(&bench->a, "n2", "kept", 0), STORE_COMMITTED);

	/* Someone else has become the actor, and this node has not heard of it. */
	etcd_cluster_put(&bench->cluster, stolen, NULL, 0);
	assert_true(bench->a.actor);
	assert_int_equal(store_client_commit(&bench->a, "n3", "stale", 0), STORE_FENCED);
	store_wait(bench->a.actor);
	store_client_close(&bench->a);
	store_loop_run_ms(50);
	assert_non_null(store_client_isolation(&bench->b, "n2"));
	assert_null(store_client_isolation(&bench->b, "n3"));
}

/* What others write below the prefix is ignored, and nothing behind it is missed. */
static void test_garbage(void **state)
{
	struct bench *bench = begin(state);
	static const char *const keys[] = {"/tocsin/rows/",	     "/tocsin/rows/a/b",
					   "/tocsin/other",	     "/tocsin/rows/line\nbreak",
					   "/tocsin/isolations/x y", "/tocsin/actor/x"};
	static char large[300000];
	char name[64];

	memset(large, 'x', sizeof(large));
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "/tocsin/isolations/p%u/", i);
		etcd_cluster_put(&bench->cluster, name, "x", 1);
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		etcd_cluster_put(&bench->cluster, keys[i], "x", 1);
	open_both(bench);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		etcd_cluster_put(&bench->cluster, keys[i], "y", 1);
	store_client_put(&bench->a, "fine");
	store_client_put(&bench->b, "fine");
	store_wait(store_client_has_row(&bench->b, "a", "fine") &&
		   store_client_has_row(&bench->a, "b", "fine"));
	assert_int_equal(bench->a.losses + bench->b.losses, 0);
	for (unsigned int i = 0; i < STORE_CLIENT_ROWS; i++) {
		assert_true(strlen(bench->a.rows[i].node) <= 1);
		assert_string_equal(bench->a.isolations[i].node, "");
	}
}

/* The revision of the watch is compacted away while it is not there: all is read again. */
static void test_compaction(void **state)
{
	struct bench *bench = begin(state);
	char body[128], row[32];
	json_t *answer;

	open_both(bench);
	store_client_put(&bench->a, "a's");
	store_client_put(&bench->b, "before");
	store_wait(store_client_has_row(&bench->a, "b", "before"));
	/* Whoever is stopped does not hear of it. */
	etcd_cluster_kill(&bench->cluster, 0);
	store_wait(!bench->a.connected && !bench->b.connected);
	assert_non_null(strstr(store_state(bench->a.store)->reason, bench->cluster.urls[0]));
	etcd_cluster_start_member(&bench->cluster, 0);
	/* The loop stands still meanwhile. */
	etcd_cluster_wait(&bench->cluster, 0);
	for (unsigned int i = 0; i < 10; i++) {
		snprintf(row, sizeof(row), "row %u", i);
		etcd_cluster_put(&bench->cluster, "/tocsin/rows/hand", row, strlen(row));
	}
	answer = etcd_cluster_post(&bench->cluster, 0, "/v3/kv/range", "{\"key\":\"YQ==\"}");
	snprintf(body, sizeof(body), "{\"revision\":\"%llu\"}",
		 (unsigned long long)etcd_decode_revision(answer));
	json_decref(answer);
	json_decref(etcd_cluster_post(&bench->cluster, 0, "/v3/kv/compaction", body));
	store_wait(bench->a.connected && bench->b.connected);
	assert_int_equal(bench->a.resets, 2);
	assert_int_equal(bench->a.syncs, 2);
	assert_true(store_client_has_row(&bench->a, "hand", "row 9"));
	store_client_put(&bench->b, "after");
	store_wait(store_client_has_row(&bench->a, "b", "after"));
}

static void test_lease_lost(void **state)
{
	struct bench *bench = begin(state);
	uint64_t lease, start_ns, actor_revision;
	char *body;

	open_both(bench);
	store_client_put(&bench->a, "mine");
	store_campaign(bench->a.store, true);
	store_wait(bench->a.actor && store_client_has_row(&bench->b, "a", "mine"));
	actor_revision = store_state(bench->a.store)->actor_revision;
	lease = lease_of(bench, "/tocsin/rows/a");
	assert_int_equal(lease, lease_of(bench, "/tocsin/actor"));
	body = etcd_encode_lease(lease);
	json_decref(etcd_cluster_post(&bench->cluster, 0, "/v3/lease/revoke", body));
	free(body);
	start_ns = clock_monotonic_ns();
	/* Its end and the new one may be told in the same turn. */
	store_wait(bench->b.row_ends == 1 && store_client_has_row(&bench->b, "a", "mine"));
	store_wait(bench->a.actor && store_state(bench->a.store)->actor_revision > actor_revision);
	print_message("lease revoked: row and election back in %.0f ms\n",
		      (double)(clock_monotonic_ns() - start_ns) / NS_PER_MS);
	assert_int_not_equal(lease_of(bench, "/tocsin/rows/a"), lease);
	assert_int_equal(lease_of(bench, "/tocsin/rows/a"), lease_of(bench, "/tocsin/actor"));

	/* The row alone is deleted: it is put again. */
	etcd_cluster_put(&bench->cluster, "/tocsin/rows/a", NULL, 0);
	store_wait(bench->b.row_ends == 2 && store_client_has_row(&bench->b, "a", "mine"));
}

/* An actor that does not answer any more is deposed, long before its lease ends. */
static void test_deposed(void **state)
{
	struct bench *bench = begin(state);
	struct etcd_settings settings = store_client_settings(&bench->cluster);
	uint64_t start_ns, revision;

	bench->child = child_start(run_other, bench);
	store_client_open(&bench->a, "a", &settings);
	store_wait(!strcmp(store_state(bench->a.store)->actor_name, "other"));
	store_campaign(bench->a.store, true);
	store_loop_run_ms(50);
	assert_false(bench->a.actor);
	assert_int_equal(kill(bench->child, SIGSTOP), 0);
	start_ns = clock_monotonic_ns();
	store_depose(bench->a.store);
	store_wait(bench->a.actor);
	print_message("deposed, elected after %.1f ms\n",
		      (double)(bench->a.elected_ns - start_ns) / NS_PER_MS);
	assert_true(bench->a.elected_ns - start_ns < 300 * NS_PER_MS);
	assert_non_null(store_client_row(&bench->a, "other"));
	assert_string_equal(store_state(bench->a.store)->actor_name, "a");
	revision = store_state(bench->a.store)->actor_revision;
	/* Oneself is not deposed. */
	store_depose(bench->a.store);
	store_loop_run_ms(100);
	assert_true(bench->a.actor);
	assert_int_equal(store_state(bench->a.store)->actor_revision, revision);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_latency, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_election, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deposed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lease_lost, setup, teardown),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
