/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_CAST_H
#define TOCSIN_BPF_CAST_H

/*
 * One kernel object seen as another, or a plain address as an object, for reading alone. The
 * kernel's bpf_rdonly_cast() (since 6.2, commit a35b9af4ec2c) is compiled away and leaves a plain
 * load, where a helper would be called for each field: a call costs 10 to 25 ns on CPUs that must
 * guard returns. Where the kernel lacks it, the other branch is all that is left of each reader
 * after verification.
 */

extern void *bpf_rdonly_cast(const void *object, __u32 btf_id) __ksym __weak;

#define can_cast() (&bpf_rdonly_cast != NULL)
#define cast_to(type, pointer) \
	((const type *)bpf_rdonly_cast((pointer), bpf_core_type_id_kernel(type)))

/* NULL when the socket is not TCP; that it is one is for the caller to know where casts are
 * possible. */
static __always_inline const struct tcp_sock *tcp_sock_of(struct sock *sk)
{
	return can_cast() ? cast_to(struct tcp_sock, sk) : bpf_skc_to_tcp_sock(sk);
}

/* The acknowledgement number that a received segment carries. */
static __always_inline __u32 segment_ack(struct sk_buff *skb)
{
	if (can_cast())
		return cast_to(struct tcp_skb_cb, skb->cb)->ack_seq;
	return BPF_CORE_READ((struct tcp_skb_cb *)skb->cb, ack_seq);
}

/* Whether a received segment acknowledges something new. */
static __always_inline bool segment_advances(struct sk_buff *skb, const struct tcp_sock *tp)
{
	__u32 ack = segment_ack(skb);

	return (__s32)(ack - tp->snd_una) > 0 && (__s32)(ack - tp->snd_nxt) <= 0;
}

/* The sequence number of a segment's first byte. */
static __always_inline __u32 segment_sequence(struct sk_buff *skb)
{
	return BPF_CORE_READ((struct tcp_skb_cb *)skb->cb, seq);
}

/* The window that a received segment offers, as sent (unscaled). At tcp_probe the data pointer
 * stands on the TCP header. */
static __always_inline __u16 segment_window(struct sk_buff *skb)
{
	if (can_cast())
		return cast_to(struct tcphdr, skb->data)->window;
	return BPF_CORE_READ((struct tcphdr *)skb->data, window);
}

static __always_inline bool segment_resets(struct sk_buff *skb)
{
	return BPF_CORE_READ_BITFIELD_PROBED((struct tcphdr *)skb->data, rst);
}

#endif
