/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_HEARTBEAT_SOCKET_H
#define TOCSIN_CLUSTER_HEARTBEAT_SOCKET_H

/* What the parts of the heartbeat socket share; not for others: heartbeat.c opens, changes and
 * closes it, heartbeat_send.c sends, heartbeat_receive.c receives. */

#include "base/clock.h"
#include "cluster/heartbeat.h"
#include "cluster/heartbeat_forward.h"
#include "cluster/heartbeat_members.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* The bound UDP socket. Its own allocation, because libuv lets go of it later than we do. */
struct port {
	uv_poll_t poll;
	struct heartbeat_socket *socket;
	int fd;
	int family;
	struct config_listen listen;
	uint32_t overflowed; /* the kernel's count of datagrams dropped on this socket */
};

struct heartbeat_socket {
	uv_loop_t *loop;
	uv_timer_t timer;
	struct port *port; /* NULL without peers */
	struct heartbeat_members members;
	struct heartbeat_key key;
	bool authenticate;
	uint64_t interval_ns;
	uint8_t boot_id[HEARTBEAT_BOOT_BYTES];
	uint64_t incarnation;
	uint64_t random; /* state of the jitter's generator: not a secret */
	struct heartbeat_counters counters;
	uint64_t reject_logged_ns[HEARTBEAT_REJECT_KINDS];
	struct heartbeat_forwards forwards;
	uint64_t drained_ns;	   /* when it was last looked for what has come; 0: never */
	uint64_t looked_ns;	   /* the same, when all that had come was read */
	uint64_t watched_until_ns; /* 0: no datagram wakes the loop */
	bool behind;		   /* what is being read came while this process did not run */
};

/*
 * Heartbeats wake nobody: they wait for the next drain, and their stamps tell when they came in.
 * Only one that is to be passed on is waited for: for a while from 'now_ns' the loop is woken by
 * all. The other ends that when its time is over.
 */
void heartbeat_watch(struct heartbeat_socket *socket, uint64_t now_ns);
void heartbeat_watch_end(struct heartbeat_socket *socket, uint64_t now_ns);

/* Sends what is due, and has the timer come back when the next is. */
void heartbeat_send_due(struct heartbeat_socket *socket);

/* Sends one datagram to a node; returns 0 or -errno. */
int heartbeat_send_datagram(const struct heartbeat_socket *socket,
			    const struct heartbeat_peer *peer, const uint8_t *data, size_t length);

#endif
