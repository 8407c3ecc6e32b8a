// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The trace "accept" on a live kernel: each accepted connection once with its delay, however it was
 * accepted, and what listeners drop, as the kernel itself counts it. */
#include "base/clock.h"
#include "live/cgroup_rig.h"
#include "live/rig.h"
#include "live/tcp_bench.h"
#include "live/trace_run.h"
#include "live/uring.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TIMES	 5
#define DELAY_US 30000
#define WAIT_MS	 10000

struct bench {
	struct rig rig;
	struct trace_run run;
	struct cgroup_rig cgroup;
	struct uring ring;
	char inodes[2][16];
	int listener;
	uint16_t port;
	int family;
	int clients[16], servers[16];
	size_t client_count, server_count;
	/* When the first connect began, when the last could be accepted, and when it was. */
	uint64_t connecting_ns, connected_ns, accepted_ns;
	uint64_t drops_before, drops_wanted;
};

static int set_up(void **state)
{
	static struct bench bench;

	bench = (struct bench){.listener = -1};
	rig_up(&bench.rig);
	for (int side = 0; side < 2; side++)
		snprintf(bench.inodes[side], sizeof(bench.inodes[side]), "%u",
			 bench.rig.inodes[side]);
	*state = &bench;
	return 0;
}

static void hang_up(struct bench *bench)
{
	for (size_t i = 0; i < bench->client_count; i++)
		close(bench->clients[i]);
	for (size_t i = 0; i < bench->server_count; i++)
		close(bench->servers[i]);
	bench->client_count = bench->server_count = 0;
	if (bench->listener >= 0)
		close(bench->listener);
	bench->listener = -1;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	trace_run_discard(&bench->run);
	uring_close(&bench->ring);
	hang_up(bench);
	cgroup_rig_down(&bench->cgroup);
	rig_down(&bench->rig);
	return 0;
}

static void listen_at(struct bench *bench, int family, int backlog)
{
	bench->family = family;
	bench->listener = rig_listen(&bench->rig, SIDE_B, family, &bench->port);
	assert_int_equal(listen(bench->listener, backlog), 0);
}

/* A connect that is not waited for. */
static int begin_connect(struct bench *bench)
{
	struct address address = rig_address(SIDE_B, bench->family);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, bench->port, &target);
	int fd = rig_socket(&bench->rig, SIDE_A, bench->family, SOCK_STREAM | SOCK_NONBLOCK);

	bench->clients[bench->client_count++] = fd;
	if (connect(fd, (struct sockaddr *)&target, length))
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static void await(int fd, short events)
{
	struct pollfd item = {.fd = fd, .events = events};

	assert_int_equal(poll(&item, 1, WAIT_MS), 1);
}

/* Connections that wait for so long. */
static void fill(struct bench *bench, unsigned int count)
{
	bench->connecting_ns = clock_monotonic_ns();
	for (unsigned int i = 0; i < count; i++) {
		await(begin_connect(bench), POLLOUT);
		await(bench->listener, POLLIN);
	}
	bench->connected_ns = clock_monotonic_ns();
}

static void accept_all(struct bench *bench, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		int fd = accept4(bench->listener, NULL, NULL, SOCK_CLOEXEC);

		assert_true(fd >= 0);
		bench->servers[bench->server_count++] = fd;
	}
	bench->accepted_ns = clock_monotonic_ns();
}

static void start(struct bench *bench, const char *option, const char *value)
{
	const char *const arguments[] = {
		"accept", "-n", bench->inodes[SIDE_B], "-o", "json", option, value, NULL};

	trace_run_start(&bench->run, arguments);
}

/* Every line tells of an accept of this bench, within the times that were measured around it. */
static void assert_accepted(struct bench *bench, size_t count, int64_t least_ns, int64_t most_ns)
{
	json_t *lines = trace_run_lines(&bench->run), *line;
	size_t index;

	assert_int_equal(json_array_size(lines), count);
	json_array_foreach(lines, index, line)
	{
		assert_string_equal(trace_run_string(line, "event"), "accepted");
		assert_in_range(trace_run_number(line, "delay_ns"), least_ns, most_ns);
		assert_int_equal(trace_run_number(line, "local_port"), bench->port);
		assert_int_equal(trace_run_number(line, "netns_inode"), bench->rig.inodes[SIDE_B]);
		assert_string_equal(trace_run_string(line, "remote_address"),
				    bench->family == AF_INET ? "10.99.0.1" : "fd99::1");
		assert_string_equal(trace_run_string(line, "local_address"),
				    bench->family == AF_INET ? "10.99.0.2" : "fd99::2");
	}
	json_decref(lines);
}

