// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat.h"

#include "base/clock.h"
#include "cluster/heartbeat_forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NODES	    3
#define INTERVAL_MS 20
#define LIMIT_NS    (10 * NS_PER_S)

/* Up to three nodes, n1 to n3 at 127.0.0.1 to 127.0.0.3, all on one loop. */
struct fixture {
	uv_loop_t loop;
	char directory[64];
	uint16_t port;
	struct config configs[NODES];
	struct config_node nodes[NODES][NODES];
	struct heartbeat_socket *sockets[NODES];
};

static void write_file(const char *path, size_t length, mode_t mode)
{
	static const uint8_t bytes[64] = {1, 2, 3};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static uint16_t free_port(void)
{
	struct sockaddr_in name = {.sin_family = AF_INET};
	socklen_t length = sizeof(name);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
	close(fd);
	return ntohs(name.sin_port);
}

static void node_address(struct config_node *node, const char *address)
{
	assert_int_equal(cidr_parse(address, &node->addresses[0]), 0);
	node->address_count = 1;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char address[32];

	assert_non_null(fixture);
	assert_int_equal(uv_loop_init(&fixture->loop), 0);
	strcpy(fixture->directory, "/tmp/test_heartbeat.XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	fixture->port = free_port();
	for (unsigned int i = 0; i < NODES; i++) {
		struct config *config = &fixture->configs[i];

		snprintf(config->node, sizeof(config->node), "n%u", i + 1);
		snprintf(address, sizeof(address), "127.0.0.%u", i + 1);
		assert_int_equal(address_parse(address, &config->heartbeat.listen.address), 0);
		config->heartbeat.listen.port = fixture->port;
		config->heartbeat.interval_ms = INTERVAL_MS;
		config->heartbeat.authenticate = true;
		snprintf(config->heartbeat.key_file, sizeof(config->heartbeat.key_file), "%s/key",
			 fixture->directory);
		config->nodes = fixture->nodes[i];
		config->node_count = NODES;
		for (unsigned int other = 0; other < NODES; other++) {
			snprintf(config->nodes[other].name, sizeof(config->nodes[other].name),
				 "n%u", other + 1);
			snprintf(address, sizeof(address), "127.0.0.%u", other + 1);
			node_address(&config->nodes[other], address);
		}
	}
	write_file(fixture->configs[0].heartbeat.key_file, 32, 0600);
	*state = fixture;
	return 0;
}

static void stop(struct fixture *fixture, unsigned int node)
{
	heartbeat_close(fixture->sockets[node]);
	fixture->sockets[node] = NULL;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	for (unsigned int i = 0; i < NODES; i++)
		stop(fixture, i);
	assert_int_equal(uv_run(&fixture->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	snprintf(command, sizeof(command), "rm -rf %s", fixture->directory);
	assert_int_equal(system(command), 0);
	free(fixture);
	return 0;
}

static void start(struct fixture *fixture, unsigned int node)
{
	char buffer[512] = "";
	struct text error = TEXT(buffer);

	if (heartbeat_open(&fixture->sockets[node], &fixture->loop, &fixture->configs[node],
			   &error))
		fail_msg("%s", buffer);
}

static void turn(struct fixture *fixture)
{
	uv_run(&fixture->loop, UV_RUN_NOWAIT);
	poll(NULL, 0, 1);
}

static void turn_for(struct fixture *fixture, uint64_t duration_ns)
{
	uint64_t end_ns = clock_monotonic_ns() + duration_ns;

	while (clock_monotonic_ns() < end_ns)
		turn(fixture);
}

static struct edge_evidence evidence_of(const struct fixture *fixture, unsigned int node,
					unsigned int peer)
{
	struct edge_evidence evidence;

	memset(&evidence, 0xa5, sizeof(evidence));
	heartbeat_evidence(fixture->sockets[node], peer, &evidence);
	return evidence;
}

static uint64_t accepted(const struct fixture *fixture, unsigned int node, unsigned int peer)
{
	return evidence_of(fixture, node, peer).heartbeat.accepted;
}

/* Until 'node' has accepted so many more of 'peer'. */
static void turn_until_accepted(struct fixture *fixture, unsigned int node, unsigned int peer,
				uint64_t more)
{
	uint64_t end_ns = clock_monotonic_ns() + LIMIT_NS;
	uint64_t target = accepted(fixture, node, peer) + more;

	while (accepted(fixture, node, peer) < target && clock_monotonic_ns() < end_ns)
		turn(fixture);
	assert_true(accepted(fixture, node, peer) >= target);
}

static const struct heartbeat_counters *counters(const struct fixture *fixture, unsigned int node)
{
	return heartbeat_counters(fixture->sockets[node]);
}

/* n3 is not there: its kernel answers with ICMP errors, which disturb nobody. */
static void test_two_hear_each_other(void **state)
{
	struct fixture *fixture = *state;
	struct edge_evidence evidence;
	struct heartbeat_status status;
	uint8_t no_boot_id[HEARTBEAT_BOOT_BYTES] = {0};
	uint64_t start_ns = clock_monotonic_ns();

	start(fixture, 0);
	start(fixture, 1);
	turn_until_accepted(fixture, 0, 1, 20);
	turn_until_accepted(fixture, 1, 0, 20);
	evidence = evidence_of(fixture, 0, 1);
	assert_true(evidence.heartbeat.expected);
	assert_in_range(evidence.heartbeat.heard_ns, start_ns, clock_monotonic_ns());
	assert_int_equal(evidence.heartbeat.unheard, 0);
	assert_int_equal(evidence.heartbeat.send_errno, 0);
	assert_int_equal(evidence.heartbeat.interval_ns, INTERVAL_MS * NS_PER_MS);
	assert_true(evidence.heartbeat.loss_in == 0 && evidence.heartbeat.loss_out == 0);
	assert_true(evidence.heartbeat.loss_in_pessimistic == LOSS_FLOOR);
	heartbeat_status(fixture->sockets[0], 1, &status);
	assert_true(status.sent >= 20);
	assert_int_equal(status.received, evidence.heartbeat.accepted);
	assert_in_range(status.rtt_us, 1, 20000);
	assert_true(status.incarnation > 0);
	assert_memory_not_equal(status.boot_id, no_boot_id, sizeof(no_boot_id));

	/* The absent one, oneself, and one that is none. */
	assert_true(evidence_of(fixture, 0, 2).heartbeat.expected);
	assert_int_equal(evidence_of(fixture, 0, 2).heartbeat.heard_ns, 0);
	assert_false(evidence_of(fixture, 0, 0).heartbeat.expected);
	assert_false(evidence_of(fixture, 0, 99).heartbeat.expected);
	for (unsigned int i = 0; i < HEARTBEAT_REJECT_KINDS; i++)
		assert_int_equal(counters(fixture, 0)->rejected[i], 0);
	assert_int_equal(counters(fixture, 0)->accepted, counters(fixture, 0)->received);
	assert_int_equal(counters(fixture, 0)->relays_sent, 0);
}

static void test_rate_and_no_burst_after_a_pause(void **state)
{
	struct fixture *fixture = *state;
	uint64_t before, sent, start_ns;
	struct heartbeat_status status;

	start(fixture, 0);
	turn_for(fixture, 100 * NS_PER_MS);
	heartbeat_status(fixture->sockets[0], 1, &status);
	before = status.sent;
	start_ns = clock_monotonic_ns();
	turn_for(fixture, NS_PER_S);
	heartbeat_status(fixture->sockets[0], 1, &status);
	sent = status.sent - before;
	/* As many as the time allows, whatever held this test up. */
	assert_in_range(sent, 30,
			(clock_monotonic_ns() - start_ns) / (INTERVAL_MS * NS_PER_MS) + 3);

	usleep(500000);
	heartbeat_status(fixture->sockets[0], 1, &status);
	before = status.sent;
	start_ns = clock_monotonic_ns();
	turn_for(fixture, 5 * NS_PER_MS);
	heartbeat_status(fixture->sockets[0], 1, &status);
	sent = status.sent - before;
	assert_in_range(sent, 1, 1 + (clock_monotonic_ns() - start_ns) / (10 * NS_PER_MS));
}

static void test_another_key_is_refused(void **state)
{
	struct fixture *fixture = *state;
	int fd;

	start(fixture, 0);
	fd = open(fixture->configs[1].heartbeat.key_file, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	start(fixture, 1);
	turn_for(fixture, 200 * NS_PER_MS);
	assert_int_equal(accepted(fixture, 0, 1), 0);
	assert_int_equal(accepted(fixture, 1, 0), 0);
	assert_true(counters(fixture, 0)->rejected[HEARTBEAT_REJECT_UNAUTHENTICATED] >= 3);
	assert_int_equal(counters(fixture, 0)->rejected[HEARTBEAT_REJECT_UNAUTHENTICATED],
			 counters(fixture, 0)->received);
}

static void test_garbage_is_counted(void **state)
{
	struct fixture *fixture = *state;
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons(fixture->port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t long_one[2000] = "TCSN\001";

	start(fixture, 0);
	assert_int_equal(sendto(fd, "", 0, 0, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(sendto(fd, "TCSN\002", 5, 0, (struct sockaddr *)&name, sizeof(name)), 5);
	assert_int_equal(
		sendto(fd, long_one, sizeof(long_one), 0, (struct sockaddr *)&name, sizeof(name)),
		sizeof(long_one));
	assert_int_equal(heartbeat_drain(fixture->sockets[0]), 3);
	assert_int_equal(counters(fixture, 0)->rejected[HEARTBEAT_REJECT_MALFORMED], 2);
	assert_int_equal(counters(fixture, 0)->rejected[HEARTBEAT_REJECT_VERSION], 1);
	assert_int_equal(counters(fixture, 0)->received, 3);
	close(fd);
}

/* Who reads late must find all that waits, without the loop, and only so much at a time. */
static void test_drain(void **state)
{
	struct fixture *fixture = *state;
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons(fixture->port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned int sent = 200;

	start(fixture, 0);
	assert_int_equal(heartbeat_drain(fixture->sockets[0]), 0);
	for (unsigned int i = 0; i < sent; i++)
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	assert_int_equal(heartbeat_drain(fixture->sockets[0]), sent);
	assert_int_equal(heartbeat_drain(fixture->sockets[0]), 0);

	/* More than the socket holds: what our own kernel dropped is known. */
	for (unsigned int i = 0; i < 10000; i++)
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	sent = heartbeat_drain(fixture->sockets[0]);
	assert_in_range(sent, 200, HEARTBEAT_DRAIN_MAX);
	while (heartbeat_drain(fixture->sockets[0]))
		;
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	assert_int_equal(heartbeat_drain(fixture->sockets[0]), 1);
	assert_int_equal(counters(fixture, 0)->received + counters(fixture, 0)->overflowed,
			 200 + 10000 + 1);
	assert_true(counters(fixture, 0)->overflowed > 0);
	close(fd);
}

/* n1 sends to a wrong address of n2: n2 does not hear it, but hears of it through n3. */
static void test_relay(void **state)
{
	struct fixture *fixture = *state;
	struct edge_evidence evidence;
	uint64_t end_ns = clock_monotonic_ns() + LIMIT_NS;
	uint64_t start_ns;

	node_address(&fixture->nodes[0][1], "127.0.0.99");
	for (unsigned int i = 0; i < NODES; i++)
		start(fixture, i);
	turn_until_accepted(fixture, 0, 1, 30);
	turn_until_accepted(fixture, 0, 2, 5);
	evidence = evidence_of(fixture, 0, 1);
	assert_true(evidence.heartbeat.unheard >= 20);
	assert_int_equal(evidence_of(fixture, 1, 0).heartbeat.testimony_ns, 0);
	assert_int_equal(counters(fixture, 0)->relays_sent, 0);

	start_ns = clock_monotonic_ns();
	heartbeat_set_outage(fixture->sockets[0], 1, HEARTBEAT_OUTAGE_EGRESS_CUT);
	while (counters(fixture, 1)->relays_accepted < 10 && clock_monotonic_ns() < end_ns)
		turn(fixture);
	turn_for(fixture, 300 * NS_PER_MS);
	evidence = evidence_of(fixture, 1, 0);
	assert_true(evidence.heartbeat.testimony_ns > start_ns);
	assert_true(evidence.heartbeat.testimony_heard);
	assert_int_equal(evidence.heartbeat.accepted, 0);
	assert_int_equal(evidence.heartbeat.heard_ns, 0);
	/* Through n3 alone: n1 does not ask n2 to tell n2, nor itself. */
	assert_int_equal(counters(fixture, 1)->relays_forwarded, 0);
	assert_in_range(counters(fixture, 2)->relays_forwarded, 10,
			20 * (1 + (clock_monotonic_ns() - start_ns) / NS_PER_S));
	assert_int_equal(counters(fixture, 2)->relays_accepted, 0);
	assert_in_range(counters(fixture, 1)->relays_accepted, 10,
			counters(fixture, 2)->relays_forwarded);

	heartbeat_set_outage(fixture->sockets[0], 1, HEARTBEAT_OUTAGE_NONE);
	turn_for(fixture, 30 * NS_PER_MS);
	start_ns = counters(fixture, 0)->relays_sent;
	turn_for(fixture, 100 * NS_PER_MS);
	assert_int_equal(counters(fixture, 0)->relays_sent, start_ns);
	heartbeat_set_outage(fixture->sockets[0], 99, HEARTBEAT_OUTAGE_EGRESS_CUT);
}

/* Sends a relayed heartbeat of n1 for 'receiver' to n3, from an address of this machine. */
static void send_relay(const struct fixture *fixture, uint64_t sequence, const char *receiver,
		       const char *source)
{
	static const struct heartbeat_key key = {{1, 2, 3}}; /* as write_file() writes it */
	struct heartbeat heartbeat = {.flags = HEARTBEAT_FLAG_RELAY,
				      .sequence = sequence,
				      .incarnation = 1,
				      .sender = "n1"};
	struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
	uint8_t buffer[HEARTBEAT_BYTES_MAX];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t length;

	assert_true(fd >= 0);
	snprintf(heartbeat.receiver, sizeof(heartbeat.receiver), "%s", receiver);
	length = heartbeat_encode(&heartbeat, &key, buffer);
	assert_int_equal(inet_pton(AF_INET, source, &from.sin_addr), 1);
	assert_int_equal(inet_pton(AF_INET, "127.0.0.3", &to.sin_addr), 1);
	to.sin_port = htons(fixture->port);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(sendto(fd, buffer, length, 0, (struct sockaddr *)&to, sizeof(to)), length);
	close(fd);
}

/*
 * Passed on once, to a node that is configured, and only when it came from the sender's own
 * address.
 */
static void test_what_is_relayed(void **state)
{
	static const struct {
		uint64_t sequence;
		const char *receiver, *source;
		unsigned int forwarded, refused, unknown, accepted, duplicate;
	} cases[] = {
		{5, "n2", "127.0.0.1", 1, 0, 0, 0, 0},
		{5, "n2", "127.0.0.1", 0, 1, 0, 0, 0},	/* again */
		{6, "n2", "127.0.0.77", 0, 1, 0, 0, 0}, /* from elsewhere */
		{6, "n2", "127.0.0.2", 0, 1, 0, 0, 0},	/* already passed on by another node */
		{6, "n2", "127.0.0.1", 1, 0, 0, 0, 0},
		{7, "n1", "127.0.0.1", 0, 0, 1, 0, 0}, /* back to the sender */
		{7, "n8", "127.0.0.1", 0, 0, 1, 0, 0}, /* to nobody */
		{8, "n3", "127.0.0.2", 0, 0, 0, 1, 0}, /* for n3 itself, by way of n2 ... */
		{8, "n3", "127.0.0.1", 0, 0, 0, 0, 1}, /* ... and by another way */
	};
	struct fixture *fixture = *state;
	unsigned int forwarded = 0;

	start(fixture, 1);
	start(fixture, 2);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct heartbeat_counters before, after;

		heartbeat_drain(fixture->sockets[2]);
		before = *counters(fixture, 2);
		send_relay(fixture, cases[i].sequence, cases[i].receiver, cases[i].source);
		heartbeat_drain(fixture->sockets[2]);
		after = *counters(fixture, 2);
		if (after.relays_forwarded - before.relays_forwarded != cases[i].forwarded ||
		    after.relays_refused - before.relays_refused != cases[i].refused ||
		    after.rejected[HEARTBEAT_REJECT_UNKNOWN_SENDER] -
				    before.rejected[HEARTBEAT_REJECT_UNKNOWN_SENDER] !=
			    cases[i].unknown ||
		    after.relays_accepted - before.relays_accepted != cases[i].accepted ||
		    after.relays_duplicate - before.relays_duplicate != cases[i].duplicate)
			fail_msg("case %zu", i);
		forwarded += cases[i].forwarded;
	}
	heartbeat_drain(fixture->sockets[1]);
	assert_int_equal(counters(fixture, 1)->relays_accepted, forwarded);
	assert_true(evidence_of(fixture, 1, 0).heartbeat.testimony_ns > 0);
	assert_false(evidence_of(fixture, 1, 0).heartbeat.testimony_heard);
	assert_int_equal(evidence_of(fixture, 1, 0).heartbeat.heard_ns, 0);
}

static void test_limits_of_forwarding(void **state)
{
	struct heartbeat_forwards forwards = {0};
	struct heartbeat heartbeat = {.incarnation = 5, .sequence = 1};
	uint64_t now_ns = 100 * NS_PER_S;
	unsigned int passed = 0;

	(void)state;
	assert_true(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns));
	assert_false(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns)); /* once */
	heartbeat.sequence = 0;
	assert_false(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns)); /* older */
	heartbeat.sequence = 1;
	heartbeat.incarnation = 4; /* a restart, with whatever clock */
	assert_true(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns));
	for (unsigned int i = 0; i < 100; i++) {
		heartbeat.sequence++;
		passed += heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns + i);
	}
	assert_int_equal(passed, HEARTBEAT_FORWARD_PER_SECOND - 2);
	/* Others have their own share, and so has the next second. */
	assert_true(heartbeat_may_forward(&forwards, &heartbeat, 2, 1, now_ns));
	heartbeat.sequence++;
	assert_false(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns + NS_PER_S - 1));
	assert_true(heartbeat_may_forward(&forwards, &heartbeat, 1, 2, now_ns + NS_PER_S));
	now_ns += NS_PER_S;
	/* A full table refuses, until places have been idle for a minute. */
	for (unsigned int i = 0; i < HEARTBEAT_FORWARD_PAIRS_MAX - 2; i++)
		assert_true(heartbeat_may_forward(&forwards, &heartbeat, 10 + i, 2, now_ns));
	assert_false(heartbeat_may_forward(&forwards, &heartbeat, 9, 2, now_ns));
	assert_true(heartbeat_may_forward(&forwards, &heartbeat, 9, 2, now_ns + 61 * NS_PER_S));
}

/* Without a key, the configured address is all that speaks for a sender. */
static void test_source_address(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned int authenticate = 0; authenticate < 2; authenticate++) {
		for (unsigned int i = 0; i < 2; i++)
			fixture->configs[i].heartbeat.authenticate = authenticate;
		node_address(&fixture->nodes[0][1], "127.0.0.77");
		start(fixture, 0);
		start(fixture, 1);
		turn_for(fixture, 200 * NS_PER_MS);
		if (authenticate) {
			assert_true(accepted(fixture, 0, 1) >= 3);
		} else {
			assert_int_equal(accepted(fixture, 0, 1), 0);
			assert_true(
				counters(fixture, 0)->rejected[HEARTBEAT_REJECT_UNKNOWN_SENDER] >=
				3);
		}
		stop(fixture, 0);
		stop(fixture, 1);
		turn(fixture);
	}
	for (unsigned int i = 0; i < 2; i++)
		fixture->configs[i].heartbeat.authenticate = false;
	node_address(&fixture->nodes[0][1], "127.0.0.2");
	start(fixture, 0);
	start(fixture, 1);
	turn_until_accepted(fixture, 0, 1, 5);
	turn_until_accepted(fixture, 1, 0, 5);
}

static void test_unknown_sender(void **state)
{
	struct fixture *fixture = *state;

	fixture->configs[0].node_count = 1; /* knows only itself ... */
	strcpy(fixture->nodes[0][0].name, "n3");
	node_address(&fixture->nodes[0][0], "127.0.0.3"); /* ... and n3 */
	start(fixture, 0);
	start(fixture, 1);
	turn_for(fixture, 200 * NS_PER_MS);
	assert_true(counters(fixture, 0)->rejected[HEARTBEAT_REJECT_UNKNOWN_SENDER] >= 3);
	assert_int_equal(counters(fixture, 0)->accepted, 0);
}

/* What the local stack refuses is known by its errno, and disturbs no other peer. */
static void test_send_failures(void **state)
{
	struct fixture *fixture = *state;
	struct edge_evidence evidence;

	/* From a loopback address to another network: EINVAL. */
	node_address(&fixture->nodes[0][2], "192.0.2.1");
	start(fixture, 0);
	start(fixture, 1);
	turn_until_accepted(fixture, 1, 0, 10);
	evidence = evidence_of(fixture, 0, 2);
	assert_true(evidence.heartbeat.send_failures >= 5);
	assert_true(evidence.heartbeat.send_errno > 0);
	assert_int_equal(evidence_of(fixture, 0, 1).heartbeat.send_failures, 0);
	assert_int_equal(counters(fixture, 0)->send_failures, evidence.heartbeat.send_failures);
}

static void test_both_families(void **state)
{
	struct fixture *fixture = *state;
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name))) {
		print_message("this machine has no ::1: %s\n", strerror(errno));
		if (fd >= 0)
			close(fd);
		skip();
	}
	close(fd);
	/*
	 * At the wildcard address n1 itself gets what it sends to any address of this machine:
	 * which is not for it, and so is counted.
	 */
	assert_int_equal(address_parse("::", &fixture->configs[0].heartbeat.listen.address), 0);
	fixture->configs[0].node_count = 2;
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t end_ns = clock_monotonic_ns() + LIMIT_NS;

		node_address(&fixture->nodes[0][1], i ? "::1" : "127.0.0.2");
		start(fixture, 0);
		while (counters(fixture, 0)->received < 3 && clock_monotonic_ns() < end_ns)
			turn(fixture);
		assert_true(counters(fixture, 0)->received >= 3);
		assert_int_equal(counters(fixture, 0)->rejected[HEARTBEAT_REJECT_UNKNOWN_SENDER],
				 counters(fixture, 0)->received);
		assert_int_equal(counters(fixture, 0)->send_failures, 0);
		stop(fixture, 0);
		turn(fixture);
	}
}

