/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_ACCEPT_BENCH_H
#define TOCSIN_TESTS_LIVE_ACCEPT_BENCH_H

/* A listener at host b, clients at host a, and the trace "accept" of host b. What cannot be done
 * fails the running test. */

#include "live/cgroup_rig.h"
#include "live/rig.h"
#include "live/trace_run.h"
#include "live/uring.h"

#include <stddef.h>
#include <stdint.h>

struct accept_bench {
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
	uint64_t drops_before, drops_wanted; /* by the host's own count */
};

/* cmocka fixtures; *state is a struct accept_bench without a listener. */
int accept_bench_set_up(void **state);
int accept_bench_tear_down(void **state);

#define accept_bench_test(function) \
	cmocka_unit_test_setup_teardown(function, accept_bench_set_up, accept_bench_tear_down)

/* Starts `tocsin trace accept` with an option and its value; either may be NULL. */
void accept_bench_start(struct accept_bench *bench, const char *option, const char *value);

/* A listener on any address of a family. */
void accept_bench_listen(struct accept_bench *bench, int family, int backlog);

/* Begins to connect, and does not wait. Returns the client's descriptor. */
int accept_bench_connect(struct accept_bench *bench);

/* Makes so many connections that wait to be accepted. */
void accept_bench_fill(struct accept_bench *bench, unsigned int count);

/* Accepts so many. */
void accept_bench_accept(struct accept_bench *bench, unsigned int count);

/* Waits for events of poll(). */
void accept_bench_await(int fd, short events);

/* Closes the listener and all connections. */
void accept_bench_hang_up(struct accept_bench *bench);

#endif