/* Accepts what waits for at least DELAY_US, and holds the trace against the clock. */
static void delay_and_trace(struct bench *bench, int family)
{
	uint64_t accepting_ns;
	json_t *lines, *line;
	size_t index;

	listen_at(bench, family, 64);
	start(bench, NULL, NULL);
	fill(bench, TIMES);
	usleep(DELAY_US);
	accepting_ns = clock_monotonic_ns();
	accept_all(bench, TIMES);
	trace_run_stop(&bench->run, SIGINT);
	assert_int_equal(bench->run.events_lost, 0);
	assert_int_equal(bench->run.updates_lost, 0);
	assert_accepted(bench, TIMES, (int64_t)(accepting_ns - bench->connected_ns),
			(int64_t)(bench->accepted_ns - bench->connecting_ns));
	lines = trace_run_lines(&bench->run);
	json_array_foreach(lines, index, line)
	{
		assert_string_equal(trace_run_string(line, "state"), "established");
		assert_int_equal(trace_run_number(line, "queue"), TIMES - 1 - index);
		assert_int_equal(trace_run_number(line, "backlog"), 64);
		assert_int_equal(trace_run_number(line, "pid"), getpid());
	}
	json_decref(lines);
	trace_run_discard(&bench->run);
	hang_up(bench);
}

static void test_delay(void **state)
{
	delay_and_trace(*state, AF_INET);
	delay_and_trace(*state, AF_INET6);
}

/* ---- drops ---- */

static bool has_dropped(void *context)
{
	struct bench *bench = context;

	return rig_counter(&bench->rig, SIDE_B, "TcpExt", "ListenDrops") - bench->drops_before >=
	       bench->drops_wanted;
}

/* Fills the queue (it takes one more than its backlog) and has so many SYNs dropped. */
static void overflow(struct bench *bench, unsigned int count)
{
	int fd;

	listen_at(bench, AF_INET, 2);
	fill(bench, 3);
	bench->drops_before = rig_counter(&bench->rig, SIDE_B, "TcpExt", "ListenDrops");
	for (unsigned int i = 0; i < count; i++) {
		fd = begin_connect(bench);
		bench->drops_wanted = i + 1;
		rig_wait(has_dropped, bench, "a SYN to be dropped");
		/* Or it would be sent again. */
		close(fd);
		bench->client_count--;
	}
	assert_int_equal(rig_counter(&bench->rig, SIDE_B, "TcpExt", "ListenDrops") -
				 bench->drops_before,
			 count);
}

static int64_t sum(json_t *lines, const char *key)
{
	int64_t all = 0;
	json_t *line;
	size_t index;

	json_array_foreach(lines, index, line) all += trace_run_number(line, key);
	return all;
}

static void test_drops(void **state)
{
	struct bench *bench = *state;
	json_t *lines, *line;

	start(bench, NULL, NULL);
	overflow(bench, 7);
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	assert_true(json_array_size(lines) >= 1);
	assert_int_equal(sum(lines, "drops"), 7);
	line = json_array_get(lines, 0);
	assert_string_equal(trace_run_string(line, "event"), "dropped");
	assert_string_equal(trace_run_string(line, "local_address"), "0.0.0.0");
	assert_int_equal(trace_run_number(line, "local_port"), bench->port);
	assert_int_equal(trace_run_number(line, "queue"), 3);
	assert_int_equal(trace_run_number(line, "backlog"), 2);
	assert_int_equal(trace_run_number(line, "pid"), getpid());
	assert_true(json_is_null(json_object_get(line, "remote_address")));
	assert_true(json_is_null(json_object_get(line, "delay_ns")));
	json_decref(lines);
}

/* Drops of before the trace do not count; those of a listener that is gone before a look do. */
static void test_drops_of_a_life(void **state)
{
	struct bench *bench = *state;
	json_t *lines;

	overflow(bench, 2);
	start(bench, "--events", "1000");
	for (int i = 0; i < 3; i++) {
		bench->drops_wanted++;
		close(begin_connect(bench));
		bench->client_count--;
		rig_wait(has_dropped, bench, "a SYN to be dropped");
	}
	hang_up(bench);
	overflow(bench, 4);
	hang_up(bench);
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 2);
	assert_int_equal(trace_run_number(json_array_get(lines, 0), "drops"), 3);
	assert_int_equal(trace_run_number(json_array_get(lines, 1), "drops"), 4);
	json_decref(lines);
}

