// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/memory.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct mapping {
	uintptr_t start, end;
	bool of_file;	     /* private, of a file, and not writable */
	uint64_t changed_kb; /* what the process has changed of it: relocations, swapped out or not
			      */
};

/* The first line of a mapping; false for the lines below it, which begin with a capital. */
static bool read_mapping(const char *line, struct mapping *ret)
{
	char permissions[5] = "", path[16] = "";
	uintptr_t start, end;

	if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %15s", &start, &end,
		   permissions, path) < 3)
		return false;
	*ret = (struct mapping){
		.start = start,
		.end = end,
		.of_file = permissions[0] == 'r' && permissions[1] == '-' &&
			   permissions[3] == 'p' && path[0] == '/',
	};
	return true;
}

void memory_give_back(void)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	struct mapping mapping = {0};
	uint64_t kb;
	char line[512];

	malloc_trim(0);
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (read_mapping(line, &mapping))
			continue;
		if (sscanf(line, "Anonymous: %" SCNu64, &kb) == 1 ||
		    sscanf(line, "Swap: %" SCNu64, &kb) == 1)
			mapping.changed_kb += kb;
		/* The last line of a mapping. What was changed would be lost. */
		if (!strncmp(line, "VmFlags:", 8) && mapping.of_file && !mapping.changed_kb)
			(void)madvise((void *)mapping.start, mapping.end - mapping.start,
				      MADV_DONTNEED);
	}
	fclose(file);
}
