// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/confirm.h"

#include "base/clock.h"
#include "unit/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	uv_loop_t loop;
	struct confirm *confirm;
	unsigned int marked;
	unsigned int marked_late; /* already connecting */
	int old_namespace;	  /* to go back to, or -1 */
};

static void mark(int fd, void *context)
{
	struct fixture *fixture = context;
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);

	fixture->marked++;
	if (!getsockname(fd, (struct sockaddr *)&name, &length) &&
	    ((struct sockaddr_in *)&name)->sin_port)
		fixture->marked_late++;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->old_namespace = -1;
	assert_int_equal(uv_loop_init(&fixture->loop), 0);
	assert_int_equal(confirm_open(&fixture->confirm, &fixture->loop, mark, fixture), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	confirm_close(fixture->confirm);
	loop_end(&fixture->loop);
	if (fixture->old_namespace >= 0) {
		assert_int_equal(setns(fixture->old_namespace, CLONE_NEWNET), 0);
		close(fixture->old_namespace);
	}
	free(fixture);
	return 0;
}

static struct edge_evidence evidence_of(const struct fixture *fixture, unsigned int id)
{
	struct edge_evidence evidence;

	memset(&evidence, 0xa5, sizeof(evidence));
	confirm_evidence(fixture->confirm, id, &evidence);
	return evidence;
}

static struct edge_evidence turn_until(struct fixture *fixture, unsigned int id, uint64_t answered,
				       uint64_t timed_out, uint64_t refused_locally)
{
	uint64_t end_ns = clock_monotonic_ns() + LOOP_LIMIT_NS;
	struct edge_evidence evidence = evidence_of(fixture, id);

	while (clock_monotonic_ns() < end_ns &&
	       (evidence.connect.answered < answered || evidence.connect.timed_out < timed_out ||
		evidence.connect.refused_locally < refused_locally)) {
		loop_turn(&fixture->loop);
		evidence = evidence_of(fixture, id);
	}
	return evidence;
}

static void set(struct fixture *fixture, unsigned int id, const char *string, uint16_t port)
{
	struct address address;

	assert_int_equal(address_parse(string, &address), 0);
	assert_int_equal(confirm_set_target(fixture->confirm, id, &address, port), 0);
}

static void want(struct fixture *fixture, unsigned int id, unsigned int interval_ms,
		 unsigned int timeout_ms)
{
	assert_int_equal(
		confirm_want(fixture->confirm, id, interval_ms * NS_PER_MS, timeout_ms * NS_PER_MS),
		0);
}

/* A TCP socket on all of 127/8 and its port; it listens unless backlog is negative. */
static int local_socket(int backlog, uint16_t *port)
{
	struct sockaddr_in name = {.sin_family = AF_INET};
	socklen_t length = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
	*port = ntohs(name.sin_port);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* A listener whose queue is full: its kernel drops every further SYN. */
struct black_hole {
	int listener;
	int fillers[4];
	uint16_t port;
};

static struct black_hole open_black_hole(void)
{
	struct black_hole hole = {0};
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	bool full = false;

	hole.listener = local_socket(0, &hole.port);
	name.sin_port = htons(hole.port);
	for (unsigned int i = 0; i < 4; i++) {
		struct pollfd pollfd = {.events = POLLOUT};

		hole.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		pollfd.fd = hole.fillers[i];
		assert_true(hole.fillers[i] >= 0);
		connect(hole.fillers[i], (struct sockaddr *)&name, sizeof(name));
		full = poll(&pollfd, 1, 100) == 0;
	}
	assert_true(full);
	return hole;
}

static void close_black_hole(struct black_hole *hole)
{
	for (unsigned int i = 0; i < 4; i++)
		close(hole->fillers[i]);
	close(hole->listener);
}

static void test_refused_is_an_answer(void **state)
{
	struct fixture *fixture = *state;
	struct edge_evidence evidence;
	uint64_t start_ns = clock_monotonic_ns();
	uint16_t port;
	int fd = local_socket(-1, &port); /* bound, does not listen: RST */

	set(fixture, 3, "127.0.0.1", port);
	want(fixture, 3, 10, 1000);
	evidence = turn_until(fixture, 3, 3, 0, 0);
	assert_true(evidence.connect.possible);
	assert_true(evidence.connect.answered >= 3);
	assert_in_range(evidence.connect.answer_ns, start_ns, clock_monotonic_ns());
	assert_int_equal(evidence.connect.timed_out, 0);
	assert_int_equal(evidence.connect.refused_locally, 0);
	assert_true(fixture->marked >= 3);
	assert_int_equal(fixture->marked_late, 0);
	close(fd);
}

/* How many sockets the kernel keeps in TIME_WAIT with this port at either end. */
static unsigned int time_waits(uint16_t port)
{
	FILE *file = fopen("/proc/net/tcp", "re");
	unsigned int count = 0, local, remote, status;
	char line[512];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " %*u: %*x:%x %*x:%x %x", &local, &remote, &status) == 3 &&
		    status == 6 && (local == port || remote == port))
			count++;
	fclose(file);
	return count;
}

