/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_PACKET_H
#define TOCSIN_MAPS_PACKET_H

/* What a packet says of itself. */

#include "maps/peer.h"

struct packet {
	struct peer_key source, destination; /* all zero where there is no IP header */
	__u16 source_port, destination_port; /* host order; 0 where there is none */
	__u16 ethernet_protocol;	     /* host order */
	__u8 protocol;			     /* of IP; 0: no IP packet */
	__u8 reserved;
};

_Static_assert(sizeof(struct packet) == 40, "packet is shared with the kernel side");

#endif
