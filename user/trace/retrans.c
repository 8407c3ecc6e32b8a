// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "probe/kernel_types.h"
#include "probe/program.h"
#include "trace/options.h"
#include "trace/socket.h"

#include "maps/retrans.h"

#include "bpf/retrans.skel.h"

OBJECT_SOURCE(retrans);

static const struct program programs[] = {
	{"retransmits", "tp_btf/tcp_retransmit_skb", "retransmits of connections", true},
	{"synack_retransmits", "tp_btf/tcp_retransmit_synack", "retransmits of SYN-ACKs", false},
	SOCKET_OWNER_PROGRAMS,
};

static const char *kind_name(uint64_t kind)
{
	static const char *const names[PEER_RETRANSMIT_KINDS] = {
		[PEER_RETRANSMIT_RTO] = "rto",	     [PEER_RETRANSMIT_TLP] = "tlp",
		[PEER_RETRANSMIT_FAST] = "fast",     [PEER_RETRANSMIT_SYN] = "syn",
		[PEER_RETRANSMIT_SYNACK] = "synack", [PEER_RETRANSMIT_FAILED] = "failed",
	};

	return kind < PEER_RETRANSMIT_KINDS ? names[kind] : NULL;
}

static const struct column event_columns[] = {
	COLUMN("KIND", "kind", COLUMN_NAMED, struct retrans_event, kind, 6, .name = kind_name),
	SOCKET_END_COLUMNS(struct retrans_event),
	COLUMN("STATE", "state", COLUMN_NAMED, struct retrans_event, state, 12,
	       .name = socket_state_name),
	COLUMN("SEQ", "sequence", COLUMN_UNSIGNED, struct retrans_event, sequence, 10, ),
	COLUMN("ERR", "error", COLUMN_SIGNED, struct retrans_event, error, 4, ),
	OWNER_COLUMNS(struct retrans_event),
};

static const struct column key_columns[] = {
	SOCKET_END_COLUMNS(struct retrans_key),
};

#define KIND_COLUMN(title, key, index) \
	COLUMN(title, key, COLUMN_UNSIGNED, struct retrans_count, kinds[index], 6, )

static const struct column count_columns[] = {
	COLUMN("ALL", "all", COLUMN_UNSIGNED, struct retrans_count, all, 6, ),
	KIND_COLUMN("RTO", "rto", PEER_RETRANSMIT_RTO),
	KIND_COLUMN("TLP", "tlp", PEER_RETRANSMIT_TLP),
	KIND_COLUMN("FAST", "fast", PEER_RETRANSMIT_FAST),
	KIND_COLUMN("SYN", "syn", PEER_RETRANSMIT_SYN),
	KIND_COLUMN("SYNACK", "synack", PEER_RETRANSMIT_SYNACK),
	KIND_COLUMN("FAILED", "failed", PEER_RETRANSMIT_FAILED),
};

/* See bpf/retransmit.bpf.h. */
static int configure(const struct trace_options *options, struct object_constant *constants,
		     size_t *count, struct text *error)
{
	static bool has_error;

	has_error = kernel_tracepoint_arguments("tcp_retransmit_skb") >= 3;
	constants[(*count)++] =
		(struct object_constant){"retransmit_has_error", &has_error, sizeof(has_error)};
	return socket_configure(options, constants, count, error);
}

const struct trace trace_retrans = {
	.name = "retrans",
	.summary = "each TCP retransmit, or counts by connection",
	.options = "pgnrP46",
	.source = &retrans_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(event_columns),
	.event_bytes = sizeof(struct retrans_event),
	.count_key = LAYOUT(key_columns),
	.count_value = LAYOUT(count_columns),
	.count_value_bytes = sizeof(struct retrans_count),
	.mode = TRACE_MODE_EVENTS,
	.interval_mode = TRACE_MODE_COUNTS,
	.configure = configure,
};
