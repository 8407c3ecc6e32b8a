// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/fence_rig.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PASS_MS	 5000
#define ANY_PORT 0

static const char *const addresses[][FENCE_RIG_FAMILIES] = {
	[PARTY_SELF] = {"10.99.0.1", "fd99::1"},
	[PARTY_MEMBER] = {"10.99.0.2", "fd99::2"},
	[PARTY_STORE] = {"10.99.0.50", "fd99::50"},
	[PARTY_MANAGER] = {"10.99.0.80", "fd99::a:80"},
	[PARTY_STRANGER] = {"10.99.0.90", "fd99::90"},
};

static uint64_t inode(const char *path)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_ino;
}

void fence_rig_enter(const struct fence_rig *fence)
{
	uint64_t home = inode("/proc/thread-self/ns/net"), now;

	assert_int_equal(setns(fence->rig.namespaces[SIDE_A], CLONE_NEWNET), 0);
	now = inode("/proc/thread-self/ns/net");
	if (now == home || now != fence->rig.inodes[SIDE_A])
		fail_msg("not in a namespace of this test's own: no fence here");
}

void fence_rig_leave(const struct fence_rig *fence)
{
	assert_int_equal(setns(fence->rig.home, CLONE_NEWNET), 0);
}

int fence_rig_put_up(const struct fence_settings *settings, struct text *error)
{
	struct nft_run run;

	return fence_begin(&run, settings, error) ?: nft_finish(&run, error);
}

int fence_rig_take_down(struct text *error)
{
	struct nft_run run;

	return fence_begin_removal(&run, error) ?: nft_finish(&run, error);
}

void fence_rig_apply(const struct fence_rig *fence, const struct fence_settings *settings)
{
	char reason[512] = "";
	struct text error = TEXT(reason);
	int r;

	fence_rig_enter(fence);
	r = fence_rig_put_up(settings, &error);
	fence_rig_leave(fence);
	if (r)
		fail_msg("the fence is not put up: %d, %s", r, reason);
}

int fence_rig_call(const struct fence_rig *fence, int (*call)(struct text *error))
{
	char reason[512] = "";
	struct text error = TEXT(reason);
	int r;

	fence_rig_enter(fence);
	r = call(&error);
	fence_rig_leave(fence);
	if (r < 0)
		fail_msg("%d, %s", r, reason);
	return r;
}

const char *fence_rig_output(const struct fence_rig *fence, const char *command)
{
	static char output[65536];
	size_t length;
	FILE *pipe;

	fence_rig_enter(fence);
	pipe = popen(command, "re");
	fence_rig_leave(fence);
	assert_non_null(pipe);
	length = fread(output, 1, sizeof(output) - 1, pipe);
	output[length] = '\0';
	assert_int_equal(pclose(pipe), 0);
	return output;
}

unsigned int fence_rig_dropped(const struct fence_rig *fence, const char *chain)
{
	char command[128];
	const char *found;
	unsigned int count;

	snprintf(command, sizeof(command), "nft list chain inet tocsin_fence %s", chain);
	found = strstr(fence_rig_output(fence, command), "counter packets ");
	assert_non_null(found);
	assert_int_equal(sscanf(found, "counter packets %u", &count), 1);
	return count;
}

static enum side side_of(enum fence_party party)
{
	return party == PARTY_SELF ? SIDE_A : SIDE_B;
}

socklen_t fence_rig_name(enum fence_party party, int family, uint16_t port,
			 struct sockaddr_storage *ret_name)
{
	struct address address;

	assert_int_equal(address_parse(addresses[party][family], &address), 0);
	return address_to_sockaddr(&address, port, ret_name);
}

int fence_rig_socket(const struct fence_rig *fence, enum fence_party party, int family, int type,
		     uint16_t port)
{
	struct sockaddr_storage name;
	socklen_t length = fence_rig_name(party, family, port, &name);
	int fd = rig_socket(&fence->rig, side_of(party), name.ss_family, type | SOCK_NONBLOCK);
	int yes = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, length), 0);
	return fd;
}

bool fence_rig_ready(int fd, short events, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	return poll(&poll_fd, 1, timeout_ms) == 1;
}

static int timeout_for(bool passes)
{
	return passes ? PASS_MS : FENCE_RIG_BLOCK_MS;
}

void fence_rig_expect_udp(const struct fence_rig *fence, enum fence_party from, uint16_t from_port,
			  enum fence_party to, uint16_t to_port, int family, bool passes)
{
	int receiver = fence_rig_socket(fence, to, family, SOCK_DGRAM, to_port);
	int sender = fence_rig_socket(fence, from, family, SOCK_DGRAM, from_port);
	struct sockaddr_storage name;
	socklen_t length = fence_rig_name(to, family, to_port, &name);
	ssize_t sent = sendto(sender, "?", 1, 0, (struct sockaddr *)&name, length);
	char byte;

	if (from == PARTY_SELF && !passes) {
		assert_int_equal(sent, -1);
		assert_int_equal(errno, EPERM);
	} else {
		assert_int_equal(sent, 1);
		assert_int_equal(fence_rig_ready(receiver, POLLIN, timeout_for(passes)), passes);
	}
	if (passes)
		assert_int_equal(recv(receiver, &byte, 1, 0), 1);
	close(sender);
	close(receiver);
}

int fence_rig_connect(int client, const struct sockaddr_storage *name, socklen_t length,
		      bool passes)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (!connect(client, (const struct sockaddr *)name, length))
		return 0;
	assert_int_equal(errno, EINPROGRESS);
	if (!fence_rig_ready(client, POLLOUT, timeout_for(passes)))
		return EINPROGRESS;
	assert_int_equal(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &size), 0);
	return error;
}

