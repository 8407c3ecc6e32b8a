// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/render.h"

#include "base/clock.h"
#include "base/histogram.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "maps/peer.h"

#define CELL_BYTES  CGROUP_PATH_MAX
#define STARS	    40
#define FRAME_BYTES 96
#define OCTAVE	    4 /* buckets */
#define TIME_FORMAT "%H:%M:%S"

void renderer_init(struct renderer *renderer, FILE *stream, const struct trace_options *options,
		   struct names *names)
{
	uint64_t before_ns = clock_monotonic_ns();
	uint64_t realtime_ns = clock_realtime_ns();
	uint64_t after_ns = clock_monotonic_ns();

	*renderer = (struct renderer){
		.stream = stream,
		.format = options->format,
		.timestamps = options->timestamps,
		.names = names,
		.realtime_offset_ns = realtime_ns - before_ns - (after_ns - before_ns) / 2,
	};
}

/* The wall clock at a time of CLOCK_MONOTONIC. */
static uint64_t real_ns(const struct renderer *renderer, uint64_t time_ns)
{
	return time_ns + renderer->realtime_offset_ns;
}

/* ---- a column's value ---- */

static uint64_t read_unsigned(const struct column *column, const void *bytes)
{
	const char *place = (const char *)bytes + column->offset;
	uint64_t wide;
	uint32_t word;
	uint16_t half;

	switch (column->size) {
	case 1:
		return *(const uint8_t *)place;
	case 2:
		memcpy(&half, place, sizeof(half));
		return half;
	case 4:
		memcpy(&word, place, sizeof(word));
		return word;
	default:
		memcpy(&wide, place, sizeof(wide));
		return wide;
	}
}

static int64_t read_signed(const struct column *column, const void *bytes)
{
	uint64_t value = read_unsigned(column, bytes);

	return column->size == 4 ? (int32_t)value : (int64_t)value;
}

/* How much is there of words, without the NUL of the last one. */
static size_t words_kept(const struct trace_words *words)
{
	size_t bytes = words->bytes;

	if (bytes > sizeof(words->text))
		return sizeof(words->text);
	return bytes && !words->text[bytes - 1] ? bytes - 1 : bytes;
}

static void join_words(const struct trace_words *words, char buffer[static CELL_BYTES])
{
	size_t bytes = words_kept(words);

	for (size_t i = 0; i < bytes; i++)
		buffer[i] = words->text[i] ? words->text[i] : ' ';
	snprintf(buffer + bytes, CELL_BYTES - bytes, "%s",
		 words->bytes > sizeof(words->text) ? "..." : "");
}

/* How many addresses there are. */
static size_t stack_depth(const struct column *column, const char *place)
{
	size_t depth = 0;
	uint64_t address;

	for (; depth < column->size / sizeof(address); depth++) {
		memcpy(&address, place + depth * sizeof(address), sizeof(address));
		if (!address)
			break;
	}
	return depth;
}

static void frame_name(const struct renderer *renderer, const char *place, size_t frame,
		       char name[static FRAME_BYTES])
{
	uint64_t address;

	memcpy(&address, place + frame * sizeof(address), sizeof(address));
	names_place(renderer->names, address, name, FRAME_BYTES);
}

/* What does not fit is left out: the outer frames. */
static void join_stack(const struct renderer *renderer, const struct column *column,
		       const char *place, char buffer[static CELL_BYTES])
{
	size_t depth = stack_depth(column, place), bytes = 0;
	char name[FRAME_BYTES];

	buffer[0] = '\0';
	for (size_t i = 0; i < depth; i++) {
		frame_name(renderer, place, i, name);
		if (bytes + strlen(name) + 2 > CELL_BYTES)
			return;
		bytes += (size_t)snprintf(buffer + bytes, CELL_BYTES - bytes, "%s%s", i ? " " : "",
					  name);
	}
}

static const struct cgroup_owner *owner_of(const struct renderer *renderer,
					   const struct column *column, const void *bytes)
{
	uint64_t id = read_unsigned(column, bytes);
	uint32_t netns = 0;

	if (column->size == sizeof(netns))
		return names_netns_owner(renderer->names, (uint32_t)id);
	if (id || !column->netns_offset)
		return names_cgroup_owner(renderer->names, id);
	memcpy(&netns, (const char *)bytes + column->netns_offset, sizeof(netns));
	return names_netns_owner(renderer->names, netns);
}

