// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat_socket.h"

#include "base/address.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* The timer runs at most this often an interval, whatever the number of peers. */
#define SLOTS_PER_INTERVAL 16

#define RELAYS_PER_HEARTBEAT 2

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

int heartbeat_send_datagram(const struct heartbeat_socket *socket,
			    const struct heartbeat_peer *peer, const uint8_t *data, size_t length)
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
		if (!heartbeat_send_datagram(socket, peer, buffer, length))
			socket->counters.relays_sent++;
	}
}

static void send_heartbeat(struct heartbeat_socket *socket, unsigned int index,
			   const struct clock_pair *now)
{
	struct heartbeat_peer *peer = &socket->members.peers[index];
	struct heartbeat heartbeat = {0};
	uint8_t buffer[HEARTBEAT_BYTES_MAX];
	size_t length;
	int err;

	heartbeat_link_next(&peer->link, now->monotonic_ns, &heartbeat);
	heartbeat.sent_realtime_ns = now->realtime_ns;
	memcpy(heartbeat.boot_id, socket->boot_id, sizeof(heartbeat.boot_id));
	/* Both arrays have the same size, as the assertion below says. */
	memcpy(heartbeat.sender, socket->members.own_name, sizeof(heartbeat.sender));
	memcpy(heartbeat.receiver, peer->name, sizeof(heartbeat.receiver));
	_Static_assert(CONFIG_NAME_MAX == HEARTBEAT_NAME_MAX, "a node's name fits a heartbeat");
	length = heartbeat_encode(&heartbeat, socket->authenticate ? &socket->key : NULL, buffer);

	err = heartbeat_send_datagram(socket, peer, buffer, length);
	peer->send_errno = -err;
	if (err) {
		peer->send_failures++;
		socket->counters.send_failures++;
	} else {
		peer->sent++;
		socket->counters.sent++;
	}
	if (peer->outage == HEARTBEAT_OUTAGE_EGRESS_CUT)
		send_by_others(socket, &heartbeat, now->monotonic_ns);
}

/*
 * The next time after a heartbeat that was due at due_ns. After a pause of ours what was missed is
 * not sent later, and the peer keeps its place in the interval.
 */
static uint64_t next_due(uint64_t interval_ns, uint64_t jittered_ns, uint64_t due_ns,
			 uint64_t now_ns)
{
	uint64_t next_ns = due_ns + jittered_ns;

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

void heartbeat_send_due(struct heartbeat_socket *socket)
{
	struct heartbeat_members *members = &socket->members;
	const struct clock_pair now = clock_pair();
	uint64_t now_ns = now.monotonic_ns;
	uint64_t earliest_ns = UINT64_MAX;
	/* One for all that are due, so that they are due together again: a wakeup costs more than
	 * what is sent in it. */
	uint64_t jittered_ns = jittered(socket);

	for (unsigned int i = 0; i < members->count; i++) {
		if (members->due_ns[i] <= now_ns) {
			send_heartbeat(socket, i, &now);
			members->due_ns[i] = next_due(socket->interval_ns, jittered_ns,
						      members->due_ns[i], now_ns);
		}
		if (members->due_ns[i] < earliest_ns)
			earliest_ns = members->due_ns[i];
	}
	if (earliest_ns != UINT64_MAX)
		arm_timer(socket, earliest_ns, now_ns);
	heartbeat_watch_end(socket, now_ns);
}

uint64_t heartbeat_due_in_ms(const struct heartbeat_socket *socket)
{
	const uv_handle_t *timer = (const uv_handle_t *)&socket->timer;

	return uv_is_active(timer) ? uv_timer_get_due_in(&socket->timer) : UINT64_MAX;
}

static void on_timer(uv_timer_t *timer)
{
	struct heartbeat_socket *socket = timer->data;

	/* First, so that the reports tell of all that has come. */
	heartbeat_drain(socket);
	heartbeat_send_due(socket);
}
