// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the fence lets through and what not, as packets meet it. */
#include "live/fence_rig.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_application(const struct fence_rig *fence, enum fence_party party, bool passes)
{
	for (int family = 0; family < FENCE_RIG_FAMILIES; family++) {
		fence_rig_expect_tcp(fence, party, PARTY_SELF, 8080, family, passes);
		fence_rig_expect_tcp(fence, PARTY_SELF, party, 8080, family, passes);
		fence_rig_expect_udp(fence, party, 5000, PARTY_SELF, 5001, family, passes);
		fence_rig_expect_udp(fence, PARTY_SELF, 5000, party, 5001, family, passes);
		fence_rig_expect_ping(fence, party, PARTY_SELF, family, passes);
		fence_rig_expect_ping(fence, PARTY_SELF, party, family, passes);
	}
}

static void test_application(void **state)
{
	const struct fence_rig *fence = *state;
	unsigned int before;

	expect_application(fence, PARTY_MEMBER, true);
	expect_application(fence, PARTY_STRANGER, true);
	fence_rig_apply(fence, &fence->settings);
	assert_int_equal(fence_rig_call(fence, fence_present), 1);
	expect_application(fence, PARTY_MEMBER, false);
	expect_application(fence, PARTY_STRANGER, false);
	expect_application(fence, PARTY_MANAGER, true);
	/* It is the fence that drops, and it drops each packet once. */
	before = fence_rig_dropped(fence, "input");
	assert_true(before > 0);
	for (int i = 0; i < 5; i++)
		fence_rig_expect_udp(fence, PARTY_STRANGER, 5000, PARTY_SELF, 5001, 0, false);
	assert_int_equal(fence_rig_dropped(fence, "input"), before + 5);
	assert_int_equal(fence_rig_call(fence, fence_rig_take_down), 0);
	assert_int_equal(fence_rig_call(fence, fence_present), 0);
	expect_application(fence, PARTY_MEMBER, true);
	expect_application(fence, PARTY_STRANGER, true);
	assert_int_equal(fence_rig_call(fence, fence_rig_take_down), 0);
}

/* A connection that was there before is blocked, too, and goes on when the fence is gone. */
static void test_established(void **state)
{
	const struct fence_rig *fence = *state;
	int pairs[FENCE_RIG_FAMILIES][2];
	uint16_t port;

	for (int family = 0; family < FENCE_RIG_FAMILIES; family++) {
		rig_connect(&fence->rig, family ? AF_INET6 : AF_INET, pairs[family], &port);
		rig_transfer(pairs[family][SIDE_A], pairs[family][SIDE_B], 1000);
		rig_transfer(pairs[family][SIDE_B], pairs[family][SIDE_A], 1000);
	}
	fence_rig_apply(fence, &fence->settings);
	for (int family = 0; family < FENCE_RIG_FAMILIES; family++) {
		assert_false(
			fence_rig_carries(pairs[family][SIDE_A], pairs[family][SIDE_B], false));
		assert_false(
			fence_rig_carries(pairs[family][SIDE_B], pairs[family][SIDE_A], false));
	}
	assert_int_equal(fence_rig_call(fence, fence_rig_take_down), 0);
	for (int family = 0; family < FENCE_RIG_FAMILIES; family++) {
		assert_true(fence_rig_ready(pairs[family][SIDE_A], POLLIN, 1000));
		assert_true(fence_rig_ready(pairs[family][SIDE_B], POLLIN, 1000));
		close(pairs[family][SIDE_A]);
		close(pairs[family][SIDE_B]);
	}
}

/* Who is answered at the agents' port by the kernel, and carries no data. */
static void expect_handshake(const struct fence_rig *fence, enum fence_party from,
			     enum fence_party to, int family, bool passes)
{
	struct sockaddr_storage name;
	socklen_t length = fence_rig_name(to, family, FENCE_RIG_AGENT_PORT, &name);
	int client = fence_rig_socket(fence, from, family, SOCK_STREAM, 0), listener, server;

	/* Nobody listens: a reset. */
	assert_int_equal(fence_rig_connect(client, &name, length, passes),
			 passes ? ECONNREFUSED : EINPROGRESS);
	close(client);
	if (!passes)
		return;
	client = fence_rig_socket(fence, from, family, SOCK_STREAM, 0);
	listener = fence_rig_socket(fence, to, family, SOCK_STREAM, FENCE_RIG_AGENT_PORT);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(fence_rig_connect(client, &name, length, true), 0);
	assert_int_equal(send(client, "?", 1, MSG_NOSIGNAL), 1);
	/* Not even accepted: the end of the handshake is an acknowledgement and nothing else. */
	assert_false(fence_rig_ready(listener, POLLIN, FENCE_RIG_BLOCK_MS));
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(server, -1);
	close(client);
	close(listener);
}

