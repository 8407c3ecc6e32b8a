/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_RETRANSMIT_H
#define TOCSIN_BPF_RETRANSMIT_H

/* What a retransmit is, at the tracepoint tcp_retransmit_skb. */

#include "maps/peer.h"

#include "numbers.bpf.h"

enum { TCP_CA_Recovery = 3, TCP_CA_Loss = 4 };
enum { ICSK_TIME_LOSS_PROBE = 5 };

/*
 * tcp_retransmit_skb got its third argument, err, in Linux 6.17 (commit ad892e912b84); the loader
 * looks at the prototype in BTF and sets this, so that the access below is pruned where it does not
 * exist.
 */
const volatile bool retransmit_has_error = false;

static __always_inline enum peer_retransmit retransmit_kind(const struct sock *sk,
							    const struct tcp_sock *tp)
{
	const struct inet_connection_sock *icsk = &tp->inet_conn;
	__u8 ca_state = BPF_CORE_READ_BITFIELD(icsk, icsk_ca_state);

	if (sk->__sk_common.skc_state == TCP_SYN_SENT)
		return PEER_RETRANSMIT_SYN;
	if (sk->__sk_common.skc_state == TCP_SYN_RECV)
		return PEER_RETRANSMIT_SYNACK;
	/* A probe is never sent from recovery, but its timer may still be armed there. */
	if (icsk->icsk_pending == ICSK_TIME_LOSS_PROBE && ca_state < TCP_CA_Recovery)
		return PEER_RETRANSMIT_TLP;
	/* The timer's handler clears icsk_pending first; acknowledgements that drive recovery find
	 * it armed. */
	if (ca_state == TCP_CA_Loss && !icsk->icsk_pending)
		return PEER_RETRANSMIT_RTO;
	return PEER_RETRANSMIT_FAST;
}

#endif
