/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_BLOCK_IO_H
#define TOCSIN_TRACE_BLOCK_IO_H

/* What the traces of block I/O have in common. */

#include "trace/trace.h"

/* The programs of bpf/submission.bpf.h. */
#define SUBMISSION_PROGRAMS                                                                      \
	{"request_ends", "tp_btf/block_rq_complete", "the end of I/O", true},                    \
		{"request_starts", "tp_btf/block_io_start",                                      \
		 "who submits I/O, and flushes, for sure", false},                               \
		{"request_is_queued", "tp_btf/block_rq_insert",                                  \
		 "who submits I/O, on kernels that do not tell otherwise", false},               \
		{"request_is_issued", "tp_btf/block_rq_issue", "queue and device time", false},  \
		{"bio_is_queued", "tp_btf/block_bio_queue", "I/O of device mapper and its like", \
		 false},                                                                         \
	{                                                                                        \
		"bio_ends", "tp_btf/block_bio_complete",                                         \
			"the end of I/O of device mapper and its like", false                    \
	}

/* "read" and so on; NULL when there is none. */
const char *block_operation_name(uint64_t operation);

/* What went wrong, by the kernel's status of a block I/O (before Linux 5.16 a negative errno); NULL
 * for a status without a name of its own. */
const char *block_error_name(uint64_t error);

/* As struct trace has it. */
uint64_t block_io_count_pending(const struct object *object);

/* The constants of bpf/submission.bpf.h, as struct trace has it. */
int block_io_configure(const struct trace_options *options, struct object_constant *constants,
		       size_t *count, struct text *error);

#endif
