// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the kernel's TCP knows of each remote address: heard, acknowledged, retransmitted, refused.
 * The received segment is the busy path: it touches the socket's own record and nothing shared.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/flow.h"
#include "maps/peer.h"

#include "filter.bpf.h"
#include "peer.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define IPPROTO_TCP 6

enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_SYN_RECV = 3, TCP_CLOSE = 7 };
enum { TCP_CA_Recovery = 3, TCP_CA_Loss = 4 };
enum { ICSK_TIME_LOSS_PROBE = 5 };

/* errno numbers of the generic table; alpha, mips, parisc and sparc differ and are not supported.
 */
enum {
	EAGAIN = 11,
	EBUSY = 16,
	ENETUNREACH = 101,
	ECONNRESET = 104,
	ETIMEDOUT = 110,
	ECONNREFUSED = 111,
	EHOSTUNREACH = 113,
};

/*
 * tcp_retransmit_skb got its third argument, err, in Linux 6.17 (commit ad892e912b84); the loader
 * looks at the prototype in BTF and sets this, so that the access below is pruned where it does not
 * exist.
 */
const volatile bool retransmit_has_error = false;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tcp_flow);
} tcp_flows SEC(".maps");

static __noinline struct tcp_flow *flow_create(struct sock *sk)
{
	struct tcp_sock *tp;
	struct tcp_flow *flow;
	struct peer_key key = {};

	if (!sk)
		return NULL;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return NULL;
	flow = bpf_sk_storage_get(&tcp_flows, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!flow) {
		count(tcp_counters.flow_failures);
		return NULL;
	}
	/* From here on: what was acknowledged before we looked is not ours to count. */
	flow->acked_bytes = flow->published_acked_bytes = tp->bytes_acked;
	flow->rack_mstamp = tp->rack.mstamp;
	if (!remote_of(&sk->__sk_common, &key) || !socket_wanted(&sk->__sk_common, &key))
		flow->flags = FLOW_FLAG_IGNORED;
	return flow;
}

/* The flow of a socket, or NULL when it is none of ours. */
static __always_inline struct tcp_flow *flow_get(struct sock *sk)
{
	struct tcp_flow *flow = bpf_sk_storage_get(&tcp_flows, sk, NULL, 0);

	if (!flow)
		flow = flow_create(sk);
	if (!flow || flow->flags & FLOW_FLAG_IGNORED)
		return NULL;
	return flow;
}

/* The peer's record, if it is still the one that this flow last saw: its gauges hold this flow's
 * share. */
static __always_inline struct peer_record *flow_known_peer(const struct tcp_flow *flow)
{
	__u32 slot = flow->slot - 1;
	struct peer_record *peer;

	if (!flow->slot)
		return NULL;
	peer = bpf_map_lookup_elem(&peers, &slot);
	if (!peer || peer->generation != flow->generation)
		return NULL;
	return peer;
}

static __always_inline struct peer_record *flow_peer(struct tcp_flow *flow, struct sock *sk)
{
	struct peer_record *peer = flow_known_peer(flow);
	struct peer_key key;
	__u16 remote_port;
	__u32 slot;

	if (peer)
		return peer;
	if (!remote_of(&sk->__sk_common, &key))
		return NULL;
	peer = peer_get(&key, &slot);
	if (!peer)
		return NULL;
	flow->slot = slot + 1;
	flow->generation = peer->generation;
	peer->netns_inode = sk->__sk_common.skc_net.net->ns.inum;
	/* What this flow had put on the old record's gauges went with it. */
	flow->stalled_since_ns = 0;
	flow->flags &= ~(FLOW_FLAG_ZERO_WINDOW | FLOW_FLAG_STALLED);
	/* Who connected is not recorded for an old connection; services have the lower port. */
	remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (!peer->service_port && remote_port < sk->__sk_common.skc_num)
		peer->service_port = remote_port;
	return peer;
}

static __always_inline void flow_publish_rtt(struct tcp_flow *flow, struct peer_record *peer)
{
	__u32 base = flow->rtt_base;

	if (base > HISTOGRAM_BUCKETS - FLOW_RTT_WINDOW)
		return;
	for (int i = 0; i < FLOW_RTT_WINDOW; i++) {
		if (!flow->rtt[i])
			continue;
		count_many(peer->rtt[base + i], flow->rtt[i]);
		flow->rtt[i] = 0;
	}
	count_many(peer->rtt_sum_us, flow->rtt_sum_us);
	flow->rtt_sum_us = 0;
}

/* Written only when they change: many CPUs may hear the same peer, and reading a shared line is
 * cheap. */
static __always_inline void stamp(__u64 *stamp_ns, __u64 time_ns)
{
	if (*stamp_ns < time_ns)
		*stamp_ns = time_ns;
}

