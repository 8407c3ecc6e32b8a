// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/journal_frame.h"

#include <endian.h>
#include <string.h>
#include <zlib.h>

static const uint8_t header_magic[8] = "\xffTOCSIN\n";
static const uint8_t frame_magic[4] = "\xffREC";

/* Offsets within a header and a frame. */
enum { HEADER_VERSION = 8, HEADER_SEQUENCE = 12, HEADER_CRC = 20 };
enum { FRAME_LENGTH = 4, FRAME_SEQUENCE = 8, FRAME_CRC = 16 };

static void put32(uint8_t *target, uint32_t value)
{
	value = htole32(value);
	memcpy(target, &value, sizeof(value));
}

static void put64(uint8_t *target, uint64_t value)
{
	value = htole64(value);
	memcpy(target, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *source)
{
	uint32_t value;

	memcpy(&value, source, sizeof(value));
	return le32toh(value);
}

static uint64_t get64(const uint8_t *source)
{
	uint64_t value;

	memcpy(&value, source, sizeof(value));
	return le64toh(value);
}

static uint32_t sum(uint32_t crc, const uint8_t *data, size_t size)
{
	return (uint32_t)crc32(crc, data, (uInt)size);
}

/* All of a frame but the sum itself. */
static uint32_t frame_sum(const uint8_t *frame, size_t payload_bytes)
{
	return sum(sum(0, frame, FRAME_CRC), frame + JOURNAL_FRAME_BYTES, payload_bytes);
}

void journal_header_write(uint8_t header[static JOURNAL_HEADER_BYTES], uint64_t first_sequence)
{
	memcpy(header, header_magic, sizeof(header_magic));
	put32(header + HEADER_VERSION, JOURNAL_VERSION);
	put64(header + HEADER_SEQUENCE, first_sequence);
	put32(header + HEADER_CRC, sum(0, header, HEADER_CRC));
}

enum journal_header journal_header_read(const uint8_t *header, size_t size,
					struct journal_header_fields *ret_fields)
{
	size_t magic_bytes = size < sizeof(header_magic) ? size : sizeof(header_magic);

	*ret_fields = (struct journal_header_fields){0};
	if (magic_bytes && memcmp(header, header_magic, magic_bytes) != 0)
		return JOURNAL_HEADER_FOREIGN;
	if (size < HEADER_VERSION + sizeof(uint32_t))
		return JOURNAL_HEADER_SHORT;
	ret_fields->version = get32(header + HEADER_VERSION);
	if (ret_fields->version != JOURNAL_VERSION)
		return JOURNAL_HEADER_NEWER;
	if (size < JOURNAL_HEADER_BYTES)
		return JOURNAL_HEADER_SHORT;
	if (get32(header + HEADER_CRC) != sum(0, header, HEADER_CRC))
		return JOURNAL_HEADER_DAMAGED;
	ret_fields->first_sequence = get64(header + HEADER_SEQUENCE);
	return JOURNAL_HEADER_GOOD;
}

void journal_frame_write(uint8_t *frame, size_t payload_bytes, uint64_t sequence)
{
	memcpy(frame, frame_magic, sizeof(frame_magic));
	put32(frame + FRAME_LENGTH, (uint32_t)payload_bytes);
	put64(frame + FRAME_SEQUENCE, sequence);
	put32(frame + FRAME_CRC, frame_sum(frame, payload_bytes));
}

enum journal_parse journal_frame_read(const uint8_t *data, size_t size,
				      struct journal_frame *ret_frame)
{
	size_t magic_bytes = size < sizeof(frame_magic) ? size : sizeof(frame_magic);
	size_t length;

	if (!size || memcmp(data, frame_magic, magic_bytes) != 0)
		return size ? JOURNAL_PARSE_BAD : JOURNAL_PARSE_SHORT;
	if (size < JOURNAL_FRAME_BYTES)
		return JOURNAL_PARSE_SHORT;
	length = get32(data + FRAME_LENGTH);
	if (!length || length > JOURNAL_PAYLOAD_BYTES)
		return JOURNAL_PARSE_BAD;
	if (size - JOURNAL_FRAME_BYTES < length)
		return JOURNAL_PARSE_SHORT;
	if (get32(data + FRAME_CRC) != frame_sum(data, length))
		return JOURNAL_PARSE_BAD;
	ret_frame->sequence = get64(data + FRAME_SEQUENCE);
	ret_frame->payload = data + JOURNAL_FRAME_BYTES;
	ret_frame->payload_bytes = length;
	return JOURNAL_PARSE_RECORD;
}

size_t journal_frame_find(const uint8_t *data, size_t size, size_t start)
{
	const uint8_t *found =
		start < size ? memchr(data + start, frame_magic[0], size - start) : NULL;

	return found ? (size_t)(found - data) : size;
}
