/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_NFT_H
#define TOCSIN_ISOLATE_NFT_H

/*
 * The kernel's nf_tables, in the network namespace of the calling thread. Both calls wait for the
 * kernel's answer: some milliseconds, and never longer than 5 s.
 */

#include "base/text.h"

#include <stdbool.h>

/*
 * Whether the table of this name exists in the family inet: 1 or 0. -EPERM without CAP_NET_ADMIN,
 * -EOPNOTSUPP when the kernel has no nf_tables, or another errno; 'error' then says what to do.
 * Needs no library.
 */
int nft_table_exists(const char *name, struct text *error);

/*
 * Runs commands in nft's language as one transaction, through libnftables: all of it is in force
 * for the next packet, or nothing. With 'check' the kernel only tries them. Returns 0; -ENOENT
 * when the library is not installed; -ETIMEDOUT; -EIO when they were refused; or another errno.
 */
int nft_run(const char *commands, bool check, struct text *error);

#endif
