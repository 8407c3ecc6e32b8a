/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_FENCE_H
#define TOCSIN_ISOLATE_FENCE_H

/*
 * The fence: an nftables table that blocks this node's own traffic, in the network namespace of the
 * calling thread, but for what the cluster needs in order to release it. It is the kernel's: it
 * stays when the agent ends. docs/isolation.md says what it lets through.
 */

#include "base/address.h"
#include "base/text.h"
#include "isolate/nft.h"

#include <stddef.h>
#include <stdint.h>

struct fence_endpoint {
	struct address address;
	uint16_t port;
};

/* What is let through; lists may overlap and repeat themselves. */
struct fence_settings {
	const struct cidr *members; /* whose agents are heard and answered on agent_port */
	size_t member_count;
	uint16_t agent_port;
	/* TCP to these; one that is this node's own, as it hosts a part of the store, is open to
	 * the members. */
	const struct fence_endpoint *store;
	size_t store_count;
	const struct cidr *allow; /* everything from and to these */
	size_t allow_count;
};

/*
 * Begins to put the fence up, or to replace the one that is there: each packet meets either the old
 * one or the new one, whole. Returns 0, and nft_finish() tells how it ended; or -errno
 * (nft_table_exists(), nft_begin()). Whenever it fails nothing has changed, and 'error' says what
 * to do.
 */
int fence_begin(struct nft_run *ret_run, const struct fence_settings *settings, struct text *error);

/* Begins to take the fence down; none being there is fine, and ends at once. As above. */
int fence_begin_removal(struct nft_run *ret_run, struct text *error);

/* Whether the fence is up: 1, 0 or -errno. */
int fence_present(struct text *error);

/* Has the kernel try a fence without putting it up. Returns 0 when it could be, or -errno. */
int fence_check(struct text *error);

#endif
