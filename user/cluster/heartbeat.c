// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat.h"

#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "cluster/heartbeat_forward.h"
#include "cluster/heartbeat_link.h"
#include "cluster/heartbeat_members.h"
#include "cluster/heartbeat_setup.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 16 /* datagrams a recvmmsg() */

/* The timer runs at most this often an interval, whatever the number of peers. */
#define SLOTS_PER_INTERVAL 16

#define RELAYS_PER_HEARTBEAT 2

/* Whoever has not looked for so many intervals did not run. */
#define PAUSE_INTERVALS 4

#define REJECT_LOG_INTERVAL_NS (60 * NS_PER_S)

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
	uint64_t drained_ns; /* when it was last looked for what has come; 0: never */
	bool behind;	     /* what is being read came while this process did not run */
};

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

static uint64_t jittered(struct heartbeat_socket *socket)
{
	/* splitmix64: for spreading, not for secrets. */
	uint64_t z = socket->random += 0x9e3779b97f4a7c15ULL;
	uint64_t tenth_ns = socket->interval_ns / 10;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	z ^= z >> 31;
	return socket->interval_ns - tenth_ns + z % (2 * tenth_ns + 1);
}

/* Sends one datagram to a node; returns 0 or -errno. */
static int send_datagram(const struct heartbeat_socket *socket, const struct heartbeat_peer *peer,
			 const uint8_t *data, size_t length)
{
	const struct port *port = socket->port;
	const struct address *address = &peer->addresses[0];
	struct sockaddr_storage name = {0};
	socklen_t name_length;

	if (!port)
		return -ENOTCONN;
	if (port->family == AF_INET6) {
		/* A mapped address is what a dual-stack socket wants to have for IPv4. */
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&name;

		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port->listen.port);
		memcpy(&v6->sin6_addr, address->bytes, sizeof(address->bytes));
		name_length = sizeof(*v6);
	} else {
		name_length = address_to_sockaddr(address, port->listen.port, &name);
	}
	if (sendto(port->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&name,
		   name_length) < 0)
		return -errno;
	return 0;
}

/*
 * Is it worth asking this node to pass something on: we hear it now, and it hears us. Never the one
 * that is cut off from us, because that has an outage.
 */
static bool can_relay(const struct heartbeat_socket *socket, const struct heartbeat_peer *peer,
		      uint64_t now_ns)
{
	return peer->expected && peer->outage == HEARTBEAT_OUTAGE_NONE && peer->link.heard_ns &&
	       peer->link.heard_ns + 3 * socket->interval_ns >= now_ns && peer->link.unheard <= 2;
}

static void send_by_others(struct heartbeat_socket *socket, struct heartbeat *heartbeat,
			   uint64_t now_ns)
{
	const struct heartbeat_members *members = &socket->members;
	uint8_t buffer[HEARTBEAT_BYTES_MAX];
	unsigned int asked = 0;
	size_t length;

	heartbeat->flags |= HEARTBEAT_FLAG_RELAY;
	length = heartbeat_encode(heartbeat, socket->authenticate ? &socket->key : NULL, buffer);
	/* Others each time, in case one of them cannot reach it either. */
	for (unsigned int i = 0; i < members->count && asked < RELAYS_PER_HEARTBEAT; i++) {
		unsigned int other =
			(unsigned int)((heartbeat->sequence * RELAYS_PER_HEARTBEAT + i) %
				       members->count);
		const struct heartbeat_peer *peer = &members->peers[other];

		if (!can_relay(socket, peer, now_ns))
			continue;
		asked++;
		if (!send_datagram(socket, peer, buffer, length))
			socket->counters.relays_sent++;
	}
}

/* What the wall clock had at a moment that is just past. */
static uint64_t realtime_at(uint64_t time_ns)
{
	return clock_realtime_ns() - (clock_monotonic_ns() - time_ns);
}

static void send_heartbeat(struct heartbeat_socket *socket, unsigned int index, uint64_t now_ns)
{
	struct heartbeat_peer *peer = &socket->members.peers[index];
	struct heartbeat heartbeat = {0};
	uint8_t buffer[HEARTBEAT_BYTES_MAX];
	size_t length;
	int err;

	heartbeat_link_next(&peer->link, now_ns, &heartbeat);
	heartbeat.sent_realtime_ns = realtime_at(now_ns);
	memcpy(heartbeat.boot_id, socket->boot_id, sizeof(heartbeat.boot_id));
	/* Both arrays have the same size, as the assertion below says. */
	memcpy(heartbeat.sender, socket->members.own_name, sizeof(heartbeat.sender));
	memcpy(heartbeat.receiver, peer->name, sizeof(heartbeat.receiver));
	_Static_assert(CONFIG_NAME_MAX == HEARTBEAT_NAME_MAX, "a node's name fits a heartbeat");
	length = heartbeat_encode(&heartbeat, socket->authenticate ? &socket->key : NULL, buffer);

	err = send_datagram(socket, peer, buffer, length);
	peer->send_errno = -err;
	if (err) {
		peer->send_failures++;
		socket->counters.send_failures++;
	} else {
		peer->sent++;
		socket->counters.sent++;
	}
	if (peer->outage == HEARTBEAT_OUTAGE_EGRESS_CUT)
		send_by_others(socket, &heartbeat, now_ns);
}

