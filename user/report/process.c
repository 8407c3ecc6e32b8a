// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/process.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Longer than any /proc/self/stat: 52 numbers and a command of 16 bytes. */
#define STAT_BYTES 2048

static int read_start_ticks(uint64_t *ret_ticks)
{
	FILE *file = fopen("/proc/self/stat", "re");
	char line[STAT_BYTES] = "";
	const char *rest;
	int error = 0;

	if (!file)
		return -errno;
	/* The command, field 2, may hold blanks and brackets: the last bracket ends it. starttime
	 * is field 22. */
	if (!fgets(line, sizeof(line), file) || !(rest = strrchr(line, ')')) ||
	    sscanf(rest + 1,
		   " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
		   " %" SCNu64,
		   ret_ticks) != 1)
		error = -EBADMSG;
	fclose(file);
	return error;
}

static int read_boot_time(uint64_t *ret_seconds)
{
	FILE *file = fopen("/proc/stat", "re");
	char line[STAT_BYTES];
	int error = -EBADMSG;

	if (!file)
		return -errno;
	/* Pieces of a line longer than the buffer do no harm: only 'btime' at the start of one
	 * matches. */
	while (error && fgets(line, sizeof(line), file))
		if (sscanf(line, "btime %" SCNu64, ret_seconds) == 1)
			error = 0;
	fclose(file);
	return error;
}

static int read_resident_pages(uint64_t *ret_pages)
{
	FILE *file = fopen("/proc/self/statm", "re");
	int error = 0;

	if (!file)
		return -errno;
	if (fscanf(file, "%*s %" SCNu64, ret_pages) != 1)
		error = -EBADMSG;
	fclose(file);
	return error;
}

static int count_fds(uint64_t *ret_count)
{
	DIR *directory = opendir("/proc/self/fd");
	const struct dirent *entry;
	uint64_t count = 0;

	if (!directory)
		return -errno;
	while ((entry = readdir(directory)))
		count += entry->d_name[0] != '.';
	closedir(directory);
	*ret_count = count - 1; /* without the one that counts */
	return 0;
}

int process_usage_read(struct process_usage *ret_usage)
{
	struct process_usage usage = {0};
	uint64_t start_ticks = 0, boot_s = 0, resident_pages = 0;
	struct rusage cpu = {0};
	int error;

	error = read_start_ticks(&start_ticks);
	if (!error)
		error = read_boot_time(&boot_s);
	if (!error)
		error = read_resident_pages(&resident_pages);
	if (!error)
		error = count_fds(&usage.open_fds);
	if (!error && getrusage(RUSAGE_SELF, &cpu))
		error = -errno;
	if (error)
		return error;
	usage.cpu_us = (uint64_t)(cpu.ru_utime.tv_sec + cpu.ru_stime.tv_sec) * 1000000 +
		       (uint64_t)(cpu.ru_utime.tv_usec + cpu.ru_stime.tv_usec);
	usage.resident_bytes = resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
	usage.start_time_s = (double)boot_s + (double)start_ticks / (double)sysconf(_SC_CLK_TCK);
	*ret_usage = usage;
	return 0;
}
