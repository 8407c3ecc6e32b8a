// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The cluster as JSON, and as people see it. */
#include "report/cluster.h"

#include "unit/cluster_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_NS (3000 * CLUSTER_MS)

struct bench {
	struct cluster cluster;
	struct classifier classifier;
	struct judgement judgement;
	struct verdicts verdicts;
	struct actor actor;
	struct store_state store;
	struct snapshot_cluster snapshot;
};

static void ignore(void *context, const struct standing *standing, const struct verdict *verdict)
{
	(void)context;
	(void)standing;
	(void)verdict;
}

static void make(struct bench *bench, const char *const *lines, unsigned int count)
{
	memset(bench, 0, sizeof(*bench));
	cluster_make(&bench->cluster, count, NULL);
	cluster_say_all(&bench->cluster, lines);
	assert_int_equal(classifier_init(&bench->classifier, &bench->cluster.membership), 0);
	for (uint64_t ms = 2000; ms <= 2500; ms += 500) {
		classify(&bench->classifier, &bench->cluster.view, ms * CLUSTER_MS,
			 &bench->judgement);
		verdicts_update(&bench->verdicts, &bench->judgement, ms * CLUSTER_MS, ignore,
				ignore, NULL);
	}
	bench->store = (struct store_state){.connected = true,
					    .renewed_ns = 2900 * CLUSTER_MS,
					    .lease_ns = 2000 * CLUSTER_MS,
					    .actor = true};
	bench->snapshot = (struct snapshot_cluster){
		.membership = &bench->cluster.membership,
		.view = &bench->cluster.view,
		.judgement = &bench->judgement,
		.verdicts = &bench->verdicts,
		.actor = &bench->actor,
		.store = &bench->store,
		.store_kind = CONFIG_STORE_ETCD,
		.mode = CONFIG_MODE_ENFORCE,
		.synced = true,
		.hold_down_ms = 30000,
		.now_ns = NOW_NS,
	};
}

static void end(struct bench *bench)
{
	actor_free(&bench->actor);
	verdicts_free(&bench->verdicts);
	classifier_free(&bench->classifier);
	cluster_free(&bench->cluster);
}

static char *print(const struct bench *bench)
{
	char *data = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&data, &size);
	json_t *object = cluster_json("n1", &bench->snapshot);

	assert_non_null(stream);
	assert_non_null(object);
	assert_int_equal(cluster_print(stream, object, false), 0);
	assert_int_equal(fclose(stream), 0);
	json_decref(object);
	return data;
}

static void test_all_well(void **state)
{
	static const char *const lines[] = {"-hh", "h-h", "hh-"};
	struct bench bench;
	char *text;

	(void)state;
	make(&bench, lines, 3);
	text = print(&bench);
	assert_string_equal(
		text,
		"cluster of 3, 3 with a row; seen from n1; mode enforce; store etcd (this node "
		"is the actor)\n"
		"\n"
		"      of   1  2  3\n"
		"n1     1   -  .  .\n"
		"n2     2   .  -  .\n"
		"n3     3   .  .  -\n"
		"\n"
		". healthy  l lossy  s suspect  U unreachable  > egress-cut  < ingress-cut  a "
		"agent-silent  ? unknown\n"
		"\n"
		"no verdict: all is well\n");
	free(text);
	end(&bench);
}

static void test_a_lost_node(void **state)
{
	static const char *const lines[] = {"-hhhu", "h-hhu", "hh-hu", "hhh-u", "."};
	struct isolation_record record = {0};
	struct bench bench;
	char *text;

	(void)state;
	make(&bench, lines, 5);
	record_isolate(&record, "n5", "node-unreachable", "n5 is unreachable", "n2", true, false,
		       1764112345678);
	assert_int_equal(actor_take_record(&bench.actor, 4, &record, 7, 2900 * CLUSTER_MS), 0);
	bench.store.actor = false;
	bench.snapshot.paused = true;
	text = print(&bench);
	assert_string_equal(
		text,
		"cluster of 5, 4 with a row; seen from n1; mode enforce; store etcd; PAUSED\n"
		"\n"
		"      of   1  2  3  4  5\n"
		"n1     1   -  .  .  .  U\n"
		"n2     2   .  -  .  .  U\n"
		"n3     3   .  .  -  .  U\n"
		"n4     4   .  .  .  -  U\n"
		"n5     5               -  no row  ISOLATED\n"
		"\n"
		". healthy  l lossy  s suspect  U unreachable  > egress-cut  < ingress-cut  a "
		"agent-silent  ? unknown\n"
		"\n"
		"node-unreachable for 1.0s: n5 is unreachable, cause unknown: 4 nodes say so "
		"(n1, "
		"n2, n3, n4); it has no row; the majority is 4 of 5 nodes\n"
		"\n"
		"isolated: n5 by n2, n5 is unreachable\n");
	free(text);
	end(&bench);
}

