// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Whether a member of a real etcd has caught up, while it and others of them fail. */
#include "agent/member_check.h"

#include "base/clock.h"
#include "live/store_client.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS	     3
#define FIRST_NODE   10 /* which hosts member 0; the next one member 1, and so on */
#define VALUE_BYTES  4000
#define WRITES	     200
#define ANSWERS_KEPT 8

struct bench {
	struct etcd_cluster cluster;
	struct store_client client;
	struct config config;
	struct member_check *check;
	uint32_t insists_on; /* this node is asked about again at each answer */
	unsigned int answers;
	/* of the last answers */
	uint32_t nodes[ANSWERS_KEPT];
	char reasons[ANSWERS_KEPT][512];
};

static void on_checked(void *context, uint32_t node, const char *reason)
{
	struct bench *bench = context;
	unsigned int at = bench->answers++ % ANSWERS_KEPT;

	bench->nodes[at] = node;
	snprintf(bench->reasons[at], sizeof(bench->reasons[at]), "%s", reason);
	if (node == bench->insists_on)
		assert_true(member_check_ask(bench->check, bench->client.store, node));
}

/* With one endpoint for each of the 'order'ed members. */
static void open_check(struct bench *bench, const unsigned int *order, unsigned int count)
{
	struct etcd_settings settings = store_client_settings(&bench->cluster);

	assert_int_equal(config_defaults(&bench->config), 0);
	bench->config.etcd.endpoint_count = settings.endpoint_count = count;
	assert_int_equal(member_check_open(&bench->check, &bench->config, on_checked, bench), 0);
	for (unsigned int i = 0; i < count; i++) {
		settings.endpoints[i] = bench->cluster.urls[order[i]];
		snprintf(bench->config.etcd.endpoints[i], sizeof(bench->config.etcd.endpoints[i]),
			 "%s", bench->cluster.urls[order[i]]);
		member_check_add_host(bench->check, i, FIRST_NODE + order[i]);
	}
	store_client_open(&bench->client, "a", &settings);
	store_wait(bench->client.connected);
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	if (!bench)
		return -1;
	*state = bench;
	store_loop_open();
	etcd_cluster_start(&bench->cluster, MEMBERS, false);
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	store_client_close(&bench->client);
	member_check_close(bench->check);
	config_free(&bench->config);
	store_loop_close();
	etcd_cluster_pass();
	etcd_cluster_stop(&bench->cluster);
	free(bench);
	return 0;
}

static void ask(struct bench *bench, unsigned int member)
{
	assert_true(member_check_ask(bench->check, bench->client.store, FIRST_NODE + member));
}

/* Why a member has not caught up, "" if it has. */
static const char *answer_of(struct bench *bench, unsigned int member)
{
	unsigned int answers = bench->answers, at = answers % ANSWERS_KEPT;

	ask(bench, member);
	store_wait(bench->answers == answers + 1);
	assert_int_equal(bench->nodes[at], FIRST_NODE + member);
	return bench->reasons[at];
}

/* False when it does not answer, or has no leader. */
static bool read_status(struct bench *bench, unsigned int member, struct etcd_member *ret_status)
{
	json_t *answer = etcd_cluster_try(&bench->cluster, member, "/v3/maintenance/status", "{}");
	int r = answer ? etcd_decode_member(answer, ret_status) : -ENODATA;

	json_decref(answer);
	return !r && ret_status->leader;
}

/* What all members but one are known to have committed. */
static uint64_t committed_without(struct bench *bench, unsigned int member)
{
	struct etcd_member status;
	uint64_t index = 0;

	for (unsigned int i = 0; i < MEMBERS; i++)
		if (i != member && read_status(bench, i, &status) && status.raft_index > index)
			index = status.raft_index;
	return index;
}

/* What it says when it has caught up must be so. One that was away may have the others elect once
 * more: while they have no leader, nothing is known to be committed. */
static void wait_caught_up(struct bench *bench, unsigned int member)
{
	uint64_t deadline_ns = clock_monotonic_ns() + 15 * NS_PER_S, index;
	struct etcd_member status;
	const char *reason;

	do {
		index = committed_without(bench, member);
		reason = answer_of(bench, member);
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("member %u never caught up: %s", member, reason);
	} while (!index || *reason);
	assert_true(read_status(bench, member, &status));
	assert_true(index && status.raft_applied_index >= index);
}

/* A member that does not lead, and is not the one that writes. */
static unsigned int choose_follower(struct bench *bench)
{
	return etcd_cluster_leader(&bench->cluster) == 1 ? 2 : 1;
}

static void write_much(struct bench *bench)
{
	static char value[VALUE_BYTES];

	for (unsigned int i = 0; i < WRITES; i++)
		etcd_cluster_put(&bench->cluster, "much", value, sizeof(value));
}

