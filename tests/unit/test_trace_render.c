// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One description of columns as table, JSON and CSV; histograms in all three. */
#include "trace/render.h"

#include "maps/peer.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct record {
	struct event event;
	struct owner owner;
	struct peer_key remote;
	__u64 latency_ns;
	__s32 error;
	__u8 kind, flag;
};

static const char *kind_name(uint64_t kind)
{
	return kind == 1 ? "one" : NULL;
}

static const struct column columns[] = {
	COLUMN("KIND", "kind", COLUMN_NAMED, struct record, kind, 4, .name = kind_name),
	COLUMN("RADDR", "remote_address", COLUMN_ADDRESS, struct record, remote, 15, ),
	COLUMN("LAT(us)", "latency_ns", COLUMN_DURATION, struct record, latency_ns, 9, ),
	COLUMN("ERR", "error", COLUMN_SIGNED, struct record, error, 4, ),
	COLUMN("FLAG", "flag", COLUMN_BOOLEAN, struct record, flag, 4, ),
	COLUMN("PID", "pid", COLUMN_UNSIGNED, struct record, owner.pid, 6, .zero_is_unknown = true),
	COLUMN("COMM", "comm", COLUMN_STRING, struct record, owner.comm, 8,
	       .zero_is_unknown = true),
	CGROUP_COLUMNS(struct record, owner.cgroup_id),
};

static const struct layout layout = LAYOUT(columns);

static const struct record records[] = {
	{.owner = {.pid = 42, .comm = "say \"hi\","},
	 .remote = {{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}},
	 .latency_ns = 1234567,
	 .error = -113,
	 .kind = 1,
	 .flag = 1},
	{.owner = {.comm = ""}, .remote = {{0xfd, [15] = 7}}, .kind = 9},
	/* No such cgroup: its path, and so all of its parts, cannot be known. */
	{.owner = {.pid = 7, .comm = "\x1b[2J\xff", .cgroup_id = INT64_MAX},
	 .remote = {{[10] = 0xff, [11] = 0xff}}},
};

/* Renders the titles and all records; the caller frees. */
static char *render(enum trace_format format)
{
	struct trace_options options = {.format = format};
	struct names *names = names_open();
	struct renderer renderer;
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	struct part part = {&layout, NULL};

	assert_non_null(names);
	assert_non_null(stream);
	renderer_init(&renderer, stream, &options, names);
	renderer.realtime_offset_ns = UINT64_C(1700000000000000000);
	render_titles(&renderer, &part, 1);
	for (size_t i = 0; i < sizeof(records) / sizeof(*records); i++) {
		part.bytes = &records[i];
		render_line(&renderer, 5 + i, &part, 1);
	}
	fclose(stream);
	names_close(names);
	return text;
}

static void test_table(void **state)
{
	char *text = render(TRACE_FORMAT_TABLE);

	(void)state;
	assert_string_equal(text,
			    "KIND RADDR             LAT(us)  ERR FLAG    PID COMM     CGROUP\n"
			    "one  10.0.0.1           1234.6 -113 yes      42 say \"hi\", -\n"
			    "9    fd00::7               0.0    0 no        - -        -\n"
			    /* A name must not control the terminal. */
			    "0    0.0.0.0               0.0    0 no        7 ?[2J\xff    "
			    "id:9223372036854775807\n");
	free(text);
}

static void test_csv(void **state)
{
	char *text = render(TRACE_FORMAT_CSV);

	(void)state;
	assert_string_equal(
		text,
		"time_unix_ns,kind,remote_address,latency_ns,error,flag,pid,comm,"
		"namespace,pod,container,unit,cgroup\n"
		"1700000000000000005,one,10.0.0.1,1234567,-113,true,42,\"say \"\"hi\"\",\",,,,,\n"
		"1700000000000000006,9,fd00::7,0,0,false,,,,,,,\n"
		"1700000000000000007,0,0.0.0.0,0,0,false,7,\x1b[2J\xff,,,,,id:"
		"9223372036854775807\n");
	free(text);
}

