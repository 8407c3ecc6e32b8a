/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_SIGNAL_NAME_H
#define TOCSIN_BASE_SIGNAL_NAME_H

#include <stdint.h>

/* "SIGSEGV"; NULL for what is no signal. Valid until the next call. */
const char *signal_name(uint64_t number);

#endif
