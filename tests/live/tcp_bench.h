/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_TCP_BENCH_H
#define TOCSIN_TESTS_LIVE_TCP_BENCH_H

/* What the tests of the TCP probe share: a rig, a probe, and the record of one peer. */

#include "live/rig.h"
#include "probe/tcp.h"

#include <stdbool.h>
#include <stdint.h>

struct tcp_bench {
	struct rig rig;
	struct tcp_probe *probe;   /* NULL: not started */
	struct address b;	   /* the peer that host a's records speak of */
	struct peer_record record; /* as tcp_bench_look() last found it */
	/* What a condition of rig_wait() waits for; tcp_bench_await_retransmits() sets both. */
	enum peer_retransmit kind;
	uint64_t wanted;
};

/* Sees every socket of every host, loopback too; 64 peers. */
extern const struct tcp_probe_settings tcp_bench_everything;

/* All of these fail the running test when they cannot do their job. */

/* A probe whose program is attached; the caller stores it or closes it. */
struct tcp_probe *tcp_bench_open_probe(const struct tcp_probe_settings *settings);

/* Opens the bench's probe for host a's sockets only, as each host of one kernel sees all. */
void tcp_bench_start(struct tcp_bench *bench, int family);
void tcp_bench_stop(struct tcp_bench *bench);

/* Takes in the peer's record. Returns false when there is none. */
bool tcp_bench_look(struct tcp_bench *bench);

/* Until the peer's record has so many of a kind. */
void tcp_bench_await_retransmits(struct tcp_bench *bench, enum peer_retransmit kind,
				 uint64_t wanted);

/* Skips the running test where a retransmit that is not sent passes for none: the tracepoint tells
 * its error since 6.17 (commit ad892e912b84). */
void tcp_bench_skip_without_errors(void);

/* Connects from host a and closes at once. Returns 0 or the positive errno. */
int tcp_bench_connect(const struct tcp_bench *bench, const char *host, uint16_t port);

/* A request of 10 bytes from a and an answer of 20 from b, so many times. */
void tcp_bench_exchange(const int pair[2], unsigned int times);

void tcp_bench_close_pair(const int pair[2]);

/* cmocka fixtures; *state is a struct tcp_bench with a rig of its own and no probe yet. */
int tcp_bench_set_up(void **state);
int tcp_bench_tear_down(void **state);

#define tcp_bench_test(function) \
	cmocka_unit_test_setup_teardown(function, tcp_bench_set_up, tcp_bench_tear_down)

/* Runs the group, or skips it with the reason why it cannot be. */
#define tcp_bench_run_tests(name, tests)           \
	(rig_obstacle() ? tcp_bench_skip_all(name) \
			: cmocka_run_group_tests_name(name, tests, NULL, NULL))
int tcp_bench_skip_all(const char *name);

#endif
