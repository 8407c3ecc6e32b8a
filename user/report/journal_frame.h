/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_JOURNAL_FRAME_H
#define TOCSIN_REPORT_JOURNAL_FRAME_H

/*
 * The bytes of a journal file, and nothing else: docs/journal.md has the layout. A file begins with
 * a header; records follow, each in a frame: magic, length, sequence, CRC32, payload. Numbers are
 * little-endian. Both magics begin with 0xff, which no JSON text holds, so that the next record is
 * found again behind bytes that are damaged.
 */

#include <stddef.h>
#include <stdint.h>

#define JOURNAL_VERSION	      1
#define JOURNAL_HEADER_BYTES  24
#define JOURNAL_FRAME_BYTES   20 /* what stands before a payload */
#define JOURNAL_PAYLOAD_BYTES (64 << 10)
#define JOURNAL_RECORD_BYTES  (JOURNAL_FRAME_BYTES + JOURNAL_PAYLOAD_BYTES)

enum journal_header {
	JOURNAL_HEADER_GOOD,
	JOURNAL_HEADER_SHORT,	/* the beginning of one, or nothing at all */
	JOURNAL_HEADER_DAMAGED, /* of this version, but its sum is wrong */
	JOURNAL_HEADER_NEWER,	/* a journal of another version of this format */
	JOURNAL_HEADER_FOREIGN, /* no journal */
};

struct journal_header_fields {
	uint32_t version;
	uint64_t first_sequence; /* of the first record of this file; 0 when it is not known */
};

void journal_header_write(uint8_t header[static JOURNAL_HEADER_BYTES], uint64_t first_sequence);

/* 'size' is how much of a header there is. */
enum journal_header journal_header_read(const uint8_t *header, size_t size,
					struct journal_header_fields *ret_fields);

enum journal_parse {
	JOURNAL_PARSE_RECORD,
	JOURNAL_PARSE_SHORT, /* a record that goes on behind the end of what is there */
	JOURNAL_PARSE_BAD,   /* no record begins here */
};

struct journal_frame {
	uint64_t sequence;
	const uint8_t *payload;
	size_t payload_bytes;
};

/* Writes what stands before a payload of 1 to JOURNAL_PAYLOAD_BYTES bytes, which lies behind it. */
void journal_frame_write(uint8_t *frame, size_t payload_bytes, uint64_t sequence);

/* Reads the record at the beginning of 'data'. */
enum journal_parse journal_frame_read(const uint8_t *data, size_t size,
				      struct journal_frame *ret_frame);

/* Where in 'data' a frame may begin, from 'start' on; 'size' when nowhere. */
size_t journal_frame_find(const uint8_t *data, size_t size, size_t start);

#endif
