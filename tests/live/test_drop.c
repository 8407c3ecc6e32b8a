// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The drop probe on a live kernel: each packet that a rule drops, or that finds no socket, is
 * counted once, under the kernel's name of that. Only the rig's namespace is looked at: the rest of
 * the machine drops packets of its own.
 */
#include "live/rig.h"
#include "live/tcp_bench.h"
#include "probe/drop.h"
#include "probe/kernel_types.h"
#include "probe/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define OTHER_DROPS_MAX 50
#define DROPPED_PORT	4000
#define NO_SOCKET_PORT	4001
#define DELIVERED_PORT	4002

struct bench {
	struct rig rig;
	struct drop_probe *probe;
};

static int set_up(void **state)
{
	static struct bench bench;

	bench = (struct bench){0};
	rig_up(&bench.rig);
	rig_run(&bench.rig, SIDE_B,
		"nft 'add table inet rig; add chain inet rig in { type filter hook input priority "
		"0; }; add rule inet rig in udp dport %d drop'",
		DROPPED_PORT);
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	drop_probe_close(bench->probe);
	rig_down(&bench->rig);
	return 0;
}

static void open_probe(struct bench *bench)
{
	char reason[512] = "";
	struct text error = TEXT(reason);
	const struct program_status *programs;
	size_t count;

	if (drop_probe_open(&bench->probe, bench->rig.inodes[SIDE_B], &error))
		fail_msg("%s", reason);
	programs = drop_probe_programs(bench->probe, &count);
	assert_int_equal(count, 1);
	if (!programs[0].attached)
		fail_msg("%s", programs[0].reason);
}

static void send_packets(const struct bench *bench, uint16_t port, unsigned int count)
{
	struct address address = rig_address(SIDE_B, AF_INET);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, port, &target);
	int fd = rig_socket(&bench->rig, SIDE_A, AF_INET, SOCK_DGRAM);

	/* Each is dropped, or delivered, before sendto() returns (veth). */
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&target, length), 1);
	close(fd);
}

static int receiver(const struct bench *bench)
{
	struct address any = {.bytes = {[10] = 0xff, [11] = 0xff}};
	struct sockaddr_storage place;
	int fd = rig_socket(&bench->rig, SIDE_B, AF_INET, SOCK_DGRAM);
	socklen_t length = address_to_sockaddr(&any, DELIVERED_PORT, &place);

	assert_int_equal(bind(fd, (struct sockaddr *)&place, length), 0);
	return fd;
}

struct wanted {
	const char *reason;
	uint64_t packets, names;
};

static void compare(void *context, const char *reason, uint64_t packets)
{
	struct wanted *wanted = context;

	if (!strcmp(wanted->reason, reason)) {
		wanted->packets += packets;
		wanted->names++;
	}
}

static uint64_t count(struct bench *bench, const char *reason)
{
	struct wanted wanted = {.reason = reason};

	assert_int_equal(drop_probe_read(bench->probe, compare, &wanted), 0);
	assert_true(wanted.names <= 1);
	return wanted.packets;
}

/* Of this reason exactly so many; where the kernel tells no reasons (before Linux 5.17) at least so
 * many of all, with what the namespace drops by itself. */
static void assert_dropped(struct bench *bench, const char *reason, uint64_t packets)
{
	if (kernel_tracepoint_arguments("kfree_skb") >= 3)
		assert_int_equal(count(bench, reason), packets);
	else
		assert_in_range(count(bench, "unknown"), packets, packets + OTHER_DROPS_MAX);
}

static void test_a_rule(void **state)
{
	struct bench *bench = *state;
	int fd = receiver(bench);

	open_probe(bench);
	assert_dropped(bench, "netfilter_drop", 0);
	send_packets(bench, DROPPED_PORT, 700);
	send_packets(bench, DELIVERED_PORT, 100);
	assert_dropped(bench, "netfilter_drop", 700);
	send_packets(bench, DROPPED_PORT, 1);
	assert_dropped(bench, "netfilter_drop", 701);
	close(fd);
}

/* The kernel of the other side counts them itself. */
static void test_no_socket(void **state)
{
	struct bench *bench = *state;
	uint64_t before = rig_counter(&bench->rig, SIDE_B, "Udp", "NoPorts");

	open_probe(bench);
	send_packets(bench, NO_SOCKET_PORT, 300);
	assert_int_equal(rig_counter(&bench->rig, SIDE_B, "Udp", "NoPorts") - before, 300);
	assert_dropped(bench, "no_socket", 300);
	if (kernel_tracepoint_arguments("kfree_skb") >= 3)
		assert_int_equal(count(bench, "netfilter_drop"), 0);
}

static void test_slots(void **state)
{
	static const struct {
		uint32_t reason, slot;
	} cases[] = {
		{0, 0},
		{255, 255},
		{256, DROP_SLOT_OTHER},
		{0x10000, 256},
		{0x1003f, 319},
		{0x10040, DROP_SLOT_OTHER},
		{0x20000, 320},
		{0x40000, 448},
		{0x4003e, 510},
		{0x4003f, DROP_SLOT_OTHER},
		{0x50000, DROP_SLOT_OTHER},
		{0xffffffff, DROP_SLOT_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(drop_slot(cases[i].reason), cases[i].slot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_rule, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_socket, set_up, tear_down),
		cmocka_unit_test(test_slots),
	};

	return tcp_bench_run_tests("drop", tests);
}