/* What is text in every format; NULL for what is a number or a truth. */
static const char *read_text(const struct renderer *renderer, const struct column *column,
			     const void *bytes, char buffer[static CELL_BYTES])
{
	const char *place = (const char *)bytes + column->offset;
	uint64_t number;

	switch (column->kind) {
	case COLUMN_STRING:
		snprintf(buffer, CELL_BYTES, "%.*s", (int)column->size, place);
		return buffer;
	case COLUMN_ADDRESS: {
		struct address address;

		memcpy(address.bytes, place, sizeof(address.bytes));
		return address_format(&address, buffer);
	}
	case COLUMN_CGROUP:
		number = read_unsigned(column, bytes);
		return number ? names_cgroup(renderer->names, number) : "";
	case COLUMN_NAMESPACE:
		return owner_of(renderer, column, bytes)->pod.namespace;
	case COLUMN_POD:
		return cgroup_owner_pod(owner_of(renderer, column, bytes));
	case COLUMN_CONTAINER:
		return cgroup_owner_container(owner_of(renderer, column, bytes));
	case COLUMN_UNIT:
		return owner_of(renderer, column, bytes)->group.unit;
	case COLUMN_DEVICE:
		return names_device(renderer->names, (uint32_t)read_unsigned(column, bytes));
	case COLUMN_SYMBOL:
		names_place(renderer->names, read_unsigned(column, bytes), buffer, CELL_BYTES);
		return buffer;
	case COLUMN_NAMED:
		number = read_unsigned(column, bytes);
		if (column->name && column->name(number))
			return column->name(number);
		snprintf(buffer, CELL_BYTES, "%" PRIu64, number);
		return buffer;
	case COLUMN_STACK:
		join_stack(renderer, column, place, buffer);
		return buffer;
	case COLUMN_WORDS:
		join_words((const struct trace_words *)(const void *)place, buffer);
		return buffer;
	default:
		return NULL;
	}
}

static bool is_unknown(const struct column *column, const void *bytes)
{
	const char *place = (const char *)bytes + column->offset;

	if (!column->zero_is_unknown || column->netns_offset)
		return false;
	if (column->kind == COLUMN_ADDRESS)
		return !memcmp(place, &(struct peer_key){0}, sizeof(struct peer_key));
	return column->kind == COLUMN_STRING ? !*place : !read_unsigned(column, bytes);
}

/* ---- tables ---- */

static bool is_number(const struct column *column)
{
	return column->kind == COLUMN_UNSIGNED || column->kind == COLUMN_SIGNED ||
	       column->kind == COLUMN_DURATION;
}

/* What a process or a file is named by its user must not control the terminal. */
static void print_safe(FILE *stream, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, stream);
}

static void print_cell(const struct renderer *renderer, const struct column *column,
		       const char *text, bool last)
{
	int padding = (int)column->width - (int)strlen(text);

	if (is_number(column))
		fprintf(renderer->stream, "%*s", padding > 0 ? padding : 0, "");
	print_safe(renderer->stream, text);
	if (last)
		return;
	if (!is_number(column))
		fprintf(renderer->stream, "%*s", padding > 0 ? padding : 0, "");
	fputc(' ', renderer->stream);
}

static const char *cell_text(const struct renderer *renderer, const struct column *column,
			     const void *bytes, char buffer[static CELL_BYTES])
{
	const char *text;

	if (is_unknown(column, bytes))
		return "-";
	if ((column->kind == COLUMN_CGROUP || column->kind == COLUMN_POD) &&
	    names_pod_shown(owner_of(renderer, column, bytes), buffer, CELL_BYTES))
		return buffer;
	text = read_text(renderer, column, bytes, buffer);
	if (text)
		return *text ? text : "-";
	switch (column->kind) {
	case COLUMN_BOOLEAN:
		return read_unsigned(column, bytes) ? "yes" : "no";
	case COLUMN_DURATION:
		snprintf(buffer, CELL_BYTES, "%.1f",
			 (double)read_unsigned(column, bytes) / (double)NS_PER_US);
		return buffer;
	case COLUMN_SIGNED:
		snprintf(buffer, CELL_BYTES, "%" PRId64, read_signed(column, bytes));
		return buffer;
	default:
		snprintf(buffer, CELL_BYTES, "%" PRIu64, read_unsigned(column, bytes));
		return buffer;
	}
}

