// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/aggregate.h"

#include "base/histogram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 128

struct row {
	uint64_t order; /* larger first */
	char key[KEY_BYTES];
	char *value;
};

struct collection {
	const struct trace_options *options;
	size_t key_bytes, value_bytes;
	struct row *rows;
	size_t count, room;
	bool out_of_memory;
};

/* The end of what the columns describe: so much of a key or value is kept. */
static size_t described(const struct layout *layout, size_t least)
{
	size_t end = least;

	for (size_t i = 0; i < layout->count; i++) {
		const struct column *column = &layout->columns[i];

		if ((size_t)column->offset + column->size > end)
			end = (size_t)column->offset + column->size;
	}
	return end;
}

static uint64_t order_of(const struct collection *collection, const void *value)
{
	const struct layout *layout = &collection->options->trace->count_value;
	uint64_t number;

	if (collection->options->mode == TRACE_MODE_HISTOGRAM)
		return histogram_total(((const struct trace_histogram *)value)->counts);
	memcpy(&number, (const char *)value + layout->columns[0].offset, sizeof(number));
	return number;
}

static void collect(void *context, const void *key, const void *value)
{
	struct collection *collection = context;
	struct row *row;

	if (collection->count == collection->room) {
		size_t room = collection->room ? 2 * collection->room : 64;
		struct row *rows = reallocarray(collection->rows, room, sizeof(*rows));

		if (!rows) {
			collection->out_of_memory = true;
			return;
		}
		collection->rows = rows;
		collection->room = room;
	}
	row = &collection->rows[collection->count];
	row->value = malloc(collection->value_bytes);
	if (!row->value) {
		collection->out_of_memory = true;
		return;
	}
	memcpy(row->key, key, collection->key_bytes);
	memcpy(row->value, value, collection->value_bytes);
	collection->count++;
}

static int compare(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	if (left->order != right->order)
		return left->order < right->order ? 1 : -1;
	return memcmp(left->key, right->key, KEY_BYTES);
}

static int compare_keys(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return memcmp(left->key, right->key, KEY_BYTES);
}

static void add_histogram(void *into, const void *more)
{
	struct trace_histogram *sum = into;
	const struct trace_histogram *histogram = more;

	sum->sum_ns += histogram->sum_ns;
	for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
		sum->counts[bucket] += histogram->counts[bucket];
}

/* Keys may go on behind what the columns describe (the CPU, so that CPUs do not write to the same
 * place): values that differ in nothing that is shown are one. */
static void merge(struct collection *collection, void (*add)(void *into, const void *more))
{
	size_t kept = 0;

	qsort(collection->rows, collection->count, sizeof(*collection->rows), compare_keys);
	for (size_t i = 1; i < collection->count; i++) {
		struct row *into = &collection->rows[kept], *row = &collection->rows[i];

		if (compare_keys(into, row)) {
			collection->rows[++kept] = *row;
			continue;
		}
		add(into->value, row->value);
		free(row->value);
	}
	collection->count = kept + 1;
}

/* Rows as they are shown, the largest first. */
static void settle(struct collection *collection)
{
	const struct trace_options *options = collection->options;
	bool histogram = options->mode == TRACE_MODE_HISTOGRAM;
	void (*add)(void *into, const void *more) =
		histogram ? add_histogram : options->trace->count_add;

	for (size_t i = 0; i < collection->count; i++)
		memset(collection->rows[i].key + collection->key_bytes, 0,
		       KEY_BYTES - collection->key_bytes);
	if (add && collection->count)
		merge(collection, add);
	for (size_t i = 0; i < collection->count; i++) {
		struct row *row = &collection->rows[i];

		if (!histogram && options->trace->count_finish)
			options->trace->count_finish(row->value);
		row->order = order_of(collection, row->value);
	}
	if (collection->count)
		qsort(collection->rows, collection->count, sizeof(*collection->rows), compare);
}

void aggregate_titles(const struct trace_options *options, const struct renderer *renderer)
{
	const struct trace *trace = options->trace;

	if (options->mode == TRACE_MODE_HISTOGRAM) {
		render_histogram_titles(renderer, &(struct part){&options->grouping->key, NULL});
	} else if (renderer->format == TRACE_FORMAT_CSV) {
		const struct part parts[] = {{&trace->count_key, NULL},
					     {&trace->count_value, NULL}};

		render_titles(renderer, parts, 2);
	}
}

static void show_rows(const struct collection *collection, const struct renderer *renderer,
		      uint64_t now_ns)
{
	const struct trace_options *options = collection->options;
	const struct trace *trace = options->trace;

	render_interval(renderer, now_ns);
	if (options->mode == TRACE_MODE_COUNTS && renderer->format == TRACE_FORMAT_TABLE) {
		const struct part titles[] = {{&trace->count_key, NULL},
					      {&trace->count_value, NULL}};

		render_titles(renderer, titles, 2);
	}
	for (size_t i = 0; i < collection->count; i++) {
		const struct row *row = &collection->rows[i];

		if (options->mode == TRACE_MODE_HISTOGRAM) {
			const struct part key = {&options->grouping->key, row->key};

			render_histogram(renderer, now_ns, &key,
					 (const struct trace_histogram *)row->value,
					 options->verbose);
		} else {
			const struct part parts[] = {{&trace->count_key, row->key},
						     {&trace->count_value, row->value}};

			render_line(renderer, now_ns, parts, 2);
		}
	}
}

int aggregate_show(struct object *object, const struct trace_options *options,
		   const struct renderer *renderer, uint64_t now_ns, uint64_t *shown)
{
	const struct trace *trace = options->trace;
	bool histogram = options->mode == TRACE_MODE_HISTOGRAM;
	struct collection collection = {
		.options = options,
		.key_bytes = described(histogram ? &options->grouping->key : &trace->count_key,
				       sizeof(uint32_t)),
		.value_bytes =
			histogram ? sizeof(struct trace_histogram) : trace->count_value_bytes,
	};
	int r;

	if (collection.key_bytes > KEY_BYTES)
		return -E2BIG;
	r = object_aggregates_drain(object, collect, &collection);
	if (!r && collection.out_of_memory)
		r = -ENOMEM;
	if (!r) {
		settle(&collection);
		show_rows(&collection, renderer, now_ns);
		*shown += collection.count;
	}
	for (size_t i = 0; i < collection.count; i++)
		free(collection.rows[i].value);
	free(collection.rows);
	return r;
}
