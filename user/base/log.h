/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_LOG_H
#define TOCSIN_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

/*
 * One structured line a thing that happened, to stderr: logfmt (default) or one JSON object.
 *	log_info("edge changed", log_string("peer", name), log_unsigned("silence_ms", 412));
 * prints
 *	time=2026-11-23T07:12:46.123Z level=info event="edge changed" peer=n3 silence_ms=412
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

enum log_field_kind { LOG_FIELD_NONE, LOG_FIELD_STRING, LOG_FIELD_UNSIGNED, LOG_FIELD_DECIMAL };

struct log_field {
	const char *key;
	enum log_field_kind kind;
	union {
		const char *string;
		uint64_t number;
		double decimal;
	};
};

static inline struct log_field log_string(const char *key, const char *value)
{
	return (struct log_field){.key = key, .kind = LOG_FIELD_STRING, .string = value};
}

static inline struct log_field log_unsigned(const char *key, uint64_t value)
{
	return (struct log_field){.key = key, .kind = LOG_FIELD_UNSIGNED, .number = value};
}

/* Printed with at most six significant digits. */
static inline struct log_field log_decimal(const char *key, double value)
{
	return (struct log_field){.key = key, .kind = LOG_FIELD_DECIMAL, .decimal = value};
}

/* The words for an errno, positive or negative: log_errno("error", -EPERM). */
struct log_field log_errno(const char *key, int error);

/* Process-wide; the default is logfmt from info up. Lines below 'level' are not written. */
void log_configure(enum log_format format, enum log_level level);

/* Never fails and never blocks on anything but stderr itself. Long lines are cut at 4 KiB. */
void log_write(enum log_level level, const char *event, const struct log_field *fields,
	       size_t count);

#define log_fields(level, event, ...)                                                         \
	do {                                                                                  \
		const struct log_field fields_[] = {{0}, ##__VA_ARGS__};                      \
		log_write(level, event, fields_ + 1, sizeof(fields_) / sizeof(*fields_) - 1); \
	} while (0)

#define log_error(event, ...)	log_fields(LOG_LEVEL_ERROR, event, ##__VA_ARGS__)
#define log_warning(event, ...) log_fields(LOG_LEVEL_WARNING, event, ##__VA_ARGS__)
#define log_info(event, ...)	log_fields(LOG_LEVEL_INFO, event, ##__VA_ARGS__)
#define log_debug(event, ...)	log_fields(LOG_LEVEL_DEBUG, event, ##__VA_ARGS__)

#endif
