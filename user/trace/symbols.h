/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_SYMBOLS_H
#define TOCSIN_TRACE_SYMBOLS_H

/* Addresses in the kernel's text as symbols, from /proc/kallsyms. */

#include <stddef.h>
#include <stdint.h>

struct symbols;

/* Reads the table. NULL when it cannot be read, or hides its addresses (kernel.kptr_restrict). */
struct symbols *symbols_load(void);
void symbols_free(struct symbols *symbols);

/* "tcp_v4_rcv+0x1f3", or "0xffffffff81234567" where there is no symbol ('symbols' may be NULL).
 * Returns buffer. */
const char *symbols_format(const struct symbols *symbols, uint64_t address, char *buffer,
			   size_t size);

#endif
