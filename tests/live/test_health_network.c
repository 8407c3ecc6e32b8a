// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An agent on a node whose programs do not accept, whose peer does not read, and whose packets are
 * dropped. */
#include "base/clock.h"
#include "live/agents.h"

#include "maps/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SOCKETS_MAX 256
#define FLOOD_PORT  4003
/* Six windows of 5 s to learn what is usual, and two to find the surge. */
#define FLOOD_NS   (60 * NS_PER_S)
#define FLOOD_US   20000
#define RESTFUL_US (31 * 1000 * 1000)
#define LATE_NS	   (40 * NS_PER_S)
#define LATE_US	   10000
#define AT_A_TIME  6

static int sockets[SOCKETS_MAX];
static size_t socket_count;

static int keep(int fd)
{
	assert_true(socket_count < SOCKETS_MAX);
	sockets[socket_count++] = fd;
	return fd;
}

static void close_all(void)
{
	for (size_t i = 0; i < socket_count; i++)
		close(sockets[i]);
	socket_count = 0;
}

static int tear_down(void **state)
{
	close_all();
	return agents_tear_down(state);
}

/* Agents 0 and 1 are nodes n1 and n2 on hosts a and b. */
static void start(struct agents *agents, unsigned int index, const char *findings)
{
	struct process_options options = agents_options(agents, index);

	options.side = index ? SIDE_B : SIDE_A;
	agents_configure(agents, index,
			 "node: n%u\nnetns: own\nheartbeat: {authenticate: false}\n"
			 "findings: {%s}\n"
			 "nodes:\n - {name: n1, addresses: [10.99.0.1]}\n"
			 " - {name: n2, addresses: [10.99.0.2]}\n",
			 index + 1, findings);
	agents_start(agents, index, &options);
}

/* The next line about a finding of this kind. */
static const char *expect_finding(struct agents *agents, unsigned int index, const char *kind,
				  const char *event)
{
	const char *line;

	do
		line = process_expect_log(&agents->agent[index], kind);
	while (!strstr(line, event));
	return line;
}

static int try_connect(struct agents *agents, uint16_t port)
{
	struct address address = rig_address(SIDE_B, AF_INET);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, port, &target);
	int fd = rig_socket(&agents->rig, SIDE_A, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);

	if (connect(fd, (struct sockaddr *)&target, length))
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static int listen_at_b(struct agents *agents, int backlog, uint16_t *ret_port, char subject[32])
{
	int listener = keep(rig_listen(&agents->rig, SIDE_B, AF_INET, ret_port));

	assert_int_equal(listen(listener, backlog), 0);
	assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	snprintf(subject, 32, "\"0.0.0.0:%u\"", *ret_port);
	return listener;
}

static void accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		keep(fd);
}

/* Told with who is to accept, and cleared when that has. */
static void test_overflow(void **state)
{
	struct agents *agents = *state;
	char subject[32], owner[32];
	const char *line;
	uint16_t port;
	int listener;

	/* The one is there before the agent, the other comes later. */
	listener = listen_at_b(agents, 2, &port, subject);
	start(agents, 1, "accept-overflow: {delay_ms: 60000}");
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 8; i++)
			keep(try_connect(agents, port));
		line = expect_finding(agents, 1, "accept-overflow", "\"finding\"");
		snprintf(owner, sizeof(owner), "(pid %d)", getpid());
		if (!strstr(line, subject) || !strstr(line, owner) ||
		    !strstr(line, "attempts to connect were dropped") ||
		    !strstr(line, "3 connections wait in a queue for 2"))
			fail_msg("%s", line);
		accept_all(listener);
		/* Those that were dropped come again. */
		usleep(1200000);
		accept_all(listener);
		expect_finding(agents, 1, "accept-overflow", "finding cleared");
		close_all();
		listener = listen_at_b(agents, 2, &port, subject);
	}
	agents_stop(agents, 1);
}

/* One that waits is enough, when it waits for long; also among more listeners than are looked at in
 * one go. */
static void test_late(void **state)
{
	struct agents *agents = *state;
	char subject[32];
	const char *line;
	uint16_t port;

	for (int i = 0; i < 2 * LISTENER_BATCH; i++)
		(void)listen_at_b(agents, 1, &port, subject);
	start(agents, 1, "accept-overflow: {delay_ms: 500}");
	(void)listen_at_b(agents, 16, &port, subject);
	keep(try_connect(agents, port));
	line = expect_finding(agents, 1, "accept-overflow", "\"finding\"");
	if (!strstr(line, subject) || !strstr(line, "the oldest of 1 connections has waited for") ||
	    !strstr(line, "expected at most 500 ms"))
		fail_msg("%s", line);
	agents_stop(agents, 1);
}