static void print_time_of_day(const struct renderer *renderer, uint64_t time_ns)
{
	uint64_t ns = real_ns(renderer, time_ns);
	time_t seconds = (time_t)(ns / NS_PER_S);
	struct tm parts;
	char text[16];

	localtime_r(&seconds, &parts);
	strftime(text, sizeof(text), TIME_FORMAT, &parts);
	fprintf(renderer->stream, "%s.%06" PRIu64, text, ns % NS_PER_S / NS_PER_US);
}

static void table_line(const struct renderer *renderer, uint64_t time_ns, const struct part *parts,
		       size_t count)
{
	char buffer[CELL_BYTES];

	if (renderer->timestamps) {
		print_time_of_day(renderer, time_ns);
		fputc(' ', renderer->stream);
	}
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < parts[i].layout->count; j++) {
			const struct column *column = &parts[i].layout->columns[j];

			if (!column->title)
				continue;
			print_cell(renderer, column,
				   cell_text(renderer, column, parts[i].bytes, buffer),
				   i + 1 == count && j + 1 == parts[i].layout->count);
		}
	fputc('\n', renderer->stream);
}

static void table_titles(const struct renderer *renderer, const struct part *parts, size_t count)
{
	if (renderer->timestamps)
		fprintf(renderer->stream, "%-15s ", "TIME");
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < parts[i].layout->count; j++)
			if (parts[i].layout->columns[j].title)
				print_cell(renderer, &parts[i].layout->columns[j],
					   parts[i].layout->columns[j].title,
					   i + 1 == count && j + 1 == parts[i].layout->count);
	fputc('\n', renderer->stream);
}

/* ---- CSV (RFC 4180) ---- */

static void csv_field(FILE *stream, const char *text)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		fputs(text, stream);
		return;
	}
	fputc('"', stream);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', stream);
		fputc(*text, stream);
	}
	fputc('"', stream);
}

static void csv_values(const struct renderer *renderer, const struct part *part)
{
	char buffer[CELL_BYTES];

	for (size_t i = 0; i < part->layout->count; i++) {
		const struct column *column = &part->layout->columns[i];
		const char *text;

		fputc(',', renderer->stream);
		if (is_unknown(column, part->bytes))
			continue;
		text = read_text(renderer, column, part->bytes, buffer);
		if (text)
			csv_field(renderer->stream, text);
		else if (column->kind == COLUMN_BOOLEAN)
			fputs(read_unsigned(column, part->bytes) ? "true" : "false",
			      renderer->stream);
		else if (column->kind == COLUMN_SIGNED)
			fprintf(renderer->stream, "%" PRId64, read_signed(column, part->bytes));
		else
			fprintf(renderer->stream, "%" PRIu64, read_unsigned(column, part->bytes));
	}
}

static void csv_titles(const struct renderer *renderer, const struct part *parts, size_t count)
{
	fputs("time_unix_ns", renderer->stream);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < parts[i].layout->count; j++)
			fprintf(renderer->stream, ",%s", parts[i].layout->columns[j].key);
}

/* ---- JSON ---- */

/* Bytes that are no UTF-8 (a process may name itself with any) become '?'. */
static json_t *json_text(const char *text)
{
	json_t *string = json_string(text);
	char buffer[CELL_BYTES];

	if (string)
		return string;
	snprintf(buffer, sizeof(buffer), "%s", text);
	for (char *place = buffer; *place; place++)
		if ((unsigned char)*place >= 0x80)
			*place = '?';
	return json_string(buffer);
}

/* Words that were cut end with what is left of the last one. */
static json_t *json_words(const struct trace_words *words)
{
	char buffer[TRACE_WORDS_BYTES + 1];
	size_t bytes = words_kept(words);
	json_t *array = json_array();

	if (words->unreadable) {
		json_decref(array);
		return json_null();
	}
	memcpy(buffer, words->text, bytes);
	buffer[bytes] = '\0';
	for (size_t i = 0; words->bytes && i <= bytes; i += strlen(buffer + i) + 1)
		json_array_append_new(array, json_text(buffer + i));
	return array;
}

