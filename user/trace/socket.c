// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/socket.h"

#include <stddef.h>

const char *socket_state_name(uint64_t state)
{
	/* Part of the kernel's user interface (linux/bpf.h, BPF_TCP_ESTABLISHED ...). */
	static const char *const names[] = {
		NULL,	      "established", "syn-sent",     "syn-recv",   "fin-wait-1",
		"fin-wait-2", "time-wait",   "close",	     "close-wait", "last-ack",
		"listen",     "closing",     "new-syn-recv",
	};

	return state < sizeof(names) / sizeof(*names) ? names[state] : NULL;
}
