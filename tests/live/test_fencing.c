// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How the agent changes its node's fence, while its loop goes on; and what of etcd stays open. */
#include "agent/fencing.h"

#include "agent/agent.h"
#include "base/clock.h"
#include "live/fence_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DEADLINE_NS (10 * NS_PER_S)

struct bench {
	struct agent agent;
	struct fencing *fencing;
};

static int set_up(void **state)
{
	assert_int_equal(fence_rig_set_up(state), 0);
	fence_rig_enter(*state);
	return 0;
}

static int tear_down(void **state)
{
	fence_rig_leave(*state);
	return fence_rig_tear_down(state);
}

static struct bench *open_bench(void)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct config *config;

	assert_non_null(bench);
	config = &bench->agent.config;
	assert_int_equal(config_defaults(config), 0);
	config->mode = CONFIG_MODE_ENFORCE;
	assert_int_equal(uv_loop_init(&bench->agent.loop), 0);
	assert_int_equal(fencing_open(&bench->fencing, &bench->agent), 0);
	return bench;
}

static void close_bench(struct bench *bench)
{
	fencing_close(bench->fencing);
	assert_int_equal(uv_run(&bench->agent.loop, UV_RUN_DEFAULT), 0);
	/* Nothing is left open. */
	assert_int_equal(uv_loop_close(&bench->agent.loop), 0);
	config_free(&bench->agent.config);
	free(bench);
}

static bool is_up(void)
{
	char reason[512] = "";
	struct text error = TEXT(reason);
	int r = fence_present(&error);

	if (r < 0)
		fail_msg("%d, %s", r, reason);
	return r;
}

/* As the agent's turns do: the wish is repeated until it is so. */
static void wait_settled(struct bench *bench, bool on)
{
	uint64_t deadline_ns = clock_monotonic_ns() + DEADLINE_NS;

	while (!fencing_is_settled(bench->fencing, on)) {
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("the fence is never %s", on ? "up" : "down");
		fencing_set(bench->fencing, on, "s");
		uv_run(&bench->agent.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(is_up(), on);
	assert_int_equal(fencing_is_on(bench->fencing), on);
}

static void test_up_and_down(void **state)
{
	struct bench *bench = open_bench();

	(void)state;
	assert_false(is_up());
	for (int i = 0; i < 3; i++) {
		fencing_set(bench->fencing, true, "s");
		/* Not waited for: it is known to the loop alone. */
		assert_false(fencing_is_on(bench->fencing));
		assert_false(fencing_is_settled(bench->fencing, true));
		assert_false(fencing_is_settled(bench->fencing, false));
		wait_settled(bench, true);
		fencing_set(bench->fencing, false, "s");
		assert_true(fencing_is_on(bench->fencing));
		assert_false(fencing_is_settled(bench->fencing, true));
		wait_settled(bench, false);
	}
	close_bench(bench);
}

/* What is wished for meanwhile comes next. */
static void test_wish_changes(void **state)
{
	struct bench *bench = open_bench();

	(void)state;
	fencing_set(bench->fencing, true, "s");
	fencing_set(bench->fencing, false, "s");
	assert_false(fencing_is_settled(bench->fencing, false));
	wait_settled(bench, false);
	fencing_set(bench->fencing, true, "s");
	wait_settled(bench, true);
	fencing_set(bench->fencing, false, "s");
	fencing_set(bench->fencing, true, "s");
	wait_settled(bench, true);
	close_bench(bench);
}

/* The loop need not be told each time: the change goes on by itself. */
static void test_the_loop_alone(void **state)
{
	struct bench *bench = open_bench();

	(void)state;
	fencing_set(bench->fencing, true, "s");
	assert_int_equal(uv_run(&bench->agent.loop, UV_RUN_DEFAULT), 0);
	assert_true(fencing_is_settled(bench->fencing, true));
	assert_true(is_up());
	close_bench(bench);
}

/* Who comes after finds the fence as it is. */
static void test_closed_meanwhile(void **state)
{
	struct bench *bench = open_bench();

	(void)state;
	/* As when the agent reads its configuration again: the loop has no turn between. */
	for (int i = 0; i < 2; i++) {
		fencing_set(bench->fencing, !i, "s");
		fencing_close(bench->fencing);
		assert_int_equal(is_up(), !i);
		assert_int_equal(fencing_open(&bench->fencing, &bench->agent), 0);
		assert_true(fencing_is_settled(bench->fencing, !i));
	}
	close_bench(bench);
}

/* Somebody else has taken it down: there is nothing to wait for. */
static void test_taken_down_by_hand(void **state)
{
	char reason[512] = "";
	struct text error = TEXT(reason);
	struct bench *bench = open_bench();

	(void)state;
	fencing_set(bench->fencing, true, "s");
	wait_settled(bench, true);
	assert_int_equal(fence_rig_take_down(&error), 0);
	fencing_set(bench->fencing, false, "s");
	assert_true(fencing_is_settled(bench->fencing, false));
	close_bench(bench);
}

/* Clients' port and peers' port of each member of etcd, of the node's own and of others. */
static void test_store_ports(void **state)
{
	static const char *const urls[] = {"http://10.99.0.1:2379", "http://[fd99::1]:2379",
					   "https://10.99.0.50:2379", "https://[fd99::50]:2379",
					   "http://a.name:2379"};
	struct fence_endpoint endpoints[FENCING_STORE_MAX];
	const struct fence_rig *fence = *state;
	struct fence_settings settings = fence->settings;
	struct config config;

	assert_int_equal(config_defaults(&config), 0);
	config.etcd.endpoint_count = sizeof(urls) / sizeof(*urls);
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++)
		snprintf(config.etcd.endpoints[i], sizeof(config.etcd.endpoints[i]), "%s", urls[i]);
	settings.store = endpoints;
	settings.store_count = fencing_store(&config, endpoints);
	config_free(&config);
	/* A name is not looked up. */
	assert_int_equal(settings.store_count, 8);
	fence_rig_leave(fence);
	fence_rig_apply(fence, &settings);
	for (int family = 0; family < FENCE_RIG_FAMILIES; family++) {
		for (uint16_t port = 2378; port <= 2381; port++) {
			bool open = port == 2379 || port == 2380;

			fence_rig_expect_tcp(fence, PARTY_SELF, PARTY_STORE, port, family, open);
			fence_rig_expect_tcp(fence, PARTY_MEMBER, PARTY_SELF, port, family, open);
			fence_rig_expect_tcp(fence, PARTY_STRANGER, PARTY_SELF, port, family,
					     false);
			fence_rig_expect_tcp(fence, PARTY_SELF, PARTY_STRANGER, port, family,
					     false);
		}
	}
	fence_rig_enter(fence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_up_and_down, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wish_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_loop_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closed_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_taken_down_by_hand, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_store_ports, set_up, tear_down),
	};

	if (rig_obstacle()) {
		printf("%s\n", rig_obstacle());
		return 77;
	}
	return cmocka_run_group_tests(tests, fence_rig_group_set_up, fence_rig_group_tear_down);
}
