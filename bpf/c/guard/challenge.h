/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * TCP clients prove their source address before they get a flow entry.
 *
 * The challenge answers a SYN by a SYN ACK with an ACK number that was never
 * sent. A real client returns that number in an RST (RFC 9293, 3.5.2), which it
 * can only know if the SYN ACK reached it, and then repeats its SYN. Until then
 * nothing is stored: the number is a keyed hash of the connection and the time.
 *
 * A client behind a NAT that hides the SYN ACK also repeats its SYN, later. A
 * short record of each SYN recognises the retransmission.
 */
#ifndef BAILEY_GUARD_CHALLENGE_H
#define BAILEY_GUARD_CHALLENGE_H

#include "core/events.h"
#include "core/ip_address.h"
#include "core/ticks.h"

#define SIP_ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))

#define SIP_ROUND(a, b, c, d)              \
	do {                               \
		a += b;                    \
		b = SIP_ROTATE(b, 13) ^ a; \
		a = SIP_ROTATE(a, 32);     \
		c += d;                    \
		d = SIP_ROTATE(d, 16) ^ c; \
		a += d;                    \
		d = SIP_ROTATE(d, 21) ^ a; \
		c += b;                    \
		b = SIP_ROTATE(b, 17) ^ c; \
		c = SIP_ROTATE(c, 32);     \
	} while (0)

/* SipHash-2-4 (Aumasson and Bernstein, INDOCRYPT 2012) of a flow key and one
 * word. The NH hash of the flow table is unsuitable: its keys can be computed
 * from some of its results, and clients see these results. */
__noinline __u64 challenge_hash(struct pkt *pkt, __u64 more)
{
	__u64 word[6], a, b, c, d;
	const struct flow_keys *keys = &flow_keys;
	__u32 i;

	if (!pkt)
		return 0;
	word[0] = pkt->key.tuple;
	word[1] = pkt->key.addr_lo_be[0];
	word[2] = pkt->key.addr_lo_be[1];
	word[3] = pkt->key.addr_hi_be[0];
	word[4] = pkt->key.addr_hi_be[1];
	word[5] = more;
	a = keys->proof[0] ^ 0x736f6d6570736575ULL;
	b = keys->proof[1] ^ 0x646f72616e646f6dULL;
	c = keys->proof[0] ^ 0x6c7967656e657261ULL;
	d = keys->proof[1] ^ 0x7465646279746573ULL;
#pragma unroll
	for (i = 0; i < 6; i++) {
		d ^= word[i];
		SIP_ROUND(a, b, c, d);
		SIP_ROUND(a, b, c, d);
		a ^= word[i];
	}
	d ^= sizeof(word) << 56;
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	a ^= sizeof(word) << 56;
	c ^= 0xff;
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	return a ^ b ^ c ^ d;
}

/* Separates the hashes of SYN records from those that clients see. */
#define HASH_OF_RECORD (1ULL << 63)
#define CHALLENGE_TOP_BIT 0x80000000U

/* The challenge number of a time slot, without its highest bit. */
static __always_inline __u32 challenge_sequence(struct pkt *pkt, __u32 ago)
{
	__u32 slot = ((pkt->env.now >> PROOF_SLOT_SHIFT) - ago) &
		     TICK_MASK >> PROOF_SLOT_SHIFT;
	__u64 hash =
		challenge_hash(pkt, (__u64)slot << 1 | pkt->in.sender_is_lower);

	return (hash & ~CHALLENGE_TOP_BIT) ?: 1;
}

/* ACK number of the challenge. Never a number that acknowledges the SYN and the
 * data that it may carry. */
static __always_inline __u32 make_challenge(struct pkt *pkt)
{
	__u32 number = challenge_sequence(pkt, 0);

	return number - pkt->in.sequence < 1U << 17 ?
		       number | CHALLENGE_TOP_BIT :
		       number;
}

static __always_inline void client_key(struct pkt *pkt, struct client *client)
{
	const __u64 *addr = pkt->in.sender_is_lower ? pkt->key.addr_lo_be :
						      pkt->key.addr_hi_be;

	client->addr_be[0] = addr[0];
	client->addr_be[1] = is_v4_mapped(addr[0], addr[1]) ? addr[1] : 0;
}

/* Consumes one of the flows that a passed challenge grants. */
static __always_inline bool client_take_credit(struct pkt *pkt)
{
	struct client client;
	struct proof *proof;

	client_key(pkt, &client);
	proof = bpf_map_lookup_elem(&proven, &client);
	if (!proof || ticks_since(proof->since, pkt->env.now) >= PROVEN_TICKS ||
	    READ_ONCE(proof->flows) <= 0)
		return false;
	return (__s32)__sync_fetch_and_sub(&proof->flows, 1) > 0;
}

/* An RST only proves that the address is reachable: a host without that
 * connection sends the same RST. It therefore grants few flows, a returned SYN
 * cookie many. */
static __always_inline void client_add_credit(struct pkt *pkt, __s32 flows)
{
	struct proof proof = { .since = pkt->env.now, .flows = flows };
	struct client client;
	struct proof *known;

	client_key(pkt, &client);
	known = bpf_map_lookup_elem(&proven, &client);
	if (known && ticks_since(known->since, pkt->env.now) < PROVEN_TICKS &&
	    READ_ONCE(known->flows) > flows)
		return;
	bpf_map_update_elem(&proven, &client, &proof, BPF_ANY);
}

/* Does this RST without a flow answer a challenge? */
static __always_inline bool accept_challenge_answer(struct pkt *pkt)
{
	__u32 number = pkt->in.sequence & ~CHALLENGE_TOP_BIT;

	if ((pkt->in.tcp_flags & (TCP_RST | TCP_SYN | TCP_FIN)) != TCP_RST ||
	    (number != challenge_sequence(pkt, 0) &&
	     number != challenge_sequence(pkt, 1)))
		return false;
	client_add_credit(pkt, PROVEN_BY_RST);
	flow_event(FLOW_CHALLENGE_PASSED);
	return true;
}

/* Was this SYN seen before, long enough ago? If not, it replaces the older of
 * two records. */
static __always_inline bool is_syn_retransmission(struct pkt *pkt, __u64 now)
{
	__u64 hash = challenge_hash(pkt, HASH_OF_RECORD |
						 (__u64)pkt->in.sequence << 1 |
						 pkt->in.sender_is_lower);
	__u32 at = hash >> (64 - SYN_RECORD_BITS);
	__u32 time = now >> SYN_RETRY_SHIFT & 0xffff;
	__u32 record, i;
	__u64 *word, old;

	word = bpf_map_lookup_elem(&syn_records, &at);
	if (!word)
		return false;
	old = READ_ONCE(*word);
#pragma unroll
	for (i = 0; i < 2; i++) {
		record = old >> 32 * i;
		if (record && record >> 16 == (hash & 0xffff)) {
			__u32 age = (time - record) & 0xffff;

			if (age < SYN_RETRY_MAX)
				return age >= SYN_RETRY_MIN;
		}
	}
	record = (__u32)(hash & 0xffff) << 16 | time;
	if (((time - (__u32)old) & 0xffff) >=
	    ((time - (__u32)(old >> 32)) & 0xffff))
		WRITE_ONCE(*word, (old & ~0xffffffffULL) | record);
	else
		WRITE_ONCE(*word, (old & 0xffffffffULL) | (__u64)record << 32);
	return false;
}

#endif
