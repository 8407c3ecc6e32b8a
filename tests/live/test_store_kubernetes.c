// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The store in Kubernetes. */
#include "base/clock.h"
#include "live/child.h"
#include "live/kube_api.h"
#include "live/store_client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/tocsin/leases"
#define NODES  "/apis/tocsin.dev/v1/namespaces/tocsin/tocsinnodes"
#define MERGE  "merge-patch+json"
/* How often the server sends some, by default. */
#define BOOKMARK_MS 1000
#define ROW(text)   "{\"note\":\"" text "\"}"

struct bench {
	struct kube_api api;
	struct store_client a, b;
	pid_t child;
};

static const char *obstacle;

/* For kube_api_count(). */
static const char *const all[] = {NULL};
static const char *const lists_of_nodes[] = {"\"list\"", "tocsinnodes", NULL};

static int setup_group(void **state)
{
	struct bench *bench;

	obstacle = kube_api_obstacle();
	if (obstacle)
		return 0;
	bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	kube_api_isolate();
	kube_api_start(&bench->api);
	*state = bench;
	return 0;
}

static int teardown_group(void **state)
{
	struct bench *bench = *state;

	if (!bench)
		return 0;
	kube_api_stop(&bench->api);
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

	if (obstacle)
		return 0;
	kube_api_relent(&bench->api);
	child_kill(&bench->child);
	store_close(bench->a.store);
	store_close(bench->b.store);
	store_loop_close();
	kube_api_call(&bench->api, "DELETE", LEASES, NULL, NULL, NULL);
	kube_api_call(&bench->api, "DELETE", NODES, NULL, NULL, NULL);
	for (const char *const *name = (const char *const[]){"actor", "node-a", "node-b",
							     "node-other", "node-gone", NULL};
	     *name; name++) {
		char path[128];

		snprintf(path, sizeof(path), LEASES "/%s", *name);
		kube_api_call(&bench->api, "DELETE", path, NULL, NULL, NULL);
	}
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

static void open_client(struct bench *bench, struct store_client *client, const char *node)
{
	const struct kubernetes_settings settings = {
		.kubeconfig = bench->api.kubeconfig, .lease_seconds = 1, .renew_interval_ms = 200};

	store_client_open_kubernetes(client, node, &settings);
}

static void open_both(struct bench *bench)
{
	open_client(bench, &bench->a, "a");
	open_client(bench, &bench->b, "b");
	store_wait(bench->a.connected && bench->b.connected);
}

static void run_other(void *context)
{
	struct store_client client;

	store_loop_open();
	open_client(context, &client, "other");
	store_client_put(&client, ROW("other"));
	store_campaign(client.store, true);
	for (;;)
		store_loop_turn();
}

static void test_rows(void **state)
{
	struct bench *bench = begin(state);
	const struct store_state *a;
	json_t *node;

	open_both(bench);
	a = store_state(bench->a.store);
	assert_int_equal(a->lease_ns, NS_PER_S);
	assert_int_equal(a->renew_interval_ns, 200 * NS_PER_MS);
	assert_true(clock_boottime_ns() - a->renewed_ns < NS_PER_S);
	assert_int_equal(bench->a.resets, 1);
	assert_int_equal(bench->a.syncs, 1);

	store_client_put(&bench->a, ROW("lost"));
	store_client_put(&bench->a, ROW("first"));
	store_client_put(&bench->b, ROW("second"));
	store_wait(store_client_has_row(&bench->b, "a", ROW("first")) &&
		   store_client_has_row(&bench->a, "b", ROW("second")) &&
		   store_client_has_row(&bench->a, "a", ROW("first")));
	/* What is no object is not published, and neither loses nor ends what is. */
	store_client_put(&bench->a, "text");
	store_client_put(&bench->a, "[1]");
	store_client_put(&bench->b, ROW("third"));
	store_wait(store_client_has_row(&bench->a, "b", ROW("third")));
	assert_true(store_client_has_row(&bench->b, "a", ROW("first")));
	/* For people. */
	assert_int_equal(kube_api_call(&bench->api, "GET", NODES "/a", NULL, NULL, &node), 200);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(node, "summary"), "state")),
		"healthy");
	json_decref(node);

	/* Both stand still for longer than any answer may take. */
	store_client_put(&bench->a, ROW("still"));
	store_loop_turn();
	usleep(900000);
	store_loop_run_ms(300);
	assert_true(store_client_has_row(&bench->b, "a", ROW("still")));
	assert_int_equal(bench->a.losses + bench->b.losses, 0);

	/* Given back. */
	store_client_close(&bench->a);
	store_wait(!store_client_row(&bench->b, "a"));
	assert_non_null(store_client_row(&bench->b, "b"));
	assert_int_equal(bench->b.resets, 1);
	assert_int_equal(bench->b.losses, 0);
}

