// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/terminal.h"

void terminal_append_clean(struct text *text, const char *string)
{
	size_t start = text->length;

	text_printf(text, "%s", string);
	for (size_t i = start; i < text->length; i++)
		if ((unsigned char)text->data[i] < 0x20 || text->data[i] == 0x7f)
			text->data[i] = '?';
}

void terminal_append_duration(struct text *text, uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		text_printf(text, "%lums", (unsigned long)ms);
	else if (s < 60)
		text_printf(text, "%lu.%lus", (unsigned long)s, (unsigned long)(ms % 1000 / 100));
	else if (s < 3600)
		text_printf(text, "%lum%lus", (unsigned long)(s / 60), (unsigned long)(s % 60));
	else if (s < 86400)
		text_printf(text, "%luh%lum", (unsigned long)(s / 3600),
			    (unsigned long)(s % 3600 / 60));
	else
		text_printf(text, "%lud%luh", (unsigned long)(s / 86400),
			    (unsigned long)(s % 86400 / 3600));
}

int terminal_width(const char *string)
{
	int width = 0;

	for (; *string; string++)
		width += ((unsigned char)*string & 0xc0) != 0x80;
	return width;
}