static void fill(int fd)
{
	static const char zeros[65536];

	while (send(fd, zeros, sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	assert_int_equal(errno, EAGAIN);
}

static void drain(int fd)
{
	static char buffer[65536];

	while (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		;
}

/* A peer that does not read is overloaded, and not unreachable. */
static void test_closed_window(void **state)
{
	struct agents *agents = *state;
	const char *line;
	uint16_t port;
	int pair[2];

	start(agents, 0, "peer-overloaded: {after_ms: 600}");
	start(agents, 1, "");
	rig_connect(&agents->rig, AF_INET, pair, &port);
	keep(pair[SIDE_A]);
	keep(pair[SIDE_B]);
	fill(pair[SIDE_A]);
	line = expect_finding(agents, 0, "peer-overloaded", "\"finding\"");
	if (!strstr(line, "\"n2\"") || !strstr(line, "its window is closed for 1 connections"))
		fail_msg("%s", line);
	assert_false(process_logged(&agents->agent[0], "\"state\":\"unreachable\""));
	for (int i = 0; i < 20; i++) {
		drain(pair[SIDE_B]);
		usleep(50000);
	}
	expect_finding(agents, 0, "peer-overloaded", "finding cleared");
	assert_false(process_logged(&agents->agent[1], "peer-overloaded"));
	for (unsigned int i = 0; i < 2; i++)
		agents_stop(agents, i);
}

/* A peer that accepts now and then: most connects are answered when they are tried again. */
static void test_late_connects(void **state)
{
	struct agents *agents = *state;
	uint64_t deadline_ns;
	char subject[32];
	uint16_t port;
	int listener;

	start(agents, 0, "");
	start(agents, 1, "");
	listener = listen_at_b(agents, 1, &port, subject);
	deadline_ns = clock_monotonic_ns() + LATE_NS;
	while (!process_logged(&agents->agent[0], "answered only when they were tried again")) {
		int clients[AT_A_TIME];

		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("not found in time: %s", agents->agent[0].log);
		for (size_t i = 0; i < AT_A_TIME; i++)
			clients[i] = try_connect(agents, port);
		/* Longer than the time after which a SYN is sent again. */
		for (int i = 0; i < 120; i++) {
			int fd = i < 20 ? -1 : accept4(listener, NULL, NULL, SOCK_CLOEXEC);

			if (fd >= 0)
				close(fd);
			usleep(LATE_US);
		}
		for (size_t i = 0; i < AT_A_TIME; i++)
			close(clients[i]);
	}
	assert_non_null(strstr(expect_finding(agents, 0, "peer-overloaded", "\"finding\""), "n2"));
	for (unsigned int i = 0; i < 2; i++)
		agents_stop(agents, i);
}

/* A socket that nobody reads is sent more than it holds. */
static void test_drops(void **state)
{
	struct agents *agents = *state;
	struct address address = rig_address(SIDE_B, AF_INET);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, FLOOD_PORT, &target);
	uint64_t deadline_ns = clock_monotonic_ns() + FLOOD_NS;
	const char *line;
	int sender, full;

	start(agents, 1, "");
	full = keep(rig_socket(&agents->rig, SIDE_B, AF_INET, SOCK_DGRAM));
	assert_int_equal(bind(full, (struct sockaddr *)&target, length), 0);
	sender = keep(rig_socket(&agents->rig, SIDE_A, AF_INET, SOCK_DGRAM));
	/* In the agent's past there were no drops. */
	usleep(RESTFUL_US);
	while (!process_logged(&agents->agent[1], "socket_rcvbuff")) {
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("not found in time: %s", agents->agent[1].log);
		for (int i = 0; i < 20; i++)
			assert_int_equal(
				sendto(sender, "x", 1, 0, (struct sockaddr *)&target, length), 1);
		usleep(FLOOD_US);
	}
	line = expect_finding(agents, 1, "receive-drops", "\"finding\"");
	if (!strstr(line, "socket_rcvbuff") || !strstr(line, "packets were dropped in 5."))
		fail_msg("%s", line);
	agents_stop(agents, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_overflow, agents_set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late, agents_set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closed_window, agents_set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late_connects, agents_set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drops, agents_set_up, tear_down),
	};

	return agents_run_tests("health_network", tests);
}