static json_t *json_stack(const struct renderer *renderer, const struct column *column,
			  const char *place)
{
	size_t depth = stack_depth(column, place);
	json_t *array = json_array();
	char name[FRAME_BYTES];

	for (size_t i = 0; i < depth; i++) {
		frame_name(renderer, place, i, name);
		json_array_append_new(array, json_string(name));
	}
	return array;
}

static json_t *json_value(const struct renderer *renderer, const struct column *column,
			  const void *bytes)
{
	char buffer[CELL_BYTES];
	const char *text;

	if (is_unknown(column, bytes))
		return json_null();
	if (column->kind == COLUMN_STACK)
		return json_stack(renderer, column, (const char *)bytes + column->offset);
	if (column->kind == COLUMN_WORDS)
		return json_words((const void *)((const char *)bytes + column->offset));
	text = read_text(renderer, column, bytes, buffer);
	if (text)
		return column->zero_is_unknown && !*text ? json_null() : json_text(text);
	if (column->kind == COLUMN_BOOLEAN)
		return json_boolean(read_unsigned(column, bytes));
	if (column->kind == COLUMN_SIGNED)
		return json_integer(read_signed(column, bytes));
	return json_integer((json_int_t)read_unsigned(column, bytes));
}

static json_t *json_line(const struct renderer *renderer, uint64_t time_ns,
			 const struct part *parts, size_t count)
{
	json_t *object = json_object();
	json_int_t time_unix_ns = (json_int_t)real_ns(renderer, time_ns);

	json_object_set_new(object, "time_unix_ns", json_integer(time_unix_ns));
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < parts[i].layout->count; j++) {
			const struct column *column = &parts[i].layout->columns[j];

			json_object_set_new(object, column->key,
					    json_value(renderer, column, parts[i].bytes));
		}
	return object;
}

/* Frees the object. What cannot be written shows in the stream's error flag. */
static void json_print(const struct renderer *renderer, json_t *object)
{
	json_dumpf(object, renderer->stream, JSON_COMPACT);
	json_decref(object);
	fputc('\n', renderer->stream);
}

/* ---- lines ---- */

void render_titles(const struct renderer *renderer, const struct part *parts, size_t count)
{
	if (renderer->format == TRACE_FORMAT_TABLE) {
		table_titles(renderer, parts, count);
	} else if (renderer->format == TRACE_FORMAT_CSV) {
		csv_titles(renderer, parts, count);
		fputc('\n', renderer->stream);
	}
}

void render_line(const struct renderer *renderer, uint64_t time_ns, const struct part *parts,
		 size_t count)
{
	switch (renderer->format) {
	case TRACE_FORMAT_TABLE:
		table_line(renderer, time_ns, parts, count);
		break;
	case TRACE_FORMAT_JSON:
		json_print(renderer, json_line(renderer, time_ns, parts, count));
		break;
	case TRACE_FORMAT_CSV:
		fprintf(renderer->stream, "%" PRIu64, real_ns(renderer, time_ns));
		for (size_t i = 0; i < count; i++)
			csv_values(renderer, &parts[i]);
		fputc('\n', renderer->stream);
		break;
	}
}

void render_interval(const struct renderer *renderer, uint64_t time_ns)
{
	if (renderer->format != TRACE_FORMAT_TABLE)
		return;
	fputc('\n', renderer->stream);
	print_time_of_day(renderer, time_ns);
	fputc('\n', renderer->stream);
}

/* ---- histograms ---- */

static double units_to_ns(double units)
{
	return units * (double)NS_PER_S / HISTOGRAM_UNITS_PER_S;
}

/* A bucket holds low < time <= high. */
static uint64_t low_ns(uint32_t bucket)
{
	return bucket ? (uint64_t)llround(units_to_ns((double)histogram_upper_units(bucket - 1)))
		      : 0;
}

/* The last bucket has no upper bound; it begins below this. */
static uint64_t high_ns(uint32_t bucket)
{
	uint64_t units = histogram_upper_units(bucket);

	return units == UINT64_MAX ? HISTOGRAM_MAX_US * NS_PER_US
				   : (uint64_t)llround(units_to_ns((double)units));
}

