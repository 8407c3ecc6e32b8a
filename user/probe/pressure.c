// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is looked for stands at the beginning of each file. */
#define TEXT_BYTES 512

static const char *const paths[PRESSURE_SOURCES] = {
	[PRESSURE_CPU] = "/proc/pressure/cpu",	 [PRESSURE_MEMORY] = "/proc/pressure/memory",
	[PRESSURE_IO] = "/proc/pressure/io",	 [PRESSURE_CPU_TIME] = "/proc/stat",
	[PRESSURE_MEMORY_USE] = "/proc/meminfo",
};

static int read_text(int fd, char text[static TEXT_BYTES])
{
	ssize_t length = pread(fd, text, TEXT_BYTES - 1, 0);

	if (length < 0)
		return -errno;
	text[length] = '\0';
	return 0;
}

static void explain(const char *path, int error, struct text *reason)
{
	if (error == -ENOENT && strstr(path, "/pressure/"))
		text_printf(reason,
			    "%s is missing: use a kernel with CONFIG_PSI=y, and boot it with psi=1 "
			    "when it has PSI switched off",
			    path);
	else if (error == -EOPNOTSUPP)
		text_printf(reason, "%s: PSI is switched off; boot with psi=1", path);
	else
		text_printf(reason, "%s: %s", path, strerror(-error));
}

int pressure_open(enum pressure_source source, struct text *error)
{
	int fd = open(paths[source], O_RDONLY | O_CLOEXEC);
	char text[TEXT_BYTES];
	int r = fd < 0 ? -errno : read_text(fd, text);

	if (!r)
		return fd;
	if (fd >= 0)
		close(fd);
	explain(paths[source], r, error);
	return r;
}

static int parse_share(const char *text, const char *name, struct pressure_share *ret_share)
{
	const char *line = strstr(text, name);

	if (!line)
		return -ENOENT;
	if (sscanf(line + strlen(name), " avg10=%lf avg60=%*f avg300=%*f total=%" SCNu64,
		   &ret_share->avg10_percent, &ret_share->total_us) != 2)
		return -EBADMSG;
	return 0;
}

int pressure_parse(const char *text, struct pressure *ret_pressure)
{
	int r;

	*ret_pressure = (struct pressure){0};
	if (parse_share(text, "some", &ret_pressure->some))
		return -EBADMSG;
	r = parse_share(text, "full", &ret_pressure->full);
	return r == -ENOENT ? 0 : r;
}

int pressure_parse_cpu_time(const char *text, struct pressure_cpu_time *ret_time)
{
	uint64_t user, nice, system, idle, iowait, irq, softirq, steal;

	if (sscanf(text,
		   "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64 " %" SCNu64,
		   &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal) != 8)
		return -EBADMSG;
	*ret_time = (struct pressure_cpu_time){
		.busy = user + nice + system + irq + softirq,
		.idle = idle + iowait,
		.stolen = steal,
	};
	return 0;
}

static int parse_size(const char *text, const char *name, uint64_t *ret_bytes)
{
	const char *line = strstr(text, name);

	if (!line || sscanf(line + strlen(name), " %" SCNu64 " kB", ret_bytes) != 1)
		return -EBADMSG;
	*ret_bytes *= 1024;
	return 0;
}

int pressure_parse_memory_use(const char *text, struct pressure_memory_use *ret_use)
{
	int r = parse_size(text, "MemTotal:", &ret_use->total_bytes);

	return r ? r : parse_size(text, "MemAvailable:", &ret_use->available_bytes);
}

int pressure_read(int fd, struct pressure *ret_pressure)
{
	char text[TEXT_BYTES];
	int r = read_text(fd, text);

	return r ? r : pressure_parse(text, ret_pressure);
}

int pressure_read_cpu_time(int fd, struct pressure_cpu_time *ret_time)
{
	char text[TEXT_BYTES];
	int r = read_text(fd, text);

	return r ? r : pressure_parse_cpu_time(text, ret_time);
}

int pressure_read_memory_use(int fd, struct pressure_memory_use *ret_use)
{
	char text[TEXT_BYTES];
	int r = read_text(fd, text);

	return r ? r : pressure_parse_memory_use(text, ret_use);
}
