// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* TCP connections that have ended: how long they lived and what they carried. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/tcplife.h"

#include "cast.bpf.h"
#include "filter.bpf.h"
#include "socket_owner.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct birth {
	__u64 time_ns;
	__u32 direction;
	__u32 established;
};

SOCKET_RECORDS(birth, struct birth, SOCKETS_BY_ADDRESS_MAX)

static __always_inline void note_state(struct sock *sk, int old_state, int new_state)
{
	bool connects = old_state == TCP_CLOSE && new_state == TCP_SYN_SENT;
	/* With TCP Fast Open it may be used, and closed, before it is established. */
	bool lives = new_state == TCP_ESTABLISHED ||
		     (old_state == TCP_SYN_RECV && new_state != TCP_CLOSE);
	struct birth *birth;

	if (!connects && !lives)
		return;
	birth = birth_find_or_make(sk);
	if (!birth) {
		__sync_fetch_and_add(&trace_counters.updates_lost, 1);
		return;
	}
	birth->established = lives;
	if (birth->time_ns && !connects)
		return;
	birth->time_ns = bpf_ktime_get_ns();
	birth->direction = connects ? TCPLIFE_OUT : TCPLIFE_IN;
}

/* What was sent, once, less what was never acknowledged. A FIN that was sent is the last of the
 * sequence numbers of these states. */
static __always_inline __u64 acknowledged_bytes(const struct tcp_sock *tp, int old_state)
{
	__u32 unacknowledged = tp->snd_nxt - tp->snd_una;
	bool finishing =
		old_state == TCP_FIN_WAIT1 || old_state == TCP_CLOSING || old_state == TCP_LAST_ACK;
	__u64 sent = tp->bytes_sent - tp->bytes_retrans;

	if (unacknowledged && finishing && tp->snd_nxt == tp->write_seq)
		unacknowledged--;
	return sent > unacknowledged ? sent - unacknowledged : 0;
}

/* A FIN takes a place among the bytes received (tcp_fin() sets SOCK_DONE). */
static __always_inline __u64 received_bytes(const struct sock *sk, const struct tcp_sock *tp)
{
	__u64 bytes = tp->bytes_received;
	bool fin = BPF_CORE_READ(sk, __sk_common.skc_flags) >>
			   bpf_core_enum_value(enum sock_flags, SOCK_DONE) &
		   1;

	return bytes && fin ? bytes - 1 : bytes;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(connection_ends, struct sock *sk, int old_state, int new_state)
{
	const struct sock_common *common = &sk->__sk_common;
	const struct tcp_sock *tp;
	struct tcplife_event *record;
	struct peer_key local, remote;
	struct birth *birth, born = {.direction = TCPLIFE_UNKNOWN, .established = 1};
	__u64 now_ns, duration_ns;
	__u16 local_port;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	note_state(sk, old_state, new_state);
	if (new_state != TCP_CLOSE)
		return 0;
	birth = birth_find(sk);
	if (birth)
		born = *birth;
	birth_forget(sk);
	/* One that was never established is no connection: `tocsin trace connect` has it. */
	if (old_state == TCP_SYN_SENT || old_state == TCP_SYN_RECV || old_state == TCP_LISTEN ||
	    !born.established)
		return 0;
	tp = tcp_sock_of(sk);
	if (!tp)
		return 0;
	local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	if (!socket_wanted(common, local_port) || !remote_of(common, &remote) ||
	    !address_wanted(&remote) || !local_of(common, &local) || !socket_owner_wanted(sk))
		return 0;
	now_ns = bpf_ktime_get_ns();
	duration_ns = born.time_ns ? now_ns - born.time_ns : 0;
	if (duration_ns < filter_min_ns)
		return 0;
	record = event_reserve(struct tcplife_event, now_ns);
	if (!record)
		return 0;
	owner_of_socket(sk, &record->owner);
	record->local = local;
	record->remote = remote;
	record->local_port = local_port;
	record->remote_port = bpf_ntohs(common->skc_dport);
	record->retransmits = tp->total_retrans;
	record->duration_ns = duration_ns;
	record->sent_bytes = acknowledged_bytes(tp, old_state);
	record->received_bytes = received_bytes(sk, tp);
	/* Eighths of a microsecond. */
	record->rtt_ns = tp->srtt_us * 125ULL;
	record->error = sk->sk_err;
	record->direction = born.direction;
	__builtin_memset(record->reserved, 0, sizeof(record->reserved));
	bpf_ringbuf_submit(record, 0);
	return 0;
}