/*
 * The next time after a heartbeat that was due at due_ns. After a pause of ours what was missed is
 * not sent later, and the peer keeps its place in the interval.
 */
static uint64_t next_due(struct heartbeat_socket *socket, uint64_t due_ns, uint64_t now_ns)
{
	uint64_t interval_ns = socket->interval_ns;
	uint64_t next_ns = due_ns + jittered(socket);

	if (next_ns < now_ns + interval_ns / 2)
		next_ns += (now_ns + interval_ns / 2 - next_ns + interval_ns - 1) / interval_ns *
			   interval_ns;
	return next_ns;
}

static void on_timer(uv_timer_t *timer);

static void arm_timer(struct heartbeat_socket *socket, uint64_t earliest_ns, uint64_t now_ns)
{
	uint64_t wait_ns = earliest_ns > now_ns ? earliest_ns - now_ns : 0;
	uint64_t slot_ns = socket->interval_ns / SLOTS_PER_INTERVAL;

	if (wait_ns < slot_ns)
		wait_ns = slot_ns;
	/* Only fails for a timer that is being closed. */
	(void)uv_timer_start(&socket->timer, on_timer, (wait_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
}

static void send_due(struct heartbeat_socket *socket)
{
	struct heartbeat_members *members = &socket->members;
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t earliest_ns = UINT64_MAX;

	for (unsigned int i = 0; i < members->count; i++) {
		if (members->due_ns[i] <= now_ns) {
			send_heartbeat(socket, i, now_ns);
			members->due_ns[i] = next_due(socket, members->due_ns[i], now_ns);
		}
		if (members->due_ns[i] < earliest_ns)
			earliest_ns = members->due_ns[i];
	}
	if (earliest_ns != UINT64_MAX)
		arm_timer(socket, earliest_ns, now_ns);
}

static void on_timer(uv_timer_t *timer)
{
	struct heartbeat_socket *socket = timer->data;

	/* First, so that the reports tell of all that has come. */
	heartbeat_drain(socket);
	send_due(socket);
}

/* Receiving. */

static void reject(struct heartbeat_socket *socket, enum heartbeat_reject reason,
		   const struct address *source, uint64_t now_ns)
{
	char source_text[ADDRESS_TEXT_MAX];

	socket->counters.rejected[reason]++;
	if (socket->reject_logged_ns[reason] &&
	    now_ns - socket->reject_logged_ns[reason] < REJECT_LOG_INTERVAL_NS)
		return;
	socket->reject_logged_ns[reason] = now_ns;
	log_warning("heartbeat rejected", log_string("reason", heartbeat_reject_name(reason)),
		    log_string("from", address_format(source, source_text)),
		    log_unsigned("so_far", socket->counters.rejected[reason]));
}

static void forward_relay(struct heartbeat_socket *socket, const struct heartbeat *heartbeat,
			  const uint8_t *data, size_t length, const struct address *source,
			  uint64_t now_ns)
{
	const struct heartbeat_members *members = &socket->members;
	int sender = heartbeat_members_find(members, heartbeat->sender);
	int receiver = heartbeat_members_find(members, heartbeat->receiver);

	/* The two observe each other; whether this node does is another matter. */
	if (sender < 0 || receiver < 0 || sender == receiver || !members->peers[sender].other ||
	    !members->peers[receiver].other) {
		reject(socket, HEARTBEAT_REJECT_UNKNOWN_SENDER, source, now_ns);
		return;
	}
	if (!heartbeat_peer_has_address(&members->peers[sender], source) ||
	    !heartbeat_may_forward(&socket->forwards, heartbeat, (unsigned int)sender,
				   (unsigned int)receiver, now_ns) ||
	    send_datagram(socket, &members->peers[receiver], data, length)) {
		socket->counters.relays_refused++;
		return;
	}
	socket->counters.relays_forwarded++;
}

/* Without a key only the address speaks for the sender, or for the node that passed its word on. */
static bool source_trusted(const struct heartbeat_socket *socket,
			   const struct heartbeat_peer *sender, bool relayed,
			   const struct address *source)
{
	if (socket->authenticate || heartbeat_peer_has_address(sender, source))
		return true;
	for (unsigned int i = 0; relayed && i < socket->members.count; i++)
		if (heartbeat_peer_has_address(&socket->members.peers[i], source))
			return true;
	return false;
}

static void take_datagram(struct heartbeat_socket *socket, const uint8_t *data, size_t length,
			  const struct address *source, uint64_t now_ns)
{
	struct heartbeat_members *members = &socket->members;
	struct heartbeat heartbeat;
	enum heartbeat_reject result = heartbeat_decode(
		data, length, socket->authenticate ? &socket->key : NULL, &heartbeat);
	struct heartbeat_peer *peer;
	bool relayed;
	int sender;

	socket->counters.received++;
	if (result != HEARTBEAT_ACCEPTED) {
		reject(socket, result, source, now_ns);
		return;
	}
	relayed = heartbeat.flags & HEARTBEAT_FLAG_RELAY;
	if (relayed && strcmp(heartbeat.receiver, members->own_name)) {
		forward_relay(socket, &heartbeat, data, length, source, now_ns);
		return;
	}
	sender = heartbeat_members_find(members, heartbeat.sender);
	peer = sender < 0 ? NULL : &members->peers[sender];
	if (!peer || !peer->other || strcmp(heartbeat.receiver, members->own_name) ||
	    !source_trusted(socket, peer, relayed, source)) {
		reject(socket, HEARTBEAT_REJECT_UNKNOWN_SENDER, source, now_ns);
		return;
	}
	if (!peer->expected) {
		reject(socket, HEARTBEAT_REJECT_UNOBSERVED, source, now_ns);
		return;
	}
	/* Whatever happened to the network meanwhile, no outage could be judged. */
	if (socket->behind)
		heartbeat_link_forgive_incoming(&peer->link);
	result = heartbeat_link_receive(&peer->link, &heartbeat, now_ns);
	if (result == HEARTBEAT_ACCEPTED && relayed)
		socket->counters.relays_accepted++;
	else if (result == HEARTBEAT_ACCEPTED)
		socket->counters.accepted++;
	else if (relayed)
		socket->counters.relays_duplicate++;
	else
		reject(socket, result, source, now_ns);
	if (result == HEARTBEAT_ACCEPTED && !relayed)
		heartbeat_link_measure_clock(&peer->link, &heartbeat, now_ns, realtime_at(now_ns));
}

/* What our own kernel dropped for want of room is not the network's loss. */
static void note_overflow(struct heartbeat_socket *socket, struct msghdr *message)
{
	struct heartbeat_members *members = &socket->members;
	uint32_t overflowed;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SO_RXQ_OVFL)
			continue;
		memcpy(&overflowed, CMSG_DATA(header), sizeof(overflowed));
		if (overflowed == socket->port->overflowed)
			continue;
		/* Wraps with the kernel's 32 bits. */
		socket->counters.overflowed += (uint32_t)(overflowed - socket->port->overflowed);
		socket->port->overflowed = overflowed;
		for (unsigned int i = 0; i < members->count; i++)
			heartbeat_link_forgive_incoming(&members->peers[i].link);
	}
}