static void test_caught_up(void **state)
{
	static const unsigned int order[] = {0, 1, 2};
	struct bench *bench = *state;

	open_check(bench, order, MEMBERS);
	for (unsigned int i = 0; i < MEMBERS; i++)
		assert_string_equal(answer_of(bench, i), "");
	/* Once more while it is being asked about is one question. */
	bench->answers = 0;
	ask(bench, 1);
	ask(bench, 1);
	store_wait(bench->answers == 1);
	store_loop_run_ms(200);
	assert_int_equal(bench->answers, 1);
	/* Who hosts none is not asked about. */
	assert_false(member_check_ask(bench->check, bench->client.store, FIRST_NODE + MEMBERS));
}

static void test_only_one(void **state)
{
	static const unsigned int order[] = {1};
	struct bench *bench = *state;

	open_check(bench, order, 1);
	assert_false(member_check_ask(bench->check, bench->client.store, FIRST_NODE + 1));
	store_loop_run_ms(50);
	assert_int_equal(bench->answers, 0);
}

/* It answers, and hears nothing of what the others write. */
static void test_behind(void **state)
{
	static const unsigned int order[] = {0, 1, 2};
	struct bench *bench = *state;
	unsigned int follower;

	open_check(bench, order, MEMBERS);
	follower = choose_follower(bench);
	etcd_cluster_cut_peers(follower);
	write_much(bench);
	for (int i = 0; i < 5; i++) {
		const char *reason = answer_of(bench, follower);

		if (strncmp(reason, "it ", 3))
			fail_msg("of a member that is behind: '%s'", reason);
	}
	etcd_cluster_pass();
	wait_caught_up(bench, follower);
}

static void test_stopped(void **state)
{
	static const unsigned int order[] = {0, 1, 2};
	struct bench *bench = *state;
	unsigned int follower;
	const char *reason;

	open_check(bench, order, MEMBERS);
	follower = choose_follower(bench);
	assert_int_equal(kill(bench->cluster.pids[follower], SIGSTOP), 0);
	write_much(bench);
	reason = answer_of(bench, follower);
	if (!strstr(reason, bench->cluster.urls[follower]))
		fail_msg("of a member that is stopped: '%s'", reason);
	assert_int_equal(kill(bench->cluster.pids[follower], SIGCONT), 0);
	wait_caught_up(bench, follower);
}

/* One of the others is enough, whichever. */
static void test_other_killed(void **state)
{
	static const unsigned int orders[][MEMBERS] = {{2, 1, 0}, {2, 0, 1}, {1, 2, 0}};
	struct bench *bench = *state;
	const char *reason;

	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		const unsigned int *order = orders[i];

		open_check(bench, order, MEMBERS);
		etcd_cluster_kill(&bench->cluster, order[1]);
		wait_caught_up(bench, order[0]);
		etcd_cluster_start_member(&bench->cluster, order[1]);
		etcd_cluster_wait(&bench->cluster, order[1]);
		store_client_close(&bench->client);
		member_check_close(bench->check);
		config_free(&bench->config);
	}
	open_check(bench, orders[0], MEMBERS);
	etcd_cluster_kill(&bench->cluster, 1);
	etcd_cluster_kill(&bench->cluster, 0);
	reason = answer_of(bench, 2);
	if (!strstr(reason, "no other member of etcd answers: http://127.0.1."))
		fail_msg("of the last member: '%s'", reason);
}

/* One that never answers keeps no other waiting, though it is asked about again and again. */
static void test_in_turn(void **state)
{
	struct bench *bench = *state;
	unsigned int follower = choose_follower(bench), other = 3 - follower;
	const unsigned int order[] = {follower, other, 0};

	open_check(bench, order, MEMBERS);
	assert_int_equal(kill(bench->cluster.pids[follower], SIGSTOP), 0);
	bench->insists_on = FIRST_NODE + follower;
	ask(bench, follower);
	ask(bench, other);
	store_wait(bench->answers == 2);
	assert_int_equal(bench->nodes[0], FIRST_NODE + follower);
	assert_string_not_equal(bench->reasons[0], "");
	assert_int_equal(bench->nodes[1], FIRST_NODE + other);
	assert_string_equal(bench->reasons[1], "");
}

/* Nothing is told when the store is closed meanwhile. */
static void test_closed(void **state)
{
	static const unsigned int order[] = {0, 1, 2};
	struct bench *bench = *state;

	open_check(bench, order, MEMBERS);
	ask(bench, 1);
	ask(bench, 2);
	store_client_close(&bench->client);
	store_loop_run_ms(100);
	assert_int_equal(bench->answers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_caught_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed, setup, teardown),
	};

	if (etcd_cluster_obstacle()) {
		printf("%s\n", etcd_cluster_obstacle());
		return 77;
	}
	etcd_cluster_isolate();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
