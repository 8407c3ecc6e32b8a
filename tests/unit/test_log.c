// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Stands in for standard error during a test. */
struct capture {
	int file;
	int stderr_before;
	char text[16384];
};

static int begin(void **state)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	if (!capture)
		return -1;
	capture->file = memfd_create("stderr", 0);
	capture->stderr_before = dup(STDERR_FILENO);
	if (capture->file < 0 || capture->stderr_before < 0 ||
	    dup2(capture->file, STDERR_FILENO) < 0)
		return -1;
	*state = capture;
	return 0;
}

static int end(void **state)
{
	struct capture *capture = *state;

	log_configure(LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	dup2(capture->stderr_before, STDERR_FILENO);
	close(capture->stderr_before);
	close(capture->file);
	free(capture);
	return 0;
}

/* What was written since the last call. */
static const char *written(struct capture *capture)
{
	ssize_t length = pread(capture->file, capture->text, sizeof(capture->text) - 1, 0);

	assert_true(length >= 0);
	capture->text[length] = '\0';
	assert_int_equal(ftruncate(capture->file, 0), 0);
	assert_int_equal(lseek(capture->file, 0, SEEK_SET), 0);
	return capture->text;
}

/* One line: checks and skips "time=2026-11-23T07:12:46.123Z ", cuts the newline. */
static const char *written_line(struct capture *capture)
{
	char *line = capture->text, *newline;

	(void)written(capture);
	assert_memory_equal(line, "time=20", 7);
	assert_true(strlen(line) > 30 && line[15] == 'T' && line[28] == 'Z' && line[29] == ' ');
	newline = strchr(line, '\n');
	assert_non_null(newline);
	assert_string_equal(newline, "\n");
	*newline = '\0';
	return line + 30;
}

static void test_quoting(void **state)
{
	static const struct {
		const char *value;
		const char *written;
	} cases[] = {
		{"plain", "plain"},
		{"10.0.0.1:80", "10.0.0.1:80"},
		{"", "\"\""},
		{"two words", "\"two words\""},
		{"a=b", "\"a=b\""},
		{"say \"no\"", "\"say \\\"no\\\"\""},
		{"\"", "\"\\\"\""},
		{"C:\\", "\"C:\\\\\""},
		{"two\nlines", "\"two\\nlines\""},
		{"tab\there", "\"tab\\x09here\""},
		{"\x1b[31mred", "\"\\x1b[31mred\""},
		{"\x7f", "\"\\x7f\""},
		{"n\xc3\xb6rd", "n\xc3\xb6rd"},
		{NULL, "\"\""},
	};
	char expected[128];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		log_info("it happened", log_string("value", cases[i].value));
		snprintf(expected, sizeof(expected), "level=info event=\"it happened\" value=%s",
			 cases[i].written);
		assert_string_equal(written_line(*state), expected);
	}
}

static void test_fields(void **state)
{
	log_info("started");
	assert_string_equal(written_line(*state), "level=info event=started");
	log_warning("edge changed", log_string("peer", "n3"), log_unsigned("silence_ms", 412),
		    log_decimal("loss_ratio", 0.25), log_decimal("third", 1.0 / 3),
		    log_unsigned("most", UINT64_MAX), log_errno("error", -EPERM),
		    log_errno("same", EPERM));
	assert_string_equal(written_line(*state),
			    "level=warning event=\"edge changed\" peer=n3 silence_ms=412 "
			    "loss_ratio=0.25 third=0.333333 most=18446744073709551615 "
			    "error=\"Operation not permitted\" same=\"Operation not permitted\"");
}

static void test_levels(void **state)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	char expected[64];

	for (enum log_level limit = LOG_LEVEL_ERROR; limit <= LOG_LEVEL_DEBUG; limit++) {
		log_configure(LOG_FORMAT_LOGFMT, limit);
		for (enum log_level level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
			log_fields(level, "x");
			snprintf(expected, sizeof(expected), "level=%s event=x", names[level]);
			if (level <= limit)
				assert_string_equal(written_line(*state), expected);
			else
				assert_string_equal(written(*state), "");
		}
	}
}

