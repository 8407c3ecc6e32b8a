// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat_codec.h"

#include <endian.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#define VERSION		    2
#define HEADER_BYTES	    98
#define AUTHENTICATOR_BYTES crypto_auth_BYTES
#define NAME_BYTES_MAX	    (HEARTBEAT_NAME_MAX - 1)
/* The shortest names are one byte each. */
#define DATAGRAM_BYTES_MIN (HEADER_BYTES + 1 + 1 + AUTHENTICATOR_BYTES)

enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_FLAGS = 5,
	AT_LENGTH = 6,
	AT_SEQUENCE = 8,
	AT_SENT = 16,
	AT_BOOT_ID = 24,
	AT_INCARNATION = 40,
	AT_REPORT_SEQUENCE = 48,
	AT_REPORT_BITMAP = 56,
	AT_REPORT_ECHO = 64,
	AT_REPORT_HELD = 72,
	AT_REPORT_INCARNATION = 80,
	AT_SENT_REALTIME = 88,
	AT_SENDER_LENGTH = 96,
	AT_RECEIVER_LENGTH = 97,
};

_Static_assert(crypto_auth_KEYBYTES == HEARTBEAT_KEY_BYTES, "the key is the authenticator's");
_Static_assert(HEADER_BYTES + 2 * NAME_BYTES_MAX + AUTHENTICATOR_BYTES == HEARTBEAT_BYTES_MAX,
	       "the longest names fit exactly");

static const uint8_t magic[4] = {'T', 'C', 'S', 'N'};

/* Without a key the authenticator is a mere checksum. */
static const struct heartbeat_key zero_key;

static const char *const reject_names[HEARTBEAT_REJECT_KINDS] = {
	[HEARTBEAT_ACCEPTED] = "accepted",
	[HEARTBEAT_REJECT_MALFORMED] = "malformed",
	[HEARTBEAT_REJECT_VERSION] = "version",
	[HEARTBEAT_REJECT_UNAUTHENTICATED] = "unauthenticated",
	[HEARTBEAT_REJECT_UNKNOWN_SENDER] = "unknown_sender",
	[HEARTBEAT_REJECT_REPLAYED] = "replayed",
	[HEARTBEAT_REJECT_UNOBSERVED] = "unobserved",
};

const char *heartbeat_reject_name(enum heartbeat_reject reject)
{
	return (unsigned int)reject < HEARTBEAT_REJECT_KINDS ? reject_names[reject] : "unknown";
}

static void put_u16(uint8_t *target, uint16_t value)
{
	value = htobe16(value);
	memcpy(target, &value, sizeof(value));
}

static void put_u64(uint8_t *target, uint64_t value)
{
	value = htobe64(value);
	memcpy(target, &value, sizeof(value));
}

static uint16_t get_u16(const uint8_t *source)
{
	uint16_t value;

	memcpy(&value, source, sizeof(value));
	return be16toh(value);
}

static uint64_t get_u64(const uint8_t *source)
{
	uint64_t value;

	memcpy(&value, source, sizeof(value));
	return be64toh(value);
}

size_t heartbeat_encode(const struct heartbeat *heartbeat, const struct heartbeat_key *key,
			uint8_t buffer[static HEARTBEAT_BYTES_MAX])
{
	size_t sender_length = strnlen(heartbeat->sender, NAME_BYTES_MAX);
	size_t receiver_length = strnlen(heartbeat->receiver, NAME_BYTES_MAX);
	size_t signed_length = HEADER_BYTES + sender_length + receiver_length;
	size_t length = signed_length + AUTHENTICATOR_BYTES;

	memcpy(buffer + AT_MAGIC, magic, sizeof(magic));
	buffer[AT_VERSION] = VERSION;
	buffer[AT_FLAGS] = heartbeat->flags;
	put_u16(buffer + AT_LENGTH, (uint16_t)length);
	put_u64(buffer + AT_SEQUENCE, heartbeat->sequence);
	put_u64(buffer + AT_SENT, heartbeat->sent_ns);
	memcpy(buffer + AT_BOOT_ID, heartbeat->boot_id, HEARTBEAT_BOOT_BYTES);
	put_u64(buffer + AT_INCARNATION, heartbeat->incarnation);
	put_u64(buffer + AT_REPORT_SEQUENCE, heartbeat->report.sequence);
	put_u64(buffer + AT_REPORT_BITMAP, heartbeat->report.heard_bitmap);
	put_u64(buffer + AT_REPORT_ECHO, heartbeat->report.echo_sent_ns);
	put_u64(buffer + AT_REPORT_HELD, heartbeat->report.held_ns);
	put_u64(buffer + AT_REPORT_INCARNATION, heartbeat->report.incarnation);
	put_u64(buffer + AT_SENT_REALTIME, heartbeat->sent_realtime_ns);
	buffer[AT_SENDER_LENGTH] = (uint8_t)sender_length;
	buffer[AT_RECEIVER_LENGTH] = (uint8_t)receiver_length;
	memcpy(buffer + HEADER_BYTES, heartbeat->sender, sender_length);
	memcpy(buffer + HEADER_BYTES + sender_length, heartbeat->receiver, receiver_length);
	/* Cannot fail: libsodium returns an int here for other primitives' sake. */
	(void)crypto_auth(buffer + signed_length, buffer, signed_length, (key ?: &zero_key)->bytes);
	return length;
}