bool fence_rig_carries(int from, int to, bool passes)
{
	char byte;

	assert_int_equal(send(from, "?", 1, MSG_NOSIGNAL), 1);
	return fence_rig_ready(to, POLLIN, timeout_for(passes)) && recv(to, &byte, 1, 0) == 1;
}

void fence_rig_expect_tcp(const struct fence_rig *fence, enum fence_party from, enum fence_party to,
			  uint16_t port, int family, bool passes)
{
	int listener = fence_rig_socket(fence, to, family, SOCK_STREAM, port);
	int client = fence_rig_socket(fence, from, family, SOCK_STREAM, ANY_PORT), server;
	struct sockaddr_storage name;
	socklen_t length = fence_rig_name(to, family, port, &name);

	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(fence_rig_connect(client, &name, length, passes),
			 passes ? 0 : EINPROGRESS);
	if (passes) {
		assert_true(fence_rig_ready(listener, POLLIN, PASS_MS));
		server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		assert_true(server >= 0);
		assert_true(fence_rig_carries(client, server, true));
		assert_true(fence_rig_carries(server, client, true));
		close(server);
	}
	close(client);
	close(listener);
}

static bool answers(const struct fence_rig *fence, enum side side, const char *from, const char *to)
{
	char command[256];
	int status;

	snprintf(command, sizeof(command), "ping -c 1 -W 0.2 -I %s %s >/dev/null 2>&1", from, to);
	assert_int_equal(setns(fence->rig.namespaces[side], CLONE_NEWNET), 0);
	status = system(command);
	fence_rig_leave(fence);
	return !status;
}

void fence_rig_expect_ping(const struct fence_rig *fence, enum fence_party from,
			   enum fence_party to, int family, bool passes)
{
	assert_int_equal(
		answers(fence, side_of(from), addresses[from][family], addresses[to][family]),
		passes);
}

void fence_rig_expect_forwarded(const struct fence_rig *fence, enum fence_party from, int family,
				bool passes)
{
	assert_int_equal(
		answers(fence, SIDE_B, addresses[from][family], family ? "fd98::3" : "10.98.0.3"),
		passes);
}

int fence_rig_set_up(void **state)
{
	struct fence_rig *fence = *state;

	fence->settings = (struct fence_settings){
		.members = fence->members,
		.member_count = sizeof(fence->members) / sizeof(*fence->members),
		.agent_port = FENCE_RIG_AGENT_PORT,
		.store = fence->store,
		.store_count = sizeof(fence->store) / sizeof(*fence->store),
		.allow = fence->allow,
		.allow_count = sizeof(fence->allow) / sizeof(*fence->allow),
	};
	return 0;
}

int fence_rig_tear_down(void **state)
{
	struct fence_rig *fence = *state;

	rig_run(&fence->rig, SIDE_A, "nft flush ruleset");
	return 0;
}

static void fill_lists(struct fence_rig *fence)
{
	/* They overlap and repeat themselves, as configurations do. */
	static const char *const members[] = {"10.99.0.1", "10.99.0.2", "10.99.0.0/28", "fd99::2",
					      "fd99::1"};
	static const char *const allow[] = {"10.99.0.80", "fd99::a:0/112", "192.0.2.0/24"};

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		assert_int_equal(cidr_parse(members[i], &fence->members[i]), 0);
	for (size_t i = 0; i < sizeof(allow) / sizeof(*allow); i++)
		assert_int_equal(cidr_parse(allow[i], &fence->allow[i]), 0);
	for (int i = 0; i < 4; i++) {
		fence->store[i].port = FENCE_RIG_STORE_PORT;
		assert_int_equal(address_parse(addresses[i / 2 ? PARTY_SELF : PARTY_STORE][i % 2],
					       &fence->store[i].address),
				 0);
	}
}

int fence_rig_group_set_up(void **state)
{
	struct fence_rig *fence = calloc(1, sizeof(*fence));
	char command[128];

	if (!fence)
		return -1;
	*state = fence;
	rig_up(&fence->rig);
	fill_lists(fence);
	for (enum fence_party party = PARTY_STORE; party <= PARTY_STRANGER; party++)
		rig_run(&fence->rig, SIDE_B,
			"ip addr add %s/24 dev eth0 && ip addr add %s/64 dev eth0 nodad",
			addresses[party][0], addresses[party][1]);
	snprintf(fence->third, sizeof(fence->third), "tocsin-live-%d-c", getpid());
	snprintf(command, sizeof(command), "ip netns add %s", fence->third);
	assert_int_equal(system(command), 0);
	rig_run(&fence->rig, SIDE_A,
		"ip link add eth1 type veth peer name eth0 netns %s && ip link set eth1 up && "
		"ip addr add 10.98.0.1/24 dev eth1 && ip addr add fd98::1/64 dev eth1 nodad && "
		"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
		fence->third);
	rig_run(&fence->rig, SIDE_A,
		"ip netns exec %s sh -c 'ip link set eth0 up && ip addr add 10.98.0.3/24 dev eth0 "
		"&& "
		"ip addr add fd98::3/64 dev eth0 nodad && ip route add default via 10.98.0.1 && "
		"ip -6 route add default via fd98::1'",
		fence->third);
	rig_run(&fence->rig, SIDE_B,
		"ip route add 10.98.0.0/24 via 10.99.0.1 && ip route add fd98::/64 via fd99::1");
	return 0;
}

int fence_rig_group_tear_down(void **state)
{
	struct fence_rig *fence = *state;
	char command[128];

	if (!fence)
		return 0;
	snprintf(command, sizeof(command), "ip netns del %s", fence->third);
	if (*fence->third && system(command))
		fprintf(stderr, "cannot delete %s\n", fence->third);
	rig_down(&fence->rig);
	free(fence);
	return 0;
}
