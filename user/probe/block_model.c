// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/block_model.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* The first line, without blanks at its end; "" when there is none. */
static void read_line(const char *disk, const char *file, char *line, size_t size)
{
	char path[PATH_MAX];
	FILE *stream;

	*line = '\0';
	snprintf(path, sizeof(path), "/sys/block/%s/%s", disk, file);
	stream = fopen(path, "re");
	if (!stream)
		return;
	if (!fgets(line, (int)size, stream))
		*line = '\0';
	fclose(stream);
	for (size_t length = strlen(line); length && strchr(" \n", line[length - 1]);)
		line[--length] = '\0';
}

void block_model(const char *name, char model[static BLOCK_MODEL_BYTES])
{
	char disk[64], text[BLOCK_MODEL_BYTES - 16], rotational[8];

	/* As sysfs writes "cciss/c0d0". */
	snprintf(disk, sizeof(disk), "%s", name);
	for (char *place = disk; *place; place++)
		if (*place == '/')
			*place = '!';
	read_line(disk, "device/model", text, sizeof(text));
	read_line(disk, "queue/rotational", rotational, sizeof(rotational));
	snprintf(model, BLOCK_MODEL_BYTES, "%s%s", text,
		 *text && !strcmp(rotational, "1") ? ", rotational" : "");
}