static void test_listener_is_not_harmed(void **state)
{
	struct fixture *fixture = *state;
	struct sockaddr_in peers[3];
	uint16_t port;
	int fd = local_socket(16, &port);

	set(fixture, 0, "127.0.0.1", port);
	want(fixture, 0, 10, 1000);
	assert_true(turn_until(fixture, 0, 3, 0, 0).connect.answered >= 3);
	confirm_rest(fixture->confirm, 0);
	assert_int_equal(evidence_of(fixture, 0).connect.timed_out, 0);
	for (unsigned int i = 0; i < 3; i++) {
		socklen_t length = sizeof(peers[i]);
		struct pollfd pollfd = {.fd = fd, .events = POLLIN};
		char byte;
		int accepted;

		assert_int_equal(poll(&pollfd, 1, 1000), 1);
		accepted = accept(fd, (struct sockaddr *)&peers[i], &length);
		assert_true(accepted >= 0);
		/* No data; reset, not closed: nothing stays behind on either side. */
		assert_int_equal(recv(accepted, &byte, 1, 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(accepted);
	}
	assert_int_equal(time_waits(port), 0);
	/* A fresh source port each, so that no path is judged by one flow alone. */
	assert_int_not_equal(peers[0].sin_port, peers[1].sin_port);
	assert_int_not_equal(peers[1].sin_port, peers[2].sin_port);
	assert_int_not_equal(peers[0].sin_port, peers[2].sin_port);
	close(fd);
}

static void test_silence_times_out(void **state)
{
	struct fixture *fixture = *state;
	struct black_hole hole = open_black_hole();
	uint64_t start_ns = clock_monotonic_ns();
	struct edge_evidence evidence;

	set(fixture, 0, "127.0.0.1", hole.port);
	want(fixture, 0, 20, 100);
	assert_int_equal(confirm_in_flight(fixture->confirm), 1); /* at once */
	while (clock_monotonic_ns() < start_ns + 90 * NS_PER_MS)
		loop_turn(&fixture->loop);
	if (clock_monotonic_ns() < start_ns + 100 * NS_PER_MS)
		assert_int_equal(evidence_of(fixture, 0).connect.timed_out, 0);
	evidence = turn_until(fixture, 0, 0, 3, 0);
	assert_true(evidence.connect.timed_out >= 3);
	assert_int_equal(evidence.connect.answered, 0);
	assert_int_equal(evidence.connect.answer_ns, 0);
	close_black_hole(&hole);
}

/* The agent is held up beyond the timeout, by little and by much; the answer came in time. */
static void test_late_agent_sees_the_answer(void **state)
{
	static const unsigned int held_up_us[] = {15000, 200000};
	struct fixture *fixture = *state;
	struct edge_evidence evidence;
	uint16_t port;
	int fd = local_socket(16, &port);

	for (unsigned int id = 0; id < 2; id++) {
		set(fixture, id, "127.0.0.1", port);
		want(fixture, id, 60000, 10);
		assert_int_equal(confirm_in_flight(fixture->confirm), 1);
		usleep(held_up_us[id]);
		assert_int_equal(confirm_drain(fixture->confirm), 1);
		evidence = evidence_of(fixture, id);
		assert_int_equal(evidence.connect.answered, 1);
		assert_int_equal(evidence.connect.timed_out, 0);
	}
	close(fd);
}

/* Held up with no answer: it counts, but only at a second look, and needs the loop for that. */
static void test_late_agent_sees_the_silence(void **state)
{
	struct fixture *fixture = *state;
	struct black_hole hole = open_black_hole();

	set(fixture, 0, "127.0.0.1", hole.port);
	want(fixture, 0, 60000, 10);
	usleep(100000);
	assert_int_equal(confirm_drain(fixture->confirm), 0);
	assert_int_equal(evidence_of(fixture, 0).connect.timed_out, 0);
	assert_int_equal(turn_until(fixture, 0, 0, 1, 0).connect.timed_out, 1);
	assert_int_equal(confirm_in_flight(fixture->confirm), 0);
	close_black_hole(&hole);
}

static void test_local_refusal_says_nothing_of_the_peer(void **state)
{
	struct fixture *fixture = *state;
	struct edge_evidence evidence;

	set(fixture, 0, "255.255.255.255", 80); /* ENETUNREACH at once */
	want(fixture, 0, 5, 1000);
	evidence = turn_until(fixture, 0, 0, 0, 3);
	assert_true(evidence.connect.refused_locally >= 3);
	assert_int_equal(evidence.connect.answered, 0);
	assert_int_equal(evidence.connect.timed_out, 0);
	assert_int_equal(confirm_in_flight(fixture->confirm), 0);
}

static void test_limit_of_a_target(void **state)
{
	struct fixture *fixture = *state;
	struct black_hole hole = open_black_hole();

	set(fixture, 0, "127.0.0.1", hole.port);
	want(fixture, 0, 1, 60000);
	loop_turn_for(&fixture->loop, 150 * NS_PER_MS);
	/* Asked more often than the timer fires, it starts no more than that either. */
	for (unsigned int i = 0; i < 10; i++) {
		usleep(2000);
		confirm_drain(fixture->confirm);
	}
	assert_int_equal(confirm_in_flight(fixture->confirm), CONFIRM_TRIES_PER_TARGET);
	confirm_rest(fixture->confirm, 0);
	assert_int_equal(confirm_in_flight(fixture->confirm), 0);
	loop_turn_for(&fixture->loop, 20 * NS_PER_MS);
	assert_int_equal(confirm_in_flight(fixture->confirm), 0);
	/* What was cut short is neither. */
	assert_int_equal(evidence_of(fixture, 0).connect.timed_out, 0);
	assert_true(evidence_of(fixture, 0).connect.possible);
	close_black_hole(&hole);
}

/* More targets than places: all get their turn, and places are never exceeded. */
static void test_fair_between_targets(void **state)
{
	struct fixture *fixture = *state;
	struct black_hole hole = open_black_hole();
	static const unsigned int target_counts[] = {40, 300};
	char address[32];

	for (unsigned int round = 0; round < 2; round++) {
		unsigned int count = target_counts[round];
		uint64_t end_ns = clock_monotonic_ns() + LOOP_LIMIT_NS;
		uint64_t least = 0, most = 0;
		unsigned int peak = 0;

		for (unsigned int id = 0; id < count; id++) {
			confirm_clear_target(fixture->confirm, id);
			snprintf(address, sizeof(address), "127.0.%u.%u", 1 + id / 200,
				 1 + id % 200);
			set(fixture, id, address, hole.port);
			want(fixture, id, 5, 50);
		}
		while (least < 5 && clock_monotonic_ns() < end_ns) {
			loop_turn(&fixture->loop);
			if (confirm_in_flight(fixture->confirm) > peak)
				peak = confirm_in_flight(fixture->confirm);
			least = UINT64_MAX;
			for (unsigned int id = 0; id < count; id++) {
				uint64_t timed_out = evidence_of(fixture, id).connect.timed_out;

				least = timed_out < least ? timed_out : least;
				most = timed_out > most ? timed_out : most;
			}
		}
		assert_true(least >= 5);
		assert_in_range(most, least, 3 * least);
		assert_in_range(peak, 200, CONFIRM_TRIES_MAX);
	}
	close_black_hole(&hole);
}

static void test_arguments(void **state)
{
	struct fixture *fixture = *state;
	struct confirm *confirm = fixture->confirm;
	struct address address;

	assert_int_equal(address_parse("127.0.0.1", &address), 0);
	assert_int_equal(confirm_set_target(confirm, CONFIRM_TARGETS_MAX, &address, 80), -ERANGE);
	assert_int_equal(confirm_set_target(confirm, 0, &address, 0), -EINVAL);
	assert_int_equal(confirm_want(confirm, 0, NS_PER_MS, NS_PER_MS), -ENOENT);
	assert_int_equal(confirm_want(confirm, UINT32_MAX, NS_PER_MS, NS_PER_MS), -ENOENT);
	assert_int_equal(confirm_set_target(confirm, CONFIRM_TARGETS_MAX - 1, &address, 80), 0);
	assert_int_equal(confirm_want(confirm, CONFIRM_TARGETS_MAX - 1, 0, NS_PER_MS), -EINVAL);
	assert_int_equal(confirm_want(confirm, CONFIRM_TARGETS_MAX - 1, NS_PER_MS, 0), -EINVAL);
	assert_int_equal(confirm_want(confirm, CONFIRM_TARGETS_MAX - 1, NS_PER_MS, 61 * NS_PER_S),
			 -EINVAL);
	assert_true(evidence_of(fixture, CONFIRM_TARGETS_MAX - 1).connect.possible);
	assert_false(evidence_of(fixture, 0).connect.possible);
	assert_false(evidence_of(fixture, UINT32_MAX).connect.possible);
	confirm_rest(confirm, UINT32_MAX);
	confirm_clear_target(confirm, UINT32_MAX);
	confirm_clear_target(confirm, CONFIRM_TARGETS_MAX - 1);
	assert_false(evidence_of(fixture, CONFIRM_TARGETS_MAX - 1).connect.possible);
}

/* Another address is another subject: its counts start anew, the wish to know stays. */
static void test_target_moves(void **state)
{
	struct fixture *fixture = *state;
	struct black_hole hole = open_black_hole();
	struct edge_evidence evidence;
	uint16_t port;
	int fd = local_socket(-1, &port);

	set(fixture, 0, "127.0.0.1", port);
	want(fixture, 0, 5, 50);
	assert_true(turn_until(fixture, 0, 2, 0, 0).connect.answered >= 2);
	set(fixture, 0, "127.0.0.1", port);
	assert_true(evidence_of(fixture, 0).connect.answered >= 2);
	set(fixture, 0, "127.0.0.1", hole.port);
	assert_int_equal(evidence_of(fixture, 0).connect.answered, 0);
	assert_int_equal(evidence_of(fixture, 0).connect.answer_ns, 0);
	evidence = turn_until(fixture, 0, 0, 2, 0);
	assert_true(evidence.connect.timed_out >= 2);
	assert_int_equal(evidence.connect.answered, 0);
	/* What is under way to the old one says nothing of the new one. */
	want(fixture, 0, 5, 60000);
	loop_turn_for(&fixture->loop, 50 * NS_PER_MS);
	assert_true(confirm_in_flight(fixture->confirm) > 0);
	set(fixture, 0, "127.0.0.1", port);
	assert_int_equal(confirm_in_flight(fixture->confirm), 0);
	assert_true(turn_until(fixture, 0, 2, 0, 0).connect.answered >= 2);
	close(fd);
	close_black_hole(&hole);
}

/* From a leisurely interval to an urgent one: the next try does not wait for the old one to pass.
 */
static void test_urgency_takes_effect_at_once(void **state)
{
	struct fixture *fixture = *state;
	uint64_t start_ns = clock_monotonic_ns();
	uint16_t port;
	int fd = local_socket(-1, &port);

	set(fixture, 0, "127.0.0.1", port);
	want(fixture, 0, 60000, 50);
	assert_int_equal(turn_until(fixture, 0, 1, 0, 0).connect.answered, 1);
	loop_turn_for(&fixture->loop, 30 * NS_PER_MS);
	want(fixture, 0, 60000, 50);
	assert_int_equal(evidence_of(fixture, 0).connect.answered, 1); /* no extra try */
	want(fixture, 0, 10, 50);
	assert_true(turn_until(fixture, 0, 4, 0, 0).connect.answered >= 4);
	assert_true(clock_monotonic_ns() - start_ns < LOOP_LIMIT_NS);
	/* And back: the next one is a minute away. */
	want(fixture, 0, 60000, 50);
	loop_turn_for(&fixture->loop, 20 * NS_PER_MS);
	start_ns = evidence_of(fixture, 0).connect.answered;
	loop_turn_for(&fixture->loop, 50 * NS_PER_MS);
	assert_int_equal(evidence_of(fixture, 0).connect.answered, start_ns);
	close(fd);
}

/* Three targets; the middle one rests, and the others go on. */
static void test_rest_leaves_the_others(void **state)
{
	struct fixture *fixture = *state;
	uint64_t resting;
	uint16_t port;
	int fd = local_socket(-1, &port);

	for (unsigned int id = 0; id < 3; id++) {
		set(fixture, id, "127.0.0.1", port);
		want(fixture, id, 5, 50);
	}
	confirm_rest(fixture->confirm, 1);
	confirm_rest(fixture->confirm, 1);
	resting = evidence_of(fixture, 1).connect.answered;
	assert_true(turn_until(fixture, 0, 4, 0, 0).connect.answered >= 4);
	assert_true(turn_until(fixture, 2, 4, 0, 0).connect.answered >= 4);
	assert_int_equal(evidence_of(fixture, 1).connect.answered, resting);
	close(fd);
}

/* In a network namespace of its own: a link behind which nobody answers. */
static void test_no_neighbour(void **state)
{
	struct fixture *fixture = *state;
	struct edge_evidence evidence;

	if (geteuid()) {
		print_message("a network namespace needs root\n");
		skip();
	}
	fixture->old_namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fixture->old_namespace >= 0);
	if (unshare(CLONE_NEWNET)) {
		print_message("no network namespace: %s\n", strerror(errno));
		skip();
	}
	/* One is resolved to nobody, the other is not resolved at all. */
	assert_int_equal(system("ip link add near type veth peer name far && "
				"ip addr add 10.9.9.1/24 dev near && "
				"ip link set lo up && ip link set near up && ip link set far up && "
				"ip neigh add 10.9.9.2 lladdr 02:00:00:00:00:99 dev near && "
				"echo 1 > /proc/sys/net/ipv4/neigh/near/mcast_solicit && "
				"echo 100 > /proc/sys/net/ipv4/neigh/near/retrans_time_ms"),
			 0);
	set(fixture, 2, "10.9.9.2", 80);
	set(fixture, 3, "10.9.9.3", 80);
	set(fixture, 4, "10.8.0.1", 80); /* no route */
	want(fixture, 2, 20, 100);
	want(fixture, 3, 20, 30000); /* ends by EHOSTUNREACH, long before */
	want(fixture, 4, 20, 100);
	evidence = turn_until(fixture, 2, 0, 3, 0);
	assert_true(evidence.connect.timed_out >= 3);
	assert_int_equal(evidence.connect.answered, 0);
	evidence = turn_until(fixture, 3, 0, 1, 0);
	assert_true(evidence.connect.timed_out >= 1);
	assert_int_equal(evidence.connect.answered, 0);
	evidence = turn_until(fixture, 4, 0, 0, 3);
	assert_true(evidence.connect.refused_locally >= 3);
	assert_int_equal(evidence.connect.timed_out, 0);
}

/* How many descriptors this process has open. */
static unsigned int open_descriptors(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < 2048; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Closing with tries in flight leaves nothing open; AddressSanitizer looks after the memory. */
static void test_close_in_flight(void **state)
{
	struct black_hole hole = open_black_hole();
	unsigned int before;
	struct fixture *fixture;
	void *own = NULL;

	(void)state;
	/* libuv keeps some of its own from the first loop on. */
	setup(&own);
	teardown(&own);
	before = open_descriptors();
	setup(&own);
	fixture = own;
	set(fixture, 0, "127.0.0.1", hole.port);
	want(fixture, 0, 1, 60000);
	loop_turn_for(&fixture->loop, 50 * NS_PER_MS);
	assert_true(confirm_in_flight(fixture->confirm) > 1);
	teardown(&own);
	assert_int_equal(open_descriptors(), before);
	confirm_close(NULL);
	close_black_hole(&hole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refused_is_an_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listener_is_not_harmed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence_times_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_agent_sees_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_agent_sees_the_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local_refusal_says_nothing_of_the_peer, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_limit_of_a_target, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fair_between_targets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_target_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_urgency_takes_effect_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rest_leaves_the_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_neighbour, setup, teardown),
		cmocka_unit_test(test_close_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
