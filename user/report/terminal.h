/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_TERMINAL_H
#define TOCSIN_REPORT_TERMINAL_H

/* What the tables for people have in common. */

#include "base/text.h"

#include <stdint.h>

/* What came over the wire or from a file must not talk to the terminal: no control bytes. */
void terminal_append_clean(struct text *text, const char *string);

/* Two significant units at most: 412ms, 3.2s, 5m12s, 3h12m, 12d4h. */
void terminal_append_duration(struct text *text, uint64_t ms);

/* Columns on the screen: characters, not bytes. */
int terminal_width(const char *string);

#endif
