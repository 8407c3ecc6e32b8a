/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_ERROR_REASON_H
#define TOCSIN_BPF_ERROR_REASON_H

#include "maps/peer.h"

#include "numbers.bpf.h"

#include <bpf/bpf_core_read.h>

/* Why a connect or a connection ended, by the socket's error. */
static __always_inline enum peer_error error_reason(int error)
{
	switch (error) {
	case 0:
		return PEER_ERROR_ABANDONED;
	case ECONNREFUSED:
		return PEER_ERROR_REFUSED;
	case ECONNRESET:
		return PEER_ERROR_RESET;
	case ETIMEDOUT:
		return PEER_ERROR_TIMED_OUT;
	case EHOSTUNREACH:
		return PEER_ERROR_HOST_UNREACHABLE;
	case ENETUNREACH:
		return PEER_ERROR_NET_UNREACHABLE;
	default:
		return PEER_ERROR_OTHER;
	}
}

/* What an ICMP message has said that came while the socket was in use, as those of the own host do:
 * it lies in the queue of errors, where a program sees that its connect has failed. */
static __always_inline int error_queued(struct sock *sk)
{
	struct sock_exterr_skb *error;
	struct sk_buff *skb;

	if (!sk->sk_error_queue.qlen)
		return 0;
	skb = BPF_CORE_READ(sk, sk_error_queue.next);
	error = (struct sock_exterr_skb *)skb->cb;
	return BPF_CORE_READ(error, ee.ee_origin) == SO_EE_ORIGIN_ICMP ||
			       BPF_CORE_READ(error, ee.ee_origin) == SO_EE_ORIGIN_ICMP6
		       ? BPF_CORE_READ(error, ee.ee_errno)
		       : 0;
}

/* Why a connect failed. That its program gave it up is known by the socket's being shut down. What
 * fails otherwise and has no error failed within connect() itself (no port was free), or its
 * program was quick to fetch the error. */
static __always_inline enum peer_error connect_error_reason(struct sock *sk)
{
	int error = sk->sk_err;

	if (!error)
		error = error_queued(sk);
	if (!error)
		error = sk->sk_err_soft;
	return error || sk->sk_shutdown ? error_reason(error) : PEER_ERROR_OTHER;
}

#endif
