// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/rig.h"

#include "base/clock.h"
#include "probe/program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_NS	   (15 * NS_PER_S)
#define POLL_US	   5000
#define FIRST_PORT 7000

static const char *const addresses[2][2] = {
	{"10.99.0.1", "fd99::1"},
	{"10.99.0.2", "fd99::2"},
};

const char *rig_obstacle(void)
{
	if (geteuid())
		return "not root";
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return "the kernel has no BTF (/sys/kernel/btf/vmlinux)";
	if (system("command -v ip nft >/dev/null 2>&1"))
		return "ip (iproute2) or nft (nftables) is not installed";
	return NULL;
}

bool rig_kernel_lacks(const char *reason)
{
	if (!reason || program_sockets_have_storage() ||
	    strncmp(reason, "this kernel lets no ", 20) != 0)
		return false;
	print_message("not checked: %s\n", reason);
	return true;
}

static void enter(int namespace)
{
	if (setns(namespace, CLONE_NEWNET))
		fail_msg("setns: %s", strerror(errno));
}

static void run(const char *command)
{
	int status = system(command);

	if (status)
		fail_msg("'%s' ended with status %d", command, status);
}

void rig_run(const struct rig *rig, enum side side, const char *format, ...)
{
	char command[1024];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	assert_in_range(length, 1, sizeof(command) - 1);
	enter(rig->namespaces[side]);
	run(command);
	enter(rig->home);
}

void rig_up(struct rig *rig)
{
	char command[512];
	char path[128];

	*rig = (struct rig){.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)};
	assert_true(rig->home >= 0);
	for (int side = 0; side < 2; side++) {
		struct stat status;

		snprintf(rig->names[side], sizeof(rig->names[side]), "tocsin-live-%d-%c", getpid(),
			 'a' + side);
		snprintf(command, sizeof(command), "ip netns add %s", rig->names[side]);
		run(command);
		snprintf(path, sizeof(path), "/run/netns/%s", rig->names[side]);
		rig->namespaces[side] = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(rig->namespaces[side] >= 0);
		assert_int_equal(fstat(rig->namespaces[side], &status), 0);
		rig->inodes[side] = (uint32_t)status.st_ino;
	}
	snprintf(command, sizeof(command),
		 "ip link add eth0 netns %s type veth peer name eth0 netns %s", rig->names[SIDE_A],
		 rig->names[SIDE_B]);
	run(command);
	for (int side = 0; side < 2; side++)
		rig_run(rig, side,
			"ip link set lo up && ip link set eth0 up && ip addr add %s/24 dev eth0 && "
			"ip addr add %s/64 dev eth0 nodad",
			addresses[side][0], addresses[side][1]);
	/* The first packet should not wait for neighbour discovery. */
	rig_run(rig, SIDE_A, "ping -c 1 -W 5 %s >/dev/null && ping -c 1 -W 5 %s >/dev/null",
		addresses[SIDE_B][0], addresses[SIDE_B][1]);
}

void rig_down(struct rig *rig)
{
	char command[256];

	enter(rig->home);
	for (int side = 0; side < 2; side++) {
		close(rig->namespaces[side]);
		snprintf(command, sizeof(command), "ip netns del %s", rig->names[side]);
		run(command);
	}
	close(rig->home);
}

int rig_socket(const struct rig *rig, enum side side, int family, int type)
{
	int fd;

	enter(rig->namespaces[side]);
	fd = socket(family, type | SOCK_CLOEXEC, 0);
	enter(rig->home);
	assert_true(fd >= 0);
	return fd;
}

struct address rig_address(enum side side, int family)
{
	struct address address;

	assert_int_equal(address_parse(addresses[side][family == AF_INET6], &address), 0);
	return address;
}

int rig_listen(const struct rig *rig, enum side side, int family, uint16_t *ret_port)
{
	struct address any = {0}, bound;
	struct sockaddr_storage socket_address;
	static uint16_t next_port = FIRST_PORT;
	socklen_t length;
	int fd = rig_socket(rig, side, family, SOCK_STREAM);

	if (family == AF_INET)
		assert_int_equal(address_parse("0.0.0.0", &any), 0);
	/* Below the ports of clients, as services are; a new namespace has all of them free. */
	next_port = next_port < 20000 ? next_port + 1 : FIRST_PORT;
	length = address_to_sockaddr(&any, next_port, &socket_address);
	assert_int_equal(bind(fd, (struct sockaddr *)&socket_address, length), 0);
	assert_int_equal(listen(fd, 64), 0);
	length = sizeof(socket_address);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&socket_address, &length), 0);
	assert_int_equal(
		address_from_sockaddr((struct sockaddr *)&socket_address, &bound, ret_port), 0);
	return fd;
}

