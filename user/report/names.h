/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_NAMES_H
#define TOCSIN_REPORT_NAMES_H

/* The words that status and metrics share for what the TCP programs count. */

#include <linux/types.h>

#include "maps/block.h"
#include "maps/peer.h"
#include "maps/task.h"

/* "rto", "tlp", "fast", "syn", "synack", "failed". */
const char *report_retransmit_name(enum peer_retransmit kind);

/* "refused", "reset", "timed_out", ..., "other". */
const char *report_error_name(enum peer_error error);

/* enum block_operation: "read" ... */
const char *report_block_operation(unsigned int operation);

/* Of an index of task_record.crashes: "SIGSEGV" ..., "SIGRT" for all real-time signals; NULL for
 * what is no signal. */
const char *report_crash_signal(unsigned int index);

#endif
