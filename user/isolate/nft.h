/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_NFT_H
#define TOCSIN_ISOLATE_NFT_H

/*
 * The kernel's nf_tables, in the network namespace of the calling thread. Commands take some
 * milliseconds, and never longer than 5 s.
 */

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Commands that are being run, in a process of their own. */
struct nft_run {
	pid_t pid;	 /* 0: nothing is to be done */
	int fd;		 /* to be read from as soon as nft_finish() need not wait */
	uint64_t end_ns; /* CLOCK_MONOTONIC: then nft_finish() gives up */
};

/*
 * Whether the table of this name exists in the family inet: 1 or 0. -EPERM without CAP_NET_ADMIN,
 * -EOPNOTSUPP when the kernel has no nf_tables, or another errno; 'error' then says what to do.
 * Needs no library, and waits for the kernel, which answers at once.
 */
int nft_table_exists(const char *name, struct text *error);

/*
 * Begins to run commands in nft's language as one transaction, through libnftables: all of it is in
 * force for the next packet, or nothing. With 'check' the kernel only tries them. Returns 0, and
 * nft_finish() must follow; or -errno.
 */
int nft_begin(struct nft_run *ret_run, const char *commands, bool check, struct text *error);

/*
 * Waits for the end, and tells it: 0; -ENOENT when the library is not installed; -ETIMEDOUT; -EIO
 * when they were refused; or another errno.
 */
int nft_finish(struct nft_run *run, struct text *error);

#endif
