// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/socket.h"

#include "probe/program.h"

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

int socket_configure(const struct trace_options *options, struct object_constant *constants,
		     size_t *count, struct text *error)
{
	static bool have_storage;

	(void)options;
	(void)error;
	have_storage = program_sockets_have_storage();
	constants[(*count)++] = (struct object_constant){"sockets_have_storage", &have_storage,
							 sizeof(have_storage)};
	return 0;
}
