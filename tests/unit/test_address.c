// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/un.h>

static const struct address untouched = {.bytes = {0xde, 0xad, [15] = 0xaf}};

static struct address parse(const char *string)
{
	struct address address = untouched;

	if (address_parse(string, &address))
		fail_msg("'%s' is not taken for an address", string);
	return address;
}

static void test_parse(void **state)
{
	static const struct {
		const char *string;
		const char *formatted; /* NULL: refused */
	} cases[] = {
		{"10.0.0.1", "10.0.0.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"fd00::1", "fd00::1"},
		{"FD00:0:0:0:0:0:0:1", "fd00::1"},
		{"::ffff:10.0.0.1", "10.0.0.1"},
		{"::ffff:a00:1", "10.0.0.1"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"", NULL},
		{"10.0.0", NULL},
		{"10.0.0.256", NULL},
		{"10.0.0.1 ", NULL},
		{" 10.0.0.1", NULL},
		{"010.0.0.1", NULL},
		{"0x0a.0.0.1", NULL},
		{"10.0.0.1/24", NULL},
		{"10.0.0.1:80", NULL},
		{"[::1]", NULL},
		{"::1%lo", NULL},
		{":::", NULL},
		{"fd00::1::2", NULL},
		{"localhost", NULL},
	};
	char buffer[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct address address = untouched;
		int result = address_parse(cases[i].string, &address);

		if (result != (cases[i].formatted ? 0 : -EINVAL))
			fail_msg("'%s': %d", cases[i].string, result);
		if (cases[i].formatted)
			assert_string_equal(address_format(&address, buffer), cases[i].formatted);
		else
			assert_memory_equal(&address, &untouched, sizeof(address));
	}
}

static void test_cidr_parse(void **state)
{
	static const struct {
		const char *string;
		const char *formatted; /* NULL: refused */
		uint8_t prefix;
	} cases[] = {
		{"10.0.0.1", "10.0.0.1", 128},
		{"10.0.0.1/32", "10.0.0.1", 128},
		{"10.0.0.0/24", "10.0.0.0/24", 120},
		{"10.0.0.128/25", "10.0.0.128/25", 121},
		{"10.0.0.0/8", "10.0.0.0/8", 104},
		{"0.0.0.0/0", "0.0.0.0/0", 96},
		{"fd00::1", "fd00::1", 128},
		{"fd00::1/128", "fd00::1", 128},
		{"fd00::/64", "fd00::/64", 64},
		{"fd00::/8", "fd00::/8", 8},
		{"::/0", "::/0", 0},
		{"::ffff:10.0.0.0/120", "10.0.0.0/24", 120},
		{"::ffff:0.0.0.0/96", "0.0.0.0/0", 96},
		{"10.0.0.1/24", NULL, 0},
		{"10.0.0.128/24", NULL, 0},
		{"10.0.0.0/33", NULL, 0},
		{"10.0.0.0/", NULL, 0},
		{"10.0.0.0/-1", NULL, 0},
		{"10.0.0.0/+8", NULL, 0},
		{"10.0.0.0/ 8", NULL, 0},
		{"10.0.0.0/8 ", NULL, 0},
		{"10.0.0.0/8/8", NULL, 0},
		{"10.0.0.0/4294967304", NULL, 0},
		{"/8", NULL, 0},
		{"", NULL, 0},
		{"fd00::1/64", NULL, 0},
		{"fd00::/129", NULL, 0},
		{"::ffff:10.0.0.0/24", NULL, 0},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555/8", NULL, 0},
	};
	static const struct cidr nothing = {.address.bytes = {0xde, 0xad}, .prefix = 77};
	char buffer[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cidr cidr = nothing;
		int result = cidr_parse(cases[i].string, &cidr);

		if (result != (cases[i].formatted ? 0 : -EINVAL))
			fail_msg("'%s': %d", cases[i].string, result);
		if (cases[i].formatted) {
			assert_string_equal(cidr_format(&cidr, buffer), cases[i].formatted);
			assert_int_equal(cidr.prefix, cases[i].prefix);
			assert_int_equal(cidr_is_single(&cidr), cases[i].prefix == 128);
		} else {
			assert_memory_equal(&cidr, &nothing, sizeof(cidr));
		}
	}
}

static void test_parse_port(void **state)
{
	static const struct {
		const char *string;
		const char *formatted; /* NULL: refused */
		uint16_t port;
	} cases[] = {
		{"10.0.0.1:80", "10.0.0.1", 80},
		{"0.0.0.0:1", "0.0.0.0", 1},
		{"127.0.0.1:65535", "127.0.0.1", 65535},
		{"[::1]:80", "::1", 80},
		{"[::]:9480", "::", 9480},
		{"[::ffff:10.0.0.1]:80", "10.0.0.1", 80},
		{"10.0.0.1", NULL, 0},
		{"10.0.0.1:", NULL, 0},
		{"10.0.0.1:0", NULL, 0},
		{"10.0.0.1:65536", NULL, 0},
		{"10.0.0.1:4294967376", NULL, 0},
		{"10.0.0.1:+80", NULL, 0},
		{"10.0.0.1: 80", NULL, 0},
		{"10.0.0.1:80 ", NULL, 0},
		{"10.0.0.1:http", NULL, 0},
		{":80", NULL, 0},
		{"*:80", NULL, 0},
		{"", NULL, 0},
		{":", NULL, 0},
		{"[", NULL, 0},
		{"[:80", NULL, 0},
		{"[]:80", NULL, 0},
		{"::1:80", NULL, 0},
		{"[::1]", NULL, 0},
		{"[::1]80", NULL, 0},
		{"[::1:80", NULL, 0},
		{"::1]:80", NULL, 0},
		{"localhost:80", NULL, 0},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555]:80", NULL, 0},
	};
	char buffer[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct address address = untouched;
		uint16_t port = 77;
		int result = address_parse_port(cases[i].string, &address, &port);

		if (result != (cases[i].formatted ? 0 : -EINVAL))
			fail_msg("'%s': %d", cases[i].string, result);
		if (cases[i].formatted) {
			assert_string_equal(address_format(&address, buffer), cases[i].formatted);
			assert_int_equal(port, cases[i].port);
		} else {
			assert_memory_equal(&address, &untouched, sizeof(address));
			assert_int_equal(port, 77);
		}
	}
}

