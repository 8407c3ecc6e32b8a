// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat_socket.h"

#include "base/address.h"
#include "base/log.h"
#include "cluster/heartbeat_link.h"
#include "cluster/heartbeat_setup.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Who passes something on once is asked to again with the next heartbeat. */
#define WATCH_NS NS_PER_S

static void on_port_closed(uv_handle_t *handle)
{
	struct port *port = handle->data;

	close(port->fd);
	free(port);
}

static void port_close(struct port *port)
{
	if (!port)
		return;
	uv_poll_stop(&port->poll);
	uv_close((uv_handle_t *)&port->poll, on_port_closed);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct port *port = poll->data;

	(void)events;
	heartbeat_drain(port->socket);
	/* libuv stops watching a socket with an error queued on it; the drain has taken it off. */
	if (status < 0)
		(void)uv_poll_start(poll, UV_READABLE, on_readable);
}

void heartbeat_watch(struct heartbeat_socket *socket, uint64_t now_ns)
{
	uv_poll_t *poll = &socket->port->poll;

	socket->watched_until_ns = now_ns + WATCH_NS;
	/* Only fails for a handle that is being closed. */
	if (!uv_is_active((uv_handle_t *)poll))
		(void)uv_poll_start(poll, UV_READABLE, on_readable);
}

void heartbeat_watch_end(struct heartbeat_socket *socket, uint64_t now_ns)
{
	if (!socket->watched_until_ns || now_ns < socket->watched_until_ns)
		return;
	socket->watched_until_ns = 0;
	if (socket->port)
		uv_poll_stop(&socket->port->poll);
}

/* Opening, changing and closing. */

/* Binds a port in place of 'old' (NULL: for the first time). */
static int port_open(struct port **ret, struct heartbeat_socket *socket,
		     const struct config_listen *listen, const struct port *old, struct text *error)
{
	struct port *port = calloc(1, sizeof(*port));
	int err = 0;

	if (!port) {
		text_printf(error, "no memory for the heartbeat socket");
		return -ENOMEM;
	}
	port->socket = socket;
	port->listen = *listen;
	port->family = address_is_v4(&listen->address) ? AF_INET : AF_INET6;
	port->fd = heartbeat_bind(listen, old ? old->fd : -1, error);
	if (port->fd < 0) {
		err = port->fd;
		goto out;
	}
	err = uv_poll_init(socket->loop, &port->poll, port->fd);
	if (err) {
		text_printf(error, "heartbeat socket: cannot be watched: %s", uv_strerror(err));
		close(port->fd);
		goto out;
	}
	port->poll.data = port;
	*ret = port;
	port = NULL;
out:
	free(port);
	return err;
}

static bool same_listen(const struct config_listen *a, const struct config_listen *b)
{
	return a->port == b->port && address_equal(&a->address, &b->address);
}

/* All that can fail when going over to another configuration. */
struct prepared {
	struct heartbeat_members members;
	struct heartbeat_key key;
	struct port *port; /* NULL: the present one stays, or none is needed */
};

static int prepare(struct heartbeat_socket *socket, const struct config *config,
		   struct prepared *prepared, struct text *error)
{
	const struct config_listen *listen = &config->heartbeat.listen;
	int err;

	err = heartbeat_members_build(&prepared->members, config, &socket->members,
				      socket->incarnation, clock_monotonic_ns(), error);
	if (!err && prepared->members.expected_count)
		err = heartbeat_read_key(config, &prepared->key, error);
	/* Last: once bound, it is the loop's. */
	if (!err && prepared->members.expected_count &&
	    (!socket->port || !same_listen(listen, &socket->port->listen)))
		err = port_open(&prepared->port, socket, listen, socket->port, error);
	if (err) {
		heartbeat_members_free(&prepared->members);
		sodium_memzero(&prepared->key, sizeof(prepared->key));
	}
	return err;
}

static void commit(struct heartbeat_socket *socket, const struct config *config,
		   struct prepared *prepared)
{
	if (prepared->port || !prepared->members.expected_count) {
		port_close(socket->port);
		socket->port = prepared->port;
	}
	heartbeat_members_free(&socket->members);
	socket->members = prepared->members;
	socket->key = prepared->key;
	sodium_memzero(&prepared->key, sizeof(prepared->key));
	socket->authenticate = config->heartbeat.authenticate;
	socket->interval_ns = config->heartbeat.interval_ms * NS_PER_MS;
	socket->forwards = (struct heartbeat_forwards){0}; /* they hold indices */
	(void)uv_timer_stop(&socket->timer);
	heartbeat_send_due(socket);
}

