// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat_socket.h"

#include "base/address.h"
#include "base/log.h"
#include "cluster/heartbeat_link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH 16 /* datagrams a recvmmsg() */

/* Whoever has not looked for so many intervals did not run. */
#define PAUSE_INTERVALS 4

#define REJECT_LOG_INTERVAL_NS (60 * NS_PER_S)

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
	    heartbeat_send_datagram(socket, &members->peers[receiver], data, length)) {
		socket->counters.relays_refused++;
		return;
	}
	socket->counters.relays_forwarded++;
	heartbeat_watch(socket, now_ns);
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

/* 'received_ns' is when it came in, 'now' when it is read. */
static void take_datagram(struct heartbeat_socket *socket, const uint8_t *data, size_t length,
			  const struct address *source, uint64_t received_ns,
			  const struct clock_pair *now)
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
		reject(socket, result, source, now->monotonic_ns);
		return;
	}
	relayed = heartbeat.flags & HEARTBEAT_FLAG_RELAY;
	if (relayed && strcmp(heartbeat.receiver, members->own_name)) {
		forward_relay(socket, &heartbeat, data, length, source, now->monotonic_ns);
		return;
	}
	sender = heartbeat_members_find(members, heartbeat.sender);
	peer = sender < 0 ? NULL : &members->peers[sender];
	if (!peer || !peer->other || strcmp(heartbeat.receiver, members->own_name) ||
	    !source_trusted(socket, peer, relayed, source)) {
		reject(socket, HEARTBEAT_REJECT_UNKNOWN_SENDER, source, now->monotonic_ns);
		return;
	}
	if (!peer->expected) {
		reject(socket, HEARTBEAT_REJECT_UNOBSERVED, source, now->monotonic_ns);
		return;
	}
	/* Whatever happened to the network meanwhile, no outage could be judged. */
	if (socket->behind)
		heartbeat_link_forgive_incoming(&peer->link);
	result = heartbeat_link_receive(&peer->link, &heartbeat, received_ns);
	if (result == HEARTBEAT_ACCEPTED && relayed)
		socket->counters.relays_accepted++;
	else if (result == HEARTBEAT_ACCEPTED)
		socket->counters.accepted++;
	else if (relayed)
		socket->counters.relays_duplicate++;
	else
		reject(socket, result, source, now->monotonic_ns);
	if (result == HEARTBEAT_ACCEPTED && !relayed)
		heartbeat_link_measure_clock(&peer->link, &heartbeat, received_ns,
					     clock_realtime_of(received_ns, now));
}

/* What our own kernel dropped for want of room is not the network's loss. */
static void note_overflow(struct heartbeat_socket *socket, uint32_t overflowed)
{
	struct heartbeat_members *members = &socket->members;

	if (overflowed == socket->port->overflowed)
		return;
	/* Wraps with the kernel's 32 bits. */
	socket->counters.overflowed += (uint32_t)(overflowed - socket->port->overflowed);
	socket->port->overflowed = overflowed;
	for (unsigned int i = 0; i < members->count; i++)
		heartbeat_link_forgive_incoming(&members->peers[i].link);
}

/* Takes in what the kernel says beside a datagram. Returns when that came in. */
static uint64_t take_control(struct heartbeat_socket *socket, struct msghdr *message,
			     const struct clock_pair *now)
{
	uint64_t received_ns = now->monotonic_ns;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET)
			continue;
		if (header->cmsg_type == SO_RXQ_OVFL) {
			uint32_t overflowed;

			memcpy(&overflowed, CMSG_DATA(header), sizeof(overflowed));
			note_overflow(socket, overflowed);
		} else if (header->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec stamp;

			memcpy(&stamp, CMSG_DATA(header), sizeof(stamp));
			/* Not before it was last looked for: it was not there then. */
			received_ns = clock_of_stamp_ns((uint64_t)stamp.tv_sec * NS_PER_S +
								(uint64_t)stamp.tv_nsec,
							socket->looked_ns, now);
		}
	}
	return received_ns;
}

/* Reads up to BATCH datagrams. Returns how many; 0 when none is waiting. */
static int receive_batch(struct heartbeat_socket *socket)
{
	/* One byte more than the longest, so that a longer one is seen to be too long. */
	uint8_t data[BATCH][HEARTBEAT_BYTES_MAX + 1];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(struct timespec))];
	} control[BATCH];
	struct sockaddr_storage names[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec vectors[BATCH];
	struct clock_pair now;
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
	now = clock_pair();
	for (int i = 0; i < count; i++) {
		uint64_t received_ns = take_control(socket, &messages[i].msg_hdr, &now);
		struct address source = {0};
		uint16_t port = 0;

		if (address_from_sockaddr((struct sockaddr *)&names[i], &source, &port))
			continue;
		take_datagram(socket, data[i], messages[i].msg_len, &source, received_ns, &now);
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
			socket->looked_ns = now_ns;
			break;
		}
	}
	return total;
}
