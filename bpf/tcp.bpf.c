// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the kernel's TCP knows of each remote address: heard, acknowledged, retransmitted, refused;
 * and which control groups' sockets suffer from it.
 * The received segment is the busy path: it touches this CPU's tally of the peer and nothing
 * shared.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps/peer.h"

#include "cast.bpf.h"
#include "error_reason.bpf.h"
#include "filter.bpf.h"
#include "flow.bpf.h"
#include "group.bpf.h"
#include "numbers.bpf.h"
#include "open_file.bpf.h"
#include "peer.bpf.h"
#include "retransmit.bpf.h"
#include "socket_group.bpf.h"
#include "tally.bpf.h"
#include "task.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct tcp_group_record tcp_group_other = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 256);
	__type(key, struct group_key);
	__type(value, struct tcp_group_record);
} tcp_group_records SEC(".maps");

static const struct tcp_group_record no_group_record = {};

/* Read with each segment and seldom written: a line of its own. */
struct {
	/* Whose flow is counted in a gauge of its peer. While there are none, which is nearly
	 * always, no segment looks for its socket's flow. */
	__u64 troubled_sockets;
	__u64 rtt_shed; /* user space has no round-trip times sampled */
} each_segment __attribute__((aligned(64))) = {};

static __always_inline struct tcp_flow *flow_get(struct sock *sk)
{
	struct tcp_flow *flow = flow_find_or_make(sk);

	if (!flow)
		count(tcp_counters.flow_failures);
	return flow;
}

/* Asked where the record itself is not needed. */
static __always_inline bool socket_ignored(struct sock *sk)
{
	return flow_ignored(sk, sockets_have_storage ? flow_find(sk) : NULL);
}

/* Where to count what happens to a socket: its own group, as it is seldom the group's task that
 * runs then. */
static __always_inline struct tcp_group_record *group_record_of(struct sock *sk)
{
	struct group_key group = {.tree = GROUP_TREE_V2};
	struct cgroup *cgroup = cgroup_of_socket(sk);
	struct tcp_group_record *record;

	if (!cgroup)
		return &tcp_group_other;
	group.cgroup_id = cgroup_id_of(cgroup);
	record = group_record_find_or_make(&tcp_group_records, &group, &no_group_record,
					   &tcp_counters.group_records_made);
	if (record)
		return record;
	count(tcp_counters.group_records_lost);
	return &tcp_group_other;
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
	return peer && peer->generation == flow->generation ? peer : NULL;
}

/* Puts the flow's flag and the gauges in step; 'by' is 1 or -1. */
static __always_inline void flow_mark(struct tcp_flow *flow, __u32 flag, __u32 *gauge, int by)
{
	flow->flags = by > 0 ? flow->flags | flag : flow->flags & ~flag;
	count_many(each_segment.troubled_sockets, by);
	if (gauge)
		count_many(*gauge, by);
}

/* This socket is not stalled any more, by progress or by its end. */
static __always_inline void flow_unstall(struct tcp_flow *flow)
{
	struct peer_record *peer = flow_known_peer(flow);

	if (!(flow->flags & FLOW_FLAG_STALLED))
		return;
	flow_mark(flow, FLOW_FLAG_STALLED, peer ? &peer->stalled_sockets : NULL, -1);
	if (!peer)
		return;
	if (!peer->stalled_sockets)
		peer->stalled_since_ns = 0;
	else if (peer->stalled_since_ns == flow->stalled_since_ns)
		/* Some other one is the oldest now: its next RTO says which (too young until then).
		 */
		peer->stalled_since_ns = tick_ns(bpf_jiffies64());
}

static __always_inline void flow_reopen(struct tcp_flow *flow)
{
	struct peer_record *peer = flow_known_peer(flow);

	if (flow->flags & FLOW_FLAG_ZERO_WINDOW)
		flow_mark(flow, FLOW_FLAG_ZERO_WINDOW, peer ? &peer->zero_window_sockets : NULL,
			  -1);
}

/* Ties a flow to its peer. What it had put on the gauges of a record that is now another's went
 * with that. */
static __always_inline void flow_tie(struct tcp_flow *flow, const struct peer_record *peer,
				     __u32 slot)
{
	if (flow->slot == slot + 1 && flow->generation == peer->generation)
		return;
	flow_unstall(flow);
	flow_reopen(flow);
	flow->slot = slot + 1;
	flow->generation = peer->generation;
}

