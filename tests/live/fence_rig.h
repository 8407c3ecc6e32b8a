/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_FENCE_RIG_H
#define TOCSIN_TESTS_LIVE_FENCE_RIG_H

/*
 * The fence around host a of a rig. Host b speaks as several: each of its addresses is another
 * party. Host c (10.98.0.3, fd98::3) lies behind a, which forwards. No fence is ever put up
 * elsewhere: fence_rig_enter() sees to that. What cannot be done fails the running test.
 */

#include "isolate/fence.h"
#include "live/rig.h"

#include <sys/socket.h>

#define FENCE_RIG_AGENT_PORT 9480
#define FENCE_RIG_STORE_PORT 2379
#define FENCE_RIG_BLOCK_MS   80 /* what has not arrived by then was blocked */
#define FENCE_RIG_FAMILIES   2	/* 0 is IPv4, 1 is IPv6 */

/* SELF is host a; the settings name all but the stranger. */
enum fence_party { PARTY_SELF, PARTY_MEMBER, PARTY_STORE, PARTY_MANAGER, PARTY_STRANGER };

struct fence_rig {
	struct rig rig;
	char third[64]; /* the namespace of host c */
	struct cidr members[5], allow[3];
	struct fence_endpoint store[4];
	struct fence_settings settings; /* set anew for each test */
};

/* cmocka fixtures; *state is a struct fence_rig. */
int fence_rig_group_set_up(void **state);
int fence_rig_group_tear_down(void **state);
int fence_rig_set_up(void **state);
int fence_rig_tear_down(void **state);

/* Host a becomes that of the thread, after a check that it is a host of this rig's. */
void fence_rig_enter(const struct fence_rig *fence);
void fence_rig_leave(const struct fence_rig *fence);

/* Puts it up, or takes it down, where the thread is, and waits for the end. */
int fence_rig_put_up(const struct fence_settings *settings, struct text *error);
int fence_rig_take_down(struct text *error);

/* fence_rig_put_up(), or another call, in host a. */
void fence_rig_apply(const struct fence_rig *fence, const struct fence_settings *settings);
int fence_rig_call(const struct fence_rig *fence, int (*call)(struct text *error));

/* What a command prints in host a. */
const char *fence_rig_output(const struct fence_rig *fence, const char *command);

/* Packets that the fence has dropped in a chain since it was applied. */
unsigned int fence_rig_dropped(const struct fence_rig *fence, const char *chain);

socklen_t fence_rig_name(enum fence_party party, int family, uint16_t port,
			 struct sockaddr_storage *ret_name);

/* A socket that does not block, bound to a party's address; port 0 is any. */
int fence_rig_socket(const struct fence_rig *fence, enum fence_party party, int family, int type,
		     uint16_t port);

bool fence_rig_ready(int fd, short events, int timeout_ms);

/* Whether a byte comes through a connection. */
bool fence_rig_carries(int from, int to, bool expected);

/* The error that a connect ends with, EINPROGRESS when nobody answers. */
int fence_rig_connect(int client, const struct sockaddr_storage *name, socklen_t length,
		      bool expected);

/* One datagram arrives, or not. Where its way out is blocked, sending it says so. */
void fence_rig_expect_udp(const struct fence_rig *fence, enum fence_party from, uint16_t from_port,
			  enum fence_party to, uint16_t to_port, int family, bool passes);

/* A connection with an echo through it works as a whole, or does not even begin. */
void fence_rig_expect_tcp(const struct fence_rig *fence, enum fence_party from, enum fence_party to,
			  uint16_t port, int family, bool passes);

void fence_rig_expect_ping(const struct fence_rig *fence, enum fence_party from,
			   enum fence_party to, int family, bool passes);

/* From host b to host c. */
void fence_rig_expect_forwarded(const struct fence_rig *fence, enum fence_party from, int family,
				bool passes);

#endif
