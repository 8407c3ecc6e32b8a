// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The heartbeat decoder: each input as it is, and once more with version, length and authenticator
 * put right, so that the parser behind them is reached. What must hold, besides memory safety: a
 * refused datagram leaves the result untouched; an accepted one encodes to the same bytes again,
 * and a link survives it.
 */
#include "cluster/heartbeat_codec.h"
#include "cluster/heartbeat_link.h"
#include "fuzz/fuzz.h"

#include <sodium.h>
#include <string.h>

#define OWN_INCARNATION 0x2122232425262728

static const struct heartbeat_key key = {{1, 2, 3}};

static bool valid_name(const char *name)
{
	size_t length = strnlen(name, HEARTBEAT_NAME_MAX);

	if (!length || length >= HEARTBEAT_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return true;
}

/* A link with some past, so that windows, reports and echoes are all in reach. */
static void receive(const struct heartbeat *heartbeat)
{
	struct heartbeat_link link = {0};
	struct heartbeat own = {0}, again = *heartbeat;
	struct edge_evidence evidence = {0};
	uint64_t newest;

	heartbeat_link_init(&link, OWN_INCARNATION);
	for (unsigned int i = 0; i < 70; i++)
		heartbeat_link_next(&link, 1000 + i, &own);
	require(heartbeat_link_receive(&link, heartbeat, 2000) == HEARTBEAT_ACCEPTED);
	require(heartbeat_link_receive(&link, heartbeat, 2001) == HEARTBEAT_REJECT_REPLAYED);
	newest = link.direct.newest;
	again.sequence ^= heartbeat->report.sequence;
	again.report.sequence = heartbeat->report.held_ns;
	heartbeat_link_receive(&link, &again, 3000);
	require(link.direct.newest >= newest);
	heartbeat_link_evidence(&link, &evidence);
	require(evidence.heartbeat.unheard <= 70);
	require(evidence.heartbeat.loss_in >= 0 && evidence.heartbeat.loss_in <= 1);
	require(evidence.heartbeat.loss_out >= 0 && evidence.heartbeat.loss_out <= 1);
}

static void check(const uint8_t *data, size_t size)
{
	struct heartbeat heartbeat;
	uint8_t buffer[HEARTBEAT_BYTES_MAX];
	struct heartbeat untouched;
	enum heartbeat_reject reject;

	memset(&heartbeat, 0xa5, sizeof(heartbeat));
	memset(&untouched, 0xa5, sizeof(untouched));
	reject = heartbeat_decode(data, size, &key, &heartbeat);
	if (reject != HEARTBEAT_ACCEPTED) {
		require(reject == HEARTBEAT_REJECT_MALFORMED ||
			reject == HEARTBEAT_REJECT_VERSION ||
			reject == HEARTBEAT_REJECT_UNAUTHENTICATED);
		require(!memcmp(&heartbeat, &untouched, sizeof(untouched)));
		return;
	}
	require(valid_name(heartbeat.sender) && valid_name(heartbeat.receiver));
	require(heartbeat_encode(&heartbeat, &key, buffer) == size);
	require(!memcmp(buffer, data, size));
	receive(&heartbeat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	check(data, size);
	if (size <= 8 + crypto_auth_BYTES || size > UINT16_MAX)
		return 0;
	/* On the heap, so that reading one byte too far is seen. */
	copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data, size);
	memcpy(copy, "TCSN\002", 5);
	copy[6] = (uint8_t)(size >> 8);
	copy[7] = (uint8_t)size;
	crypto_auth(copy + size - crypto_auth_BYTES, copy, size - crypto_auth_BYTES, key.bytes);
	check(copy, size);
	free(copy);
	return 0;
}