static void test_json(void **state)
{
	char *text = render(TRACE_FORMAT_JSON), *rest = text, *line;
	json_t *objects[3];
	size_t count = 0;

	(void)state;
	while ((line = strsep(&rest, "\n")) && *line) {
		assert_true(count < 3);
		objects[count] = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(objects[count++]);
	}
	assert_int_equal(count, 3);
	assert_int_equal(json_integer_value(json_object_get(objects[0], "time_unix_ns")),
			 1700000000000000005);
	assert_string_equal(json_string_value(json_object_get(objects[0], "kind")), "one");
	assert_string_equal(json_string_value(json_object_get(objects[0], "remote_address")),
			    "10.0.0.1");
	assert_int_equal(json_integer_value(json_object_get(objects[0], "latency_ns")), 1234567);
	assert_int_equal(json_integer_value(json_object_get(objects[0], "error")), -113);
	assert_true(json_is_true(json_object_get(objects[0], "flag")));
	assert_string_equal(json_string_value(json_object_get(objects[0], "comm")), "say \"hi\",");
	assert_true(json_is_null(json_object_get(objects[1], "pid")));
	assert_true(json_is_null(json_object_get(objects[1], "comm")));
	assert_true(json_is_null(json_object_get(objects[1], "cgroup")));
	assert_true(json_is_null(json_object_get(objects[2], "container")));
	assert_true(json_is_null(json_object_get(objects[2], "unit")));
	/* No UTF-8 in a name: it is still JSON. */
	assert_string_equal(json_string_value(json_object_get(objects[2], "comm")), "\x1b[2J?");
	for (size_t i = 0; i < count; i++)
		json_decref(objects[i]);
	free(text);
}

static char *render_times(enum trace_format format, bool fine)
{
	static const struct column key_columns[] = {
		COLUMN("KIND", "kind", COLUMN_NAMED, struct record, kind, 4, .name = kind_name),
	};
	static const struct layout key_layout = LAYOUT(key_columns);
	struct trace_options options = {.format = format};
	struct trace_histogram histogram = {0};
	struct names *names = names_open();
	struct renderer renderer;
	const struct part key = {&key_layout, &records[0]};
	static const uint32_t times_us[] = {100, 101, 120, 500, 4000};
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(names);
	assert_non_null(stream);
	for (size_t i = 0; i < sizeof(times_us) / sizeof(*times_us); i++) {
		histogram.counts[histogram_bucket(times_us[i])]++;
		histogram.sum_ns += times_us[i] * UINT64_C(1000);
	}
	renderer_init(&renderer, stream, &options, names);
	renderer.realtime_offset_ns = 0;
	render_histogram_titles(&renderer, &key);
	render_histogram(&renderer, 5, &key, &histogram, fine);
	fclose(stream);
	names_close(names);
	return text;
}

static void test_histogram_table(void **state)
{
	char *text = render_times(TRACE_FORMAT_TABLE, false);

	(void)state;
	assert_non_null(strstr(text, "\nkind = one\n"));
	assert_non_null(strstr(text, "      61.0 -> 122.1      : 3        "
				     "|****************************************|\n"
				     "     122.1 -> 244.1      : 0        "
				     "|                                        |\n"
				     "     244.1 -> 488.3      : 0        "
				     "|                                        |\n"
				     "     488.3 -> 976.6      : 1        "
				     "|*************                           |\n"));
	assert_non_null(strstr(text, "\ncount 5, mean 964.2 us, p50 "));
	free(text);
	text = render_times(TRACE_FORMAT_TABLE, true);
	assert_non_null(strstr(text, "     91.55 -> 106.81     : 2"));
	free(text);
}

static void test_histogram_json(void **state)
{
	char *text = render_times(TRACE_FORMAT_JSON, false);
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *bucket;
	json_int_t total = 0;
	size_t index;

	(void)state;
	assert_non_null(object);
	assert_string_equal(json_string_value(json_object_get(object, "kind")), "one");
	assert_int_equal(json_integer_value(json_object_get(object, "count")), 5);
	assert_int_equal(json_integer_value(json_object_get(object, "sum_ns")), 4821000);
	json_array_foreach(json_object_get(object, "buckets"), index, bucket)
	{
		json_int_t low = json_integer_value(json_object_get(bucket, "low_ns"));
		json_int_t high = json_integer_value(json_object_get(bucket, "high_ns"));

		assert_true(low < high);
		total += json_integer_value(json_object_get(bucket, "count"));
	}
	assert_int_equal(total, 5);
	json_decref(object);
	free(text);
}

static void test_histogram_csv(void **state)
{
	char *text = render_times(TRACE_FORMAT_CSV, false);

	(void)state;
	assert_non_null(
		strstr(text, "time_unix_ns,kind,low_ns,high_ns,count\n5,one,91553,106812,2\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	       cmocka_unit_test(test_csv),
		cmocka_unit_test(test_json),	       cmocka_unit_test(test_histogram_table),
		cmocka_unit_test(test_histogram_json), cmocka_unit_test(test_histogram_csv),
	};

	return cmocka_run_group_tests_name("trace_render", tests, NULL, NULL);
}
