// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/health_disk_slow.h"

#include "base/clock.h"
#include "base/histogram.h"
#include "probe/block_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A window in which so little is completed goes on for so many of its lengths, and is then given
 * up: a p99 of minutes tells nothing. */
#define WINDOWS_JOINED_MAX 12
/* And without one for so many, what stands of an operation counts no more. */
#define WINDOWS_IDLE_MAX 60
/* Siblings are compared at about the same throughput: in bands that are neighbours. */
#define SIBLING_BANDS_APART 1

struct operation_history {
	uint64_t device[HISTOGRAM_BUCKETS], bytes; /* when the window began */
	uint64_t since_ns, judged_ns;
	struct disk_slow slow;
	struct disk_slow_window window; /* the last one */
	bool ended;			/* by the last take */
	enum finding_level level;
};

struct disk_history {
	char model[BLOCK_MODEL_BYTES];
	struct operation_history operations[BLOCK_OPERATIONS];
};

static const char *const names[BLOCK_OPERATIONS] = {
	[BLOCK_READ] = "reads",
	[BLOCK_WRITE] = "writes",
	[BLOCK_FLUSH] = "flushes",
	[BLOCK_DISCARD] = "discards",
};

static void begin_window(struct operation_history *operation, const struct block_record *record,
			 uint64_t now_ns)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		operation->device[i] = record->device[i];
	operation->bytes = record->bytes;
	operation->since_ns = now_ns;
}

struct disk_history *disk_history_new(const struct block_disk *disk, const char *model,
				      uint64_t now_ns)
{
	struct disk_history *history = calloc(1, sizeof(*history));

	if (!history)
		return NULL;
	snprintf(history->model, sizeof(history->model), "%s", model);
	for (size_t i = 0; i < BLOCK_OPERATIONS; i++) {
		begin_window(&history->operations[i], &disk->operations[i].record, now_ns);
		history->operations[i].window.operation = names[i];
		history->operations[i].judged_ns = now_ns;
	}
	return history;
}

/* Returns how many completions the window has; 0 when the counters went back, too. */
static uint64_t count_window(const struct operation_history *operation,
			     const struct block_record *record, uint32_t counts[HISTOGRAM_BUCKETS])
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (record->device[i] < operation->device[i])
			return 0;
		counts[i] = (uint32_t)(record->device[i] - operation->device[i]);
	}
	return record->bytes < operation->bytes ? 0 : histogram_total(counts);
}

void disk_history_take(struct disk_history *history, const struct block_disk *disk,
		       uint64_t length_ns, uint64_t now_ns)
{
	for (size_t i = 0; i < BLOCK_OPERATIONS; i++) {
		struct operation_history *operation = &history->operations[i];
		const struct block_record *record = &disk->operations[i].record;
		uint32_t counts[HISTOGRAM_BUCKETS];
		uint64_t completions = count_window(operation, record, counts);

		operation->ended =
			completions >= DISK_SLOW_COMPLETIONS_MIN && now_ns > operation->since_ns;
		if (!operation->ended) {
			if (now_ns - operation->since_ns >= length_ns * WINDOWS_JOINED_MAX)
				begin_window(operation, record, now_ns);
			continue;
		}
		operation->window.completions = completions;
		operation->window.bytes = record->bytes - operation->bytes;
		operation->window.length_ns = now_ns - operation->since_ns;
		operation->window.p99_us = histogram_quantile_us(counts, 0.99);
		begin_window(operation, record, now_ns);
	}
}

static size_t find_siblings(const struct disk_history *history, size_t operation,
			    struct disk_history *const *all, size_t count,
			    uint32_t siblings_us[BLOCK_DEVICES_MAX])
{
	unsigned int band = disk_slow_band(&history->operations[operation].window);
	size_t found = 0;

	for (size_t i = 0; i < count && found < BLOCK_DEVICES_MAX; i++) {
		const struct operation_history *other =
			all[i] ? &all[i]->operations[operation] : NULL;
		unsigned int other_band;

		if (!other || all[i] == history || !other->ended || !*history->model ||
		    strcmp(all[i]->model, history->model))
			continue;
		other_band = disk_slow_band(&other->window);
		if (other_band <= band + SIBLING_BANDS_APART &&
		    band <= other_band + SIBLING_BANDS_APART)
			siblings_us[found++] = other->window.p99_us;
	}
	return found;
}

/* The worse of the two rules; its sentence stands alone. */
static void judge_window(struct disk_history *history, size_t index,
			 struct disk_history *const *all, size_t count,
			 const struct finding_limits *limits, uint64_t now_ns, uint64_t *since_ns,
			 struct text *sentence)
{
	struct operation_history *operation = &history->operations[index];
	uint32_t siblings_us[BLOCK_DEVICES_MAX];
	size_t siblings = find_siblings(history, index, all, count, siblings_us);
	enum finding_level by_siblings;
	uint64_t siblings_since_ns = 0;
	char buffer[FINDING_SENTENCE_MAX] = "";
	struct text other = TEXT(buffer);

	operation->judged_ns = now_ns;
	operation->level = disk_slow_by_past(&operation->slow, &operation->window, limits, now_ns,
					     since_ns, sentence);
	by_siblings = disk_slow_by_siblings(&operation->slow, &operation->window, siblings_us,
					    siblings, limits, now_ns, &siblings_since_ns, &other);
	if (by_siblings <= operation->level)
		return;
	operation->level = by_siblings;
	*since_ns = siblings_since_ns;
	text_printf(sentence, "%s", buffer);
}

enum finding_level disk_history_judge(struct disk_history *history, struct disk_history *const *all,
				      size_t count, const struct finding_limits *limits,
				      uint64_t now_ns, uint64_t *ret_since_ns,
				      struct text *sentence)
{
	const uint64_t length_ns = limits->disk_slow.window_ms * NS_PER_MS;
	enum finding_level worst = FINDING_QUIET;

	for (size_t i = 0; i < BLOCK_OPERATIONS; i++) {
		struct operation_history *operation = &history->operations[i];
		char buffer[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(buffer);
		uint64_t since_ns = 0;

		if (operation->ended) {
			judge_window(history, i, all, count, limits, now_ns, &since_ns, &text);
		} else if (now_ns - operation->judged_ns > length_ns * WINDOWS_IDLE_MAX) {
			disk_slow_rest(&operation->slow);
			operation->level = FINDING_QUIET;
		}
		/* Without a new window a disk that was slow is neither well nor slow. */
		if (operation->level == FINDING_ACTIVE && *buffer && worst < FINDING_ACTIVE) {
			*ret_since_ns = since_ns;
			text_printf(sentence, "%s", buffer);
			worst = FINDING_ACTIVE;
		} else if (operation->level > FINDING_QUIET && worst == FINDING_QUIET) {
			worst = FINDING_NEAR;
		}
	}
	return worst;
}

bool disk_history_latency(const struct disk_history *history, enum block_operation operation,
			  const struct finding_limits *limits, struct disk_latency *ret_latency)
{
	const struct operation_history *seen = &history->operations[operation];

	if (!seen->ended)
		return false;
	ret_latency->operation = seen->window.operation;
	ret_latency->p99_us = seen->window.p99_us;
	ret_latency->limit_us = disk_slow_limit_us(&seen->slow, &seen->window, limits);
	return ret_latency->limit_us > 0;
}
