// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The store in a real etcd of three members, of which some fail. */
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

/* From the fault to work by another endpoint: a renewal each 200 ms, which has 250 ms. Some more,
 * for a machine with other things to do. */
#define FAILOVER_MAX_NS (900 * NS_PER_MS)

struct bench {
	struct etcd_cluster cluster;
	struct store_client a, b;
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
	etcd_cluster_start(&bench->cluster, 3, false);
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

	if (obstacle)
		return 0;
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
	etcd_cluster_pass();
	store_close(bench->a.store);
	store_close(bench->b.store);
	store_loop_close();
	for (unsigned int i = 0; i < bench->cluster.count; i++)
		if (!bench->cluster.pids[i])
			etcd_cluster_start_member(&bench->cluster, i);
	for (unsigned int i = 0; i < bench->cluster.count; i++)
		etcd_cluster_wait(&bench->cluster, i);
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

static unsigned int member_of(struct bench *bench, struct store_client *client)
{
	for (unsigned int i = 0; i < bench->cluster.count; i++)
		if (!strcmp(etcd_endpoint(client->store), bench->cluster.urls[i]))
			return i;
	fail_msg("endpoint '%s'", etcd_endpoint(client->store));
	return 0;
}

/* a works by a member that does not lead; b by another one, and only by that. */
static void open_both(struct bench *bench)
{
	struct etcd_settings settings = store_client_settings(&bench->cluster);
	struct etcd_settings other = settings;
	unsigned int leader = etcd_cluster_leader(&bench->cluster);

	/* The one asked first is picked at random. */
	store_client_open(&bench->a, "a", &settings);
	store_wait(bench->a.connected);
	while (member_of(bench, &bench->a) == leader) {
		store_client_close(&bench->a);
		store_client_open(&bench->a, "a", &settings);
		store_wait(bench->a.connected);
	}
	other.endpoint_count = 1;
	other.endpoints[0] = bench->cluster.urls[leader];
	store_client_open(&bench->b, "b", &other);
	store_wait(bench->a.connected && bench->b.connected);
	store_client_put(&bench->a, "a's");
	store_client_put(&bench->b, "b's");
	store_wait(store_client_has_row(&bench->b, "a", "a's") &&
		   store_client_has_row(&bench->a, "b", "b's"));
}

/* After the fault: a goes on by another endpoint, in time, and is told all, nothing twice over. */
static void expect_failover(struct bench *bench, unsigned int member, uint64_t start_ns,
			    const char *fault)
{
	store_wait(bench->a.losses == 1);
	assert_non_null(strstr(store_state(bench->a.store)->reason, bench->cluster.urls[member]));
	store_wait(bench->a.connected);
	print_message("%s: noticed after %.0f ms, works again after %.0f ms\n", fault,
		      (double)(bench->a.lost_ns - start_ns) / NS_PER_MS,
		      (double)(bench->a.connected_ns - start_ns) / NS_PER_MS);
	assert_true(bench->a.connected_ns - start_ns < FAILOVER_MAX_NS);
	assert_int_not_equal(member_of(bench, &bench->a), member);
	store_client_put(&bench->a, fault);
	store_client_put(&bench->b, fault);
	store_wait(store_client_has_row(&bench->b, "a", fault) &&
		   store_client_has_row(&bench->a, "b", fault));
	assert_int_equal(bench->a.resets, 1);
	assert_int_equal(bench->b.losses, 0);
}

static void test_blackhole(void **state)
{
	struct bench *bench = begin(state);
	unsigned int member, now;
	uint64_t start_ns;

	open_both(bench);
	store_campaign(bench->a.store, true);
	store_wait(bench->a.actor);
	member = member_of(bench, &bench->a);
	etcd_cluster_blackhole(member);
	start_ns = clock_monotonic_ns();
	/* Whatever is under way has one end. */
	assert_int_equal(store_commit(bench->a.store, "n1", "1", 1, 0), 0);
	assert_int_equal(store_commit(bench->a.store, "n2", "2", 1, 0), 0);
	expect_failover(bench, member, start_ns, "dropped packets");
	assert_int_equal(bench->a.commit_count, 2);
	assert_int_equal(bench->a.commits[STORE_UNKNOWN], 2);
	/* Its lease has outlived that. */
	assert_true(bench->a.actor);

	/* It stays where it works. */
	now = member_of(bench, &bench->a);
	etcd_cluster_pass();
	store_loop_run_ms(500);
	assert_int_equal(member_of(bench, &bench->a), now);
	assert_int_equal(bench->a.losses, 1);
}

static void test_stopped(void **state)
{
	struct bench *bench = begin(state);
	unsigned int member;
	uint64_t start_ns;

	open_both(bench);
	member = member_of(bench, &bench->a);
	assert_int_equal(kill(bench->cluster.pids[member], SIGSTOP), 0);
	start_ns = clock_monotonic_ns();
	expect_failover(bench, member, start_ns, "stopped");
	assert_int_equal(kill(bench->cluster.pids[member], SIGCONT), 0);
}

static void test_member_killed(void **state)
{
	struct bench *bench = begin(state);
	unsigned int member;
	uint64_t start_ns;

	open_both(bench);
	member = member_of(bench, &bench->a);
	etcd_cluster_kill(&bench->cluster, member);
	start_ns = clock_monotonic_ns();
	expect_failover(bench, member, start_ns, "killed");
}

static void test_leader_killed(void **state)
{
	struct bench *bench = begin(state);
	struct etcd_settings settings = store_client_settings(&bench->cluster);
	uint64_t start_ns;

	store_client_open(&bench->a, "a", &settings);
	store_client_open(&bench->b, "b", &settings);
	store_wait(bench->a.connected && bench->b.connected);
	etcd_cluster_kill(&bench->cluster, etcd_cluster_leader(&bench->cluster));
	start_ns = clock_monotonic_ns();
	store_client_put(&bench->a, "without a leader");
	store_wait(store_client_has_row(&bench->b, "a", "without a leader") && bench->a.connected &&
		   bench->b.connected);
	/* Whoever says that it is connected again has a leader. */
	assert_true(bench->a.losses <= 1 && bench->b.losses <= 1);
	print_message("leader killed: a row came through after %.0f ms\n",
		      (double)(clock_monotonic_ns() - start_ns) / NS_PER_MS);
}

static void test_no_quorum(void **state)
{
	struct bench *bench = begin(state);
	const struct store_state *a;
	unsigned int left, changes;
	uint64_t renewed_ns;

	open_both(bench);
	a = store_state(bench->a.store);
	store_campaign(bench->a.store, true);
	store_wait(bench->a.actor);
	left = member_of(bench, &bench->a);
	for (unsigned int i = 0; i < 3; i++)
		if (i != left)
			etcd_cluster_kill(&bench->cluster, i);
	store_wait(!bench->a.connected && !bench->b.connected);
	/* The last one that answered was sent before. */
	renewed_ns = a->renewed_ns;
	store_wait(!bench->a.actor);
	assert_true(clock_boottime_ns() >= renewed_ns + a->lease_ns);
	assert_int_equal(store_commit(bench->a.store, "n1", "1", 1, 0), -EPERM);
	changes = bench->a.changes;
	store_loop_run_ms(1500);
	assert_int_equal(bench->a.changes, changes);
	assert_int_equal(a->renewed_ns, renewed_ns);
	/* The one that is left may be waited for as long as a slow answer was before. */
	store_wait(strstr(a->reason, "no endpoint works"));
	print_message("without a majority: %s\n", a->reason);
	assert_non_null(strstr(a->reason, "http://127.0.1."));

	for (unsigned int i = 0; i < 3; i++)
		if (i != left)
			etcd_cluster_start_member(&bench->cluster, i);
	store_client_put(&bench->a, "back");
	store_wait(bench->a.connected && bench->b.connected && bench->a.actor);
	store_wait(store_client_has_row(&bench->b, "a", "back"));
}

struct answers {
	unsigned int count;
	struct etcd_member members[3];
	char reason[256];
};

static void on_member(void *context, const char *endpoint, const struct etcd_member *member,
		      const char *reason)
{
	struct answers *answers = context;

	assert_non_null(strstr(endpoint, "http://127.0.1."));
	if (member)
		answers->members[answers->count] = *member;
	else
		snprintf(answers->reason, sizeof(answers->reason), "%s", reason);
	answers->count++;
}

static void test_member_status(void **state)
{
	struct bench *bench = begin(state);
	struct etcd_settings settings = store_client_settings(&bench->cluster);
	struct answers answers = {0};
	struct etcd_member *members = answers.members;

	store_client_open(&bench->a, "a", &settings);
	store_wait(bench->a.connected);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(etcd_member_status(bench->a.store, bench->cluster.urls[i],
						    on_member, &answers),
				 0);
	assert_int_equal(answers.count, 0);
	store_wait(answers.count == 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_true(members[i].leader && members[i].leader == members[0].leader);
		assert_true(members[i].raft_term && members[i].raft_term == members[0].raft_term);
		assert_true(members[i].raft_applied_index > 0);
		assert_false(members[i].learner);
		assert_string_equal(members[i].errors, "");
		assert_true(members[i].member_id != members[(i + 1) % 3].member_id);
	}
	etcd_cluster_kill(&bench->cluster, 2);
	answers.count = 0;
	assert_int_equal(
		etcd_member_status(bench->a.store, bench->cluster.urls[2], on_member, &answers), 0);
	store_wait(answers.count == 1);
	assert_non_null(strstr(answers.reason, bench->cluster.urls[2]));
	/* One under way when the store is closed is not told any more. */
	assert_int_equal(
		etcd_member_status(bench->a.store, bench->cluster.urls[0], on_member, &answers), 0);
	store_client_close(&bench->a);
	store_loop_run_ms(100);
	assert_int_equal(answers.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_blackhole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_member_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leader_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_quorum, setup, teardown),
		cmocka_unit_test_setup_teardown(test_member_status, setup, teardown),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