/* Whether somebody else could put himself beside the one who holds the port, and take its
 * datagrams. */
static bool port_can_be_shared(uint16_t port)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int on = 1;
	bool shared;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	shared = !bind(fd, (struct sockaddr *)&name, sizeof(name));
	close(fd);
	return shared;
}

static void test_reload(void **state)
{
	struct fixture *fixture = *state;
	struct config_node node;
	struct heartbeat_status before, after;
	char buffer[512] = "";
	struct text error = TEXT(buffer);

	fixture->configs[0].node_count = 2;
	start(fixture, 0);
	start(fixture, 1);
	start(fixture, 2);
	turn_until_accepted(fixture, 0, 1, 10);
	heartbeat_status(fixture->sockets[0], 1, &before);

	/* n2 moves from index 1 to 2, n3 is new at 1: by name, not by index. */
	node = fixture->nodes[0][1];
	fixture->nodes[0][1] = fixture->nodes[0][2];
	fixture->nodes[0][2] = node;
	fixture->configs[0].node_count = 3;
	assert_int_equal(heartbeat_reload(fixture->sockets[0], &fixture->configs[0], &error), 0);
	heartbeat_status(fixture->sockets[0], 2, &after);
	assert_true(after.received >= before.received);
	assert_true(after.incarnation == before.incarnation);
	turn_until_accepted(fixture, 0, 1, 5);
	turn_until_accepted(fixture, 0, 2, 5);
	assert_true(evidence_of(fixture, 0, 2).heartbeat.loss_in == 0);

	/* A reload that fails changes nothing. */
	strcat(fixture->configs[0].heartbeat.key_file, ".none");
	fixture->configs[0].node_count = 1;
	strcpy(fixture->nodes[0][0].name, "n9");
	assert_int_equal(heartbeat_reload(fixture->sockets[0], &fixture->configs[0], &error),
			 -ENOENT);
	assert_non_null(strstr(buffer, "key.none"));
	turn_until_accepted(fixture, 0, 2, 5);
	strcpy(fixture->nodes[0][0].name, "n1");
	strrchr(fixture->configs[0].heartbeat.key_file, '.')[0] = '\0';

	/*
	 * Over to the wildcard address on the same port, which overlaps its own; n2 and n3 stop
	 * first.
	 */
	stop(fixture, 1);
	stop(fixture, 2);
	turn(fixture);
	fixture->configs[0].node_count = 3;
	assert_int_equal(address_parse("0.0.0.0", &fixture->configs[0].heartbeat.listen.address),
			 0);
	error = TEXT(buffer);
	if (heartbeat_reload(fixture->sockets[0], &fixture->configs[0], &error))
		fail_msg("%s", buffer);
	turn_for(fixture, 50 * NS_PER_MS);
	assert_false(port_can_be_shared(fixture->port));

	/* Without peers the port is given back; with one it is taken again. */
	fixture->configs[0].node_count = 1;
	assert_int_equal(heartbeat_reload(fixture->sockets[0], &fixture->configs[0], &error), 0);
	turn(fixture);
	start(fixture, 1);
	fixture->configs[0].node_count = 3;
	assert_int_equal(address_parse("127.0.0.1", &fixture->configs[0].heartbeat.listen.address),
			 0);
	assert_int_equal(heartbeat_reload(fixture->sockets[0], &fixture->configs[0], &error), 0);
	turn_until_accepted(fixture, 0, 2, 5);
}

