/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_SUBMISSION_H
#define TOCSIN_BPF_SUBMISSION_H

/*
 * Block I/O from its submission to its end, with the one who submitted it: at the end somebody else
 * runs. A trace that includes this lists SUBMISSION_PROGRAMS (user/trace/block_io.h) among its
 * programs, and defines io_ended().
 *
 * Most devices have requests. Those that hand on bios themselves (device mapper, MD, zram, the
 * heads of NVMe multipath) have none: their bios are followed.
 *
 * A flush that carries no data is a write without data that the submitter waits for, and it is that
 * which is followed. The request that the flush machinery makes of it, maybe of several at once,
 * belongs to nobody; it is what counts where the kernel does not tell of submissions.
 */

#include "maps/io.h"

#include "filter_owner.bpf.h"
#include "request.bpf.h"
#include "trace.bpf.h"

const volatile __u32 filter_device = 0; /* a disk with its partitions, or a partition; 0: all */
/* Whether each request is told of as it is submitted (block_io_start, since 6.5). Before, the
 * submitter is who puts it into a queue, or hands it to the driver when it is in none. */
const volatile bool request_start_is_told = false;
/* block_bio_queue had the queue before the bio until 5.11 (commit e8a676d61c07): user space counts
 * the arguments. */
const volatile bool bio_has_queue = false;

/* By the address of the request or bio. Those of another owner are in it, too: one that is missing
 * is older than the trace. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct submission);
} submissions SEC(".maps");

/* What the trace makes of an I/O of a wanted device and owner. */
static __always_inline void io_ended(const struct submission *io, __u64 now_ns);

static __always_inline bool device_wanted(__u32 device, const struct gendisk *disk)
{
	return !filter_device || device == filter_device || disk_device(disk) == filter_device;
}

/* What a bio was sent to, if that is known: maybe a partition (since 5.12, commit 309dca309fc3). */
static __always_inline __u32 device_of(const struct bio *bio, const struct gendisk *disk)
{
	if (bpf_core_field_exists(((struct bio___v512 *)0)->bi_bdev) && bio)
		return ((const struct bio___v512 *)bio)->bi_bdev->bd_dev;
	return disk_device(disk);
}

static __always_inline struct gendisk *disk_of_bio(const struct bio *bio)
{
	if (bpf_core_field_exists(((struct bio___v512 *)0)->bi_bdev))
		return ((const struct bio___v512 *)bio)->bi_bdev->bd_disk;
	return ((const struct bio___v511 *)bio)->bi_disk;
}

/*
 * The cgroup that an I/O is charged to, where its controller is in the v2 tree: with that it is
 * known also of what the kernel's threads write back. The controller may be on for an ancestor
 * only; then the task's own is closer.
 */
static __always_inline struct cgroup *cgroup_of_io(const struct bio *bio, struct cgroup *of_task)
{
	struct cgroup *charged;

	if (!bpf_core_field_exists(((struct bio *)0)->bi_blkg))
		return of_task;
	charged = BPF_CORE_READ(bio, bi_blkg, blkcg, css.cgroup);
	/* The v2 tree has number 0, as /proc/PID/cgroup shows. */
	if (!charged || BPF_CORE_READ(charged, root, hierarchy_id))
		return of_task;
	if (cgroup_ancestor_id(of_task, BPF_CORE_READ(charged, level)) == cgroup_id_of(charged))
		return of_task;
	return charged;
}

static __always_inline void find_owner(struct submission *io, const struct bio *bio)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct cgroup *cgroup = cgroup_of_io(bio, cgroup_of_task(task));

	owner_of_task(task, &io->owner);
	io->owner.cgroup_id = cgroup_id_of(cgroup);
	io->wanted &= (!filter_pid || io->owner.pid == filter_pid) && cgroup_wanted(cgroup);
}

static __always_inline void note(__u64 id, const struct submission *io)
{
	if (bpf_map_update_elem(&submissions, &id, io, BPF_ANY))
		__sync_fetch_and_add(&trace_counters.updates_lost, 1);
}

/* ---- requests ---- */

/* Addresses are used again: one that is open still has ended without having been seen. */
static __always_inline void count_unseen_end(struct request *rq)
{
	__u64 id = (__u64)rq;
	const struct submission *io = bpf_map_lookup_elem(&submissions, &id);

	if (io && submission_is_open(io))
		__sync_fetch_and_add(&trace_counters.events_lost, 1);
}

static __always_inline void note_request(struct request *rq)
{
	__u32 operation = request_operation(rq);
	struct gendisk *disk = request_disk(rq);
	struct submission io = {.wanted = true};

	if (operation == BLOCK_OPERATIONS || !disk)
		return;
	io.device = device_of(rq->bio, disk);
	if (!device_wanted(io.device, disk))
		return;
	io.operation = operation;
	io.sector = rq->__sector;
	if (request_start_is_told) {
		if ((rq->cmd_flags & REQUEST_OPERATION_MASK) == REQUEST_WRITE && !rq->__data_len)
			io.operation = BLOCK_FLUSH;
		io.submitted_ns = bpf_ktime_get_ns();
	} else {
		io.submitted_ns = rq->start_time_ns ?: bpf_ktime_get_ns();
	}
	if (operation != BLOCK_FLUSH)
		find_owner(&io, rq->bio);
	else if (filter_pid || filter_cgroup_id)
		io.wanted = false;
	io.may_merge = io.operation != BLOCK_FLUSH;
	count_unseen_end(rq);
	note((__u64)rq, &io);
}