int heartbeat_reload(struct heartbeat_socket *socket, const struct config *config,
		     struct text *error)
{
	struct prepared prepared = {0};
	int err;

	/* First, because links are copied and what waits on a socket is lost with it. */
	heartbeat_drain(socket);
	err = prepare(socket, config, &prepared, error);
	if (!err)
		commit(socket, config, &prepared);
	return err;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct heartbeat_socket *socket = handle->data;

	heartbeat_members_free(&socket->members);
	sodium_memzero(&socket->key, sizeof(socket->key));
	free(socket);
}

void heartbeat_close(struct heartbeat_socket *socket)
{
	if (!socket)
		return;
	port_close(socket->port);
	socket->port = NULL;
	uv_close((uv_handle_t *)&socket->timer, on_timer_closed);
}

int heartbeat_open(struct heartbeat_socket **ret, uv_loop_t *loop, const struct config *config,
		   struct text *error)
{
	struct heartbeat_socket *socket = NULL;
	struct prepared prepared = {0};
	int err;

	/* Picks the fastest implementation and opens the random source; harmless when done before.
	 */
	if (sodium_init() < 0) {
		text_printf(error, "libsodium cannot be initialised: no source of random numbers");
		return -EIO;
	}
	socket = calloc(1, sizeof(*socket));
	if (!socket) {
		text_printf(error, "no memory for the heartbeat socket");
		return -ENOMEM;
	}
	socket->loop = loop;
	socket->incarnation = clock_realtime_ns();
	randombytes_buf(&socket->random, sizeof(socket->random));
	err = heartbeat_read_boot_id(socket->boot_id, error);
	if (!err)
		err = prepare(socket, config, &prepared, error);
	if (err) {
		free(socket);
		return err;
	}
	/* Cannot fail; from here on the loop has a hold on the socket. */
	(void)uv_timer_init(loop, &socket->timer);
	socket->timer.data = socket;
	commit(socket, config, &prepared);
	*ret = socket;
	return 0;
}

void heartbeat_evidence(const struct heartbeat_socket *socket, unsigned int node_index,
			struct edge_evidence *evidence)
{
	const struct heartbeat_peer *peer;

	memset(&evidence->heartbeat, 0, sizeof(evidence->heartbeat));
	if (node_index >= socket->members.count)
		return;
	peer = &socket->members.peers[node_index];
	if (!peer->expected)
		return;
	heartbeat_link_evidence(&peer->link, evidence);
	evidence->heartbeat.expected = true;
	evidence->heartbeat.send_failures = peer->send_failures;
	evidence->heartbeat.send_errno = peer->send_errno;
	evidence->heartbeat.interval_ns = socket->interval_ns;
}

void heartbeat_set_outage(struct heartbeat_socket *socket, unsigned int node_index,
			  enum heartbeat_outage outage)
{
	struct heartbeat_peer *peer;

	if (node_index >= socket->members.count)
		return;
	peer = &socket->members.peers[node_index];
	/* The gap of the outage itself is no loss; what is lost later is, or a link that only loses
	 * nearly everything would be called cut for ever. */
	if (outage != HEARTBEAT_OUTAGE_NONE && peer->outage == HEARTBEAT_OUTAGE_NONE)
		heartbeat_link_forgive(&peer->link);
	peer->outage = outage;
}

const struct heartbeat_counters *heartbeat_counters(const struct heartbeat_socket *socket)
{
	return &socket->counters;
}

void heartbeat_status(const struct heartbeat_socket *socket, unsigned int node_index,
		      struct heartbeat_status *ret_status)
{
	const struct heartbeat_peer *peer;

	*ret_status = (struct heartbeat_status){0};
	if (node_index >= socket->members.count)
		return;
	peer = &socket->members.peers[node_index];
	ret_status->sent = peer->sent;
	ret_status->received = peer->link.accepted;
	ret_status->rtt_us = (uint32_t)(peer->link.rtt_ns / NS_PER_US);
	ret_status->incarnation = peer->link.direct.incarnation;
	ret_status->restarts = peer->link.restarts;
	ret_status->heard_ns = peer->link.heard_ns;
	ret_status->clock_known = heartbeat_clock_offset(
		&peer->link.clock, &ret_status->clock_offset_ns, &ret_status->clock_uncertainty_ns);
	memcpy(ret_status->boot_id, peer->link.boot_id, sizeof(ret_status->boot_id));
}
