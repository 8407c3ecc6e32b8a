// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

static const struct heartbeat_key key = {{1, 2, 3, [31] = 9}};
static const struct heartbeat_key other_key = {{1, 2, 3, [31] = 8}};

static struct heartbeat sample(void)
{
	struct heartbeat heartbeat = {
		.flags = HEARTBEAT_FLAG_RELAY,
		.sequence = 0x0102030405060708,
		.sent_ns = 0x1112131415161718,
		.boot_id = {0xb0, [15] = 0xbf},
		.incarnation = 0x2122232425262728,
		.report = {.sequence = 0x3132333435363738,
			   .heard_bitmap = 0x4142434445464748,
			   .echo_sent_ns = 0x5152535455565758,
			   .held_ns = 0x6162636465666768,
			   .incarnation = 0x7172737475767778},
		.sent_realtime_ns = 0x8182838485868788,
		.sender = "n1",
		.receiver = "node-two",
	};

	return heartbeat;
}

/* Decodes from a heap copy of exactly that size, so that reading past the end is seen. */
static enum heartbeat_reject decode(const uint8_t *data, size_t length,
				    const struct heartbeat_key *with, struct heartbeat *heartbeat)
{
	uint8_t *copy = malloc(length ? length : 1);
	enum heartbeat_reject reject;

	assert_non_null(copy);
	memcpy(copy, data, length);
	reject = heartbeat_decode(copy, length, with, heartbeat);
	free(copy);
	return reject;
}

static void authenticate(uint8_t *data, size_t length)
{
	crypto_auth(data + length - crypto_auth_BYTES, data, length - crypto_auth_BYTES, key.bytes);
}

static void test_layout(void **state)
{
	static const uint8_t expected[] = {
		'T',  'C',  'S',  'N',	2,    1,    0,	  140,	0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
		0x07, 0x08, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0xb0, 0,	0,    0,
		0,    0,    0,	  0,	0,    0,    0,	  0,	0,    0,    0,	  0xbf, 0x21, 0x22,
		0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38,
		0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56,
		0x57, 0x58, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x71, 0x72, 0x73, 0x74,
		0x75, 0x76, 0x77, 0x78, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 2,    8,
		'n',  '1',  'n',  'o',	'd',  'e',  '-',  't',	'w',  'o'};
	struct heartbeat heartbeat = sample();
	uint8_t buffer[HEARTBEAT_BYTES_MAX];

	(void)state;
	assert_int_equal(heartbeat_encode(&heartbeat, &key, buffer), sizeof(expected) + 32);
	assert_memory_equal(buffer, expected, sizeof(expected));
	assert_int_equal(
		crypto_auth_verify(buffer + sizeof(expected), buffer, sizeof(expected), key.bytes),
		0);
}

static void test_round_trip(void **state)
{
	struct heartbeat heartbeat = sample(), decoded;
	uint8_t buffer[HEARTBEAT_BYTES_MAX], again[HEARTBEAT_BYTES_MAX];
	size_t length;

	(void)state;
	memset(&decoded, 0xa5, sizeof(decoded));
	length = heartbeat_encode(&heartbeat, &key, buffer);
	assert_int_equal(decode(buffer, length, &key, &decoded), HEARTBEAT_ACCEPTED);
	/* test_layout says that each field is written in its place. */
	assert_int_equal(heartbeat_encode(&decoded, &key, again), length);
	assert_memory_equal(again, buffer, length);
	assert_string_equal(decoded.receiver, heartbeat.receiver);

	memset(heartbeat.sender, 's', 63);
	memset(heartbeat.receiver, 'r', 63);
	length = heartbeat_encode(&heartbeat, &key, buffer);
	assert_int_equal(length, HEARTBEAT_BYTES_MAX);
	assert_int_equal(decode(buffer, length, &key, &decoded), HEARTBEAT_ACCEPTED);
	assert_int_equal(heartbeat_encode(&decoded, &key, again), length);
	assert_memory_equal(again, buffer, length);
	assert_string_equal(decoded.receiver, heartbeat.receiver);
}

static void test_without_key_is_the_zero_key(void **state)
{
	const struct heartbeat_key zero = {0};
	struct heartbeat heartbeat = sample(), decoded = {0};
	uint8_t buffer[HEARTBEAT_BYTES_MAX];
	size_t length = heartbeat_encode(&heartbeat, NULL, buffer);

	(void)state;
	assert_int_equal(decode(buffer, length, &zero, &decoded), HEARTBEAT_ACCEPTED);
	assert_int_equal(decode(buffer, length, NULL, &decoded), HEARTBEAT_ACCEPTED);
	assert_int_equal(decode(buffer, length, &key, &decoded), HEARTBEAT_REJECT_UNAUTHENTICATED);
}