/* The stamp lies between the clock before and after, in UTC. */
static void test_time(void **state)
{
	uint64_t before_ms = clock_realtime_ns() / NS_PER_MS, after_ms, stamp_ms;
	struct capture *capture = *state;
	struct tm utc = {0};
	const char *rest;

	log_info("x");
	after_ms = clock_realtime_ns() / NS_PER_MS;
	(void)written_line(capture);
	rest = strptime(capture->text, "time=%Y-%m-%dT%H:%M:%S", &utc);
	assert_non_null(rest);
	assert_int_equal(*rest, '.');
	stamp_ms = (uint64_t)timegm(&utc) * 1000 + strtoul(rest + 1, NULL, 10);
	assert_in_range(stamp_ms, before_ms, after_ms);
}

/* Parses the one line that was written; the caller releases it. */
static json_t *written_json(struct capture *capture)
{
	json_error_t error;
	json_t *object;

	(void)written(capture);
	assert_ptr_equal(strchr(capture->text, '\n'), capture->text + strlen(capture->text) - 1);
	object = json_loads(capture->text, JSON_REJECT_DUPLICATES, &error);
	if (!object)
		fail_msg("'%s': %s", capture->text, error.text);
	return object;
}

static const char *member(const json_t *object, const char *key)
{
	const char *string = json_string_value(json_object_get(object, key));

	assert_non_null(string);
	return string;
}

static void test_json(void **state)
{
	static const char *const values[] = {"plain",	   "two words",	  "say \"no\"",	 "C:\\",
					     "two\nlines", "\x1b[31mred", "n\xc3\xb6rd", ""};

	log_configure(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		json_t *object;

		log_error(values[i], log_string("value", values[i]), log_unsigned("count", 42),
			  log_decimal("ratio", 0.25), log_string("none", NULL));
		object = written_json(*state);
		assert_string_equal(member(object, "level"), "error");
		assert_string_equal(member(object, "event"), values[i]);
		assert_string_equal(member(object, "value"), values[i]);
		assert_string_equal(member(object, "none"), "");
		assert_int_equal(strlen(member(object, "time")),
				 strlen("2026-11-23T07:12:46.123Z"));
		assert_int_equal(json_integer_value(json_object_get(object, "count")), 42);
		assert_true(json_real_value(json_object_get(object, "ratio")) == 0.25);
		assert_int_equal(json_object_size(object), 7);
		json_decref(object);
	}
}

/* A value that is no text must not cost the line. */
static void test_json_not_text(void **state)
{
	json_t *object;

	log_configure(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
	log_info("x", log_string("value", "\xff\xfe"), log_unsigned("count", 42));
	object = written_json(*state);
	assert_string_equal(member(object, "event"), "x");
	assert_string_equal(member(object, "value"), "(not UTF-8)");
	assert_int_equal(json_integer_value(json_object_get(object, "count")), 42);
	json_decref(object);
}

/* Too long: still one line, at most 4 KiB, and JSON still parses. */
static void test_long(void **state)
{
	static const size_t lengths[] = {3900, 3950, 4000, 4020, 4030, 4040,
					 4050, 4060, 4090, 4100, 9000};
	struct capture *capture = *state;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		char *value = calloc(1, lengths[i] + 1);
		const char *newline;
		json_t *object;

		assert_non_null(value);
		memset(value, 'v', lengths[i]);
		log_configure(LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
		log_info("x", log_string("value", value));
		newline = strchr(written(capture), '\n');
		assert_non_null(newline);
		assert_string_equal(newline, "\n");
		assert_true(strlen(capture->text) <= 4096);
		assert_memory_equal(capture->text, "time=", 5);

		log_configure(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
		log_info("x", log_string("value", value));
		object = written_json(capture);
		assert_true(strlen(capture->text) <= 4096);
		assert_non_null(json_object_get(object, "event"));
		json_decref(object);
		free(value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_quoting, begin, end),
		cmocka_unit_test_setup_teardown(test_fields, begin, end),
		cmocka_unit_test_setup_teardown(test_levels, begin, end),
		cmocka_unit_test_setup_teardown(test_time, begin, end),
		cmocka_unit_test_setup_teardown(test_json, begin, end),
		cmocka_unit_test_setup_teardown(test_json_not_text, begin, end),
		cmocka_unit_test_setup_teardown(test_long, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