static void test_agents(void **state)
{
	const struct fence_rig *fence = *state;

	fence_rig_apply(fence, &fence->settings);
	for (int family = 0; family < FENCE_RIG_FAMILIES; family++) {
		fence_rig_expect_udp(fence, PARTY_MEMBER, FENCE_RIG_AGENT_PORT, PARTY_SELF,
				     FENCE_RIG_AGENT_PORT, family, true);
		fence_rig_expect_udp(fence, PARTY_SELF, FENCE_RIG_AGENT_PORT, PARTY_MEMBER,
				     FENCE_RIG_AGENT_PORT, family, true);
		fence_rig_expect_udp(fence, PARTY_MEMBER, FENCE_RIG_AGENT_PORT, PARTY_SELF,
				     FENCE_RIG_AGENT_PORT + 1, family, false);
		fence_rig_expect_udp(fence, PARTY_SELF, FENCE_RIG_AGENT_PORT, PARTY_MEMBER,
				     FENCE_RIG_AGENT_PORT + 1, family, false);
		fence_rig_expect_udp(fence, PARTY_STRANGER, FENCE_RIG_AGENT_PORT, PARTY_SELF,
				     FENCE_RIG_AGENT_PORT, family, false);
		fence_rig_expect_udp(fence, PARTY_SELF, FENCE_RIG_AGENT_PORT, PARTY_STRANGER,
				     FENCE_RIG_AGENT_PORT, family, false);
		expect_handshake(fence, PARTY_MEMBER, PARTY_SELF, family, true);
		expect_handshake(fence, PARTY_SELF, PARTY_MEMBER, family, true);
		expect_handshake(fence, PARTY_STRANGER, PARTY_SELF, family, false);
		expect_handshake(fence, PARTY_SELF, PARTY_STRANGER, family, false);
	}
}

/* Who has the store's port at his end may answer, not begin. */
static void expect_no_start(const struct fence_rig *fence, enum fence_party from,
			    enum fence_party to, int family)
{
	int listener = fence_rig_socket(fence, to, family, SOCK_STREAM, 8080);
	int client = fence_rig_socket(fence, from, family, SOCK_STREAM, FENCE_RIG_STORE_PORT);
	struct sockaddr_storage name;
	socklen_t length = fence_rig_name(to, family, 8080, &name);

	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(fence_rig_connect(client, &name, length, false), EINPROGRESS);
	close(client);
	close(listener);
}

static void test_store(void **state)
{
	const struct fence_rig *fence = *state;

	fence_rig_apply(fence, &fence->settings);
	for (int family = 0; family < FENCE_RIG_FAMILIES; family++) {
		fence_rig_expect_tcp(fence, PARTY_SELF, PARTY_STORE, FENCE_RIG_STORE_PORT, family,
				     true);
		fence_rig_expect_tcp(fence, PARTY_SELF, PARTY_STORE, FENCE_RIG_STORE_PORT + 1,
				     family, false);
		fence_rig_expect_tcp(fence, PARTY_STORE, PARTY_SELF, FENCE_RIG_STORE_PORT, family,
				     false);
		fence_rig_expect_udp(fence, PARTY_SELF, 5000, PARTY_STORE, FENCE_RIG_STORE_PORT,
				     family, false);
		expect_no_start(fence, PARTY_STORE, PARTY_SELF, family);
		expect_no_start(fence, PARTY_SELF, PARTY_MEMBER, family);
		/* What this node hosts of the store itself. */
		fence_rig_expect_tcp(fence, PARTY_MEMBER, PARTY_SELF, FENCE_RIG_STORE_PORT, family,
				     true);
		fence_rig_expect_tcp(fence, PARTY_STRANGER, PARTY_SELF, FENCE_RIG_STORE_PORT,
				     family, false);
		fence_rig_expect_tcp(fence, PARTY_MEMBER, PARTY_SELF, FENCE_RIG_STORE_PORT + 1,
				     family, false);
	}
}

