// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define ENTRIES 8

int uring_open(struct uring *ring)
{
	struct io_uring_params parameters = {0};
	char *rings;

	*ring = (struct uring){0};
	ring->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &parameters);
	if (ring->fd < 0) {
		ring->fd = 0;
		return -1;
	}
	/* Both rings are one mapping since 5.4. */
	assert_true(parameters.features & IORING_FEAT_SINGLE_MMAP);
	ring->rings_bytes =
		parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
	ring->entries_bytes = parameters.sq_entries * sizeof(struct io_uring_sqe);
	ring->rings = mmap(NULL, ring->rings_bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
	ring->entries = mmap(NULL, ring->entries_bytes, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	assert_ptr_not_equal(ring->rings, MAP_FAILED);
	assert_ptr_not_equal(ring->entries, MAP_FAILED);
	rings = ring->rings;
	ring->submission_tail = (void *)(rings + parameters.sq_off.tail);
	ring->submission_array = (void *)(rings + parameters.sq_off.array);
	ring->submission_mask = parameters.sq_entries - 1;
	ring->completion_head = (void *)(rings + parameters.cq_off.head);
	ring->completion_tail = (void *)(rings + parameters.cq_off.tail);
	ring->completion_mask = parameters.cq_entries - 1;
	ring->completions = rings + parameters.cq_off.cqes;
	return 0;
}

void uring_close(struct uring *ring)
{
	if (!ring->fd)
		return;
	munmap(ring->entries, ring->entries_bytes);
	munmap(ring->rings, ring->rings_bytes);
	close(ring->fd);
	*ring = (struct uring){0};
}

void uring_accept(struct uring *ring, int listener, bool multishot)
{
	unsigned int tail = *ring->submission_tail, index = tail & ring->submission_mask;
	struct io_uring_sqe *entry = (struct io_uring_sqe *)ring->entries + index;

	memset(entry, 0, sizeof(*entry));
	entry->opcode = IORING_OP_ACCEPT;
	entry->fd = listener;
	/* IORING_ACCEPT_MULTISHOT, which older headers lack. */
	entry->ioprio = multishot ? 1 : 0;
	ring->submission_array[index] = index;
	__atomic_store_n(ring->submission_tail, tail + 1, __ATOMIC_RELEASE);
	assert_int_equal(syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0), 1);
}

int uring_result(struct uring *ring)
{
	unsigned int head = *ring->completion_head;
	struct io_uring_cqe *entry;
	int result;

	if (head == __atomic_load_n(ring->completion_tail, __ATOMIC_ACQUIRE))
		assert_int_equal(syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS,
					 NULL, 0),
				 0);
	assert_int_not_equal(head, __atomic_load_n(ring->completion_tail, __ATOMIC_ACQUIRE));
	entry = (struct io_uring_cqe *)ring->completions + (head & ring->completion_mask);
	result = entry->res;
	__atomic_store_n(ring->completion_head, head + 1, __ATOMIC_RELEASE);
	return result;
}
