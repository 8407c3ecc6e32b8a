// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "probe/drop_reason.h"
#include "trace/options.h"

#include "maps/drop.h"

#include "bpf/drop.skel.h"

OBJECT_SOURCE(drop);

static const struct program programs[] = {
	{"packet_drops", "tp_btf/kfree_skb", "dropped packets", true},
};

/* Read once, when the trace is prepared. */
static struct enum_names reasons;

static const char *reason_name(uint64_t reason)
{
	return enum_names_find(&reasons, reason);
}

static const char *ethernet_name(uint64_t protocol)
{
	switch (protocol) {
	case 0x0800:
		return "ipv4";
	case 0x86dd:
		return "ipv6";
	case 0x0806:
		return "arp";
	default:
		return NULL;
	}
}

static const char *protocol_name(uint64_t protocol)
{
	switch (protocol) {
	case 1:
		return "icmp";
	case 6:
		return "tcp";
	case 17:
		return "udp";
	case 58:
		return "icmpv6";
	default:
		return NULL;
	}
}

#define REASON_COLUMN(record) \
	COLUMN("REASON", "reason", COLUMN_NAMED, record, reason, 24, .name = reason_name)
#define ETHERNET_COLUMN(record, member) \
	COLUMN("ETHER", "ethernet_protocol", COLUMN_NAMED, record, member, 5, .name = ethernet_name)
#define PROTOCOL_COLUMN(record, member)                                                       \
	COLUMN("PROTO", "protocol", COLUMN_NAMED, record, member, 6, .zero_is_unknown = true, \
	       .name = protocol_name)

static const struct column event_columns[] = {
	REASON_COLUMN(struct drop_event),
	ETHERNET_COLUMN(struct drop_event, packet.ethernet_protocol),
	PROTOCOL_COLUMN(struct drop_event, packet.protocol),
	COLUMN("SADDR", "source_address", COLUMN_ADDRESS, struct drop_event, packet.source, 39, ),
	COLUMN("SPORT", "source_port", COLUMN_UNSIGNED, struct drop_event, packet.source_port, 5,
	       .zero_is_unknown = true),
	COLUMN("DADDR", "destination_address", COLUMN_ADDRESS, struct drop_event,
	       packet.destination, 39, ),
	COLUMN("DPORT", "destination_port", COLUMN_UNSIGNED, struct drop_event,
	       packet.destination_port, 5, .zero_is_unknown = true),
	COLUMN("BYTES", "length_bytes", COLUMN_UNSIGNED, struct drop_event, length_bytes, 6, ),
	COLUMN("NETNS", "netns_inode", COLUMN_UNSIGNED, struct drop_event, netns_inode, 10,
	       .zero_is_unknown = true),
	COLUMN(NULL, "namespace", COLUMN_NAMESPACE, struct drop_event, netns_inode, 1,
	       .zero_is_unknown = true),
	COLUMN("LOCATION", "location", COLUMN_SYMBOL, struct drop_event, location, 32, ),
	COLUMN("POD", "pod", COLUMN_POD, struct drop_event, netns_inode, 1,
	       .zero_is_unknown = true),
};

static const struct column key_columns[] = {
	REASON_COLUMN(struct drop_key),
	ETHERNET_COLUMN(struct drop_key, ethernet_protocol),
	PROTOCOL_COLUMN(struct drop_key, protocol),
	COLUMN("LOCATION", "location", COLUMN_SYMBOL, struct drop_key, location, 40, ),
};

static const struct column count_columns[] = {
	COLUMN("PACKETS", "packets", COLUMN_UNSIGNED, struct drop_count, packets, 10, ),
	COLUMN("BYTES", "bytes", COLUMN_UNSIGNED, struct drop_count, bytes, 12, ),
};

static int configure(const struct trace_options *options, struct object_constant *constants,
		     size_t *count, struct text *error)
{
	static bool has_reason;
	static uint32_t consumed;

	(void)options;
	(void)error;
	has_reason = drop_reasons_load(&reasons, &consumed);
	constants[(*count)++] =
		(struct object_constant){"drop_has_reason", &has_reason, sizeof(has_reason)};
	constants[(*count)++] =
		(struct object_constant){"drop_reason_consumed", &consumed, sizeof(consumed)};
	return 0;
}

const struct trace trace_drop = {
	.name = "drop",
	.summary = "dropped packets by the kernel's reason and place",
	.options = "nrP46",
	.source = &drop_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(event_columns),
	.event_bytes = sizeof(struct drop_event),
	.count_key = LAYOUT(key_columns),
	.count_value = LAYOUT(count_columns),
	.count_value_bytes = sizeof(struct drop_count),
	.mode = TRACE_MODE_COUNTS,
	.interval_mode = TRACE_MODE_COUNTS,
	.configure = configure,
};
