// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/memory.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Of one block: the most that glibc takes (DEFAULT_MMAP_THRESHOLD_MAX). */
#define KEPT_BLOCK_BYTES_MAX (32 << 20)
#define KEPT_BYTES_MAX	     (64 << 20)
/* What glibc begins with for both, and would raise by itself. */
#define USUAL_BYTES (128 << 10)

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

void memory_keep(void)
{
	/* 0: then libc does as it always does. */
	(void)mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES_MAX);
	(void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES_MAX);
}

void memory_keep_no_more(void)
{
	malloc_trim(0);
	(void)mallopt(M_MMAP_THRESHOLD, USUAL_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, USUAL_BYTES);
}

void memory_give_back(void)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	struct mapping mapping = {0};
	uint64_t kb;
	char line[512];

	memory_keep_no_more();
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