/* What keeps the node's addresses and neighbours, and what tells about errors. */
static void test_network(void **state)
{
	const struct fence_rig *fence = *state;
	struct sockaddr_storage name;
	int error = 0, fd;
	socklen_t length, size = sizeof(error);

	fence_rig_apply(fence, &fence->settings);
	fence_rig_expect_udp(fence, PARTY_SELF, 68, PARTY_STRANGER, 67, 0, true);
	fence_rig_expect_udp(fence, PARTY_STRANGER, 67, PARTY_SELF, 68, 0, true);
	fence_rig_expect_udp(fence, PARTY_STRANGER, 68, PARTY_SELF, 67, 0, false);
	fence_rig_expect_udp(fence, PARTY_SELF, 546, PARTY_STRANGER, 547, 1, true);
	fence_rig_expect_udp(fence, PARTY_STRANGER, 547, PARTY_SELF, 546, 1, true);
	fence_rig_expect_udp(fence, PARTY_STRANGER, 546, PARTY_SELF, 547, 1, false);
	fence_rig_expect_tcp(fence, PARTY_SELF, PARTY_SELF, 8080, 0, true);
	fence_rig_expect_tcp(fence, PARTY_SELF, PARTY_SELF, 8080, 1, true);
	for (int family = 0; family < FENCE_RIG_FAMILIES; family++) {
		rig_run(&fence->rig, SIDE_A, "ip -%d neigh flush dev eth0", family ? 6 : 4);
		rig_run(&fence->rig, SIDE_B, "ip -%d neigh flush dev eth0", family ? 6 : 4);
		fence_rig_expect_tcp(fence, PARTY_MANAGER, PARTY_SELF, 8080, family, true);
		/* Port unreachable, from whom nothing else is let in. */
		fd = fence_rig_socket(fence, PARTY_SELF, family, SOCK_DGRAM, FENCE_RIG_AGENT_PORT);
		length = fence_rig_name(PARTY_MEMBER, family, FENCE_RIG_AGENT_PORT, &name);
		assert_int_equal(connect(fd, (struct sockaddr *)&name, length), 0);
		assert_int_equal(send(fd, "?", 1, 0), 1);
		assert_true(fence_rig_ready(fd, POLLIN, 1000));
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
		assert_int_equal(error, ECONNREFUSED);
		close(fd);
	}
}

static void test_forward(void **state)
{
	const struct fence_rig *fence = *state;

	for (int family = 0; family < FENCE_RIG_FAMILIES; family++)
		fence_rig_expect_forwarded(fence, PARTY_MANAGER, family, true);
	fence_rig_apply(fence, &fence->settings);
	/* Not even for those who may talk to the node itself. */
	for (int family = 0; family < FENCE_RIG_FAMILIES; family++)
		fence_rig_expect_forwarded(fence, PARTY_MANAGER, family, false);
	assert_int_equal(fence_rig_dropped(fence, "forward"), FENCE_RIG_FAMILIES);
	assert_int_equal(fence_rig_call(fence, fence_rig_take_down), 0);
	for (int family = 0; family < FENCE_RIG_FAMILIES; family++)
		fence_rig_expect_forwarded(fence, PARTY_MANAGER, family, true);
}

static void test_other_table_accepts(void **state)
{
	static const int priorities[] = {-400, 0, 400};
	const struct fence_rig *fence = *state;

	for (size_t i = 0; i < 3; i++) {
		rig_run(&fence->rig, SIDE_A,
			"nft 'table inet other { "
			"chain i { type filter hook input priority %d; accept; }; "
			"chain o { type filter hook output priority %d; accept; }; }'",
			priorities[i], priorities[i]);
		fence_rig_apply(fence, &fence->settings);
		fence_rig_expect_udp(fence, PARTY_STRANGER, 5000, PARTY_SELF, 5001, 0, false);
		fence_rig_expect_udp(fence, PARTY_SELF, 5000, PARTY_STRANGER, 5001, 0, false);
		fence_rig_expect_tcp(fence, PARTY_MEMBER, PARTY_SELF, 8080, 1, false);
		rig_run(&fence->rig, SIDE_A, "nft delete table inet other");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_application, fence_rig_set_up,
						fence_rig_tear_down),
		cmocka_unit_test_setup_teardown(test_established, fence_rig_set_up,
						fence_rig_tear_down),
		cmocka_unit_test_setup_teardown(test_agents, fence_rig_set_up, fence_rig_tear_down),
		cmocka_unit_test_setup_teardown(test_store, fence_rig_set_up, fence_rig_tear_down),
		cmocka_unit_test_setup_teardown(test_network, fence_rig_set_up,
						fence_rig_tear_down),
		cmocka_unit_test_setup_teardown(test_forward, fence_rig_set_up,
						fence_rig_tear_down),
		cmocka_unit_test_setup_teardown(test_other_table_accepts, fence_rig_set_up,
						fence_rig_tear_down),
	};

	if (rig_obstacle()) {
		printf("%s\n", rig_obstacle());
		return 77;
	}
	return cmocka_run_group_tests(tests, fence_rig_group_set_up, fence_rig_group_tear_down);
}