static void table_histogram(const struct renderer *renderer, const struct part *key,
			    const struct trace_histogram *histogram, bool fine)
{
	const uint32_t step = fine ? 1 : OCTAVE;
	uint64_t total = histogram_total(histogram->counts), rows[HISTOGRAM_BUCKETS] = {0};
	uint32_t first = UINT32_MAX, last = 0;
	uint64_t most = 1;
	char buffer[CELL_BYTES];
	const char *separator = "\n";

	for (size_t i = 0; i < key->layout->count; i++) {
		const struct column *column = &key->layout->columns[i];

		if (!column->title)
			continue;
		fprintf(renderer->stream, "%s%s = ", separator, column->key);
		separator = ", ";
		print_safe(renderer->stream, cell_text(renderer, column, key->bytes, buffer));
	}
	fprintf(renderer->stream, "\n");
	for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
		uint32_t row = bucket / step;

		rows[row] += histogram->counts[bucket];
		if (!histogram->counts[bucket])
			continue;
		first = row < first ? row : first;
		last = row;
		most = rows[row] > most ? rows[row] : most;
	}
	fprintf(renderer->stream, "%24s : count     distribution\n", "usecs");
	for (uint32_t row = first; first != UINT32_MAX && row <= last; row++) {
		int stars = (int)(rows[row] * STARS / most);

		fprintf(renderer->stream, "%10.*f -> %-10.*f : %-9" PRIu64 "|%.*s%*s|\n",
			fine ? 2 : 1, (double)low_ns(row * step) / (double)NS_PER_US, fine ? 2 : 1,
			(double)high_ns(row * step + step - 1) / (double)NS_PER_US, rows[row],
			stars, "****************************************", STARS - stars, "");
	}
	fprintf(renderer->stream, "count %" PRIu64, total);
	if (total)
		fprintf(renderer->stream, ", mean %.1f us, p50 %" PRIu32 " us, p99 %" PRIu32 " us",
			(double)histogram->sum_ns / (double)total / (double)NS_PER_US,
			histogram_quantile_us(histogram->counts, 0.5),
			histogram_quantile_us(histogram->counts, 0.99));
	fputc('\n', renderer->stream);
}

static void json_histogram(const struct renderer *renderer, uint64_t time_ns,
			   const struct part *key, const struct trace_histogram *histogram)
{
	json_t *object = json_line(renderer, time_ns, key, 1);
	json_t *buckets = json_array();

	json_object_set_new(object, "count",
			    json_integer((json_int_t)histogram_total(histogram->counts)));
	json_object_set_new(object, "sum_ns", json_integer((json_int_t)histogram->sum_ns));
	for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
		if (histogram->counts[bucket])
			json_array_append_new(buckets,
					      json_pack("{s:I, s:I, s:I}", "low_ns",
							(json_int_t)low_ns(bucket), "high_ns",
							(json_int_t)high_ns(bucket), "count",
							(json_int_t)histogram->counts[bucket]));
	json_object_set_new(object, "buckets", buckets);
	json_print(renderer, object);
}

static void csv_histogram(const struct renderer *renderer, uint64_t time_ns, const struct part *key,
			  const struct trace_histogram *histogram)
{
	for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
		if (!histogram->counts[bucket])
			continue;
		fprintf(renderer->stream, "%" PRIu64, real_ns(renderer, time_ns));
		csv_values(renderer, key);
		fprintf(renderer->stream, ",%" PRIu64 ",%" PRIu64 ",%" PRIu32 "\n", low_ns(bucket),
			high_ns(bucket), histogram->counts[bucket]);
	}
}

void render_histogram_titles(const struct renderer *renderer, const struct part *key)
{
	if (renderer->format != TRACE_FORMAT_CSV)
		return;
	csv_titles(renderer, key, 1);
	fputs(",low_ns,high_ns,count\n", renderer->stream);
}

void render_histogram(const struct renderer *renderer, uint64_t time_ns, const struct part *key,
		      const struct trace_histogram *histogram, bool fine)
{
	switch (renderer->format) {
	case TRACE_FORMAT_TABLE:
		table_histogram(renderer, key, histogram, fine);
		break;
	case TRACE_FORMAT_JSON:
		json_histogram(renderer, time_ns, key, histogram);
		break;
	case TRACE_FORMAT_CSV:
		csv_histogram(renderer, time_ns, key, histogram);
		break;
	}
}
