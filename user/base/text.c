// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void text_vprintf(struct text *text, const char *format, va_list arguments)
{
	size_t room = text->size - text->length;
	int length = vsnprintf(text->data + text->length, room, format, arguments);

	if (length < 0 || (size_t)length >= room) {
		text->truncated = true;
		text->length = text->size - 1;
		text->data[text->length] = '\0';
	} else {
		text->length += (size_t)length;
	}
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text_vprintf(text, format, arguments);
	va_end(arguments);
}

int text_copy(char *target, size_t size, const char *source)
{
	size_t length = strlen(source);

	if (length >= size)
		return -ENAMETOOLONG;
	memcpy(target, source, length + 1);
	return 0;
}

size_t text_whole_length(const char *string, size_t length)
{
	size_t back = 0, needed = 1;
	unsigned char lead;

	/* Bytes that follow the first one of a character begin with the bits 10. */
	while (back < 3 && back < length &&
	       ((unsigned char)string[length - 1 - back] & 0xc0) == 0x80)
		back++;
	if (back == length)
		return length;
	lead = (unsigned char)string[length - 1 - back];
	if (lead >= 0xc0)
		needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	return back + 1 < needed ? length - back - 1 : length;
}

void text_copy_cut(char *target, size_t size, const char *source)
{
	size_t length = strlen(source);

	if (length >= size)
		length = text_whole_length(source, size - 1);
	memcpy(target, source, length);
	target[length] = '\0';
}

void text_make_printable(char *string)
{
	for (; *string; string++)
		if ((unsigned char)*string < ' ' || (unsigned char)*string > '~')
			*string = '?';
}
