/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_ERROR_REASON_H
#define TOCSIN_BPF_ERROR_REASON_H

#include "maps/peer.h"

#include "numbers.bpf.h"

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

#endif
