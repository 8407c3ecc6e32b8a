// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Retransmits and failed connects by control group on a live kernel, with the series that the agent
 * makes of them: as many as there are, of the group that the socket is of, whoever runs then.
 */
#include "agent/groups.h"
#include "live/cgroup_rig.h"
#include "live/child.h"
#include "live/tcp_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HOST_B	    "10.99.0.2"
#define FAILURES    5
#define DROPS	    3
#define MAX_SERIES  5
#define MANY_GROUPS 40

static struct cgroup_rig cgroup;
static struct groups groups;
static struct task_probe *task_probe;
static uint16_t closed_port; /* of any host: nobody listens there */

static int tear_down(void **state)
{
	groups_close(&groups);
	task_probe_close(task_probe);
	task_probe = NULL;
	cgroup_rig_down(&cgroup);
	return tcp_bench_tear_down(state);
}

/* Counts what the sockets of one host do. */
static void start(struct tcp_bench *bench, enum side side, bool loopback)
{
	struct tcp_probe_settings settings = tcp_bench_everything;
	int listener;

	if (cgroup_rig_obstacle()) {
		print_message("%s\n", cgroup_rig_obstacle());
		skip();
	}
	cgroup_rig_up(&cgroup, "tcp");
	settings.netns_inode = bench->rig.inodes[side];
	settings.loopback = loopback;
	settings.max_groups = (uint32_t)groups_records(MAX_SERIES);
	bench->probe = tcp_bench_open_probe(&settings);
	bench->b = rig_address(side == SIDE_A ? SIDE_B : SIDE_A, AF_INET);
	assert_int_equal(groups_open(&groups, task_probe, bench->probe, MAX_SERIES), 0);
	listener = rig_listen(&bench->rig, SIDE_B, AF_INET, &closed_port);
	close(listener);
}

static void enter(const char *name)
{
	cgroup_rig_make_below(&cgroup, name);
	cgroup_rig_enter_below(&cgroup, name);
}

static void enter_numbered(const char *prefix, int number)
{
	char name[32];

	snprintf(name, sizeof(name), "%s%d", prefix, number);
	enter(name);
}

/* What is known when the series are read now; NULL without a series. */
static const struct group_counts *find(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", cgroup.path, name);
	assert_int_equal(groups_read(&groups), 0);
	for (size_t i = 0; i < groups.series_count; i++)
		if (!strcmp(groups.series[i]->path, path))
			return &groups.series[i]->sum;
	return NULL;
}

static void expect(const char *name, uint64_t retransmits, uint64_t connect_failures)
{
	const struct group_counts *counts = find(name);

	if (!counts)
		fail_msg("no series of %s", name);
	assert_int_equal(counts->tcp.retransmits, retransmits);
	assert_int_equal(counts->tcp.connect_failures, connect_failures);
}

static void fail_connect(const struct tcp_bench *bench)
{
	assert_int_equal(tcp_bench_connect(bench, HOST_B, closed_port), ECONNREFUSED);
}

/* ---- whose it is ---- */

/* The timers fire while the test is in no group of its own. */
static void test_retransmits_are_of_the_socket(void **state)
{
	struct tcp_bench *bench = *state;
	int pair[2];
	uint16_t port;

	start(bench, SIDE_A, true);
	enter("client");
	rig_connect(&bench->rig, AF_INET, pair, &port);
	cgroup_rig_leave(&cgroup);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	assert_null(find("client"));
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp meta length > 100", DROPS);
	rig_transfer(pair[SIDE_A], pair[SIDE_B], 100);
	assert_int_equal(rig_counter(&bench->rig, SIDE_A, "Tcp", "RetransSegs"), DROPS);
	expect("client", DROPS, 0);
	assert_int_equal(groups.series_count, 1);
	assert_int_equal(groups.other.tcp.retransmits, 0);
	tcp_bench_close_pair(pair);
}

static bool retransmits_agree(void *context)
{
	struct tcp_bench *bench = context;
	const struct group_counts *counts = find("server");

	return counts &&
	       counts->tcp.retransmits == rig_counter(&bench->rig, SIDE_B, "Tcp", "RetransSegs");
}

/* A request is no socket yet: what is sent again is of its listener. */
static void test_synack_is_of_the_listener(void **state)
{
	struct tcp_bench *bench = *state;
	int listener;
	uint16_t port;

	start(bench, SIDE_B, true);
	enter("server");
	listener = rig_listen(&bench->rig, SIDE_B, AF_INET, &port);
	enter("client");
	rig_drop(&bench->rig, SIDE_A, "tcp flags & (syn | ack) == (syn | ack)", 1);
	assert_int_equal(tcp_bench_connect(bench, HOST_B, port), 0);
	rig_wait(retransmits_agree, bench, "the group to have what the kernel counts");
	assert_true(tcp_bench_look(bench));
	assert_in_range(bench->record.retransmits[PEER_RETRANSMIT_SYNACK], 1, 2);
	expect("server", bench->record.retransmits[PEER_RETRANSMIT_SYNACK], 0);
	assert_null(find("client"));
	close(listener);
}

