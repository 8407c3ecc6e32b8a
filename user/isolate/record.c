// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/record.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define VERSION 1

static const char *const state_names[RECORD_STATES] = {"isolated", "released"};

int record_encode(const struct isolation_record *record, char *data, size_t size_bytes)
{
	json_t *times = json_array(), *root;
	size_t length;

	for (unsigned int i = 0; times && i < record->isolated_count; i++)
		if (json_array_append_new(times,
					  json_integer((json_int_t)record->isolated_ms[i]))) {
			json_decref(times);
			return -ENOMEM;
		}
	root = json_pack("{si ss ss ss ss ss sb sb sI so}", "version", VERSION, "node",
			 record->node, "state", state_names[record->state], "class", record->class,
			 "sentence", record->sentence, "by", record->by, "by_hand", record->by_hand,
			 "single", record->single, "since_ms", (json_int_t)record->since_ms,
			 "isolated_ms", times);
	if (!root)
		return -ENOMEM;
	length = json_dumpb(root, data, size_bytes, JSON_COMPACT);
	json_decref(root);
	if (!length)
		return -ENOMEM;
	return length > size_bytes ? -ENOSPC : (int)length;
}

static int decode_root(struct isolation_record *record, json_t *root, struct text *error)
{
	const char *node, *state, *class, *sentence, *by;
	int version, by_hand, single;
	json_int_t since_ms;
	json_error_t wrong;
	json_t *times, *time;
	size_t i;

	if (json_unpack_ex(root, &wrong, 0, "{si ss ss ss ss ss sb sb sI so}", "version", &version,
			   "node", &node, "state", &state, "class", &class, "sentence", &sentence,
			   "by", &by, "by_hand", &by_hand, "single", &single, "since_ms", &since_ms,
			   "isolated_ms", &times)) {
		text_printf(error, "%s", wrong.text);
		return -EINVAL;
	}
	if (version != VERSION) {
		text_printf(error, "version %d, expected %d", version, VERSION);
		return -EINVAL;
	}
	if (!strcmp(state, state_names[RECORD_ISOLATED])) {
		record->state = RECORD_ISOLATED;
	} else if (!strcmp(state, state_names[RECORD_RELEASED])) {
		record->state = RECORD_RELEASED;
	} else {
		text_printf(error, "state is neither isolated nor released");
		return -EINVAL;
	}
	if (text_copy(record->node, sizeof(record->node), node) ||
	    text_copy(record->by, sizeof(record->by), by) || since_ms < 0) {
		text_printf(error, "node, by or since_ms is out of range");
		return -EINVAL;
	}
	text_copy_cut(record->class, sizeof(record->class), class);
	text_copy_cut(record->sentence, sizeof(record->sentence), sentence);
	record->by_hand = by_hand;
	record->single = single;
	record->since_ms = (uint64_t)since_ms;
	json_array_foreach(times, i, time)
	{
		if (record->isolated_count == RECORD_RELAPSES_MAX || !json_is_integer(time))
			break;
		record->isolated_ms[record->isolated_count++] = (uint64_t)json_integer_value(time);
	}
	return 0;
}

int record_decode(struct isolation_record *record, const void *data, size_t size_bytes,
		  struct text *error)
{
	json_error_t wrong;
	json_t *root = json_loadb(data, size_bytes, JSON_REJECT_DUPLICATES, &wrong);
	int result;

	*record = (struct isolation_record){0};
	if (!root) {
		text_printf(error, "not JSON: %s", wrong.text);
		return -EINVAL;
	}
	result = decode_root(record, root, error);
	json_decref(root);
	return result;
}

/* Forgets what lies more than an hour back. */
static void forget(struct isolation_record *record, uint64_t now_ms)
{
	unsigned int old = 0;

	while (old < record->isolated_count && record->isolated_ms[old] + RECORD_MEMORY_MS < now_ms)
		old++;
	record->isolated_count -= old;
	memmove(record->isolated_ms, record->isolated_ms + old,
		record->isolated_count * sizeof(*record->isolated_ms));
}

void record_isolate(struct isolation_record *record, const char *node, const char *class,
		    const char *sentence, const char *by, bool single, bool by_hand,
		    uint64_t now_ms)
{
	forget(record, now_ms);
	if (record->isolated_count == RECORD_RELAPSES_MAX)
		memmove(record->isolated_ms, record->isolated_ms + 1,
			--record->isolated_count * sizeof(*record->isolated_ms));
	record->isolated_ms[record->isolated_count++] = now_ms;
	text_copy_cut(record->node, sizeof(record->node), node);
	text_copy_cut(record->class, sizeof(record->class), class);
	text_copy_cut(record->sentence, sizeof(record->sentence), sentence);
	text_copy_cut(record->by, sizeof(record->by), by);
	record->state = RECORD_ISOLATED;
	record->single = single;
	record->by_hand = by_hand;
	record->since_ms = now_ms;
}

void record_release(struct isolation_record *record, const char *sentence, const char *by,
		    uint64_t now_ms)
{
	text_copy_cut(record->sentence, sizeof(record->sentence), sentence);
	text_copy_cut(record->by, sizeof(record->by), by);
	record->state = RECORD_RELEASED;
	record->since_ms = now_ms;
}

uint64_t record_hold_down_ms(const struct isolation_record *record, uint64_t hold_down_ms)
{
	unsigned int relapses = record->isolated_count ? record->isolated_count - 1 : 0;

	return hold_down_ms << relapses;
}

bool record_waits_for_person(const struct isolation_record *record)
{
	return record->by_hand || record->isolated_count >= RECORD_RELAPSES_MAX;
}

bool record_is_forgotten(const struct isolation_record *record, uint64_t now_ms)
{
	return record->state == RECORD_RELEASED && record->since_ms + RECORD_MEMORY_MS < now_ms;
}