static void test_killed(void **state)
{
	struct bench *bench = begin(state);
	uint64_t start_ns, row_ns;

	bench->child = child_start(run_other, bench);
	open_client(bench, &bench->a, "a");
	store_wait(store_client_row(&bench->a, "other") &&
		   !strcmp(store_state(bench->a.store)->actor_name, "other"));
	store_campaign(bench->a.store, true);
	store_loop_run_ms(300);
	assert_false(bench->a.actor);
	start_ns = clock_monotonic_ns();
	child_kill(&bench->child);
	store_wait(!store_client_row(&bench->a, "other"));
	row_ns = clock_monotonic_ns();
	store_wait(bench->a.actor);
	print_message("killed: row gone after %.0f ms, election won %.1f ms later\n",
		      (double)(row_ns - start_ns) / NS_PER_MS,
		      ((double)bench->a.elected_ns - (double)row_ns) / NS_PER_MS);
	/* One lease after its last renewal. */
	assert_in_range(row_ns - start_ns, 700 * NS_PER_MS, 1500 * NS_PER_MS);
}

/* What was left by one that is gone is not taken for life, however new its revision is. */
static void test_past(void **state)
{
	struct bench *bench = begin(state);
	static const char lease[] =
		"{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
		"\"name\":\"node-gone\",\"labels\":{\"app.kubernetes.io/name\":\"tocsin\"}},"
		"\"spec\":{\"holderIdentity\":\"gone\",\"leaseDurationSeconds\":1,"
		"\"renewTime\":\"2026-01-01T00:00:00.000000Z\"}}";
	static const char row[] =
		"{\"apiVersion\":\"tocsin.dev/v1\",\"kind\":\"TocsinNode\",\"metadata\":{"
		"\"name\":\"gone\",\"labels\":{\"app.kubernetes.io/name\":\"tocsin\"}},\"row\":{}}";
	static const char touch[] = "{\"metadata\":{\"labels\":{\"touched\":\"yes\"}}}";

	assert_int_equal(kube_api_call(&bench->api, "POST", LEASES, "json", lease, NULL), 201);
	assert_int_equal(kube_api_call(&bench->api, "POST", NODES, "json", row, NULL), 201);
	open_both(bench);
	assert_null(store_client_row(&bench->a, "gone"));
	/* Somebody else's write gives both a new revision. */
	assert_int_equal(
		kube_api_call(&bench->api, "PATCH", LEASES "/node-gone", MERGE, touch, NULL), 200);
	assert_int_equal(kube_api_call(&bench->api, "PATCH", NODES "/gone", MERGE, touch, NULL),
			 200);
	store_client_put(&bench->b, ROW("b"));
	store_wait(store_client_has_row(&bench->a, "b", ROW("b")));
	store_loop_run_ms(300);
	assert_null(store_client_row(&bench->a, "gone"));
	/* It renews its lease: it lives, for as long as that lasts. */
	assert_int_equal(kube_api_call(&bench->api, "PATCH", LEASES "/node-gone", MERGE,
				       "{\"spec\":{\"renewTime\":\"2026-01-01T00:00:00.000001Z\"}}",
				       NULL),
			 200);
	store_wait(store_client_row(&bench->a, "gone"));
	store_wait(!store_client_row(&bench->a, "gone"));
	kube_api_call(&bench->api, "DELETE", NODES "/gone", NULL, NULL, NULL);
}

