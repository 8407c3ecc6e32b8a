// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/names.h"

#include "base/signal_name.h"

#include <linux/types.h>

#include "maps/block.h"

static const char *const retransmit_names[] = {
	[PEER_RETRANSMIT_RTO] = "rto",	     [PEER_RETRANSMIT_TLP] = "tlp",
	[PEER_RETRANSMIT_FAST] = "fast",     [PEER_RETRANSMIT_SYN] = "syn",
	[PEER_RETRANSMIT_SYNACK] = "synack", [PEER_RETRANSMIT_FAILED] = "failed",
};

static const char *const error_names[] = {
	[PEER_ERROR_REFUSED] = "refused",
	[PEER_ERROR_RESET] = "reset",
	[PEER_ERROR_TIMED_OUT] = "timed_out",
	[PEER_ERROR_HOST_UNREACHABLE] = "host_unreachable",
	[PEER_ERROR_NET_UNREACHABLE] = "net_unreachable",
	[PEER_ERROR_ABANDONED] = "abandoned",
	[PEER_ERROR_OTHER] = "other",
};

_Static_assert(sizeof(retransmit_names) / sizeof(*retransmit_names) == PEER_RETRANSMIT_KINDS,
	       "every kind of retransmit has a name");
_Static_assert(sizeof(error_names) / sizeof(*error_names) == PEER_ERROR_KINDS,
	       "every kind of error has a name");

const char *report_retransmit_name(enum peer_retransmit kind)
{
	return retransmit_names[kind];
}

const char *report_error_name(enum peer_error error)
{
	return error_names[error];
}

const char *report_block_operation(unsigned int operation)
{
	static const char *const names[BLOCK_OPERATIONS] = {
		[BLOCK_READ] = "read",
		[BLOCK_WRITE] = "write",
		[BLOCK_FLUSH] = "flush",
		[BLOCK_DISCARD] = "discard",
	};

	return operation < BLOCK_OPERATIONS ? names[operation] : "other";
}

const char *report_crash_signal(unsigned int index)
{
	return index == TASK_SIGNAL_REALTIME ? "SIGRT" : signal_name(index);
}
