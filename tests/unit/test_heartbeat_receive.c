// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What comes in: all of it is read, and what is no heartbeat of a peer is refused and counted. */
#include "cluster/heartbeat.h"

#include "base/clock.h"
#include "unit/heartbeat_nodes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void test_another_key_is_refused(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	int fd;

	nodes_start(nodes, 0);
	fd = open(nodes->configs[1].heartbeat.key_file, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	nodes_start(nodes, 1);
	loop_turn_for(&nodes->loop, 200 * NS_PER_MS);
	assert_int_equal(nodes_accepted(nodes, 0, 1), 0);
	assert_int_equal(nodes_accepted(nodes, 1, 0), 0);
	assert_true(nodes_counters(nodes, 0)->rejected[HEARTBEAT_REJECT_UNAUTHENTICATED] >= 3);
	assert_int_equal(nodes_counters(nodes, 0)->rejected[HEARTBEAT_REJECT_UNAUTHENTICATED],
			 nodes_counters(nodes, 0)->received);
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				    .sin_port = htons(port)};
}

static void test_garbage_is_counted(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	struct sockaddr_in name = loopback(nodes->port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t long_one[2000] = "TCSN\002";

	nodes_start(nodes, 0);
	assert_int_equal(sendto(fd, "", 0, 0, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(sendto(fd, "TCSN\003", 5, 0, (struct sockaddr *)&name, sizeof(name)), 5);
	assert_int_equal(
		sendto(fd, long_one, sizeof(long_one), 0, (struct sockaddr *)&name, sizeof(name)),
		sizeof(long_one));
	assert_int_equal(heartbeat_drain(nodes->sockets[0]), 3);
	assert_int_equal(nodes_counters(nodes, 0)->rejected[HEARTBEAT_REJECT_MALFORMED], 2);
	assert_int_equal(nodes_counters(nodes, 0)->rejected[HEARTBEAT_REJECT_VERSION], 1);
	assert_int_equal(nodes_counters(nodes, 0)->received, 3);
	close(fd);
}

/* Who reads late must find all that waits, without the loop, and only so much at a time. */
static void test_drain(void **state)
{
	struct heartbeat_nodes *nodes = *state;
	struct sockaddr_in name = loopback(nodes->port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned int sent = 200;

	nodes_start(nodes, 0);
	assert_int_equal(heartbeat_drain(nodes->sockets[0]), 0);
	for (unsigned int i = 0; i < sent; i++)
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	assert_int_equal(heartbeat_drain(nodes->sockets[0]), sent);
	assert_int_equal(heartbeat_drain(nodes->sockets[0]), 0);

	/* More than the socket holds: what our own kernel dropped is known. */
	for (unsigned int i = 0; i < 10000; i++)
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	sent = heartbeat_drain(nodes->sockets[0]);
	assert_in_range(sent, 200, HEARTBEAT_DRAIN_MAX);
	while (heartbeat_drain(nodes->sockets[0]))
		;
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	assert_int_equal(heartbeat_drain(nodes->sockets[0]), 1);
	assert_int_equal(nodes_counters(nodes, 0)->received + nodes_counters(nodes, 0)->overflowed,
			 200 + 10000 + 1);
	assert_true(nodes_counters(nodes, 0)->overflowed > 0);
	close(fd);
}

/* Without a key, the configured address is all that speaks for a sender. */
static void test_source_address(void **state)
{
	struct heartbeat_nodes *nodes = *state;

	for (unsigned int authenticate = 0; authenticate < 2; authenticate++) {
		for (unsigned int i = 0; i < 2; i++)
			nodes->configs[i].heartbeat.authenticate = authenticate;
		nodes_set_address(&nodes->members[0][1], "127.0.0.77");
		nodes_start(nodes, 0);
		nodes_start(nodes, 1);
		loop_turn_for(&nodes->loop, 200 * NS_PER_MS);
		if (authenticate) {
			assert_true(nodes_accepted(nodes, 0, 1) >= 3);
		} else {
			assert_int_equal(nodes_accepted(nodes, 0, 1), 0);
			assert_true(nodes_counters(nodes, 0)
					    ->rejected[HEARTBEAT_REJECT_UNKNOWN_SENDER] >= 3);
		}
		nodes_stop(nodes, 0);
		nodes_stop(nodes, 1);
		loop_turn(&nodes->loop);
	}
	for (unsigned int i = 0; i < 2; i++)
		nodes->configs[i].heartbeat.authenticate = false;
	nodes_set_address(&nodes->members[0][1], "127.0.0.2");
	nodes_start(nodes, 0);
	nodes_start(nodes, 1);
	nodes_turn_until_accepted(nodes, 0, 1, 5);
	nodes_turn_until_accepted(nodes, 1, 0, 5);
}

/* What is read late counts from when it came in, and wakes nobody. */
static void test_read_late(void **state)
{
	static const struct heartbeat heartbeat = {
		.sequence = 1, .incarnation = 1, .sender = "n2", .receiver = "n1"};
	struct heartbeat_nodes *nodes = *state;
	uint64_t before_ns, after_ns, heard_ns;

	nodes->configs[0].heartbeat.interval_ms = 60000; /* what it sends would have it look */
	nodes_start(nodes, 0);
	heartbeat_drain(nodes->sockets[0]);
	before_ns = clock_monotonic_ns();
	nodes_send(nodes, &heartbeat, "127.0.0.2", "127.0.0.1");
	after_ns = clock_monotonic_ns();
	loop_turn_for(&nodes->loop, 100 * NS_PER_MS);
	assert_int_equal(nodes_counters(nodes, 0)->received, 0);
	assert_int_equal(heartbeat_drain(nodes->sockets[0]), 1);
	heard_ns = nodes_evidence(nodes, 0, 1).heartbeat.heard_ns;
	/* One clock is worked out from the other, some microseconds later. */
	assert_in_range(heard_ns, before_ns - NS_PER_MS, after_ns + NS_PER_MS);
}

/* The wall clock may be set between the stamp and the reading. */
static void test_stamps(void **state)
{
	const struct clock_pair now = {.monotonic_ns = 1000, .realtime_ns = 50000};
	static const struct {
		uint64_t stamp_ns, earliest_ns, expected_ns;
	} cases[] = {
		{50000, 900, 1000}, {49950, 900, 950}, {49900, 900, 900}, {49899, 900, 900},
		{50001, 900, 1000}, {0, 900, 900},     {49001, 0, 1},	  {UINT64_MAX, 0, 1000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(clock_of_stamp_ns(cases[i].stamp_ns, cases[i].earliest_ns, &now),
				 cases[i].expected_ns);
}

static void test_unknown_sender(void **state)
{
	struct heartbeat_nodes *nodes = *state;

	nodes->configs[0].node_count = 1; /* knows only itself ... */
	strcpy(nodes->members[0][0].name, "n3");
	nodes_set_address(&nodes->members[0][0], "127.0.0.3"); /* ... and n3 */
	nodes_start(nodes, 0);
	nodes_start(nodes, 1);
	loop_turn_for(&nodes->loop, 200 * NS_PER_MS);
	assert_true(nodes_counters(nodes, 0)->rejected[HEARTBEAT_REJECT_UNKNOWN_SENDER] >= 3);
	assert_int_equal(nodes_counters(nodes, 0)->accepted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		nodes_test(test_another_key_is_refused),
		nodes_test(test_garbage_is_counted),
		nodes_test(test_drain),
		nodes_test(test_source_address),
		nodes_test(test_unknown_sender),
		nodes_test(test_read_late),
		cmocka_unit_test(test_stamps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