static void test_election(void **state)
{
	struct bench *bench = begin(state);
	struct store_client *first, *second;
	uint64_t revision;

	open_both(bench);
	assert_int_equal(store_commit(bench->a.store, "x", "{}", 2, 0), -EPERM);
	store_campaign(bench->a.store, true);
	store_campaign(bench->b.store, true);
	store_wait(bench->a.actor || bench->b.actor);
	store_loop_run_ms(100);
	assert_int_equal(bench->a.actor + bench->b.actor, 1);
	first = bench->a.actor ? &bench->a : &bench->b;
	second = bench->a.actor ? &bench->b : &bench->a;
	revision = store_state(first->store)->actor_revision;
	assert_true(revision > 0);
	assert_int_equal(store_state(second->store)->actor_revision, 0);

	/* Resigned. */
	store_campaign(first->store, false);
	store_wait(second->actor);
	assert_false(first->actor);
	assert_true(store_state(second->store)->actor_revision > revision);
	revision = store_state(second->store)->actor_revision;

	/* Deposed: the next is elected at once, not when the lease ends. */
	store_campaign(first->store, true);
	store_loop_run_ms(100);
	assert_false(first->actor);
	store_depose(first->store);
	store_wait(first->actor || store_state(second->store)->actor_revision > revision);
	store_loop_run_ms(100);
	assert_int_equal(first->actor + second->actor, 1);
	if (second->actor) {
		struct store_client *swap = first;

		first = second;
		second = swap;
	}
	revision = store_state(first->store)->actor_revision;

	/* Closed. */
	store_client_close(first);
	store_wait(second->actor);
	assert_true(store_state(second->store)->actor_revision > revision);

	/* The Lease is deleted by hand: the next election, with a new revision. */
	revision = store_state(second->store)->actor_revision;
	assert_int_equal(kube_api_call(&bench->api, "DELETE", LEASES "/actor", NULL, NULL, NULL),
			 200);
	store_wait(store_state(second->store)->actor_revision > revision);
}

static void test_commit(void **state)
{
	struct bench *bench = begin(state);
	uint64_t revision, old;
	unsigned int count;

	open_both(bench);
	store_campaign(bench->a.store, true);
	store_wait(bench->a.actor);

	assert_int_equal(store_commit(bench->a.store, "n1", "text", 4, 0), -EINVAL);
	assert_int_equal(store_client_commit(&bench->a, "n1", ROW("one"), 0), STORE_COMMITTED);
	store_wait(store_client_isolation(&bench->a, "n1") &&
		   store_client_isolation(&bench->b, "n1"));
	assert_string_equal(store_client_isolation(&bench->b, "n1")->data, ROW("one"));
	old = store_client_isolation(&bench->b, "n1")->revision;
	assert_int_equal(store_client_commit(&bench->a, "n1", ROW("again"), 0), STORE_CONFLICT);
	assert_int_equal(store_client_commit(&bench->a, "n1", ROW("two"), old), STORE_COMMITTED);
	store_wait(store_client_isolation(&bench->b, "n1")->revision > old);
	assert_string_equal(store_client_isolation(&bench->b, "n1")->data, ROW("two"));
	revision = store_client_isolation(&bench->b, "n1")->revision;
	assert_int_equal(store_client_commit(&bench->a, "n1", ROW("three"), old), STORE_CONFLICT);
	assert_int_equal(store_client_commit(&bench->a, "n1", NULL, old), STORE_CONFLICT);
	assert_int_equal(store_client_commit(&bench->a, "n1", NULL, revision), STORE_COMMITTED);
	store_wait(!store_client_isolation(&bench->b, "n1"));
	assert_int_equal(store_client_commit(&bench->a, "n1", NULL, revision), STORE_CONFLICT);
	/* Several at once, in one write. */
	count = bench->a.commit_count;
	assert_int_equal(store_commit(bench->a.store, "n2", ROW("2"), strlen(ROW("2")), 0), 0);
	assert_int_equal(store_commit(bench->a.store, "n2", ROW("2"), strlen(ROW("2")), 0), -EBUSY);
	assert_int_equal(store_commit(bench->a.store, "n3", ROW("3"), strlen(ROW("3")), 0), 0);
	store_wait(bench->a.commit_count == count + 2 && store_client_isolation(&bench->b, "n2") &&
		   store_client_isolation(&bench->b, "n3"));
	assert_int_equal(store_client_isolation(&bench->b, "n2")->revision,
			 store_client_isolation(&bench->b, "n3")->revision);

	/* Somebody writes the Lease, but not the election: the commit is made all the same. */
	assert_int_equal(kube_api_call(&bench->api, "PATCH", LEASES "/actor", MERGE,
				       "{\"metadata\":{\"labels\":{\"touched\":\"yes\"}}}", NULL),
			 200);
	assert_int_equal(store_client_commit(&bench->a, "n4", ROW("4"), 0), STORE_COMMITTED);

	/* Someone else has become the actor, and this node has not heard of it. */
	assert_int_equal(
		kube_api_call(&bench->api, "PATCH", LEASES "/actor", MERGE,
			      "{\"spec\":{\"holderIdentity\":\"b\",\"leaseTransitions\":9}}", NULL),
		200);
	assert_true(bench->a.actor);
	assert_int_equal(store_client_commit(&bench->a, "n5", ROW("stale"), 0), STORE_FENCED);
	assert_false(bench->a.actor);
	store_client_close(&bench->a);
	store_loop_run_ms(100);
	assert_non_null(store_client_isolation(&bench->b, "n4"));
	assert_null(store_client_isolation(&bench->b, "n5"));
}

