/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_ADDRESS_H
#define TOCSIN_BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* Longest text of an address, "[" "]:65535" and NUL included. */
#define ADDRESS_TEXT_MAX (INET6_ADDRSTRLEN + 8)

/* An IPv6 address in network order; an IPv4 address is held in its mapped form, ::ffff:a.b.c.d. */
struct address {
	uint8_t bytes[16];
};

/* An address and how many of its 128 leading bits count (an IPv4 /24 is 120 here). */
struct cidr {
	struct address address;
	uint8_t prefix;
};

/* Reads "10.0.0.1" or "fd00::1". Returns 0, or -EINVAL with *ret_address untouched. */
int address_parse(const char *string, struct address *ret_address);

/* Reads an address or "address/prefix"; host bits must be zero. Returns 0 or -EINVAL, untouched. */
int cidr_parse(const char *string, struct cidr *ret_cidr);

/* Reads "10.0.0.1:80" or "[::1]:80". Returns 0 or -EINVAL, untouched. Ports are 1 to 65535. */
int address_parse_port(const char *string, struct address *ret_address, uint16_t *ret_port);

/* Writes "10.0.0.1" or "fd00::1" into buffer and returns buffer. */
const char *address_format(const struct address *address, char buffer[static ADDRESS_TEXT_MAX]);

/* Writes "10.0.0.0/24", without "/32" or "/128" for a whole address. */
const char *cidr_format(const struct cidr *cidr, char buffer[static ADDRESS_TEXT_MAX]);

bool address_is_v4(const struct address *address);
bool address_is_loopback(const struct address *address);
bool address_equal(const struct address *a, const struct address *b);
bool cidr_contains(const struct cidr *cidr, const struct address *address);

/* Word 0 to 3 of the network's mask, in network order. */
uint32_t cidr_mask_word(const struct cidr *cidr, unsigned int word);

static inline bool cidr_is_single(const struct cidr *cidr)
{
	return cidr->prefix == 128;
}

/* To and from socket addresses; a v4-mapped address becomes AF_INET. Returns the length to hand on.
 */
socklen_t address_to_sockaddr(const struct address *address, uint16_t port,
			      struct sockaddr_storage *ret_socket);
/* Returns 0, or -EAFNOSUPPORT for a family that is neither AF_INET nor AF_INET6. */
int address_from_sockaddr(const struct sockaddr *socket, struct address *ret_address,
			  uint16_t *ret_port);

#endif
