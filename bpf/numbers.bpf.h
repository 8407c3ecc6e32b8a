/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_NUMBERS_H
#define TOCSIN_BPF_NUMBERS_H

/* Numbers of the kernel's user interface, which never change and which no type carries. */

#define IPPROTO_TCP 6

#define IPPROTO_UDP 17

enum { AF_INET = 2, AF_INET6 = 10 };
enum { ETH_P_IP = 0x0800, ETH_P_IPV6 = 0x86dd };

/* States of include/net/tcp_states.h (linux/bpf.h repeats them for programs). */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT1 = 4,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_LAST_ACK = 9,
	TCP_LISTEN = 10,
	TCP_CLOSING = 11,
	TCP_NEW_SYN_RECV = 12,
};

/* Whom an error in a socket's queue is from (linux/errqueue.h). */
enum { SO_EE_ORIGIN_ICMP = 2, SO_EE_ORIGIN_ICMP6 = 3 };

/* errno numbers of the generic table; alpha, mips, parisc and sparc differ and are not supported.
 */
enum {
	EAGAIN = 11,
	EBUSY = 16,
	EEXIST = 17,
	ENETUNREACH = 101,
	ECONNRESET = 104,
	ETIMEDOUT = 110,
	ECONNREFUSED = 111,
	EHOSTUNREACH = 113,
};

#endif
