/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_URING_H
#define TOCSIN_TESTS_LIVE_URING_H

/* As much of io_uring as it takes to accept connections through it. */

#include <stdbool.h>
#include <stddef.h>

struct uring {
	int fd; /* 0: not open */
	void *rings, *entries;
	size_t rings_bytes, entries_bytes;
	unsigned int *submission_tail, *submission_array, submission_mask;
	unsigned int *completion_head, *completion_tail, completion_mask;
	void *completions;
};

/* Returns 0, or -1 with errno where the kernel has none or does not allow it. */
int uring_open(struct uring *ring);
void uring_close(struct uring *ring);

/* Asks for one connection of a listener, or for all that come. What cannot be done fails the
 * running test, here and below. */
void uring_accept(struct uring *ring, int listener, bool multishot);

/* Waits for the next result and takes it. */
int uring_result(struct uring *ring);

#endif
