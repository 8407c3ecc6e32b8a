// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The trace "accept" on a live kernel: each accepted connection once with its delay, however it
 * came to wait and was accepted. */
#include "base/clock.h"
#include "live/accept_bench.h"
#include "live/tcp_bench.h"

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

/* Every line tells of an accept of this bench, within the times that were measured around it. */
static void assert_accepted(struct accept_bench *bench, size_t count, int64_t least_ns,
			    int64_t most_ns)
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
static void delay_and_trace(struct accept_bench *bench, int family)
{
	uint64_t accepting_ns;
	json_t *lines, *line;
	size_t index;

	accept_bench_listen(bench, family, 64);
	accept_bench_start(bench, NULL, NULL);
	accept_bench_fill(bench, TIMES);
	usleep(DELAY_US);
	accepting_ns = clock_monotonic_ns();
	accept_bench_accept(bench, TIMES);
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
	accept_bench_hang_up(bench);
}

static void test_delay(void **state)
{
	delay_and_trace(*state, AF_INET);
	delay_and_trace(*state, AF_INET6);
}

static void test_histogram(void **state)
{
	static const char *const groupings[] = {"all", "listener", "port", "cgroup"};
	struct accept_bench *bench = *state;

	for (size_t i = 0; i < sizeof(groupings) / sizeof(*groupings); i++) {
		uint64_t accepting_ns;
		json_t *lines, *line;

		accept_bench_listen(bench, AF_INET6, 64);
		accept_bench_start(bench, "--by", groupings[i]);
		accept_bench_fill(bench, TIMES);
		accepting_ns = clock_monotonic_ns();
		accept_bench_accept(bench, TIMES);
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
		accept_bench_hang_up(bench);
	}
}

/* ---- ways to wait ---- */

/* It can be accepted once its SYN has brought data, before the handshake is done. */
static void test_fast_open(void **state)
{
	struct accept_bench *bench = *state;
	struct address address = rig_address(SIDE_B, AF_INET);
	struct sockaddr_storage target;
	uint64_t accepting_ns;
	json_t *lines;
	socklen_t length;
	int fd;

	/* Client and server, without cookies, for all listeners. */
	for (int side = 0; side < 2; side++)
		rig_run(&bench->rig, side, "echo 1543 > /proc/sys/net/ipv4/tcp_fastopen");
	accept_bench_listen(bench, AF_INET, 64);
	length = address_to_sockaddr(&address, bench->port, &target);
	accept_bench_start(bench, NULL, NULL);
	rig_drop(&bench->rig, SIDE_B, "tcp flags & (syn | ack) == ack", 1);
	bench->connecting_ns = clock_monotonic_ns();
	fd = rig_socket(&bench->rig, SIDE_A, AF_INET, SOCK_STREAM);
	bench->clients[bench->client_count++] = fd;
	assert_int_equal(sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&target, length), 1);
	accept_bench_await(bench->listener, POLLIN);
	bench->connected_ns = clock_monotonic_ns();
	usleep(DELAY_US);
	accepting_ns = clock_monotonic_ns();
	accept_bench_accept(bench, 1);
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
	struct accept_bench *bench = *state;
	const int seconds = 5;
	unsigned int accepted = 0;
	json_t *lines, *line;
	uint64_t sending_ns;
	size_t index;
	int fd;

	accept_bench_listen(bench, AF_INET, 64);
	assert_int_equal(setsockopt(bench->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
				    sizeof(seconds)),
			 0);
	accept_bench_start(bench, NULL, NULL);
	fd = accept_bench_connect(bench);
	accept_bench_await(fd, POLLOUT);
	usleep(DELAY_US);
	sending_ns = clock_monotonic_ns();
	assert_int_equal(send(fd, "x", 1, 0), 1);
	accept_bench_await(bench->listener, POLLIN);
	accept_bench_accept(bench, 1);
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
static size_t count_waiting(const struct accept_bench *bench)
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
	struct accept_bench *bench = *state;
	const struct linger now = {.l_onoff = 1};
	json_t *lines;

	accept_bench_listen(bench, AF_INET, 64);
	accept_bench_start(bench, NULL, NULL);
	accept_bench_fill(bench, 3);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			setsockopt(bench->clients[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
		close(bench->clients[i]);
	}
	bench->clients[0] = bench->clients[2];
	bench->client_count = 1;
	assert_true(count_waiting(bench) >= 3);
	accept_bench_accept(bench, 1);
	accept_bench_hang_up(bench);
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
	struct accept_bench *bench = *state;
	json_t *lines, *line;

	accept_bench_listen(bench, AF_INET, 64);
	accept_bench_fill(bench, 1);
	accept_bench_start(bench, NULL, NULL);
	accept_bench_accept(bench, 1);
	trace_run_stop(&bench->run, SIGINT);
	lines = trace_run_lines(&bench->run);
	assert_int_equal(json_array_size(lines), 1);
	line = json_array_get(lines, 0);
	assert_true(json_is_null(json_object_get(line, "delay_ns")));
	assert_int_equal(trace_run_number(line, "local_port"), bench->port);
	json_decref(lines);
}

/* ---- ways to accept ---- */

static void accept_by_ring(struct accept_bench *bench, bool multishot)
{
	uint64_t accepting_ns;
	json_t *lines, *line;
	size_t index;

	accept_bench_listen(bench, AF_INET, 64);
	accept_bench_start(bench, NULL, NULL);
	accept_bench_fill(bench, TIMES);
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
	accept_bench_hang_up(bench);
}

static void test_io_uring(void **state)
{
	struct accept_bench *bench = *state;

	if (uring_open(&bench->ring)) {
		print_message("io_uring is not available: %s\n", strerror(errno));
		skip();
	}
	accept_by_ring(bench, false);
	accept_by_ring(bench, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		accept_bench_test(test_delay),	   accept_bench_test(test_histogram),
		accept_bench_test(test_fast_open), accept_bench_test(test_defer_accept),
		accept_bench_test(test_reset),	   accept_bench_test(test_older),
		accept_bench_test(test_io_uring),
	};

	return tcp_bench_run_tests("trace_accept", tests);
}