void rig_connect(const struct rig *rig, int family, int ret_pair[2], uint16_t *ret_port)
{
	struct address address = rig_address(SIDE_B, family);
	struct sockaddr_storage target;
	socklen_t length;
	int listener = rig_listen(rig, SIDE_B, family, ret_port);

	length = address_to_sockaddr(&address, *ret_port, &target);
	ret_pair[SIDE_A] = rig_socket(rig, SIDE_A, family, SOCK_STREAM);
	assert_int_equal(connect(ret_pair[SIDE_A], (struct sockaddr *)&target, length), 0);
	ret_pair[SIDE_B] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(ret_pair[SIDE_B] >= 0);
	close(listener);
}

void rig_transfer(int from, int to, size_t bytes)
{
	static char buffer[65536];

	assert_in_range(bytes, 1, sizeof(buffer));
	assert_int_equal(send(from, buffer, bytes, MSG_NOSIGNAL), bytes);
	assert_int_equal(recv(to, buffer, bytes, MSG_WAITALL), bytes);
}

void rig_drop(const struct rig *rig, enum side receiver, const char *match, unsigned int count)
{
	rig_pass(rig, receiver);
	/* numgen counts the packets that reach it: the first ones are dropped. */
	rig_run(rig, receiver,
		"nft 'add table inet rig; add chain inet rig drops { type filter hook prerouting "
		"priority 0; }; add rule inet rig drops %s numgen inc mod 1000000000 < %u drop'",
		match, count);
}

void rig_pass(const struct rig *rig, enum side receiver)
{
	rig_run(rig, receiver, "nft 'add table inet rig; delete table inet rig'");
}

/* /proc/net/netstat and snmp: a line of names, then a line of values, both led by the group. */
static bool find_counter(FILE *file, const char *group, const char *name, uint64_t *ret_value)
{
	static char names[8192], values[8192];
	char *name_rest, *value_rest;

	while (fgets(names, sizeof(names), file) && fgets(values, sizeof(values), file)) {
		char *key = strtok_r(names, " \n", &name_rest);
		char *value = strtok_r(values, " \n", &value_rest);

		if (!key || strncmp(key, group, strlen(group)) || key[strlen(group)] != ':')
			continue;
		while (key && value) {
			if (!strcmp(key, name)) {
				*ret_value = strtoull(value, NULL, 10);
				return true;
			}
			key = strtok_r(NULL, " \n", &name_rest);
			value = strtok_r(NULL, " \n", &value_rest);
		}
	}
	return false;
}

uint64_t rig_counter(const struct rig *rig, enum side side, const char *group, const char *name)
{
	static const char *const files[] = {"/proc/thread-self/net/netstat",
					    "/proc/thread-self/net/snmp"};
	uint64_t value = 0;
	bool found = false;

	enter(rig->namespaces[side]);
	for (size_t i = 0; !found && i < 2; i++) {
		FILE *file = fopen(files[i], "re");

		if (!file)
			continue;
		found = find_counter(file, group, name, &value);
		fclose(file);
	}
	enter(rig->home);
	if (!found)
		fail_msg("this kernel has no counter %s %s", group, name);
	return value;
}

bool rig_find(struct tcp_probe *probe, const struct address *address,
	      struct peer_record *ret_record)
{
	for (uint32_t slot = 0; slot < tcp_probe_slots_touched(probe); slot++)
		if (tcp_probe_read(probe, slot, ret_record) &&
		    !memcmp(ret_record->key.address, address->bytes, sizeof(address->bytes)))
			return true;
	return false;
}

void rig_wait(bool (*done)(void *context), void *context, const char *what)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

	while (!done(context)) {
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("waited 15 s in vain for: %s", what);
		usleep(POLL_US);
	}
}
