// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "trace/options.h"
#include "trace/socket.h"

#include "maps/tcplife.h"

#include "bpf/tcplife.skel.h"

OBJECT_SOURCE(tcplife);

static const struct program programs[] = {
	{"connection_ends", "tp_btf/inet_sock_set_state", "ends of connections", true},
	SOCKET_OWNER_PROGRAMS,
};

static const char *direction_name(uint64_t direction)
{
	return direction == TCPLIFE_OUT ? "out" : direction == TCPLIFE_IN ? "in" : NULL;
}

static const struct column event_columns[] = {
	COLUMN("DIR", "direction", COLUMN_NAMED, struct tcplife_event, direction, 3,
	       .zero_is_unknown = true, .name = direction_name),
	SOCKET_END_COLUMNS(struct tcplife_event),
	COLUMN("DURATION(us)", "duration_ns", COLUMN_DURATION, struct tcplife_event, duration_ns,
	       14, .zero_is_unknown = true),
	COLUMN("SENT", "sent_bytes", COLUMN_UNSIGNED, struct tcplife_event, sent_bytes, 10, ),
	COLUMN("RECEIVED", "received_bytes", COLUMN_UNSIGNED, struct tcplife_event, received_bytes,
	       10, ),
	COLUMN("RETRANS", "retransmits", COLUMN_UNSIGNED, struct tcplife_event, retransmits, 7, ),
	COLUMN("RTT(us)", "rtt_ns", COLUMN_DURATION, struct tcplife_event, rtt_ns, 9,
	       .zero_is_unknown = true),
	COLUMN("ERR", "error", COLUMN_SIGNED, struct tcplife_event, error, 4, ),
	OWNER_COLUMNS(struct tcplife_event),
};

const struct trace trace_tcplife = {
	.name = "tcplife",
	.summary = "each TCP connection that ends: how long, how much, and whose",
	.options = "pgnrP46m",
	.source = &tcplife_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(event_columns),
	.event_bytes = sizeof(struct tcplife_event),
	.mode = TRACE_MODE_EVENTS,
	.interval_mode = TRACE_MODE_EVENTS,
	.configure = socket_configure,
};
