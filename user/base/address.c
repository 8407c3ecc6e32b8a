// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

int address_parse(const char *string, struct address *ret_address)
{
	struct address address = {0};

	if (inet_pton(AF_INET, string, address.bytes + 12) == 1)
		memcpy(address.bytes, v4_mapped_prefix, sizeof(v4_mapped_prefix));
	else if (inet_pton(AF_INET6, string, address.bytes) != 1)
		return -EINVAL;
	*ret_address = address;
	return 0;
}

/* A decimal of one to five digits, no sign and no blanks, at most 'limit'. */
static int parse_number(const char *string, unsigned long limit, unsigned long *ret_number)
{
	size_t digits = strspn(string, "0123456789");
	unsigned long number;

	if (!digits || digits > 5 || string[digits])
		return -EINVAL;
	number = strtoul(string, NULL, 10);
	if (number > limit)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static bool host_bits_zero(const struct cidr *cidr)
{
	for (unsigned int bit = cidr->prefix; bit < 128; bit++)
		if (cidr->address.bytes[bit / 8] & (0x80 >> bit % 8))
			return false;
	return true;
}

int cidr_parse(const char *string, struct cidr *ret_cidr)
{
	const char *slash = strchr(string, '/');
	char address[INET6_ADDRSTRLEN];
	size_t length = slash ? (size_t)(slash - string) : strlen(string);
	unsigned long prefix;
	struct cidr cidr = {.prefix = 128};

	if (length >= sizeof(address))
		return -EINVAL;
	memcpy(address, string, length);
	address[length] = '\0';
	if (address_parse(address, &cidr.address))
		return -EINVAL;
	if (slash) {
		bool v4 = address_is_v4(&cidr.address) && !strchr(address, ':');

		if (parse_number(slash + 1, v4 ? 32 : 128, &prefix))
			return -EINVAL;
		cidr.prefix = (uint8_t)(v4 ? prefix + 96 : prefix);
		if (!host_bits_zero(&cidr))
			return -EINVAL;
	}
	*ret_cidr = cidr;
	return 0;
}

int address_parse_port(const char *string, struct address *ret_address, uint16_t *ret_port)
{
	const char *colon = strrchr(string, ':');
	const char *start = string;
	char host[INET6_ADDRSTRLEN];
	struct address address;
	unsigned long port;
	size_t length;

	if (!colon || parse_number(colon + 1, UINT16_MAX, &port) || !port)
		return -EINVAL;
	length = (size_t)(colon - string);
	if (string[0] == '[') {
		if (length < 2 || string[length - 1] != ']')
			return -EINVAL;
		start++;
		length -= 2;
	} else if (memchr(string, ':', length)) {
		return -EINVAL;
	}
	if (length >= sizeof(host))
		return -EINVAL;
	memcpy(host, start, length);
	host[length] = '\0';
	if (address_parse(host, &address))
		return -EINVAL;
	*ret_address = address;
	*ret_port = (uint16_t)port;
	return 0;
}

const char *address_format(const struct address *address, char buffer[static ADDRESS_TEXT_MAX])
{
	if (address_is_v4(address))
		inet_ntop(AF_INET, address->bytes + 12, buffer, ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, address->bytes, buffer, ADDRESS_TEXT_MAX);
	return buffer;
}

const char *cidr_format(const struct cidr *cidr, char buffer[static ADDRESS_TEXT_MAX])
{
	bool v4 = address_is_v4(&cidr->address) && cidr->prefix >= 96;
	char address[ADDRESS_TEXT_MAX];

	if (cidr_is_single(cidr))
		return address_format(&cidr->address, buffer);
	if (v4)
		address_format(&cidr->address, address);
	else
		inet_ntop(AF_INET6, cidr->address.bytes, address, sizeof(address));
	snprintf(buffer, ADDRESS_TEXT_MAX, "%.*s/%u", INET6_ADDRSTRLEN, address,
		 v4 ? cidr->prefix - 96U : cidr->prefix);
	return buffer;
}

bool address_is_v4(const struct address *address)
{
	return !memcmp(address->bytes, v4_mapped_prefix, sizeof(v4_mapped_prefix));
}

bool address_is_loopback(const struct address *address)
{
	static const uint8_t v6_loopback[16] = {[15] = 1};

	if (address_is_v4(address))
		return address->bytes[12] == 127;
	return !memcmp(address->bytes, v6_loopback, sizeof(v6_loopback));
}

bool address_equal(const struct address *a, const struct address *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool cidr_contains(const struct cidr *cidr, const struct address *address)
{
	unsigned int whole = cidr->prefix / 8;
	unsigned int rest = cidr->prefix % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (memcmp(cidr->address.bytes, address->bytes, whole))
		return false;
	return !rest || !((cidr->address.bytes[whole] ^ address->bytes[whole]) & mask);
}

socklen_t address_to_sockaddr(const struct address *address, uint16_t port,
			      struct sockaddr_storage *ret_socket)
{
	memset(ret_socket, 0, sizeof(*ret_socket));
	if (address_is_v4(address)) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)ret_socket;

		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, address->bytes + 12, 4);
		return sizeof(*v4);
	} else {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_socket;

		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, address->bytes, 16);
		return sizeof(*v6);
	}
}

int address_from_sockaddr(const struct sockaddr *socket, struct address *ret_address,
			  uint16_t *ret_port)
{
	if (socket->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)socket;

		memcpy(ret_address->bytes, v4_mapped_prefix, sizeof(v4_mapped_prefix));
		memcpy(ret_address->bytes + 12, &v4->sin_addr, 4);
		*ret_port = ntohs(v4->sin_port);
	} else if (socket->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)socket;

		memcpy(ret_address->bytes, &v6->sin6_addr, 16);
		*ret_port = ntohs(v6->sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	return 0;
}

uint32_t cidr_mask_word(const struct cidr *cidr, unsigned int word)
{
	uint8_t bytes[4] = {0};
	uint32_t mask;

	for (unsigned int bit = 0; bit < 32; bit++)
		if (word * 32 + bit < cidr->prefix)
			bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	memcpy(&mask, bytes, sizeof(mask));
	return mask;
}
