/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_SYMBOLS_H
#define TOCSIN_TRACE_SYMBOLS_H

/* Names of the kernel's functions, from /proc/kallsyms, read when the first is asked for. */

#include <stddef.h>
#include <stdint.h>

struct symbols;

/* Returns NULL when out of memory. */
struct symbols *symbols_open(void);
void symbols_close(struct symbols *symbols);

/* "vfs_read+0x1c", or the address where the kernel does not tell (kernel.kptr_restrict). */
void symbols_name(struct symbols *symbols, uint64_t address, char *name, size_t size);

#endif
