/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_DROP_REASON_H
#define TOCSIN_BPF_DROP_REASON_H

/* Why a packet is dropped, for programs on kfree_skb. */

/* The reason is an argument since 5.17 (commit c504e5c2f964); the loader looks at the prototype. */
const volatile bool drop_has_reason = false;
/* A packet that was used up is freed with this reason since 6.1, and is no drop. */
const volatile __u32 drop_reason_consumed = 0xffffffff;

/* False when it is no drop. The reason is 0 where the kernel gives none. */
static __always_inline bool drop_reason_of(__u64 *context, __u32 *reason)
{
	*reason = drop_has_reason ? (__u32)context[2] : 0;
	return !drop_has_reason || *reason != drop_reason_consumed;
}

#endif
