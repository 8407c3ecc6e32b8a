// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/log.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static enum log_format configured_format = LOG_FORMAT_LOGFMT;
static enum log_level configured_level = LOG_LEVEL_INFO;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

struct log_field log_errno(const char *key, int error)
{
	return log_string(key, strerror(abs(error)));
}

void log_configure(enum log_format format, enum log_level level)
{
	configured_format = format;
	configured_level = level;
}

/* A logfmt value is quoted when a reader that splits at blanks and '=' would misread it. */
static void logfmt_value(struct text *line, const char *value)
{
	bool plain = *value && !strpbrk(value, " =\"\\");

	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			plain = false;
	if (plain) {
		text_printf(line, "%s", value);
		return;
	}
	text_printf(line, "\"");
	for (const char *c = value; *c; c++) {
		if (*c == '"' || *c == '\\')
			text_printf(line, "\\%c", *c);
		else if (*c == '\n')
			text_printf(line, "\\n");
		else if ((unsigned char)*c < 0x20 || *c == 0x7f)
			text_printf(line, "\\x%02x", (unsigned char)*c);
		else
			text_printf(line, "%c", *c);
	}
	text_printf(line, "\"");
}

static void write_logfmt(struct text *line, const char *time, enum log_level level,
			 const char *event, const struct log_field *fields, size_t count)
{
	text_printf(line, "time=%s level=%s event=", time, level_names[level]);
	logfmt_value(line, event);
	for (size_t i = 0; i < count; i++) {
		text_printf(line, " %s=", fields[i].key);
		if (fields[i].kind == LOG_FIELD_STRING)
			logfmt_value(line, fields[i].string ?: "");
		else if (fields[i].kind == LOG_FIELD_UNSIGNED)
			text_printf(line, "%" PRIu64, fields[i].number);
		else
			text_printf(line, "%.6g", fields[i].decimal);
	}
}

static void write_json(struct text *line, const char *time, enum log_level level, const char *event,
		       const struct log_field *fields, size_t count)
{
	json_t *object = json_pack("{s:s, s:s, s:o}", "time", time, "level", level_names[level],
				   "event", json_string(event) ?: json_string("(not UTF-8)"));
	size_t length;

	for (size_t i = 0; object && i < count; i++) {
		json_t *value;

		if (fields[i].kind == LOG_FIELD_STRING)
			value = json_string(fields[i].string ?: "") ?: json_string("(not UTF-8)");
		else if (fields[i].kind == LOG_FIELD_UNSIGNED && fields[i].number <= INT64_MAX)
			value = json_integer((json_int_t)fields[i].number);
		else if (fields[i].kind == LOG_FIELD_UNSIGNED)
			value = json_real((double)fields[i].number);
		else
			/* JSON has no word for what is not a number. */
			value = json_real(fields[i].decimal) ?: json_null();
		if (json_object_set_new(object, fields[i].key, value))
			line->truncated = true;
	}
	length = object ? json_dumpb(object, line->data, line->size - 1,
				     JSON_COMPACT | JSON_REAL_PRECISION(6))
			: 0;
	if (!length || length >= line->size)
		text_printf(line,
			    "{\"time\":\"%s\",\"level\":\"error\",\"event\":\"a log line was too "
			    "long\"}",
			    time);
	else
		line->length = length;
	line->data[line->length] = '\0';
	json_decref(object);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
	       size_t count)
{
	char buffer[LINE_MAX_BYTES] = "";
	struct text line = {.data = buffer, .size = sizeof(buffer) - 1};
	char time[CLOCK_TEXT_MAX];

	if (level > configured_level)
		return;
	clock_format_utc(clock_realtime_ns(), time);
	if (configured_format == LOG_FORMAT_JSON)
		write_json(&line, time, level, event, fields, count);
	else
		write_logfmt(&line, time, level, event, fields, count);
	buffer[line.length] = '\n';
	/* One write a line, so that lines of several writers never mix; a lost line has no better
	 * place to go. */
	if (write(STDERR_FILENO, buffer, line.length + 1) < 0)
		return;
}
