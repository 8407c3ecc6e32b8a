/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_REQUEST_H
#define TOCSIN_BPF_REQUEST_H

/* What a request of the block layer says of itself. */

#include "maps/block.h"

/* block_rq_issue and block_rq_insert had the queue before the request until 5.11 (commit
 * a54895fa057c, which 5.10.137 has too): user space counts the arguments. */
const volatile bool request_has_queue = false;

/* The first argument of a tracepoint, or the one after the queue. The barrier keeps the compiler
 * from making one access at a computed place of two, which the verifier refuses. */
static __always_inline void *argument_after_queue(__u64 *context, bool has_queue)
{
	void *argument;

	if (!has_queue)
		return (void *)context[0];
	argument = (void *)context[1];
	barrier_var(argument);
	return argument;
}

static __always_inline struct request *request_argument(__u64 *context)
{
	return argument_after_queue(context, request_has_queue);
}

/* Numbers of enum req_op, which have never changed; since 4.10 odd ones write. */
enum {
	REQUEST_OPERATION_MASK = 0xff,
	REQUEST_WRITE = 1,
	REQUEST_FLUSH = 2,
	REQUEST_DISCARD = 3,
	REQUEST_PASSTHROUGH = 32, /* and above: commands that are no block I/O */
};

/* Of blk_status_t; before 5.16 (commit 8a7d267b4a2c) the tracepoint gives a negative errno. */
enum {
	REQUEST_NOT_SUPPORTED = 1,
	REQUEST_EOPNOTSUPP = -95,
};

/* BLOCK_OPERATIONS for what is none. */
static __always_inline __u32 operation_of_flags(__u32 flags)
{
	__u32 operation = flags & REQUEST_OPERATION_MASK;

	if (operation >= REQUEST_PASSTHROUGH)
		return BLOCK_OPERATIONS;
	if (operation == REQUEST_FLUSH)
		return BLOCK_FLUSH;
	if (operation == REQUEST_DISCARD)
		return BLOCK_DISCARD;
	return operation & 1 ? BLOCK_WRITE : BLOCK_READ;
}

static __always_inline __u32 request_operation(const struct request *rq)
{
	return operation_of_flags(rq->cmd_flags);
}

static __always_inline struct gendisk *request_disk(struct request *rq)
{
	/* A request had its disk until 5.17 (commit f3fa33acca9f); a queue has it since 5.15
	 * (commit d152c682f03c). */
	if (bpf_core_field_exists(((struct request___v516 *)0)->rq_disk))
		return ((struct request___v516 *)rq)->rq_disk;
	return ((struct request_queue___v515 *)rq->q)->disk;
}

static __always_inline __u32 disk_device(const struct gendisk *disk)
{
	return (__u32)disk->major << BLOCK_MINOR_BITS | (__u32)disk->first_minor;
}

/*
 * A request that carries data and must flush before or after is completed once for its data and
 * once more, with nothing left, for the whole; one that only asks for a flush has a request of the
 * flush itself. These shells are no I/O.
 */
static __always_inline bool request_is_shell(__u32 operation, __u32 bytes)
{
	return !bytes && operation != BLOCK_FLUSH;
}

/* Time from start to end; a clock that was read a little early must not make it 2^64. */
static __always_inline __u64 time_between(__u64 start_ns, __u64 end_ns)
{
	return (__s64)(end_ns - start_ns) > 0 ? end_ns - start_ns : 0;
}

#endif
