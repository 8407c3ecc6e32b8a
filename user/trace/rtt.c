// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "trace/options.h"
#include "trace/socket.h"

#include "maps/rtt.h"

#include "bpf/rtt.skel.h"

OBJECT_SOURCE(rtt);

static const struct program programs[] = {
	{"round_trips", "tp_btf/tcp_probe", "round-trip times", true},
	SOCKET_OWNER_PROGRAMS,
};

static const struct column remote_columns[] = {
	COLUMN("RADDR", "remote_address", COLUMN_ADDRESS, struct rtt_key, remote, 39, ),
};

static const struct column port_columns[] = {
	COLUMN("LPORT", "local_port", COLUMN_UNSIGNED, struct rtt_key, local_port, 5, ),
};

static const struct column cgroup_columns[] = {
	CGROUP_COLUMNS(struct rtt_key, cgroup_id),
};

const struct trace trace_rtt = {
	.name = "rtt",
	.summary = "fresh round-trip times of TCP, as histograms",
	.options = "pgnrP46",
	.source = &rtt_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.groupings =
		{
			{"all", RTT_OF_ALL, {0}},
			{"remote", RTT_BY_REMOTE, LAYOUT(remote_columns)},
			{"port", RTT_BY_PORT, LAYOUT(port_columns)},
			{"cgroup", RTT_BY_CGROUP, LAYOUT(cgroup_columns)},
		},
	.mode = TRACE_MODE_HISTOGRAM,
	.interval_mode = TRACE_MODE_HISTOGRAM,
	.configure = socket_configure,
};
