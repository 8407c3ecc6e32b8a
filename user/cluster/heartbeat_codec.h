/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_HEARTBEAT_CODEC_H
#define TOCSIN_CLUSTER_HEARTBEAT_CODEC_H

/*
 * The heartbeat datagram: pure encoding and decoding, no I/O, no clock.
 *
 * All integers big-endian. Layout (byte offsets):
 *	  0  4  magic "TCSN"
 *	  4  1  version, 2
 *	  5  1  flags: HEARTBEAT_FLAG_*
 *	  6  2  length of the whole datagram, authenticator included
 *	  8  8  sequence of the sender towards this receiver, from 1
 *	 16  8  send time, sender's CLOCK_MONOTONIC ns
 *	 24 16  sender's kernel boot id (128-bit)
 *	 40  8  sender's incarnation: CLOCK_REALTIME ns when its agent started
 *	 48  8  report: newest sequence heard from the receiver, 0 = none
 *	 56  8  report: bitmap of the 64 sequences up to and with that one, bit 0 the newest
 *	 64  8  report: send time in the datagram of that newest sequence (echo)
 *	 72  8  report: how long ago it was received when this was sent, ns
 *	 80  8  report: incarnation of the receiver that the report speaks of
 *	 88  8  send time, sender's CLOCK_REALTIME ns
 *	 96  1  length of the sender's name, 1 to 63
 *	 97  1  length of the receiver's name, 1 to 63
 *	 98  n  sender's name, then receiver's name, UTF-8, no NUL
 *	     32 authenticator: crypto_auth (HMAC-SHA-512-256, key of 32 bytes) over all before
 */

#include <stddef.h>
#include <stdint.h>

#define HEARTBEAT_KEY_BYTES  32
#define HEARTBEAT_BYTES_MAX  (98 + 63 + 63 + 32)
#define HEARTBEAT_NAME_MAX   64 /* NUL included */
#define HEARTBEAT_BOOT_BYTES 16

/*
 * Forwarded once by a third node on the sender's behalf, because the sender hears the receiver but
 * is not heard by it. The forwarder passes the datagram on unchanged.
 */
#define HEARTBEAT_FLAG_RELAY (1U << 0)

struct heartbeat {
	uint8_t flags;
	uint64_t sequence;
	uint64_t sent_ns;
	uint64_t sent_realtime_ns; /* the same moment, as its wall clock had it */
	uint8_t boot_id[HEARTBEAT_BOOT_BYTES];
	uint64_t incarnation;
	struct {
		uint64_t sequence;
		uint64_t heard_bitmap;
		uint64_t echo_sent_ns;
		uint64_t held_ns;
		uint64_t incarnation;
	} report;
	char sender[HEARTBEAT_NAME_MAX];
	char receiver[HEARTBEAT_NAME_MAX];
};

struct heartbeat_key {
	uint8_t bytes[HEARTBEAT_KEY_BYTES];
};

/* Why a datagram was dropped; also the label of its counter. */
enum heartbeat_reject {
	HEARTBEAT_ACCEPTED,
	HEARTBEAT_REJECT_MALFORMED,	  /* too short, wrong magic, lengths that do not add up */
	HEARTBEAT_REJECT_VERSION,	  /* another version of the format */
	HEARTBEAT_REJECT_UNAUTHENTICATED, /* wrong authenticator: another key, or altered on the way
					   */
	HEARTBEAT_REJECT_UNKNOWN_SENDER,  /* not a configured node, or not for this node */
	HEARTBEAT_REJECT_REPLAYED,	  /* a sequence that was heard before or is too old */
	HEARTBEAT_REJECT_UNOBSERVED,	  /* of a node that this one does not observe: one of the
					     two has another configuration */
	HEARTBEAT_REJECT_KINDS,
};

/* The label of a reason: "malformed", "version", ... */
const char *heartbeat_reject_name(enum heartbeat_reject reject);

/*
 * Writes a datagram and returns its length (at most HEARTBEAT_BYTES_MAX). Names must not be empty
 * or too long. key == NULL (authenticate: false) is a key of zeros: everybody's, so only a
 * checksum.
 */
size_t heartbeat_encode(const struct heartbeat *heartbeat, const struct heartbeat_key *key,
			uint8_t buffer[static HEARTBEAT_BYTES_MAX]);

/*
 * Checks the authenticator before anything but magic, version and length is looked at. Returns
 * HEARTBEAT_ACCEPTED with *ret_heartbeat filled, or MALFORMED, VERSION or UNAUTHENTICATED with it
 * untouched. Strict: names are 1 to 63 bytes without control characters, sequence and incarnation
 * are not 0, no unknown flag is set, and the lengths add up exactly. key == NULL as above.
 */
enum heartbeat_reject heartbeat_decode(const uint8_t *data, size_t length,
				       const struct heartbeat_key *key,
				       struct heartbeat *ret_heartbeat);

#endif
