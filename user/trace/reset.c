// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "probe/enum_names.h"
#include "probe/kernel_types.h"
#include "probe/program.h"
#include "trace/options.h"
#include "trace/socket.h"

#include "maps/reset.h"

#include "bpf/reset.skel.h"

OBJECT_SOURCE(reset);

static const struct program programs[] = {
	{"resets_sent", "tp_btf/tcp_send_reset", "resets sent", false},
	{"resets_received", "tp_btf/tcp_receive_reset", "resets received", true},
	SOCKET_OWNER_PROGRAMS,
};

/* Read once, when the trace is prepared. */
static struct enum_names reasons;

static const char *reason_name(uint64_t reason)
{
	return enum_names_find(&reasons, reason - 1);
}

static const char *direction_name(uint64_t sent)
{
	return sent ? "sent" : "received";
}

static const struct column event_columns[] = {
	COLUMN("DIR", "direction", COLUMN_NAMED, struct reset_event, sent, 8,
	       .name = direction_name),
	SOCKET_END_COLUMNS(struct reset_event),
	COLUMN("STATE", "state", COLUMN_NAMED, struct reset_event, state, 12,
	       .zero_is_unknown = true, .name = socket_state_name),
	COLUMN("REASON", "reason", COLUMN_NAMED, struct reset_event, reason, 24,
	       .zero_is_unknown = true, .name = reason_name),
	OWNER_COLUMNS(struct reset_event),
};

static int configure(const struct trace_options *options, struct object_constant *constants,
		     size_t *count, struct text *error)
{
	static bool has_reason;

	has_reason = kernel_tracepoint_arguments("tcp_send_reset") >= 3;
	constants[(*count)++] =
		(struct object_constant){"reset_has_reason", &has_reason, sizeof(has_reason)};
	/* Without names the numbers are shown. */
	(void)enum_names_load(&reasons, "sk_rst_reason", "SK_RST_REASON_");
	return socket_configure(options, constants, count, error);
}

const struct trace trace_reset = {
	.name = "reset",
	.summary = "each TCP reset, sent or received, and the kernel's reason",
	.options = "pgnrP46",
	.source = &reset_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(event_columns),
	.event_bytes = sizeof(struct reset_event),
	.mode = TRACE_MODE_EVENTS,
	.interval_mode = TRACE_MODE_EVENTS,
	.configure = configure,
};