/* Watches that break off or are too old are mended, and nothing is told twice or missed. */
static void test_watches(void **state)
{
	struct bench *bench = begin(state);

	open_both(bench);
	store_client_put(&bench->a, ROW("1"));
	store_wait(store_client_has_row(&bench->b, "a", ROW("1")));
	for (int i = 0; i < 3; i++) {
		char row[32];

		snprintf(row, sizeof(row), "{\"note\":\"%d\"}", i);
		if (i)
			kube_api_order(&bench->api, "compact", "{}");
		kube_api_order(&bench->api, "watches/drop", "{}");
		store_client_put(&bench->a, row);
		store_wait(store_client_has_row(&bench->b, "a", row) && bench->a.connected &&
			   bench->b.connected);
	}
	assert_int_equal(bench->a.resets, 1);
	/* The rows stood all the time. */
	assert_int_equal(bench->b.row_ends, 0);

	/* A watch that stays open and says nothing is noticed, and whose rows it would tell of are
	 * not given up meanwhile. */
	kube_api_order(&bench->api, "watches/stall", "{\"s\":60}");
	store_wait(!bench->a.connected && !bench->b.connected);
	assert_int_equal(bench->b.row_ends, 0);
	kube_api_relent(&bench->api);
	store_wait(bench->a.connected && bench->b.connected);
	store_client_put(&bench->a, ROW("after"));
	store_wait(store_client_has_row(&bench->b, "a", ROW("after")));
	assert_int_equal(bench->b.row_ends, 0);
}

/* A watch that has nothing to tell knows by bookmarks how far it has come: what was compacted
 * meanwhile is not missed, and nothing is listed again. */
static void test_bookmarks(void **state)
{
	struct bench *bench = begin(state);
	unsigned int lists;

	open_client(bench, &bench->a, "a");
	store_wait(bench->a.connected);
	store_client_put(&bench->a, ROW("quiet"));
	store_wait(store_client_has_row(&bench->a, "a", ROW("quiet")));
	/* Leases go on. */
	store_loop_run_ms(500);
	kube_api_order(&bench->api, "compact", "{}");
	/* One is due within the first of these. */
	store_loop_run_ms(3 * BOOKMARK_MS);
	lists = kube_api_count(&bench->api, lists_of_nodes);
	assert_true(lists > 0);
	kube_api_order(&bench->api, "watches/drop", "{}");
	store_wait(!bench->a.connected);
	store_wait(bench->a.connected);
	store_client_put(&bench->a, ROW("after"));
	store_wait(store_client_has_row(&bench->a, "a", ROW("after")));
	assert_int_equal(kube_api_count(&bench->api, lists_of_nodes), lists);
}

/* What the server may answer instead; each is a state with its reason, and goes away. */
static void test_refusals(void **state)
{
	static const struct {
		const char *fault, *reason;
	} cases[] = {
		{"{\"code\":503,\"count\":1000}", "cannot answer now"},
		{"{\"close\":true,\"count\":1000}", "the connection broke"},
		{"{\"match\":{\"verb\":\"patch\"},\"hang\":true,\"count\":1000}",
		 "no answer in time"},
		{"{\"match\":{\"verb\":\"patch\"},\"code\":403,\"count\":1000}", "may not"},
		{"{\"match\":{\"verb\":\"patch\"},\"code\":500,\"count\":1000}",
		 "cannot answer now"},
	};
	struct bench *bench = begin(state);

	open_both(bench);
	store_client_put(&bench->a, ROW("before"));
	store_wait(store_client_has_row(&bench->b, "a", ROW("before")));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char row[32];

		kube_api_order(&bench->api, "faults", cases[i].fault);
		kube_api_order(&bench->api, "watches/drop", "{}");
		/* First of the watch that broke off, perhaps. */
		store_wait(!bench->a.connected && !bench->b.connected &&
			   strstr(store_state(bench->a.store)->reason, cases[i].reason));
		kube_api_relent(&bench->api);
		store_wait(bench->a.connected && bench->b.connected);
		snprintf(row, sizeof(row), "{\"note\":\"%zu\"}", i);
		store_client_put(&bench->a, row);
		store_wait(store_client_has_row(&bench->b, "a", row));
	}
}