static __always_inline void note_socket(struct peer_record *peer, const struct sock_common *common)
{
	__u32 netns_inode = common->skc_net.net->ns.inum;
	__u16 remote_port = bpf_ntohs(common->skc_dport);

	if (peer->netns_inode != netns_inode)
		peer->netns_inode = netns_inode;
	/* Who connected is not recorded for an old connection; services have the lower port. */
	if (!peer->service_port && remote_port < common->skc_num)
		peer->service_port = remote_port;
}

/* The peer of a socket, or NULL when the filters leave it out or the table has no room. */
static __always_inline struct peer_record *socket_peer(struct sock *sk, __u16 local_port,
						       __u32 *ret_slot)
{
	const struct sock_common *common = &sk->__sk_common;
	struct peer_record *peer;
	struct peer_key key;

	if (!socket_wanted(common, local_port) || !remote_of(common, &key) || !address_wanted(&key))
		return NULL;
	peer = peer_get(&key, ret_slot);
	if (peer)
		note_socket(peer, common);
	return peer;
}

/* What this CPU holds back of the socket's peer goes to the peer's record. */
static __always_inline void publish_tally_of(struct sock *sk)
{
	struct peer_tally *tally;
	struct peer_key key;

	if (!remote_of(&sk->__sk_common, &key))
		return;
	tally = tally_find(&key);
	if (tally)
		tally_publish(tally);
}

/* Written only when it changes: many CPUs may hear the same peer, and reading a shared line is
 * cheap. */
static __always_inline void stamp(__u64 *stamp_ns, __u64 time_ns)
{
	if (*stamp_ns < time_ns)
		*stamp_ns = time_ns;
}

static __always_inline void tally_sample_rtt(struct peer_tally *tally, __u32 rtt_us)
{
	__u32 bucket = histogram_bucket(rtt_us);
	__u32 place = bucket - tally->rtt_base;
	struct peer_record *peer;

	tally->rtt_sum_us += rtt_us;
	if (place < TALLY_RTT_WINDOW && tally->rtt[place] != 0xffff) {
		tally->rtt[place]++;
		return;
	}
	if (tally->advances == 1) {
		/* Nothing is in the window yet: it is laid around this sample. */
		__u32 base = bucket < TALLY_RTT_WINDOW / 2 ? 0 : bucket - TALLY_RTT_WINDOW / 2;

		if (base > HISTOGRAM_BUCKETS - TALLY_RTT_WINDOW)
			base = HISTOGRAM_BUCKETS - TALLY_RTT_WINDOW;
		tally->rtt_base = base;
		if (bucket - base < TALLY_RTT_WINDOW)
			tally->rtt[bucket - base]++;
		return;
	}
	peer = tally_peer(tally);
	if (peer && bucket < HISTOGRAM_BUCKETS)
		count(peer->rtt[bucket]);
}

/*
 * The segment acknowledges something new. The tracepoint comes before the kernel works it in, so
 * the round-trip time at hand is that of the advance before: each is counted once, one advance
 * late, beginning with that of the handshake. 0: there is none yet.
 */
static __always_inline void tally_advance(struct peer_tally *tally, __u32 acked_bytes, __u32 rtt_us)
{
	tally->advances++;
	tally->acked_bytes += acked_bytes;
	if (rtt_us && !each_segment.rtt_shed)
		tally_sample_rtt(tally, rtt_us);
}

/* The segment acknowledges what the socket's last one did. So it goes on where data comes in and
 * none goes out; the socket's own lines, which another CPU may just have written, are not needed.
 */
static __always_inline bool tally_heard_ack(const struct peer_tally *tally, const struct sock *sk,
					    __u32 ack)
{
	return tally->socket_ack == ack && tally->socket == (__u64)sk;
}

/* Whether the segment acknowledges something new, which is then counted. */
static __always_inline bool tally_note_ack(struct peer_tally *tally, const struct sock *sk,
					   const struct tcp_sock *tp, __u32 ack)
{
	__u32 una = tp->snd_una;

	/* Never sent: the kernel will not have it either. */
	if ((__s32)(ack - tp->snd_nxt) > 0)
		return false;
	tally->socket = (__u64)sk;
	tally->socket_ack = ack;
	if ((__s32)(ack - una) <= 0)
		return false;
	tally_advance(tally, ack - una, tp->rack.rtt_us);
	return true;
}