static __always_inline void flow_publish(struct tcp_flow *flow, struct peer_record *peer,
					 const struct tcp_sock *tp)
{
	__u64 acked_bytes = tp->bytes_acked;

	flow->published_jiffies = bpf_jiffies64();
	if (flow->segments) {
		count_many(peer->segments, flow->segments);
		flow->segments = 0;
	}
	if (flow->advances) {
		count_many(peer->advances, flow->advances);
		count_many(peer->acked_bytes, acked_bytes - flow->published_acked_bytes);
		flow->advances = 0;
		flow->published_acked_bytes = acked_bytes;
		flow_publish_rtt(flow, peer);
	}
}

/* This socket is not stalled any more, by progress or by its end. */
static __always_inline void flow_unstall(struct tcp_flow *flow, struct peer_record *peer)
{
	if (!(flow->flags & FLOW_FLAG_STALLED))
		return;
	flow->flags &= ~FLOW_FLAG_STALLED;
	count_many(peer->stalled_sockets, -1);
	if (!peer->stalled_sockets)
		peer->stalled_since_ns = 0;
	else if (peer->stalled_since_ns == flow->stalled_since_ns)
		/* Some other one is the oldest now: its next RTO says which (too young until then).
		 */
		peer->stalled_since_ns = tick_ns(bpf_jiffies64());
	flow->stalled_since_ns = 0;
}

static __noinline int flow_publish_sample(struct tcp_flow *flow, struct sock *sk)
{
	struct peer_record *peer;

	if (!flow || !sk)
		return 0;
	peer = flow_peer(flow, sk);
	if (peer)
		flow_publish_rtt(flow, peer);
	return 0;
}

static __always_inline void flow_sample_rtt(struct tcp_flow *flow, struct sock *sk, __u32 rtt_us)
{
	__u32 bucket = histogram_bucket(rtt_us);
	__u32 place = bucket - flow->rtt_base;

	if (place >= FLOW_RTT_WINDOW || flow->rtt[place & (FLOW_RTT_WINDOW - 1)] == 0xffff) {
		flow_publish_sample(flow, sk);
		flow->rtt_base = bucket < FLOW_RTT_WINDOW / 2 ? 0 : bucket - FLOW_RTT_WINDOW / 2;
		if (flow->rtt_base > HISTOGRAM_BUCKETS - FLOW_RTT_WINDOW)
			flow->rtt_base = HISTOGRAM_BUCKETS - FLOW_RTT_WINDOW;
		place = bucket - flow->rtt_base;
	}
	flow->rtt[place & (FLOW_RTT_WINDOW - 1)]++;
	flow->rtt_sum_us += rtt_us;
}

/*
 * Notes what was acknowledged since we last looked; flow_progress() tells the peer. tcp_probe comes
 * before the segment's acknowledgement is worked in, so an advance is seen with the next segment,
 * or when the socket closes. An RTT sample is fresh when RACK moved on to a younger segment:
 * rack.mstamp is that segment's send time.
 */
static __always_inline void flow_advance(struct tcp_flow *flow, struct sock *sk,
					 const struct tcp_sock *tp)
{
	__u32 acked_bytes = tp->bytes_acked;
	__u32 mstamp;

	if (acked_bytes == flow->acked_bytes)
		return;
	flow->acked_bytes = acked_bytes;
	flow->advances++;
	flow->flags |= FLOW_FLAG_ADVANCED;
	mstamp = tp->rack.mstamp;
	if (mstamp != flow->rack_mstamp) {
		flow->rack_mstamp = mstamp;
		flow_sample_rtt(flow, sk, tp->rack.rtt_us);
	}
}

/* What was acknowledged since the last stamp was no more than its interval later. Told once. */
static __always_inline void flow_progress(struct tcp_flow *flow, struct peer_record *peer)
{
	if (!(flow->flags & FLOW_FLAG_ADVANCED))
		return;
	flow->flags &= ~FLOW_FLAG_ADVANCED;
	stamp(&peer->progress_ns, flow->stamped_ns);
	flow_unstall(flow, peer);
}

/* The window as the kernel last took it in; the segment at hand may reopen it. */
static __noinline int flow_window(struct tcp_flow *flow, struct sock *sk, struct sk_buff *skb,
				  __u32 window)
{
	struct peer_record *peer;

	if (!flow || !sk || !skb)
		return 0;
	if (flow->flags & FLOW_FLAG_ZERO_WINDOW) {
		/* At tcp_probe the data pointer stands on the TCP header. */
		struct tcphdr *tcp = (struct tcphdr *)skb->data;

		if (!window && !BPF_CORE_READ(tcp, window))
			return 0;
		peer = flow_known_peer(flow);
		if (peer)
			count_many(peer->zero_window_sockets, -1);
		flow->flags &= ~FLOW_FLAG_ZERO_WINDOW;
		return 0;
	}
	peer = flow_peer(flow, sk);
	if (!peer)
		return 0;
	flow->flags |= FLOW_FLAG_ZERO_WINDOW;
	count(peer->zero_window_episodes);
	count(peer->zero_window_sockets);
	return 0;
}

