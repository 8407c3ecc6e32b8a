// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/accept_bench.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 10000

int accept_bench_set_up(void **state)
{
	static struct accept_bench bench;

	bench = (struct accept_bench){.listener = -1};
	rig_up(&bench.rig);
	for (int side = 0; side < 2; side++)
		snprintf(bench.inodes[side], sizeof(bench.inodes[side]), "%u",
			 bench.rig.inodes[side]);
	*state = &bench;
	return 0;
}

void accept_bench_hang_up(struct accept_bench *bench)
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

int accept_bench_tear_down(void **state)
{
	struct accept_bench *bench = *state;

	trace_run_discard(&bench->run);
	uring_close(&bench->ring);
	accept_bench_hang_up(bench);
	cgroup_rig_down(&bench->cgroup);
	rig_down(&bench->rig);
	return 0;
}

void accept_bench_listen(struct accept_bench *bench, int family, int backlog)
{
	bench->family = family;
	bench->listener = rig_listen(&bench->rig, SIDE_B, family, &bench->port);
	assert_int_equal(listen(bench->listener, backlog), 0);
}

int accept_bench_connect(struct accept_bench *bench)
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

void accept_bench_await(int fd, short events)
{
	struct pollfd item = {.fd = fd, .events = events};

	assert_int_equal(poll(&item, 1, WAIT_MS), 1);
}

void accept_bench_fill(struct accept_bench *bench, unsigned int count)
{
	bench->connecting_ns = clock_monotonic_ns();
	for (unsigned int i = 0; i < count; i++) {
		accept_bench_await(accept_bench_connect(bench), POLLOUT);
		accept_bench_await(bench->listener, POLLIN);
	}
	bench->connected_ns = clock_monotonic_ns();
}

void accept_bench_accept(struct accept_bench *bench, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		int fd = accept4(bench->listener, NULL, NULL, SOCK_CLOEXEC);

		assert_true(fd >= 0);
		bench->servers[bench->server_count++] = fd;
	}
	bench->accepted_ns = clock_monotonic_ns();
}

void accept_bench_start(struct accept_bench *bench, const char *option, const char *value)
{
	const char *const arguments[] = {
		"accept", "-n", bench->inodes[SIDE_B], "-o", "json", option, value, NULL};

	trace_run_start(&bench->run, arguments);
}
