/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_TEXT_H
#define TOCSIN_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A string that grows inside a buffer of fixed size. What does not fit is cut at the end and
 * remembered in 'truncated'; data is NUL-terminated at all times.
 */
struct text {
	char *data;
	size_t size;
	size_t length;
	bool truncated;
};

/* A text over a char array in scope: struct text reason = TEXT(array); */
#define TEXT(array) ((struct text){.data = (array), .size = sizeof(array)})

void text_vprintf(struct text *text, const char *format, va_list arguments);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Anyone may name a program, a file or a control group with any bytes: those that are not printable
 * ASCII become '?'. */
void text_make_printable(char *string);

/* Copies source into an array of 'size' bytes. Returns 0, or -ENAMETOOLONG with nothing copied. */
int text_copy(char *target, size_t size, const char *source);

/* How many of the first 'length' bytes of UTF-8 to take so that no character is taken in part. */
size_t text_whole_length(const char *string, size_t length);

/* Copies as much of source as fits, in whole characters: JSON takes no part of one. */
void text_copy_cut(char *target, size_t size, const char *source);

#endif