/* A line a listener: what it dropped, what was accepted, what waits now. */
static void test_counts(void **state)
{
	struct bench *bench = *state;
	json_t *lines, *line;

	start(bench, "1000", NULL);
	overflow(bench, 4);
	accept_all(bench, 2);
	trace_run_stop(&bench->run, SIGTERM);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 1);
	line = json_array_get(lines, 0);
	assert_string_equal(trace_run_string(line, "local_address"), "0.0.0.0");
	assert_int_equal(trace_run_number(line, "local_port"), bench->port);
	assert_int_equal(trace_run_number(line, "netns_inode"), bench->rig.inodes[SIDE_B]);
	assert_int_equal(trace_run_number(line, "drops"), 4);
	assert_int_equal(trace_run_number(line, "accepted"), 2);
	assert_in_range(trace_run_number(line, "delay_sum_ns"), 1,
			2 * (bench->accepted_ns - bench->connecting_ns));
	assert_int_equal(trace_run_number(line, "queue"), 1);
	assert_int_equal(trace_run_number(line, "backlog"), 2);
	assert_int_equal(trace_run_number(line, "pid"), getpid());
	json_decref(lines);
}

static void test_histogram(void **state)
{
	static const char *const groupings[] = {"all", "listener", "port", "cgroup"};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(groupings) / sizeof(*groupings); i++) {
		uint64_t accepting_ns;
		json_t *lines, *line;

		listen_at(bench, AF_INET6, 64);
		start(bench, "--by", groupings[i]);
		fill(bench, TIMES);
		accepting_ns = clock_monotonic_ns();
		accept_all(bench, TIMES);
		trace_run_stop(&bench->run, SIGINT);
		lines = trace_run_lines(&bench->run);
		assert_int_equal(json_array_size(lines), 1);
		line = json_array_get(lines, 0);
		assert_int_equal(trace_run_number(line, "count"), TIMES);
		assert_in_range(trace_run_number(line, "sum_ns"),
				TIMES * (accepting_ns - bench->connected_ns),
				TIMES * (bench->accepted_ns - bench->connecting_ns));
		if (!strcmp(groupings[i], "listener"))
			assert_string_equal(trace_run_string(line, "local_address"), "::");
		if (!strcmp(groupings[i], "listener") || !strcmp(groupings[i], "port"))
			assert_int_equal(trace_run_number(line, "local_port"), bench->port);
		if (!strcmp(groupings[i], "cgroup"))
			assert_string_equal(trace_run_string(line, "cgroup"), "/");
		json_decref(lines);
		trace_run_discard(&bench->run);
		hang_up(bench);
	}
}

/* ---- ways to wait ---- */

/* It can be accepted once its SYN has brought data, before the handshake is done. */
static void test_fast_open(void **state)
{
	struct bench *bench = *state;
	struct address address = rig_address(SIDE_B, AF_INET);
	struct sockaddr_storage target;
	uint64_t accepting_ns;
	json_t *lines;
	socklen_t length;
	int fd;

	/* Client and server, without cookies, for all listeners. */
	for (int side = 0; side < 2; side++)
		rig_run(&bench->rig, side, "echo 1543 > /proc/sys/net/ipv4/tcp_fastopen");
	listen_at(bench, AF_INET, 64);
	length = address_to_sockaddr(&address, bench->port, &target);
	start(bench, NULL, NULL);
	rig_drop(&bench->rig, SIDE_B, "tcp flags & (syn | ack) == ack", 1);
	bench->connecting_ns = clock_monotonic_ns();
	fd = rig_socket(&bench->rig, SIDE_A, AF_INET, SOCK_STREAM);
	bench->clients[bench->client_count++] = fd;
	assert_int_equal(sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&target, length), 1);
	await(bench->listener, POLLIN);
	bench->connected_ns = clock_monotonic_ns();
	usleep(DELAY_US);
	accepting_ns = clock_monotonic_ns();
	accept_all(bench, 1);
	trace_run_stop(&bench->run, SIGINT);
	assert_accepted(bench, 1, (int64_t)(accepting_ns - bench->connected_ns),
			(int64_t)(bench->accepted_ns - bench->connecting_ns));
	lines = trace_run_lines(&bench->run);
	assert_string_equal(trace_run_string(json_array_get(lines, 0), "state"), "syn-recv");
	json_decref(lines);
}

