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

void text_make_printable(char *string)
{
	for (; *string; string++)
		if ((unsigned char)*string < ' ' || (unsigned char)*string > '~')
			*string = '?';
}
