// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/catalog.h"

#include "probe/kernel_types.h"
#include "probe/program.h"
#include "trace/options.h"
#include "trace/socket.h"
#include "trace/task.h"

#include "maps/accept.h"

#include "bpf/accept.skel.h"

#include <sys/syscall.h>

OBJECT_SOURCE(accept);

static const struct program programs[] = {
	{"listener_acts", "tp_btf/inet_sock_set_state", "connections that begin to wait", true},
	{"accept_returns", "tp_btf/sys_exit", "connections accepted by system call", true},
	{"uring_completes", "tp_btf/io_uring_complete", "connections accepted through io_uring",
	 false},
	{"connection_ends", "tp_btf/tcp_destroy_sock", "ends of connections never accepted", false},
	{"listener_iterate", "iter/task_file", "drops and queues of listeners", false},
};

static const char *kind_name(uint64_t kind)
{
	return kind == ACCEPT_ACCEPTED ? "accepted" : kind == ACCEPT_DROPPED ? "dropped" : NULL;
}

static const struct column event_columns[] = {
	COLUMN("EVENT", "event", COLUMN_NAMED, struct accept_event, kind, 8, .name = kind_name),
	COLUMN("LADDR", "local_address", COLUMN_ADDRESS, struct accept_event, local, 39, ),
	COLUMN("LPORT", "local_port", COLUMN_UNSIGNED, struct accept_event, local_port, 5, ),
	COLUMN("RADDR", "remote_address", COLUMN_ADDRESS, struct accept_event, remote, 39,
	       .zero_is_unknown = true),
	COLUMN("RPORT", "remote_port", COLUMN_UNSIGNED, struct accept_event, remote_port, 5,
	       .zero_is_unknown = true),
	COLUMN("DELAY(us)", "delay_ns", COLUMN_DURATION, struct accept_event, delay_ns, 12,
	       .zero_is_unknown = true),
	COLUMN("STATE", "state", COLUMN_NAMED, struct accept_event, state, 12,
	       .zero_is_unknown = true, .name = socket_state_name),
	COLUMN("DROPS", "drops", COLUMN_UNSIGNED, struct accept_event, drops, 7, ),
	COLUMN("QUEUE", "queue", COLUMN_UNSIGNED, struct accept_event, queue, 6, ),
	COLUMN("BACKLOG", "backlog", COLUMN_UNSIGNED, struct accept_event, backlog, 7,
	       .zero_is_unknown = true),
	COLUMN("DEFERS", "defers", COLUMN_BOOLEAN, struct accept_event, defers, 6, ),
	OWNER_COLUMNS(struct accept_event),
};

#define LISTENER_COLUMNS                                                                        \
	COLUMN("LADDR", "local_address", COLUMN_ADDRESS, struct accept_key, local, 39, ),       \
		COLUMN("LPORT", "local_port", COLUMN_UNSIGNED, struct accept_key, local_port,   \
		       5, ),                                                                    \
		COLUMN("NETNS", "netns_inode", COLUMN_UNSIGNED, struct accept_key, netns_inode, \
		       10, )

static const struct column listener_columns[] = {LISTENER_COLUMNS};

static const struct column port_columns[] = {
	COLUMN("LPORT", "local_port", COLUMN_UNSIGNED, struct accept_key, local_port, 5, ),
};

static const struct column cgroup_columns[] = {
	CGROUP_COLUMNS(struct accept_key, cgroup_id),
};

static const struct column count_columns[] = {
	COLUMN("DROPS", "drops", COLUMN_UNSIGNED, struct accept_count, drops, 7, ),
	COLUMN("ACCEPTED", "accepted", COLUMN_UNSIGNED, struct accept_count, accepted, 8, ),
	COLUMN("WAITED(us)", "delay_sum_ns", COLUMN_DURATION, struct accept_count, delay_sum_ns,
	       14, ),
	COLUMN("QUEUE", "queue", COLUMN_UNSIGNED, struct accept_count, queue, 6, ),
	COLUMN("BACKLOG", "backlog", COLUMN_UNSIGNED, struct accept_count, backlog, 7,
	       .zero_is_unknown = true),
	COLUMN("DEFERS", "defers", COLUMN_BOOLEAN, struct accept_count, defers, 6, ),
	PROCESS_COLUMNS(struct accept_count),
	CGROUP_COLUMNS(struct accept_count, owner.cgroup_id),
};

/* Numbers that the other width of the same kernel does not use. */
#if defined(__x86_64__)
#define ACCEPT4_OF_32_BITS 364
#elif defined(__aarch64__)
#define ACCEPT4_OF_32_BITS 366
#else
#define ACCEPT4_OF_32_BITS UINT32_MAX
#endif

static int configure(const struct trace_options *options, struct object_constant *constants,
		     size_t *count, struct text *error)
{
	static const uint32_t numbers[3] = {SYS_accept, SYS_accept4, ACCEPT4_OF_32_BITS};
	static uint32_t result_argument;
	static bool result_in_entry;

	(void)options;
	(void)error;
	result_argument = kernel_tracepoint_arguments("io_uring_complete") > 4 ? 3 : 2;
	result_in_entry =
		result_argument == 2 && kernel_tracepoint_is_pointer("io_uring_complete", 2) == 1;
	constants[(*count)++] =
		(struct object_constant){"accept_numbers", numbers, sizeof(numbers)};
	constants[(*count)++] = (struct object_constant){"uring_result_argument", &result_argument,
							 sizeof(result_argument)};
	constants[(*count)++] = (struct object_constant){"uring_result_in_entry", &result_in_entry,
							 sizeof(result_in_entry)};
	return 0;
}

const struct trace trace_accept = {
	.name = "accept",
	.summary = "how long TCP connections wait to be accepted, and what listeners drop",
	.options = "pgnP46m",
	.source = &accept_source,
	.programs = programs,
	.program_count = sizeof(programs) / sizeof(*programs),
	.event = LAYOUT(event_columns),
	.event_bytes = sizeof(struct accept_event),
	.groupings =
		{
			{"all", ACCEPT_OF_ALL, {0}},
			{"listener", ACCEPT_BY_LISTENER, LAYOUT(listener_columns)},
			{"port", ACCEPT_BY_PORT, LAYOUT(port_columns)},
			{"cgroup", ACCEPT_BY_CGROUP, LAYOUT(cgroup_columns)},
		},
	.count_key = LAYOUT(listener_columns),
	.count_value = LAYOUT(count_columns),
	.count_value_bytes = sizeof(union accept_aggregate),
	.mode = TRACE_MODE_EVENTS,
	.interval_mode = TRACE_MODE_COUNTS,
	.default_interval_s = 1,
	.polls = true,
	.configure = configure,
};