/* With TCP_DEFER_ACCEPT it does not wait until it has brought data. */
static void test_defer_accept(void **state)
{
	struct bench *bench = *state;
	const int seconds = 5;
	unsigned int accepted = 0;
	json_t *lines, *line;
	uint64_t sending_ns;
	size_t index;
	int fd;

	listen_at(bench, AF_INET, 64);
	assert_int_equal(setsockopt(bench->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
				    sizeof(seconds)),
			 0);
	start(bench, NULL, NULL);
	fd = begin_connect(bench);
	await(fd, POLLOUT);
	usleep(DELAY_US);
	sending_ns = clock_monotonic_ns();
	assert_int_equal(send(fd, "x", 1, 0), 1);
	await(bench->listener, POLLIN);
	accept_all(bench, 1);
	trace_run_stop(&bench->run, SIGINT);
	lines = trace_run_lines(&bench->run);
	json_array_foreach(lines, index, line)
	{
		/* Linux counts the ACK that the listener ignored as a drop of it. */
		assert_true(json_is_true(json_object_get(line, "defers")));
		if (strcmp(trace_run_string(line, "event"), "accepted"))
			continue;
		assert_in_range(trace_run_number(line, "delay_ns"), 1,
				bench->accepted_ns - sending_ns);
		accepted++;
	}
	assert_int_equal(accepted, 1);
	json_decref(lines);
}

/* How many connections wait by the trace's own account: the entries of its map. */
static size_t count_waiting(const struct bench *bench)
{
	char path[64], line[256];
	struct dirent *entry;
	size_t count = 0;
	DIR *directory;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", bench->run.pid);
	directory = opendir(path);
	assert_non_null(directory);
	while (!found && (entry = readdir(directory))) {
		struct bpf_map_info info = {0};
		uint32_t bytes = sizeof(info), id = 0;
		uint64_t key = 0, next;
		char name[sizeof(path) + sizeof(entry->d_name)];
		FILE *file;
		int map;

		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		file = fopen(name, "re");
		while (file && fgets(line, sizeof(line), file))
			(void)sscanf(line, "map_id: %u", &id);
		if (file)
			fclose(file);
		map = id ? bpf_map_get_fd_by_id(id) : -1;
		if (map < 0)
			continue;
		assert_int_equal(bpf_obj_get_info_by_fd(map, &info, &bytes), 0);
		found = !strcmp(info.name, "waiting");
		for (bool first = true;
		     found && !bpf_map_get_next_key(map, first ? NULL : &key, &next);
		     first = false, count++)
			key = next;
		close(map);
	}
	closedir(directory);
	assert_true(found);
	return count;
}

static bool nothing_waits(void *context)
{
	return !count_waiting(context);
}

/* A connection that was reset still waits, and is accepted; one that never is leaves nothing. */
static void test_reset(void **state)
{
	struct bench *bench = *state;
	const struct linger now = {.l_onoff = 1};
	json_t *lines;

	listen_at(bench, AF_INET, 64);
	start(bench, NULL, NULL);
	fill(bench, 3);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			setsockopt(bench->clients[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
		close(bench->clients[i]);
	}
	bench->clients[0] = bench->clients[2];
	bench->client_count = 1;
	assert_true(count_waiting(bench) >= 3);
	accept_all(bench, 1);
	hang_up(bench);
	rig_wait(nothing_waits, bench, "ends of connections that nobody accepted");
	trace_run_stop(&bench->run, SIGINT);
	assert_accepted(bench, 1, 1, (int64_t)(bench->accepted_ns - bench->connecting_ns));
	lines = trace_run_lines(&bench->run);
	assert_string_equal(trace_run_string(json_array_get(lines, 0), "state"), "close");
	json_decref(lines);
}

/* What waited before the trace began is shown, without a delay. */
static void test_older(void **state)
{
	struct bench *bench = *state;
	json_t *lines, *line;

	listen_at(bench, AF_INET, 64);
	fill(bench, 1);
	start(bench, NULL, NULL);
	accept_all(bench, 1);
	trace_run_stop(&bench->run, SIGINT);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 1);
	line = json_array_get(lines, 0);
	assert_true(json_is_null(json_object_get(line, "delay_ns")));
	assert_int_equal(trace_run_number(line, "local_port"), bench->port);
	json_decref(lines);
}

/* ---- ways to accept ---- */