/* Once a jiffy: when the peer was heard, and when it acknowledged. */
static __noinline int tally_tell(struct peer_tally *tally, struct sock *sk, bool advances)
{
	__u64 jiffies = bpf_jiffies64();
	struct peer_record *peer;
	__u64 time_ns;

	if (!tally || !sk)
		return 0;
	peer = tally_peer(tally);
	if (!peer) {
		/* Its slot went to another peer: the address may get a new one. */
		tally_tie(tally);
		peer = tally_peer(tally);
		if (!peer)
			return 0;
	}
	time_ns = tick_ns(jiffies);
	stamp(&peer->heard_ns, time_ns);
	tally->heard_jiffies = jiffies;
	if (advances) {
		stamp(&peer->progress_ns, time_ns);
		tally->progress_jiffies = jiffies;
	}
	note_socket(peer, &sk->__sk_common);
	if ((__u32)jiffies - tally->published_jiffies >= TALLY_PUBLISH_JIFFIES)
		tally_publish(tally);
	return 0;
}

/* A segment while some socket is in trouble, or one that closes its window. */
static __noinline int flow_segment(struct sock *sk, struct sk_buff *skb, struct peer_tally *tally,
				   bool advances)
{
	struct peer_record *peer;
	struct tcp_flow *flow;
	bool closed;

	if (!sk || !skb || !tally)
		return 0;
	/* Resets carry no window. */
	closed = !segment_window(skb) && !segment_resets(skb);
	flow = closed ? flow_get(sk) : flow_find(sk);
	if (!flow || flow_ignored(sk, flow))
		return 0;
	if (advances)
		flow_unstall(flow);
	if (!closed) {
		flow_reopen(flow);
		return 0;
	}
	peer = tally_peer(tally);
	if (!peer)
		return 0;
	flow_tie(flow, peer, tally->slot - 1);
	if (!(flow->flags & FLOW_FLAG_ZERO_WINDOW)) {
		count(peer->zero_window_episodes);
		flow_mark(flow, FLOW_FLAG_ZERO_WINDOW, &peer->zero_window_sockets, 1);
	}
	return 0;
}

/* Fires for each segment of a connection in state ESTABLISHED; one that is closing is not heard. */
SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_probe, struct sock *sk, struct sk_buff *skb)
{
	const struct sock_common *common = &sk->__sk_common;
	const struct tcp_sock *tp = tcp_sock_of(sk);
	struct peer_tally *tally;
	struct peer_key key;
	__u32 jiffies, ack;
	bool advances;

	if (!tp || !socket_wanted(common, common->skc_num) || !remote_of(common, &key))
		return 0;
	tally = tally_find(&key);
	if (!tally)
		tally = tally_make(&key);
	if (!tally || !tally->slot)
		return 0;
	tally->segments++;
	ack = segment_ack(skb);
	advances = !tally_heard_ack(tally, sk, ack) && tally_note_ack(tally, sk, tp, ack);
	jiffies = bpf_jiffies64();
	if (tally->heard_jiffies != jiffies || (advances && tally->progress_jiffies != jiffies))
		tally_tell(tally, sk, advances);
	if (each_segment.troubled_sockets || !segment_window(skb))
		flow_segment(sk, skb, tally, advances);
	return 0;
}

/* An RTO: stalled since the first without progress. */
static __always_inline void flow_stall(struct sock *sk, struct peer_record *peer, __u32 slot,
				       __u32 snd_una, __u64 time_ns)
{
	struct tcp_flow *flow = flow_get(sk);

	if (!flow)
		return;
	flow_tie(flow, peer, slot);
	/* Progress of a connection that is closing shows here alone; it came after its last RTO. */
	if (flow->flags & FLOW_FLAG_STALLED && flow->stalled_una != snd_una) {
		stamp(&peer->progress_ns, flow->rto_ns);
		flow_unstall(flow);
	}
	flow->rto_ns = time_ns;
	if (!(flow->flags & FLOW_FLAG_STALLED)) {
		flow->stalled_since_ns = time_ns;
		flow->stalled_una = snd_una;
		flow_mark(flow, FLOW_FLAG_STALLED, &peer->stalled_sockets, 1);
	}
	if (!peer->stalled_since_ns || flow->stalled_since_ns < peer->stalled_since_ns)
		peer->stalled_since_ns = flow->stalled_since_ns;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit_skb, struct sock *sk, struct sk_buff *skb)
{
	int error = retransmit_has_error ? (int)ctx[2] : 0;
	const struct tcp_sock *tp = tcp_sock_of(sk);
	enum peer_retransmit kind;
	struct peer_record *peer;
	__u64 time_ns;
	__u32 slot;

	/* Not sent because the first copy is still on its way out, or the window is full: no
	 * retransmit. */
	if (!tp || error == -EBUSY || error == -EAGAIN || socket_ignored(sk))
		return 0;
	peer = socket_peer(sk, sk->__sk_common.skc_num, &slot);
	if (!peer)
		return 0;
	publish_tally_of(sk);
	kind = retransmit_kind(sk, tp);
	count(peer->retransmits[error ? PEER_RETRANSMIT_FAILED : kind]);
	if (!error)
		count(group_record_of(sk)->retransmits);
	if (kind == PEER_RETRANSMIT_TLP || kind == PEER_RETRANSMIT_FAST)
		return 0;
	time_ns = bpf_ktime_get_ns();
	/* A closed window is retransmitted into, too: the peer is overloaded, not silent. */
	if (kind == PEER_RETRANSMIT_RTO && tp->snd_wnd) {
		peer->rto_ns = time_ns;
		flow_stall(sk, peer, slot, tp->snd_una, time_ns);
	}
	peer_wake(peer, slot, time_ns);
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
	if (!peer)
		return 0;
	count(peer->retransmits[PEER_RETRANSMIT_SYNACK]);
	/* The request has no group, its listener has. */
	count(group_record_of(sk)->retransmits);
	return 0;
}

