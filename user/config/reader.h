/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CONFIG_READER_H
#define TOCSIN_CONFIG_READER_H

/*
 * YAML events with their place in the file, and errors that name that place. Private to
 * user/config. Only what a configuration needs is let through: one document, no anchors, no
 * aliases, no tags.
 */

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

/* Longest excerpt of the file in an error message, escaped, quotes and NUL included. */
#define CONFIG_QUOTE_MAX 256

/* A place in the file, counted from 1; line 0 is no place at all. */
struct config_position {
	unsigned int line;
	unsigned int column; /* in characters */
};

struct config_reader {
	const char *file; /* its name, for errors */
	const unsigned char *data;
	size_t size_bytes;
	struct text *error;
	yaml_parser_t parser;
	yaml_event_t event; /* the present one, valid until the next config_reader_next() */
	struct config_position position; /* where it begins */
};

/*
 * Starts reading 'data', which must outlive the reader, and goes to the first event. Errors are
 * appended to 'error'. Returns 0, -ENOMEM, or -EINVAL with 'error' filled. config_reader_close() in
 * any case.
 */
int config_reader_open(struct config_reader *reader, const char *file, const void *data,
		       size_t size_bytes, struct text *error);

void config_reader_close(struct config_reader *reader);

/* Goes to the next event. Returns 0, -ENOMEM, or -EINVAL with the error told. */
int config_reader_next(struct config_reader *reader);

/*
 * Says "FILE:LINE:COLUMN: PATH: ..." and returns -EINVAL. Without a line it says "FILE: ...", and
 * 'path' may be empty.
 */
int config_reader_fail(const struct config_reader *reader, struct config_position position,
		       const char *path, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The present event is a scalar that stands for nothing: `key:`, `key: ~` or `key: null`. */
bool config_reader_is_null(const struct config_reader *reader);

/* The present event in words, for "found ...": `"abc"`, `a list`, `nothing`. Returns buffer. */
const char *config_reader_found(const struct config_reader *reader,
				char buffer[static CONFIG_QUOTE_MAX]);

/* A string in quotes, printable ASCII only, cut when it is long. Returns buffer. */
const char *config_quote(const char *string, size_t length_bytes,
			 char buffer[static CONFIG_QUOTE_MAX]);

#endif
