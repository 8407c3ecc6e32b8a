// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include <string.h>

/* clang-format off */
const struct trace *const traces[] = {
	&trace_retrans,
	&trace_rtt,
	&trace_connect,
	&trace_reset,
	&trace_drop,
	&trace_tcplife,
	&trace_accept,
	&trace_io,
	&trace_iotop,
	&trace_crash,
	&trace_exit,
	&trace_exec,
	&trace_oom,
	&trace_runq,
	&trace_hang,
};
/* clang-format on */

const size_t trace_count = sizeof(traces) / sizeof(*traces);

const struct trace *trace_find(const char *name)
{
	for (size_t i = 0; i < trace_count; i++)
		if (!strcmp(traces[i]->name, name))
			return traces[i];
	return NULL;
}

bool trace_has_mode(const struct trace *trace, enum trace_mode mode)
{
	switch (mode) {
	case TRACE_MODE_EVENTS:
		return trace->event.count > 0;
	case TRACE_MODE_HISTOGRAM:
		return trace->groupings[0].name != NULL;
	case TRACE_MODE_COUNTS:
		return trace->count_key.count > 0;
	}
	return false;
}