SEC("tp_btf/block_io_start")
int BPF_PROG(request_starts, struct request *rq)
{
	note_request(rq);
	return 0;
}

/* Whether it has been noted since it was allocated: addresses are used again. */
static __always_inline bool is_noted(struct request *rq)
{
	__u64 id = (__u64)rq;
	struct submission *io = bpf_map_lookup_elem(&submissions, &id);

	return io && io->submitted_ns == rq->start_time_ns;
}

SEC("tp_btf/block_rq_insert")
int request_is_queued(__u64 *context)
{
	struct request *rq = request_argument(context);

	if (!request_start_is_told && !is_noted(rq))
		note_request(rq);
	return 0;
}

SEC("tp_btf/block_rq_issue")
int request_is_issued(__u64 *context)
{
	struct request *rq = request_argument(context);
	__u64 id = (__u64)rq;
	struct submission *io;

	if (!request_start_is_told && !is_noted(rq))
		note_request(rq);
	io = bpf_map_lookup_elem(&submissions, &id);
	if (io)
		io->issued_ns = bpf_ktime_get_ns();
	return 0;
}

/* One that was submitted before the trace began: by whom is not known any more. */
static __always_inline void older_request_ended(struct request *rq, __u32 operation, int error,
						__u32 bytes)
{
	struct gendisk *disk = request_disk(rq);
	__u64 now_ns = bpf_ktime_get_ns();
	struct submission io = {
		.operation = operation,
		.error = error,
		.bytes = bytes,
		.submitted_ns = rq->start_time_ns,
		.issued_ns = rq->io_start_time_ns,
		.sector = rq->__sector,
	};

	if (filter_pid || filter_cgroup_id || !disk || !io.submitted_ns)
		return;
	if (request_is_shell(operation, bytes) ||
	    (request_start_is_told && operation == BLOCK_FLUSH))
		return;
	io.device = device_of(rq->bio, disk);
	if (device_wanted(io.device, disk))
		io_ended(&io, now_ns);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(request_ends, struct request *rq, int error, unsigned int bytes)
{
	__u32 operation = request_operation(rq);
	bool whole = bytes >= rq->__data_len;
	__u64 id = (__u64)rq;
	struct submission *io;

	if (operation == BLOCK_OPERATIONS)
		return 0;
	io = bpf_map_lookup_elem(&submissions, &id);
	if (!io) {
		if (whole)
			older_request_ended(rq, operation, error, bytes);
		return 0;
	}
	/* A device may complete it in parts; an error is told with the part that has it. */
	io->bytes += bytes;
	if (!io->error)
		io->error = error;
	if (!whole)
		return 0;
	if (io->wanted)
		io_ended(io, bpf_ktime_get_ns());
	bpf_map_delete_elem(&submissions, &id);
	return 0;
}

/* ---- bios of devices without requests ---- */

SEC("tp_btf/block_bio_queue")
int bio_is_queued(__u64 *context)
{
	struct bio *bio = argument_after_queue(context, bio_has_queue);
	struct gendisk *disk = disk_of_bio(bio);
	struct submission io = {.wanted = true};

	if (!disk || disk->queue->mq_ops)
		return 0;
	io.operation = operation_of_flags(bio->bi_opf);
	io.device = device_of(bio, disk);
	if (io.operation == BLOCK_OPERATIONS || !device_wanted(io.device, disk))
		return 0;
	io.bytes = bio->bi_iter.bi_size;
	io.sector = bio->bi_iter.bi_sector;
	if ((bio->bi_opf & REQUEST_OPERATION_MASK) == REQUEST_WRITE && !io.bytes)
		io.operation = BLOCK_FLUSH;
	io.submitted_ns = bpf_ktime_get_ns();
	find_owner(&io, bio);
	note((__u64)bio, &io);
	return 0;
}

/* It may have been handed on to a device with requests meanwhile. */
SEC("tp_btf/block_bio_complete")
int BPF_PROG(bio_ends, struct request_queue *queue, struct bio *bio)
{
	__u64 id = (__u64)bio;
	struct submission *io = bpf_map_lookup_elem(&submissions, &id);

	if (!io)
		return 0;
	io->error = bio->bi_status;
	if (io->wanted)
		io_ended(io, bpf_ktime_get_ns());
	bpf_map_delete_elem(&submissions, &id);
	return 0;
}

/* ---- times ---- */

static __always_inline __u64 io_latency_ns(const struct submission *io, __u64 now_ns)
{
	return time_between(io->submitted_ns, now_ns);
}

static __always_inline __u64 io_queue_ns(const struct submission *io)
{
	return io->issued_ns ? time_between(io->submitted_ns, io->issued_ns) : 0;
}

static __always_inline __u64 io_device_ns(const struct submission *io, __u64 now_ns)
{
	return io->issued_ns ? time_between(io->issued_ns, now_ns) : 0;
}

#endif