/* n2 is started anew: heard again at once, and no loss is made of its past. */
static void test_restart_of_a_peer(void **state)
{
	struct fixture *fixture = *state;
	struct heartbeat_status status;

	start(fixture, 0);
	start(fixture, 1);
	turn_until_accepted(fixture, 0, 1, 10);
	stop(fixture, 1);
	turn(fixture);
	start(fixture, 1);
	turn_until_accepted(fixture, 0, 1, 5);
	turn_until_accepted(fixture, 1, 0, 5);
	heartbeat_status(fixture->sockets[0], 1, &status);
	assert_int_equal(status.restarts, 1);
	assert_true(evidence_of(fixture, 0, 1).heartbeat.loss_in == 0);
}

/* Nothing to do without peers: no key is needed, and no port taken. */
static void test_no_peers(void **state)
{
	struct fixture *fixture = *state;

	fixture->configs[0].node_count = 1;
	fixture->configs[0].heartbeat.key_file[0] = '\0';
	start(fixture, 0);
	assert_int_equal(address_parse("127.0.0.1", &fixture->configs[1].heartbeat.listen.address),
			 0);
	start(fixture, 1);
	turn_for(fixture, 50 * NS_PER_MS);
	assert_int_equal(heartbeat_drain(fixture->sockets[0]), 0);
	assert_int_equal(counters(fixture, 0)->sent, 0);
}