/* When it has too much to do it is left alone for as long as it asks. */
static void test_retry_after(void **state)
{
	struct bench *bench = begin(state);
	unsigned int before;

	open_client(bench, &bench->a, "a");
	store_wait(bench->a.connected);
	kube_api_order(&bench->api, "faults", "{\"code\":429,\"retry_after_s\":2,\"count\":1000}");
	store_wait(!bench->a.connected);
	assert_non_null(strstr(store_state(bench->a.store)->reason, "429"));
	store_loop_run_ms(300);
	before = kube_api_count(&bench->api, all);
	store_loop_run_ms(1000);
	assert_int_equal(kube_api_count(&bench->api, all), before);
	kube_api_relent(&bench->api);
	store_wait(bench->a.connected);
}

/* Also when another call, that was under way with the one that is told so, has failed before. */
static void test_retry_after_failure(void **state)
{
	struct bench *bench = begin(state);
	unsigned int before;

	open_client(bench, &bench->a, "a");
	store_wait(bench->a.connected);
	kube_api_order(&bench->api, "faults",
		       "{\"match\":{\"resource\":\"leases\",\"verb\":[\"list\",\"watch\"]},"
		       "\"code\":503,\"count\":1000}");
	kube_api_order(&bench->api, "faults",
		       "{\"match\":{\"resource\":\"tocsinnodes\",\"verb\":[\"list\",\"watch\"]},"
		       "\"code\":429,\"retry_after_s\":3,\"delay_s\":0.05,\"count\":1000}");
	kube_api_order(&bench->api, "watches/drop", "{}");
	store_wait(!bench->a.connected && strstr(store_state(bench->a.store)->reason, "429"));
	before = kube_api_count(&bench->api, all);
	store_loop_run_ms(1500);
	assert_int_equal(kube_api_count(&bench->api, all), before);
	kube_api_relent(&bench->api);
	store_wait(bench->a.connected);
}

/* A person's kubeconfig, as it may be where there is no service account. */
static void test_client_certificate(void **state)
{
	struct bench *bench = begin(state);
	static const char *const written[] = {"tocsinnodes", "\"patch\"", "tocsin-admin", NULL};
	static const char *const of_account[] = {"tocsinnodes", "tocsin:tocsin", NULL};
	unsigned int before = kube_api_count(&bench->api, of_account);
	char kubeconfig[128];
	const struct kubernetes_settings settings = {
		.kubeconfig = kubeconfig, .lease_seconds = 1, .renew_interval_ms = 200};

	snprintf(kubeconfig, sizeof(kubeconfig), "%s/kubeconfig-cert", bench->api.directory);
	store_client_open_kubernetes(&bench->a, "a", &settings);
	store_wait(bench->a.connected);
	store_client_put(&bench->a, ROW("certified"));
	store_wait(store_client_has_row(&bench->a, "a", ROW("certified")));
	/* By that name, and not by the agents' account. */
	store_wait(kube_api_count(&bench->api, written) > 0);
	assert_int_equal(kube_api_count(&bench->api, of_account), before);
}

/* A new token, the old one of which is refused at once. */
static void test_token(void **state)
{
	struct bench *bench = begin(state);

	open_client(bench, &bench->a, "a");
	store_wait(bench->a.connected);
	store_client_put(&bench->a, ROW("old"));
	store_wait(store_client_has_row(&bench->a, "a", ROW("old")));
	kube_api_order(&bench->api, "token", "{}");
	kube_api_order(&bench->api, "watches/drop", "{}");
	store_client_put(&bench->a, ROW("new"));
	store_wait(store_client_has_row(&bench->a, "a", ROW("new")) && bench->a.connected);
}

/* What is deleted by hand is made again. */
static void test_deleted(void **state)
{
	struct bench *bench = begin(state);

	open_both(bench);
	store_client_put(&bench->a, ROW("a"));
	store_wait(store_client_has_row(&bench->b, "a", ROW("a")));
	assert_int_equal(kube_api_call(&bench->api, "DELETE", NODES "/a", NULL, NULL, NULL), 200);
	store_wait(bench->b.row_ends == 1 && store_client_has_row(&bench->b, "a", ROW("a")));
	assert_int_equal(kube_api_call(&bench->api, "DELETE", LEASES "/node-a", NULL, NULL, NULL),
			 200);
	store_wait(bench->b.row_ends == 2 && store_client_has_row(&bench->b, "a", ROW("a")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_past, setup, teardown),
		cmocka_unit_test_setup_teardown(test_election, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bookmarks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retry_after, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retry_after_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_certificate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_token, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