static void test_what_was_not_sent_is_none(void **state)
{
	struct tcp_bench *bench = *state;
	uint64_t sent = 0;
	int pair[2];
	uint16_t port;

	tcp_bench_skip_without_errors();
	start(bench, SIDE_A, true);
	enter("client");
	rig_connect(&bench->rig, AF_INET, pair, &port);
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp", 1000);
	assert_int_equal(send(pair[SIDE_A], "x", 1, 0), 1);
	tcp_bench_await_retransmits(bench, PEER_RETRANSMIT_RTO, 1);
	rig_run(&bench->rig, SIDE_A, "ip link set eth0 down");
	tcp_bench_await_retransmits(bench, PEER_RETRANSMIT_FAILED, 1);
	for (unsigned int i = 0; i < PEER_RETRANSMIT_FAILED; i++)
		sent += bench->record.retransmits[i];
	expect("client", sent, 0);
	tcp_bench_close_pair(pair);
}

/* Refused ones and one that is given up; not those that the filters leave out, nor any of ours. */
static void test_failed_connects(void **state)
{
	struct tcp_bench *bench = *state;
	struct sockaddr_storage near, far;
	struct address a = rig_address(SIDE_A, AF_INET), b = rig_address(SIDE_B, AF_INET);
	socklen_t near_length, far_length;
	uint64_t failures = 0;
	int fd, listener;
	uint16_t port;

	start(bench, SIDE_A, false);
	near_length = address_to_sockaddr(&a, closed_port, &near);
	far_length = address_to_sockaddr(&b, closed_port, &far);
	enter("client");
	for (int i = 0; i < FAILURES; i++)
		fail_connect(bench);
	listener = rig_listen(&bench->rig, SIDE_B, AF_INET, &port);
	assert_int_equal(tcp_bench_connect(bench, HOST_B, port), 0);
	close(listener);
	enter("loopback");
	assert_int_equal(tcp_bench_connect(bench, "127.0.0.1", closed_port), ECONNREFUSED);
	enter("elsewhere");
	fd = rig_socket(&bench->rig, SIDE_B, AF_INET, SOCK_STREAM);
	assert_int_equal(connect(fd, (struct sockaddr *)&near, near_length), -1);
	close(fd);
	enter("ours");
	fd = rig_socket(&bench->rig, SIDE_A, AF_INET, SOCK_STREAM);
	assert_int_equal(tcp_probe_ignore_socket(bench->probe, fd), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&far, far_length), -1);
	close(fd);
	enter("impatient");
	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp", 1000);
	fd = rig_socket(&bench->rig, SIDE_A, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
	assert_int_equal(connect(fd, (struct sockaddr *)&far, far_length), -1);
	close(fd);
	expect("client", 0, FAILURES);
	expect("impatient", 0, 1);
	assert_int_equal(groups.series_count, 2);
	assert_int_equal(groups.other.tcp.connect_failures, 0);
	assert_true(tcp_bench_look(bench));
	for (size_t i = 0; i < PEER_ERROR_KINDS; i++)
		failures += bench->record.connect_failures[i];
	assert_int_equal(failures, FAILURES + 1);
}

/* ---- groups that are gone ---- */

static void remove_left(const char *name)
{
	cgroup_rig_leave(&cgroup);
	cgroup_rig_remove_below(&cgroup, name);
}

/* A group's name is learned while there is one; what nobody could learn is of no series. */
static void test_names_are_learned_in_time(void **state)
{
	struct tcp_bench *bench = *state;

	start(bench, SIDE_A, true);
	assert_false(groups_note_sockets(&groups));
	for (int i = 1; i <= 2; i++) {
		enter("brief");
		fail_connect(bench);
		assert_true(groups_note_sockets(&groups));
		fail_connect(bench);
		assert_false(groups_note_sockets(&groups));
		remove_left("brief");
		expect("brief", 0, 2 * (uint64_t)i);
	}
	enter("unseen");
	fail_connect(bench);
	remove_left("unseen");
	expect("brief", 0, 4);
	assert_int_equal(groups.series_count, 1);
	assert_int_equal(groups.other.tcp.connect_failures, 1);
}

