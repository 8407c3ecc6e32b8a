/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_MAPS_BLOCK_H
#define TOCSIN_MAPS_BLOCK_H

/* clang-format off */
/*
 * What the block programs and user space share.
 *
 *	map			kind
 *	block_slots		per-CPU array	struct block_slot, where device and operation lead to
 *	block_slot_owners	hash		slot -> the struct block_key that it belongs to
 *	block_records		per-CPU hash	device and operation -> struct block_record, for those whose slot
 *						is another one's
 *	block_names		hash		device -> its name at its first I/O
 *	block_in_flight		array, mapped	sets of requests that their driver has and has not completed
 *
 * Records are per CPU, so that no CPU writes what another one counts; user space adds them up.
 */
/* clang-format on */

#include "maps/histogram.h"

#define BLOCK_DEVICES_MAX 256
#define BLOCK_NAME_BYTES  32 /* DISK_NAME_LEN */
#define BLOCK_MINOR_BITS  20 /* of the kernel's own device numbers */

enum block_operation {
	BLOCK_READ,
	BLOCK_WRITE, /* and all else that changes the medium, as /proc/diskstats has it */
	BLOCK_FLUSH,
	BLOCK_DISCARD,
	BLOCK_OPERATIONS,
};

struct block_key {
	__u32 device;	 /* of the whole disk, as the kernel numbers it */
	__u32 operation; /* enum block_operation */
};

/* All but completed_ns only grow. */
struct block_record {
	__u64 completed_ns; /* CLOCK_MONOTONIC, the last completion */
	__u64 bytes;
	__u64 errors;	   /* completions with an error, without the next */
	__u64 unsupported; /* the device does not have this operation */
	__u64 device_sum_ns, queue_sum_ns;
	__u64 device[HISTOGRAM_BUCKETS]; /* from its driver's start to completion */
	__u64 queue[HISTOGRAM_BUCKETS];	 /* from allocation to its driver's start */
};

/* A key has a slot or, because it was too late, a record in the hash, which costs a call more. */
#define BLOCK_SLOT_BITS 6
#define BLOCK_SLOTS	(1 << BLOCK_SLOT_BITS)

static inline __attribute__((always_inline)) __u32 block_slot_index(const struct block_key *key)
{
	return (key->device << 2 | key->operation) * 0x9e3779b1 >> (32 - BLOCK_SLOT_BITS);
}

struct block_slot {
	struct block_key key; /* of device 0: not used on this CPU */
	struct block_record record;
};

struct block_name {
	char name[BLOCK_NAME_BYTES];
};

/* A request that its driver has. */
struct block_request {
	__u64 request;	/* its distance from request_origin (bpf/block.bpf.c); 0: free */
	__u64 start_ns; /* when it was allocated */
	__u64 issue_ns; /* when its driver got it; 0 where the kernel keeps that itself */
	__u32 device;
	__u32 operation;
};

/* Where a request may be found: in one of the ways of the set that its address leads to. */
#define BLOCK_SET_BITS 11
#define BLOCK_SETS     (1 << BLOCK_SET_BITS)
#define BLOCK_WAYS     4

struct block_set {
	struct block_request ways[BLOCK_WAYS];
};

/* Which requests user space wants looked at, by their places: set * BLOCK_WAYS + way. */
#define BLOCK_BATCH 64

struct block_batch {
	__u32 count;
	__u32 places[BLOCK_BATCH];
};

/* How the programs fare; all only grow. */
struct block_counters {
	__u64 records_lost;   /* completions not counted: too many devices, or no memory */
	__u64 in_flight_lost; /* requests whose age is not followed: their set was full */
	__u64 start_unknown;  /* completions whose start no one kept: not in the histograms */
	__u64 issue_unknown;  /* completions timed from their allocation */
	__u64 errors;	      /* completions with an error, of all devices */
	__u64 issue_clocked;  /* issues at which the clock was read, because the kernel does not */
	/* Requests that were found to have ended though no program saw it, and are in no record:
	 * the kernel ran none then, or a stacking driver took the request back. */
	__u64 completions_unseen;
};

_Static_assert(sizeof(struct block_key) == 8, "block_key is shared with the kernel side");
_Static_assert(sizeof(struct block_record) == 1584, "block_record is shared with the kernel side");
_Static_assert(sizeof(struct block_slot) == 1592, "block_slot is shared with the kernel side");
_Static_assert(sizeof(struct block_set) == 128, "block_set is shared with the kernel side");

#endif