/* Names end up in logs and metrics: nothing that could be taken for more than a name. */
static bool copy_name(char target[static HEARTBEAT_NAME_MAX], const uint8_t *source, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (source[i] < 0x20 || source[i] == 0x7f)
			return false;
	memcpy(target, source, length);
	target[length] = '\0';
	return true;
}

static enum heartbeat_reject parse(const uint8_t *data, size_t signed_length,
				   struct heartbeat *heartbeat)
{
	size_t sender_length = data[AT_SENDER_LENGTH];
	size_t receiver_length = data[AT_RECEIVER_LENGTH];

	if (!sender_length || sender_length > NAME_BYTES_MAX || !receiver_length ||
	    receiver_length > NAME_BYTES_MAX ||
	    HEADER_BYTES + sender_length + receiver_length != signed_length)
		return HEARTBEAT_REJECT_MALFORMED;
	if (!copy_name(heartbeat->sender, data + HEADER_BYTES, sender_length) ||
	    !copy_name(heartbeat->receiver, data + HEADER_BYTES + sender_length, receiver_length))
		return HEARTBEAT_REJECT_MALFORMED;

	heartbeat->flags = data[AT_FLAGS];
	heartbeat->sequence = get_u64(data + AT_SEQUENCE);
	heartbeat->sent_ns = get_u64(data + AT_SENT);
	memcpy(heartbeat->boot_id, data + AT_BOOT_ID, HEARTBEAT_BOOT_BYTES);
	heartbeat->incarnation = get_u64(data + AT_INCARNATION);
	heartbeat->report.sequence = get_u64(data + AT_REPORT_SEQUENCE);
	heartbeat->report.heard_bitmap = get_u64(data + AT_REPORT_BITMAP);
	heartbeat->report.echo_sent_ns = get_u64(data + AT_REPORT_ECHO);
	heartbeat->report.held_ns = get_u64(data + AT_REPORT_HELD);
	heartbeat->report.incarnation = get_u64(data + AT_REPORT_INCARNATION);
	heartbeat->sent_realtime_ns = get_u64(data + AT_SENT_REALTIME);
	/*
	 * Sequences count from 1 and an incarnation is a time; 0 means 'none' to whoever keeps
	 * them.
	 */
	if (!heartbeat->sequence || !heartbeat->incarnation ||
	    heartbeat->flags & ~HEARTBEAT_FLAG_RELAY)
		return HEARTBEAT_REJECT_MALFORMED;
	return HEARTBEAT_ACCEPTED;
}

enum heartbeat_reject heartbeat_decode(const uint8_t *data, size_t length,
				       const struct heartbeat_key *key,
				       struct heartbeat *ret_heartbeat)
{
	struct heartbeat heartbeat = {0};
	enum heartbeat_reject reject;
	size_t signed_length;

	if (length <= AT_VERSION || memcmp(data + AT_MAGIC, magic, sizeof(magic)))
		return HEARTBEAT_REJECT_MALFORMED;
	if (data[AT_VERSION] != VERSION)
		return HEARTBEAT_REJECT_VERSION;
	if (length < DATAGRAM_BYTES_MIN || length > HEARTBEAT_BYTES_MAX ||
	    get_u16(data + AT_LENGTH) != length)
		return HEARTBEAT_REJECT_MALFORMED;
	signed_length = length - AUTHENTICATOR_BYTES;
	/* Compares in constant time. */
	if (crypto_auth_verify(data + signed_length, data, signed_length,
			       (key ?: &zero_key)->bytes))
		return HEARTBEAT_REJECT_UNAUTHENTICATED;
	reject = parse(data, signed_length, &heartbeat);
	if (reject == HEARTBEAT_ACCEPTED)
		*ret_heartbeat = heartbeat;
	return reject;
}
