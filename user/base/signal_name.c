// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/signal_name.h"

#include <stdio.h>
#include <string.h>

/* The kernel's own first and last; the C library keeps some of them to itself. */
#define REALTIME_FIRST 32
#define REALTIME_LAST  64

const char *signal_name(uint64_t number)
{
	static char name[24];
	const char *word;

	if (!number || number > REALTIME_LAST)
		return NULL;
	if (number >= REALTIME_FIRST) {
		snprintf(name, sizeof(name), "SIGRT%d", (int)number - REALTIME_FIRST);
		return name;
	}
	word = sigabbrev_np((int)number);
	if (!word)
		return NULL;
	snprintf(name, sizeof(name), "SIG%s", word);
	return name;
}