/* Reads up to BATCH datagrams. Returns how many; 0 when none is waiting. */
static int receive_batch(struct heartbeat_socket *socket)
{
	/* One byte more than the longest, so that a longer one is seen to be too long. */
	uint8_t data[BATCH][HEARTBEAT_BYTES_MAX + 1];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(uint32_t))];
	} control[BATCH];
	struct sockaddr_storage names[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec vectors[BATCH];
	uint64_t now_ns;
	int count;

	for (unsigned int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){.iov_base = data[i], .iov_len = sizeof(data[i])};
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &names[i],
			.msg_namelen = sizeof(names[i]),
			.msg_iov = &vectors[i],
			.msg_iovlen = 1,
			.msg_control = &control[i],
			.msg_controllen = sizeof(control[i]),
		};
	}
	count = recvmmsg(socket->port->fd, messages, BATCH, MSG_DONTWAIT, NULL);
	now_ns = clock_monotonic_ns();
	for (int i = 0; i < count; i++) {
		struct address source = {0};
		uint16_t port = 0;

		note_overflow(socket, &messages[i].msg_hdr);
		if (address_from_sockaddr((struct sockaddr *)&names[i], &source, &port))
			continue;
		take_datagram(socket, data[i], messages[i].msg_len, &source, now_ns);
	}
	return count < 0 ? -errno : count;
}

unsigned int heartbeat_drain(struct heartbeat_socket *socket)
{
	uint64_t now_ns = clock_monotonic_ns();
	unsigned int total = 0, errors = 0;

	if (socket->drained_ns &&
	    now_ns - socket->drained_ns > PAUSE_INTERVALS * socket->interval_ns)
		socket->behind = true;
	socket->drained_ns = now_ns;
	while (socket->port && total + BATCH <= HEARTBEAT_DRAIN_MAX) {
		int count = receive_batch(socket);

		if (count > 0)
			total += (unsigned int)count;
		/* Any other error was one queued on the socket, and is gone now that it was told.
		 */
		if (count == -EAGAIN || (count < 0 && ++errors >= BATCH) ||
		    (count >= 0 && count < BATCH)) {
			socket->behind = false;
			break;
		}
	}
	return total;
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

/* Opening, changing and closing. */

/* Binds a port in place of 'old' (NULL: for the first time) and watches it. */
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
	/* Only fails for a handle that is being closed. */
	(void)uv_poll_start(&port->poll, UV_READABLE, on_readable);
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
	send_due(socket);
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