static void accept_by_ring(struct bench *bench, bool multishot)
{
	uint64_t accepting_ns;
	json_t *lines, *line;
	size_t index;

	listen_at(bench, AF_INET, 64);
	start(bench, NULL, NULL);
	fill(bench, TIMES);
	usleep(DELAY_US);
	accepting_ns = clock_monotonic_ns();
	for (int i = 0; i < TIMES; i++) {
		if (!multishot || !i)
			uring_accept(&bench->ring, bench->listener, multishot);
		bench->servers[bench->server_count] = uring_result(&bench->ring);
		assert_true(bench->servers[bench->server_count] >= 0);
		bench->server_count++;
	}
	bench->accepted_ns = clock_monotonic_ns();
	trace_run_stop(&bench->run, SIGINT);
	assert_accepted(bench, TIMES, (int64_t)(accepting_ns - bench->connected_ns),
			(int64_t)(bench->accepted_ns - bench->connecting_ns));
	lines = trace_run_lines(&bench->run);
	json_array_foreach(lines, index, line)
		assert_int_equal(trace_run_number(line, "pid"), getpid());
	json_decref(lines);
	trace_run_discard(&bench->run);
	hang_up(bench);
}

static void test_io_uring(void **state)
{
	struct bench *bench = *state;

	if (uring_open(&bench->ring)) {
		print_message("io_uring is not available: %s\n", strerror(errno));
		skip();
	}
	accept_by_ring(bench, false);
	accept_by_ring(bench, true);
}

/* ---- filters ---- */

static void test_filters(void **state)
{
	struct bench *bench = *state;
	char own_pid[16], own_port[16], other_port[16];

	cgroup_rig_up(&bench->cgroup, "accept");
	listen_at(bench, AF_INET, 2);
	snprintf(own_pid, sizeof(own_pid), "%d", getpid());
	snprintf(own_port, sizeof(own_port), "%u", bench->port);
	snprintf(other_port, sizeof(other_port), "%u", bench->port - 1U);
	{
		const struct {
			const char *option, *value;
			bool inside; /* the test is in its own group */
			size_t accepted, dropped;
		} cases[] = {
			{"-p", own_pid, false, 3, 1},
			{"-p", "1", false, 0, 0},
			{"-P", own_port, false, 3, 1},
			{"-P", other_port, false, 0, 0},
			{"-4", NULL, false, 3, 1},
			{"-6", NULL, false, 0, 0},
			{"-n", bench->inodes[SIDE_B], false, 3, 1},
			{"-n", bench->inodes[SIDE_A], false, 0, 0},
			{"-g", "/", false, 3, 1},
			{"-g", bench->cgroup.path, true, 3, 1},
			{"-g", bench->cgroup.path, false, 0, 0},
			/* A time is one of accepts alone. */
			{"-m", "10s", false, 0, 1},
			{"-m", "1ns", false, 3, 1},
		};

		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			size_t accepted = 0, dropped = 0, index;
			json_t *lines, *line;

			/* The last -n holds. */
			start(bench, cases[i].option, cases[i].value);
			fill(bench, 3);
			bench->drops_before =
				rig_counter(&bench->rig, SIDE_B, "TcpExt", "ListenDrops");
			bench->drops_wanted = 1;
			close(begin_connect(bench));
			bench->client_count--;
			rig_wait(has_dropped, bench, "a SYN to be dropped");
			if (cases[i].inside)
				cgroup_rig_enter(&bench->cgroup);
			accept_all(bench, 3);
			trace_run_stop(&bench->run, SIGTERM);
			cgroup_rig_leave(&bench->cgroup);
			lines = trace_run_lines(&bench->run);
			json_array_foreach(lines, index, line)
			{
				if (!strcmp(trace_run_string(line, "event"), "accepted"))
					accepted++;
				dropped += (size_t)trace_run_number(line, "drops");
			}
			json_decref(lines);
			if (accepted != cases[i].accepted || dropped != cases[i].dropped)
				fail_msg("%s %s: %zu accepted, %zu dropped", cases[i].option,
					 cases[i].value ? cases[i].value : "", accepted, dropped);
			trace_run_discard(&bench->run);
			for (size_t j = 0; j < 3; j++) {
				close(bench->clients[j]);
				close(bench->servers[j]);
			}
			bench->client_count = bench->server_count = 0;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_delay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drops, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drops_of_a_life, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_histogram, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fast_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_defer_accept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_older, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_io_uring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_filters, set_up, tear_down),
	};

	return tcp_bench_run_tests("trace_accept", tests);
}
