/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_IO_H
#define TOCSIN_MAPS_IO_H

/* What `tocsin trace io` and `iotop` see: block I/O that has ended. */

#include "maps/block.h"
#include "maps/trace.h"

enum io_grouping {
	IO_BY_NOTHING,
	IO_BY_DEVICE,
	IO_BY_OPERATION,
	IO_BY_STAGE,
	IO_BY_CGROUP,
};

/* Which part of its time. */
enum io_stage {
	IO_WHOLE,  /* from submission to its end */
	IO_QUEUE,  /* until its driver had it */
	IO_DEVICE, /* from then on */
	IO_STAGES,
};

struct io_key {
	__u32 epoch;
	__u32 device; /* the partition where it is known, else the disk; these: 0 unless grouped by
		       */
	__u32 operation; /* enum block_operation */
	__u32 stage;	 /* enum io_stage */
	__u64 cgroup_id;
	/* Always there, so that CPUs do not write to the same histogram. */
	__u32 cpu;
	__u32 reserved;
};

/* An I/O that has been submitted and has not ended, in the map "submissions". */
struct submission {
	struct owner owner;
	__u64 submitted_ns;
	__u64 issued_ns; /* to its driver; 0: not seen */
	__u64 sector;
	__u64 bytes; /* of a request: what was completed so far */
	__u32 device;
	__u32 operation;
	__s32 error;
	__u8 wanted;	/* by the filters */
	__u8 may_merge; /* as long as its driver does not have it */
	__u8 reserved[2];
};

/* Whether its end is missing yet: it was not merged into another one. */
static inline __attribute__((always_inline)) int submission_is_open(const struct submission *io)
{
	return io->wanted && (io->issued_ns || !io->may_merge);
}

struct io_event {
	struct event event; /* when it ended */
	struct owner owner; /* who submitted it; zero for I/O that is older than the trace */
	__u64 latency_ns;
	__u64 queue_ns, device_ns; /* zero where its driver is not seen to get it */
	__u64 sector;
	__u64 bytes;
	__u32 device;
	__u32 operation; /* enum block_operation */
	__s32 error; /* blk_status_t, or a negative errno before Linux 5.16; of parts, the first */
	__u32 reserved;
};

struct iotop_key {
	__u32 epoch;
	__u32 pid; /* thread group */
	__u64 cgroup_id;
	char comm[TRACE_COMM_BYTES];
	__u32 device;
	/* A device's ends are all seen by one program, which does not interrupt itself: nobody else
	 * writes to a CPU's row. */
	__u32 cpu;
};

struct iotop_count {
	__u64 bytes; /* read and written */
	__u64 reads, writes, others;
	__u64 read_bytes, write_bytes;
	__u64 errors;
	__u64 latency_sum_ns, latency_max_ns;
	__u64 latency_mean_ns; /* by user space */
};

_Static_assert(sizeof(struct submission) == 80, "submission is shared with the kernel side");
_Static_assert(sizeof(struct io_key) == 32, "io_key is shared with the kernel side");
_Static_assert(sizeof(struct io_event) == 96, "io_event is shared with the kernel side");
_Static_assert(sizeof(struct iotop_key) == 40, "iotop_key is shared with the kernel side");
_Static_assert(sizeof(struct iotop_count) == 80, "iotop_count is shared with the kernel side");

#endif