static void test_contains(void **state)
{
	static const struct {
		const char *cidr, *address;
		bool contains;
	} cases[] = {
		{"10.0.0.0/24", "10.0.0.0", true},
		{"10.0.0.0/24", "10.0.0.255", true},
		{"10.0.0.0/24", "10.0.1.0", false},
		{"10.0.0.0/24", "9.255.255.255", false},
		{"10.0.0.128/25", "10.0.0.127", false},
		{"10.0.0.128/25", "10.0.0.128", true},
		{"10.0.0.0/31", "10.0.0.1", true},
		{"10.0.0.0/31", "10.0.0.2", false},
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "10.0.0.0", false},
		{"0.0.0.0/0", "255.1.2.3", true},
		{"0.0.0.0/0", "fd00::1", false},
		{"128.0.0.0/1", "128.0.0.0", true},
		{"128.0.0.0/1", "127.255.255.255", false},
		{"::/0", "10.0.0.1", true},
		{"::/0", "fd00::1", true},
		{"fd00::/64", "fd00::ffff:ffff:ffff:ffff", true},
		{"fd00::/64", "fd00:0:0:1::", false},
		{"fd00::1", "fd00::2", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct address address = parse(cases[i].address);
		struct cidr cidr = {0};

		assert_int_equal(cidr_parse(cases[i].cidr, &cidr), 0);
		if (cidr_contains(&cidr, &address) != cases[i].contains)
			fail_msg("%s in %s", cases[i].address, cases[i].cidr);
	}
}

static void test_kinds(void **state)
{
	static const struct {
		const char *address;
		bool v4, loopback;
	} cases[] = {
		{"10.0.0.1", true, false},
		{"127.0.0.1", true, true},
		{"127.255.255.255", true, true},
		{"128.0.0.1", true, false},
		{"::ffff:127.0.0.1", true, true},
		{"::1", false, true},
		{"::2", false, false},
		{"::", false, false},
		{"fd00::1", false, false},
		{"::127.0.0.1", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct address address = parse(cases[i].address);

		assert_int_equal(address_is_v4(&address), cases[i].v4);
		assert_int_equal(address_is_loopback(&address), cases[i].loopback);
		for (size_t j = 0; j < sizeof(cases) / sizeof(*cases); j++) {
			struct address other = parse(cases[j].address);
			/* 1 and 4 are two ways to write the same address. */
			bool same = i == j || (i == 1 && j == 4) || (i == 4 && j == 1);

			assert_int_equal(address_equal(&address, &other), same);
		}
	}
}

static void test_sockaddr(void **state)
{
	struct sockaddr_un other_family = {.sun_family = AF_UNIX};
	struct sockaddr_storage socket;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&socket;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&socket;
	struct address address = parse("10.1.2.3"), back = untouched;
	uint16_t port = 0;

	(void)state;
	memset(&socket, 0xff, sizeof(socket));
	assert_int_equal(address_to_sockaddr(&address, 258, &socket), sizeof(*v4));
	assert_int_equal(v4->sin_family, AF_INET);
	assert_int_equal(v4->sin_port, htons(258));
	assert_int_equal(v4->sin_addr.s_addr, htonl(0x0a010203));
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&socket, &back, &port), 0);
	assert_true(address_equal(&address, &back));
	assert_int_equal(port, 258);

	address = parse("fd00::1");
	memset(&socket, 0xff, sizeof(socket));
	assert_int_equal(address_to_sockaddr(&address, 258, &socket), sizeof(*v6));
	assert_int_equal(v6->sin6_family, AF_INET6);
	assert_int_equal(v6->sin6_port, htons(258));
	assert_int_equal(v6->sin6_scope_id, 0);
	assert_memory_equal(&v6->sin6_addr, address.bytes, 16);
	port = 0;
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&socket, &back, &port), 0);
	assert_true(address_equal(&address, &back));
	assert_int_equal(port, 258);

	/* A dual-stack socket reports IPv4 peers in the mapped form. */
	assert_int_equal(inet_pton(AF_INET6, "::ffff:10.1.2.3",
				   &((struct sockaddr_in6 *)&socket)->sin6_addr),
			 1);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&socket, &back, &port), 0);
	address = parse("10.1.2.3");
	assert_true(address_equal(&address, &back));

	assert_int_equal(address_from_sockaddr((struct sockaddr *)&other_family, &back, &port),
			 -EAFNOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	   cmocka_unit_test(test_cidr_parse),
		cmocka_unit_test(test_parse_port), cmocka_unit_test(test_contains),
		cmocka_unit_test(test_kinds),	   cmocka_unit_test(test_sockaddr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
