/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_RIG_H
#define TOCSIN_TESTS_LIVE_RIG_H

/*
 * Two hosts for a live test: network namespaces "a" and "b" joined by a veth pair, 10.99.0.1 and
 * fd99::1, 10.99.0.2 and fd99::2. Every packet stays in them.
 */

#include "base/address.h"
#include "probe/tcp.h"

#include <stdbool.h>
#include <stdint.h>

enum side { SIDE_A, SIDE_B };

struct rig {
	char names[2][64];
	int namespaces[2];
	int home;
	uint32_t inodes[2];
};

/* Why live tests cannot run here, or NULL. */
const char *rig_obstacle(void);

/* Whether a program is not attached, for this reason, because the kernel lacks what it needs. That
 * it does is asked of the kernel's types. */
bool rig_kernel_lacks(const char *reason);

/* All of these fail the running test when they cannot do their job. */
void rig_up(struct rig *rig);
void rig_down(struct rig *rig);

/* Runs a shell command in one host. */
void rig_run(const struct rig *rig, enum side side, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A socket, or a listener on a free port, that lives in one host. */
int rig_socket(const struct rig *rig, enum side side, int family, int type);
int rig_listen(const struct rig *rig, enum side side, int family, uint16_t *ret_port);

/* Address of a host, "10.99.0.1" or "fd99::1" and so on. */
struct address rig_address(enum side side, int family);

/* A connected pair: ret_pair[SIDE_A] connected to ret_pair[SIDE_B]. */
void rig_connect(const struct rig *rig, int family, int ret_pair[2], uint16_t *ret_port);

/* Sends so many bytes from one end and reads them all at the other. */
void rig_transfer(int from, int to, size_t bytes);

/*
 * Has host b (or a) drop the next 'count' packets that match an nft expression, on arrival: what
 * the sender's own stack drops would be reported to its TCP. rig_pass() lets all pass again.
 */
void rig_drop(const struct rig *rig, enum side receiver, const char *match, unsigned int count);
void rig_pass(const struct rig *rig, enum side receiver);

/* A counter of the host's own TCP: rig_counter(rig, SIDE_A, "TcpExt", "TCPTimeouts"). */
uint64_t rig_counter(const struct rig *rig, enum side side, const char *group, const char *name);

/* The record that a probe keeps of an address. Returns false when there is none. */
bool rig_find(struct tcp_probe *probe, const struct address *address,
	      struct peer_record *ret_record);

/* Calls 'done' until it returns true, or fails the test after 15 s. */
void rig_wait(bool (*done)(void *context), void *context, const char *what);

#endif