static __always_inline void connect_ended(struct peer_record *peer, __u32 slot, struct sock *sk,
					  bool connected)
{
	enum peer_error reason = connect_error_reason(sk);
	__u64 time_ns = bpf_ktime_get_ns();

	if (connected) {
		count(peer->connects);
	} else {
		count(peer->connect_failures[reason]);
		count(group_record_of(sk)->connect_failures);
	}
	/* Their SYN-ACK or reset: a segment that tcp_probe does not see. */
	if (connected || reason == PEER_ERROR_REFUSED || reason == PEER_ERROR_RESET) {
		peer->service_port = bpf_ntohs(sk->__sk_common.skc_dport);
		stamp(&peer->heard_ns, time_ns);
	} else {
		peer_wake(peer, slot, time_ns);
	}
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int old_state, int new_state)
{
	bool connecting = old_state == TCP_SYN_SENT;
	bool connected = connecting && new_state == TCP_ESTABLISHED;
	const struct tcp_sock *tp;
	struct peer_record *peer;
	struct tcp_flow *flow;
	__u16 local_port;
	__u32 slot;

	if (!connected && (new_state != TCP_CLOSE || old_state == TCP_LISTEN))
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	flow = flow_find(sk);
	if (flow_ignored(sk, flow))
		return 0;
	if (flow && new_state == TCP_CLOSE) {
		flow_unstall(flow);
		flow_reopen(flow);
		flow_forget(sk);
	}
	if (!connecting)
		publish_tally_of(sk);
	if (!connecting && !sk->sk_err)
		return 0;
	tp = tcp_sock_of(sk);
	if (!tp)
		return 0;
	/* A closed socket has given its port back (skc_num), but still knows it. */
	local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	peer = socket_peer(sk, local_port, &slot);
	if (!peer)
		return 0;
	/* Until it is connected, all that it can have sent again is the SYN. */
	if (connected && tp->total_retrans)
		count(peer->connects_late);
	if (connecting)
		connect_ended(peer, slot, sk, connected);
	else
		count(peer->connection_errors[error_reason(sk->sk_err)]);
	return 0;
}

/*
 * A program that is interrupted by itself is left out: an acknowledgement that comes in while this
 * CPU works on another segment may go unseen, and a quiet socket has no second one. So the agent
 * has all open files looked through while sockets are stalled. Not so long after an RTO that its
 * answer may just be on the way in.
 */
SEC("iter/task_file")
int tcp_sweep(struct bpf_iter__task_file *context)
{
	struct sock *sk = tcp_socket_of(context);
	const struct tcp_sock *tp;
	struct tcp_flow *flow;

	if (!sk)
		return 0;
	flow = flow_find(sk);
	if (!flow || !(flow->flags & FLOW_FLAG_STALLED) ||
	    bpf_ktime_get_ns() - flow->rto_ns < FLOW_SWEEP_NS)
		return 0;
	tp = tcp_sock_of(sk);
	if (tp && tp->snd_una != flow->stalled_una)
		flow_unstall(flow);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(tcp_receive_reset, struct sock *sk)
{
	struct peer_record *peer;
	__u32 slot;

	if (socket_ignored(sk))
		return 0;
	peer = socket_peer(sk, sk->__sk_common.skc_num, &slot);
	if (!peer)
		return 0;
	count(peer->resets_received);
	stamp(&peer->heard_ns, tick_ns(bpf_jiffies64()));
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
		if (!socket_wanted(&sk->__sk_common, sk->__sk_common.skc_num) ||
		    !remote_of(&sk->__sk_common, &key) || !address_wanted(&key))
			return 0;
	} else if (!skb || !remote_of_packet(skb, &key)) {
		return 0;
	}
	peer = peer_get(&key, &slot);
	if (peer)
		count(peer->resets_sent);
	return 0;
}