/* Whether the segment at hand acknowledges something new: what flow_advance() will see with the
 * next one. */
static __always_inline bool segment_advances(const struct sk_buff *skb, const struct tcp_sock *tp)
{
	const struct tcp_skb_cb *cb = (const struct tcp_skb_cb *)skb->cb;

	return (__s32)(BPF_CORE_READ(cb, ack_seq) - tp->snd_una) > 0;
}

/* Every other jiffy at most: when the peer was heard, and when it acknowledged. */
static __always_inline void flow_stamp(struct tcp_flow *flow, struct peer_record *peer,
				       const struct sk_buff *skb, const struct tcp_sock *tp,
				       __u64 jiffies)
{
	__u64 time_ns = tick_ns(jiffies);

	stamp(&peer->heard_ns, time_ns);
	flow_progress(flow, peer);
	/* Whoever is stalled may get no further segment to tell it by. */
	if (flow->flags & FLOW_FLAG_STALLED && segment_advances(skb, tp)) {
		stamp(&peer->progress_ns, time_ns);
		flow_unstall(flow, peer);
	}
	flow->stamped_ns = time_ns;
	flow->stamped_jiffies = jiffies;
}

/* Fires for each segment of a connection in state ESTABLISHED; one that is closing is not heard. */
SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_probe, struct sock *sk, struct sk_buff *skb)
{
	struct tcp_flow *flow = flow_get(sk);
	struct peer_record *peer;
	struct tcp_sock *tp;
	__u64 jiffies;

	if (!flow)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	flow->segments++;
	flow_advance(flow, sk, tp);
	jiffies = bpf_jiffies64();
	if ((__u32)jiffies - flow->stamped_jiffies < FLOW_STAMP_JIFFIES &&
	    !(flow->flags & (FLOW_FLAG_STALLED | FLOW_FLAG_ZERO_WINDOW)))
		return 0;
	/* A closed window is probed every 200 ms and more: each answer comes this far. */
	if (!tp->snd_wnd || flow->flags & FLOW_FLAG_ZERO_WINDOW)
		flow_window(flow, sk, skb, tp->snd_wnd);
	peer = flow_peer(flow, sk);
	if (!peer)
		return 0;
	flow_stamp(flow, peer, skb, tp, jiffies);
	if ((__u32)jiffies - flow->published_jiffies >= FLOW_PUBLISH_JIFFIES)
		flow_publish(flow, peer, tp);
	return 0;
}

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

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit_skb, struct sock *sk, struct sk_buff *skb)
{
	struct tcp_flow *flow = flow_get(sk);
	int error = retransmit_has_error ? (int)ctx[2] : 0;
	enum peer_retransmit kind;
	struct peer_record *peer;
	struct tcp_sock *tp;
	__u64 time_ns;

	/* Not sent because the first copy is still on its way out, or the window is full: no
	 * retransmit. */
	if (!flow || error == -EBUSY || error == -EAGAIN)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	peer = flow_peer(flow, sk);
	if (!peer)
		return 0;
	flow_advance(flow, sk, tp);
	flow_progress(flow, peer);
	flow_publish(flow, peer, tp);
	kind = retransmit_kind(sk, tp);
	count(peer->retransmits[error ? PEER_RETRANSMIT_FAILED : kind]);
	if (kind == PEER_RETRANSMIT_TLP || kind == PEER_RETRANSMIT_FAST)
		return 0;
	time_ns = bpf_ktime_get_ns();
	if (kind == PEER_RETRANSMIT_RTO && tp->snd_wnd) {
		/* A closed window is retransmitted into, too: the peer is overloaded, not silent.
		 */
		peer->rto_ns = time_ns;
		if (!(flow->flags & FLOW_FLAG_STALLED)) {
			flow->flags |= FLOW_FLAG_STALLED;
			flow->stalled_since_ns = time_ns;
			count(peer->stalled_sockets);
		}
		if (!peer->stalled_since_ns || flow->stalled_since_ns < peer->stalled_since_ns)
			peer->stalled_since_ns = flow->stalled_since_ns;
	}
	peer_wake(peer, flow->slot - 1, time_ns);
	return 0;
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(tcp_retransmit_synack, struct sock *sk, struct request_sock *req)
{
	struct peer_record *peer;
	struct peer_key key;
	__u32 slot;

	if (!remote_of(&req->__req_common, &key))
		return 0;
	if (filter_netns_inode && !netns_wanted(sk->__sk_common.skc_net.net))
		return 0;
	if (!port_wanted(sk->__sk_common.skc_num, bpf_ntohs(req->__req_common.skc_dport)) ||
	    !address_wanted(&key))
		return 0;
	peer = peer_get(&key, &slot);
	if (peer)
		count(peer->retransmits[PEER_RETRANSMIT_SYNACK]);
	return 0;
}

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

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int old_state, int new_state)
{
	bool connected = old_state == TCP_SYN_SENT && new_state == TCP_ESTABLISHED;
	bool failed = old_state == TCP_SYN_SENT && new_state == TCP_CLOSE;
	struct peer_record *peer;
	struct tcp_flow *flow;
	struct tcp_sock *tp;
	__u64 time_ns;

	if (!connected && new_state != TCP_CLOSE)
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	/* A socket that ends without ever having been seen has nothing to tell. */
	flow = connected || failed ? flow_get(sk) : bpf_sk_storage_get(&tcp_flows, sk, NULL, 0);
	if (!flow || flow->flags & FLOW_FLAG_IGNORED)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	peer = flow_peer(flow, sk);
	if (!peer)
		return 0;
	time_ns = bpf_ktime_get_ns();
	if (connected) {
		/* Their SYN-ACK: a segment of its own that tcp_probe does not see. */
		count(peer->connects);
		peer->service_port = bpf_ntohs(sk->__sk_common.skc_dport);
		peer->heard_ns = time_ns;
		return 0;
	}
	flow_advance(flow, sk, tp);
	flow_progress(flow, peer);
	flow_publish(flow, peer, tp);
	flow_unstall(flow, peer);
	if (flow->flags & FLOW_FLAG_ZERO_WINDOW) {
		count_many(peer->zero_window_sockets, -1);
		flow->flags &= ~FLOW_FLAG_ZERO_WINDOW;
	}
	if (failed) {
		enum peer_error reason = error_reason(sk->sk_err);

		count(peer->connect_failures[reason]);
		if (reason == PEER_ERROR_REFUSED || reason == PEER_ERROR_RESET) {
			peer->service_port = bpf_ntohs(sk->__sk_common.skc_dport);
			peer->heard_ns = time_ns;
		} else {
			peer_wake(peer, flow->slot - 1, time_ns);
		}
	} else if (sk->sk_err) {
		count(peer->connection_errors[error_reason(sk->sk_err)]);
	}
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(tcp_receive_reset, struct sock *sk)
{
	struct tcp_flow *flow = flow_get(sk);
	struct peer_record *peer = flow ? flow_peer(flow, sk) : NULL;

	if (!peer)
		return 0;
	count(peer->resets_received);
	peer->heard_ns = tick_ns(bpf_jiffies64());
	return 0;
}

/* The far end of a segment that belongs to no socket, read from the packet. */
static __always_inline bool remote_of_packet(const struct sk_buff *skb, struct peer_key *key)
{
	union address_words address = {};
	unsigned char *head = BPF_CORE_READ(skb, head);
	void *network = head + BPF_CORE_READ(skb, network_header);
	struct tcphdr *tcp = (struct tcphdr *)(head + BPF_CORE_READ(skb, transport_header));
	__u8 version = BPF_CORE_READ_BITFIELD_PROBED((struct iphdr *)network, version);

	if (version == 4) {
		address.words[2] = bpf_htonl(0xffff);
		address.words[3] = BPF_CORE_READ((struct iphdr *)network, saddr);
	} else if (version == 6) {
		BPF_CORE_READ_INTO(&address.key.address, (struct ipv6hdr *)network,
				   saddr.in6_u.u6_addr8);
	} else {
		return false;
	}
	*key = address.key;
	if (filter_netns_inode &&
	    BPF_CORE_READ(skb, dev, nd_net.net, ns.inum) != filter_netns_inode)
		return false;
	if (filter_port && !port_wanted(bpf_ntohs(BPF_CORE_READ(tcp, dest)),
					bpf_ntohs(BPF_CORE_READ(tcp, source))))
		return false;
	return address_wanted(key);
}

/* sk is NULL for a segment to a port that nobody listens on (tracepoint fires for it since 6.10,
 * commit 19822a980e19). */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_send_reset, struct sock *sk, struct sk_buff *skb)
{
	struct peer_record *peer;
	struct peer_key key;
	__u32 slot;

	if (sk) {
		if (!remote_of(&sk->__sk_common, &key) || !socket_wanted(&sk->__sk_common, &key))
			return 0;
	} else if (!skb || !remote_of_packet(skb, &key)) {
		return 0;
	}
	peer = peer_get(&key, &slot);
	if (peer)
		count(peer->resets_sent);
	return 0;
}