static uint64_t total(void)
{
	uint64_t sum;

	assert_int_equal(groups_read(&groups), 0);
	sum = groups.other.tcp.connect_failures;
	for (size_t i = 0; i < groups.series_count; i++)
		sum += groups.series[i]->sum.tcp.connect_failures;
	return sum;
}

static void test_series_are_bounded_and_the_sum_is_whole(void **state)
{
	const size_t lost = MANY_GROUPS - groups_records(MAX_SERIES);
	struct tcp_bench *bench = *state;
	char name[32];

	start(bench, SIDE_A, true);
	for (int i = 0; i < MANY_GROUPS; i++) {
		enter_numbered("a", i);
		fail_connect(bench);
	}
	assert_int_equal(total(), MANY_GROUPS);
	assert_int_equal(groups.series_count, MAX_SERIES);
	assert_int_equal(groups.other.tcp.connect_failures, MANY_GROUPS - MAX_SERIES);
	assert_int_equal(tcp_probe_other_groups(bench->probe).connect_failures, lost);
	assert_int_equal(tcp_probe_counters(bench->probe).group_records_lost, lost);
	/* Those that are removed make room, at the next reading. */
	for (int i = 0; i < MANY_GROUPS; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		remove_left(name);
	}
	assert_int_equal(total(), MANY_GROUPS);
	for (int i = 0; i < MAX_SERIES; i++) {
		enter_numbered("b", i);
		fail_connect(bench);
		snprintf(name, sizeof(name), "b%d", i);
		expect(name, 0, 1);
	}
	assert_int_equal(total(), MANY_GROUPS + MAX_SERIES);
	assert_int_equal(groups.series_count, MAX_SERIES);
	assert_int_equal(tcp_probe_counters(bench->probe).group_records_lost, lost);
}

/* A socket outlives its group, and the record of that. */
static void test_a_socket_outlives_its_group(void **state)
{
	struct address b = rig_address(SIDE_B, AF_INET);
	struct tcp_bench *bench = *state;
	struct sockaddr_storage far;
	socklen_t length;
	int fd;

	start(bench, SIDE_A, true);
	length = address_to_sockaddr(&b, closed_port, &far);
	enter("removed");
	fail_connect(bench);
	fd = rig_socket(&bench->rig, SIDE_A, AF_INET, SOCK_STREAM);
	expect("removed", 0, 1);
	remove_left("removed");
	/* So many that their records are wanted back. */
	for (int i = 1; i < MAX_SERIES; i++) {
		enter_numbered("a", i);
		fail_connect(bench);
	}
	assert_int_equal(total(), MAX_SERIES);
	assert_int_equal(total(), MAX_SERIES);
	assert_int_equal(groups.member_count, MAX_SERIES - 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&far, length), -1);
	expect("removed", 0, 1);
	assert_int_equal(groups.other.tcp.connect_failures, 1);
	assert_int_equal(groups.series_count, MAX_SERIES);
	assert_int_equal(total(), MAX_SERIES + 1);
	close(fd);
}

/* ---- beside crashes ---- */

static void die(void *unused)
{
	(void)unused;
	raise(SIGXFSZ);
}

/* One series of both, which are kept, and added to the others, together. */
static void test_crashes_are_in_the_same_series(void **state)
{
	struct tcp_bench *bench = *state;
	const struct group_counts *counts;
	char reason[512] = "";
	struct text error = TEXT(reason);
	int others = 0;

	if (task_probe_open(&task_probe, (uint32_t)groups_records(MAX_SERIES), &error))
		fail_msg("%s", reason);
	start(bench, SIDE_A, true);
	enter("both");
	assert_int_equal(WTERMSIG(child_wait(child_start(die, NULL))), SIGXFSZ);
	fail_connect(bench);
	expect("both", 0, 1);
	remove_left("both");
	while ((counts = find("both"))) {
		assert_int_equal(counts->task.crashes[SIGXFSZ], 1);
		assert_int_equal(counts->tcp.connect_failures, 1);
		/* Others may crash on this machine, too. */
		assert_in_range(others, 0, MAX_SERIES);
		enter_numbered("a", others++);
		fail_connect(bench);
	}
	assert_int_equal(groups.other.task.crashes[SIGXFSZ], 1);
	assert_int_equal(total(), 1 + others);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tcp_bench_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_retransmits_are_of_the_socket),
		TEST(test_synack_is_of_the_listener),
		TEST(test_what_was_not_sent_is_none),
		TEST(test_failed_connects),
		TEST(test_names_are_learned_in_time),
		TEST(test_series_are_bounded_and_the_sum_is_whole),
		TEST(test_a_socket_outlives_its_group),
		TEST(test_crashes_are_in_the_same_series),
	};

	return tcp_bench_run_tests("tcp_groups", tests);
}
