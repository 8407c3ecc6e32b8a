/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_PRESSURE_H
#define TOCSIN_PROBE_PRESSURE_H

/*
 * What /proc tells of how much is asked of the machine: pressure (PSI), CPU time and memory. Of the
 * whole machine, also from within a container. Each file is opened once and read again and again.
 */

#include "base/text.h"

#include <stdint.h>

enum pressure_source {
	PRESSURE_CPU,	     /* /proc/pressure/cpu */
	PRESSURE_MEMORY,     /* /proc/pressure/memory */
	PRESSURE_IO,	     /* /proc/pressure/io */
	PRESSURE_CPU_TIME,   /* /proc/stat */
	PRESSURE_MEMORY_USE, /* /proc/meminfo */
	PRESSURE_SOURCES,
};

struct pressure_share {
	double avg10_percent; /* the kernel's average that forgets within 10 s, renewed every 2 s */
	uint64_t total_us;    /* only grows, and is exact at each reading */
};

struct pressure {
	struct pressure_share some; /* something waited */
	struct pressure_share full; /* nothing did but wait; of the CPU 0 before Linux 5.13 */
};

/* Of all CPUs since the boot, in ticks of the kernel's (the unit does not matter for shares). */
struct pressure_cpu_time {
	uint64_t busy; /* of programs, guests, the kernel and interrupts */
	uint64_t idle; /* also while I/O is waited for */
	uint64_t stolen;
};

struct pressure_memory_use {
	uint64_t total_bytes, available_bytes;
};

/* Returns a descriptor, or a negative errno with one line in 'error': also where the file is there
 * and cannot be read. */
int pressure_open(enum pressure_source source, struct text *error);

/* Return 0, or a negative errno; -EBADMSG when the file is not as expected. */
int pressure_read(int fd, struct pressure *ret_pressure);
int pressure_read_cpu_time(int fd, struct pressure_cpu_time *ret_time);
int pressure_read_memory_use(int fd, struct pressure_memory_use *ret_use);

/* The same of a text. */
int pressure_parse(const char *text, struct pressure *ret_pressure);
int pressure_parse_cpu_time(const char *text, struct pressure_cpu_time *ret_time);
int pressure_parse_memory_use(const char *text, struct pressure_memory_use *ret_use);

#endif