/* Healed, and still isolated: for how long, and what it waits for. */
static void test_a_healed_node(void **state)
{
	static const char *const lines[] = {"-hh", "h-h", "hh-"};
	struct isolation_record record = {0};
	struct actor_record *known;
	struct bench bench;
	char *text;

	(void)state;
	make(&bench, lines, 3);
	record_isolate(&record, "n3", "node-unreachable", "n3 is unreachable", "n2", true, false,
		       1764112345678);
	assert_int_equal(actor_take_record(&bench.actor, 2, &record, 7, 0), 0);
	known = actor_find_record(&bench.actor, 2);
	known->healthy_ns = 1000 * CLUSTER_MS;
	strcpy(known->kept, "it has no leader");
	bench.store.actor = false;
	strcpy(bench.store.actor_name, "n2");
	text = print(&bench);
	assert_non_null(strstr(text, "; store etcd (the actor is n2)\n"));
	assert_non_null(strstr(text, "\nisolated: n3 by n2, n3 is unreachable; healthy for 2.0s of "
				     "30.0s; not released yet: it has no leader\n"));
	free(text);
	end(&bench);
}

/* What each node finds of its own health stands below the verdicts, also when all else is well. */
static void test_findings(void **state)
{
	static const char *const lines[] = {"-hh", "h-h", "hh-"};
	const char *name, *subject, *sentence;
	struct bench bench;
	json_t *object, *nodes;
	char *text;

	(void)state;
	make(&bench, lines, 3);
	cluster_find(&bench.cluster, 1, lines[1], "crash-loop", 2800 * CLUSTER_MS);
	cluster_find(&bench.cluster, 2, lines[2], "disk\033stalled", 2900 * CLUSTER_MS);
	object = cluster_json("n1", &bench.snapshot);
	nodes = json_object_get(object, "nodes");
	assert_int_equal(json_array_size(json_object_get(json_array_get(nodes, 0), "findings")), 0);
	assert_int_equal(json_unpack(json_array_get(nodes, 1), "{s:[{s:s, s:s, s:s !}!]}",
				     "findings", "finding", &name, "subject", &subject, "sentence",
				     &sentence),
			 0);
	assert_string_equal(name, "crash-loop");
	assert_string_equal(subject, "SUBJECT");
	assert_string_equal(sentence, "SENTENCE");
	json_decref(object);
	text = print(&bench);
	/* Another node's row must not move the cursor. */
	assert_non_null(strstr(text, "\nno verdict: all is well\n"
				     "\n"
				     "finding: n2 crash-loop SUBJECT: SENTENCE\n"
				     "finding: n3 disk?stalled SUBJECT: SENTENCE\n"));
	free(text);
	end(&bench);
}

/* Above CLUSTER_MATRIX_MAX nodes only those that are not well are shown. */
static void test_many_nodes(void **state)
{
	enum { COUNT = CLUSTER_NODES_MAX };
	static char lines[COUNT][COUNT + 1];
	const char *pointers[COUNT];
	struct bench bench;
	char *text;

	(void)state;
	for (unsigned int i = 0; i < COUNT; i++) {
		memset(lines[i], 'h', COUNT);
		lines[i][i] = '-';
		pointers[i] = lines[i];
	}
	lines[6][8] = lines[8][6] = 'l';
	make(&bench, pointers, COUNT);
	text = print(&bench);
	assert_string_equal(text, "cluster of 50, 50 with a row; seen from n1; mode enforce; store "
				  "etcd (this node is "
				  "the actor)\n"
				  "n07  lossy: n09\n"
				  "n09  lossy: n07\n"
				  "48 nodes are well\n"
				  "\n"
				  "lossy-link for 1.0s: 1 link is lossy between n07, n09\n");
	free(text);
	end(&bench);
}

static void test_json(void **state)
{
	static const char *const lines[] = {"-he", "h-h", "ih-"};
	struct bench bench;
	json_t *object;
	const char *class, *sentence;
	int majority, quorum, renewed_ms;
	json_t *edges;

	(void)state;
	make(&bench, lines, 3);
	bench.store.connected = false;
	strcpy(bench.store.reason, "nobody answers");
	object = cluster_json("n1", &bench.snapshot);
	assert_int_equal(json_unpack(object, "{s:i, s:i, s:{s:i}, s:[{s:o}], s:[{s:s, s:s}]}",
				     "majority", &majority, "quorum", &quorum, "store",
				     "lease_renewed_ms", &renewed_ms, "nodes", "edges", &edges,
				     "verdicts", "class", &class, "sentence", &sentence),
			 0);
	assert_int_equal(majority, 3);
	assert_int_equal(quorum, 2);
	assert_int_equal(renewed_ms, 100);
	assert_string_equal(class, "one-way");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(edges, "egress-cut"), 0)), "n3");
	assert_int_equal(json_object_size(edges), 1);
	json_decref(object);
	end(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_well),      cmocka_unit_test(test_a_lost_node),
		cmocka_unit_test(test_a_healed_node), cmocka_unit_test(test_many_nodes),
		cmocka_unit_test(test_findings),      cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
