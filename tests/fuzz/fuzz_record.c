// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Records of isolation, as the store has them. What must hold, besides memory safety: a refused one
 * has a reason; an accepted one can be written again, says the same then, and can be isolated and
 * released.
 */
#include "fuzz/fuzz.h"
#include "isolate/record.h"

#include <string.h>

#define RECORD_BYTES_MAX 8192
#define NOW_MS		 UINT64_C(1764112345678)

static void require_same(const struct isolation_record *one, const struct isolation_record *other)
{
	require(!strcmp(one->node, other->node) && !strcmp(one->class, other->class));
	require(!strcmp(one->sentence, other->sentence) && !strcmp(one->by, other->by));
	require(one->state == other->state && one->since_ms == other->since_ms);
	require(one->by_hand == other->by_hand && one->single == other->single);
	require(one->isolated_count == other->isolated_count);
	require(!memcmp(one->isolated_ms, other->isolated_ms,
			one->isolated_count * sizeof(*one->isolated_ms)));
}

static void round_trip(const struct isolation_record *record)
{
	char data[RECORD_BYTES_MAX], message[512] = "";
	struct text error = TEXT(message);
	struct isolation_record again;
	int length = record_encode(record, data, sizeof(data));

	require(length > 0);
	require(!record_decode(&again, data, (size_t)length, &error) && !*message);
	require_same(record, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char message[512] = "";
	struct text error = TEXT(message);
	struct isolation_record record;

	if (record_decode(&record, data, size, &error)) {
		require(*message);
		return 0;
	}
	require(!*message);
	require(record.state < RECORD_STATES && record.isolated_count <= RECORD_RELAPSES_MAX);
	round_trip(&record);
	record_is_forgotten(&record, NOW_MS);
	record_hold_down_ms(&record, 1000);
	record_release(&record, "well again", "n1", NOW_MS);
	round_trip(&record);
	record_isolate(&record, "n5", "node-unreachable", "seen by 3 of 4", "n1", true, false,
		       NOW_MS + 1);
	require(record.isolated_count && record.isolated_count <= RECORD_RELAPSES_MAX);
	round_trip(&record);
	return 0;
}