/* No single byte can be changed, and nothing cut off or added, without it being noticed. */
static void test_any_change_is_rejected(void **state)
{
	struct heartbeat heartbeat = sample(), decoded = {.sequence = 77};
	uint8_t buffer[HEARTBEAT_BYTES_MAX + 1] = {0};
	size_t length = heartbeat_encode(&heartbeat, &key, buffer);

	(void)state;
	for (size_t i = 0; i < length; i++) {
		enum heartbeat_reject expected = i < 4 || i == 6 || i == 7
							 ? HEARTBEAT_REJECT_MALFORMED
						 : i == 4 ? HEARTBEAT_REJECT_VERSION
							  : HEARTBEAT_REJECT_UNAUTHENTICATED;

		buffer[i] ^= 0x40;
		assert_int_equal(decode(buffer, length, &key, &decoded), expected);
		buffer[i] ^= 0x40;
	}
	for (size_t shorter = 0; shorter < length; shorter++)
		assert_int_equal(decode(buffer, shorter, &key, &decoded),
				 HEARTBEAT_REJECT_MALFORMED);
	assert_int_equal(decode(buffer, length + 1, &key, &decoded), HEARTBEAT_REJECT_MALFORMED);
	assert_int_equal(decode(buffer, length, &other_key, &decoded),
			 HEARTBEAT_REJECT_UNAUTHENTICATED);
	assert_int_equal(decoded.sequence, 77); /* untouched by all of these */
	assert_int_equal(decode(buffer, length, &key, &decoded), HEARTBEAT_ACCEPTED);
}

/* What the sender signed, but must not have written. */
static void test_malformed_behind_the_authenticator(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
	} cases[] = {
		{5, 2},	   /* unknown flag */
		{5, 0x81}, /* and with a known one */
		{96, 0},   {96, 1},    {96, 3},	    {96, 64},
		{96, 255}, /* length of the sender's name */
		{97, 0},   {97, 7},    {97, 9},	    {97, 64},
		{97, 255},					/* of the receiver's */
		{98, 0},   {98, '\n'}, {98, 0x1f},  {99, 0x7f}, /* in the sender's name */
		{100, 0},  {107, 0},   {103, '\t'},		/* in the receiver's */
	};
	struct heartbeat heartbeat = sample(), decoded = {.sequence = 77};
	uint8_t buffer[HEARTBEAT_BYTES_MAX];
	size_t length = heartbeat_encode(&heartbeat, &key, buffer);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t before = buffer[cases[i].offset];

		buffer[cases[i].offset] = cases[i].value;
		authenticate(buffer, length);
		if (decode(buffer, length, &key, &decoded) != HEARTBEAT_REJECT_MALFORMED)
			fail_msg("byte %zu as %u was accepted", cases[i].offset, cases[i].value);
		buffer[cases[i].offset] = before;
	}
	/* The sum is right, each name is not. */
	buffer[96] = 10;
	buffer[97] = 0;
	authenticate(buffer, length);
	assert_int_equal(decode(buffer, length, &key, &decoded), HEARTBEAT_REJECT_MALFORMED);
	buffer[96] = 2;
	buffer[97] = 8;
	memset(buffer + 8, 0, 8); /* sequence 0 */
	authenticate(buffer, length);
	assert_int_equal(decode(buffer, length, &key, &decoded), HEARTBEAT_REJECT_MALFORMED);
	buffer[15] = 1;
	memset(buffer + 40, 0, 8); /* incarnation 0 */
	authenticate(buffer, length);
	assert_int_equal(decode(buffer, length, &key, &decoded), HEARTBEAT_REJECT_MALFORMED);
	buffer[47] = 1;
	authenticate(buffer, length);
	assert_int_equal(decoded.sequence, 77);
	assert_int_equal(decode(buffer, length, &key, &decoded), HEARTBEAT_ACCEPTED);
}

static void test_version_is_told_apart(void **state)
{
	struct heartbeat heartbeat = sample(), decoded;
	uint8_t buffer[HEARTBEAT_BYTES_MAX];
	size_t length = heartbeat_encode(&heartbeat, &key, buffer);

	(void)state;
	buffer[4] = 1;
	assert_int_equal(decode(buffer, length, &key, &decoded), HEARTBEAT_REJECT_VERSION);
	/* Another version may have another layout: nothing behind it is looked at. */
	assert_int_equal(decode(buffer, 5, &key, &decoded), HEARTBEAT_REJECT_VERSION);
}

static void test_names_of_reasons(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < HEARTBEAT_REJECT_KINDS; i++)
		assert_non_null(heartbeat_reject_name(i));
	assert_string_equal(heartbeat_reject_name(HEARTBEAT_REJECT_MALFORMED), "malformed");
	assert_string_equal(heartbeat_reject_name(HEARTBEAT_REJECT_UNKNOWN_SENDER),
			    "unknown_sender");
	assert_string_equal(heartbeat_reject_name(HEARTBEAT_REJECT_REPLAYED), "replayed");
	assert_string_equal(heartbeat_reject_name(HEARTBEAT_REJECT_UNOBSERVED), "unobserved");
	assert_string_equal(heartbeat_reject_name(HEARTBEAT_REJECT_KINDS), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_without_key_is_the_zero_key),
		cmocka_unit_test(test_any_change_is_rejected),
		cmocka_unit_test(test_malformed_behind_the_authenticator),
		cmocka_unit_test(test_version_is_told_apart),
		cmocka_unit_test(test_names_of_reasons),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