static void test_errors(void **state)
{
	struct fixture *fixture = *state;
	static const struct {
		const char *name; /* of the key file, or NULL: none */
		int bytes;	  /* -1 absent, -2 directory, -3 pipe */
		int expected;
		const char *words;
	} cases[] = {
		{NULL, 0, -EINVAL, "heartbeat.key_file is not set"},
		{"absent", -1, -ENOENT, "absent: No such file"},
		{"empty", 0, -EINVAL, "empty: has 0 bytes"},
		{"short", 31, -EINVAL, "short: has 31 bytes: expected a file of exactly 32"},
		{"long", 33, -EINVAL, "long: has 33 bytes"},
		{"directory", -2, -EINVAL, "not a regular file"},
		{"pipe", -3, -EINVAL, "not a regular file"},
	};
	char path[CONFIG_PATH_MAX - 2];
	char buffer[512] = "";
	struct text error;
	struct heartbeat_socket *other = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(path, sizeof(path), "%s/%s", fixture->directory, cases[i].name ?: "");
		if (cases[i].name && cases[i].bytes >= 0)
			write_file(path, (size_t)cases[i].bytes, 0600);
		else if (cases[i].bytes == -2)
			assert_int_equal(mkdir(path, 0700), 0);
		else if (cases[i].bytes == -3)
			assert_int_equal(mkfifo(path, 0600), 0);
		snprintf(fixture->configs[0].heartbeat.key_file, CONFIG_PATH_MAX, "%s",
			 cases[i].name ? path : "");
		error = TEXT(buffer);
		assert_int_equal(
			heartbeat_open(&other, &fixture->loop, &fixture->configs[0], &error),
			cases[i].expected);
		if (!strstr(buffer, cases[i].words))
			fail_msg("'%s' does not say '%s'", buffer, cases[i].words);
	}

	/* A port that is taken, also by another agent. */
	start(fixture, 1);
	fixture->configs[2].heartbeat.listen.address = fixture->configs[1].heartbeat.listen.address;
	error = TEXT(buffer);
	assert_int_equal(heartbeat_open(&other, &fixture->loop, &fixture->configs[2], &error),
			 -EADDRINUSE);
	assert_non_null(strstr(buffer, "heartbeat.listen 127.0.0.2 port"));

	/* An address that is not this node's, and a node that cannot be reached from it. */
	assert_int_equal(address_parse("192.0.2.7", &fixture->configs[2].heartbeat.listen.address),
			 0);
	error = TEXT(buffer);
	assert_int_equal(heartbeat_open(&other, &fixture->loop, &fixture->configs[2], &error),
			 -EADDRNOTAVAIL);
	node_address(&fixture->nodes[2][0], "fd00::1");
	error = TEXT(buffer);
	assert_int_equal(heartbeat_open(&other, &fixture->loop, &fixture->configs[2], &error),
			 -EAFNOSUPPORT);
	assert_non_null(strstr(buffer, "n1 at fd00::1"));
	assert_null(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_hear_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate_and_no_burst_after_a_pause, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_another_key_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_relay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_relayed, setup, teardown),
		cmocka_unit_test(test_limits_of_forwarding),
		cmocka_unit_test_setup_teardown(test_source_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both_families, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart_of_a_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_peers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
