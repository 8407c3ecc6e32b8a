// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "trace/options.h"
#include "trace/socket.h"

#include "maps/connect.h"

#include "bpf/connect.skel.h"

OBJECT_SOURCE(connect);

static const struct program programs[] = {
	{"connects", "tp_btf/inet_sock_set_state", "connects and their ends", true},
	SOCKET_OWNER_PROGRAMS,
};

static const char *direction_name(uint64_t direction)
{
	return direction == CONNECT_OUT ? "out" : direction == CONNECT_IN ? "in" : NULL;
}

static const char *outcome_name(uint64_t outcome)
{
	static const char *const names[PEER_ERROR_KINDS] = {
		[PEER_ERROR_REFUSED] = "refused",
		[PEER_ERROR_RESET] = "reset",
		[PEER_ERROR_TIMED_OUT] = "timed_out",
		[PEER_ERROR_HOST_UNREACHABLE] = "host_unreachable",
		[PEER_ERROR_NET_UNREACHABLE] = "net_unreachable",
		[PEER_ERROR_ABANDONED] = "abandoned",
		[PEER_ERROR_OTHER] = "other",
	};

	if (!outcome)
		return "established";
	return outcome <= PEER_ERROR_KINDS ? names[outcome - 1] : NULL;
}

#define DIRECTION_COLUMN(record) \
	COLUMN("DIR", "direction", COLUMN_NAMED, record, direction, 3, .name = direction_name)

static const struct column event_columns[] = {
	DIRECTION_COLUMN(struct connect_event),
	SOCKET_END_COLUMNS(struct connect_event),
	COLUMN("OUTCOME", "outcome", COLUMN_NAMED, struct connect_event, outcome, 16,
	       .name = outcome_name),
	COLUMN("LAT(us)", "latency_ns", COLUMN_DURATION, struct connect_event, latency_ns, 12,
	       .zero_is_unknown = true),
	OWNER_COLUMNS(struct connect_event),
};

static const struct column all_columns[] = {
	DIRECTION_COLUMN(struct connect_key),
};

static const struct column remote_columns[] = {
	DIRECTION_COLUMN(struct connect_key),
	COLUMN("RADDR", "remote_address", COLUMN_ADDRESS, struct connect_key, remote, 39, ),
};

static const struct column port_columns[] = {
	DIRECTION_COLUMN(struct connect_key),
	COLUMN("PORT", "service_port", COLUMN_UNSIGNED, struct connect_key, service_port, 5, ),
};

static const struct column cgroup_columns[] = {
	DIRECTION_COLUMN(struct connect_key),
	CGROUP_COLUMNS(struct connect_key, cgroup_id),
};

const struct trace trace_connect = {
	.name = "connect",
	.summary = "TCP connects in both directions: latency, or why they failed",
	.options = "pgnrP46m",
	.source = &connect_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(event_columns),
	.event_bytes = sizeof(struct connect_event),
	.groupings =
		{
			{"all", CONNECT_OF_ALL, LAYOUT(all_columns)},
			{"remote", CONNECT_BY_REMOTE, LAYOUT(remote_columns)},
			{"port", CONNECT_BY_PORT, LAYOUT(port_columns)},
			{"cgroup", CONNECT_BY_CGROUP, LAYOUT(cgroup_columns)},
		},
	.mode = TRACE_MODE_EVENTS,
	.interval_mode = TRACE_MODE_HISTOGRAM,
	.configure = socket_configure,
};
