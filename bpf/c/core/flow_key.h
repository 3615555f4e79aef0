/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* The flow key of a packet and its hash. */
#ifndef BAILEY_CORE_FLOW_KEY_H
#define BAILEY_CORE_FLOW_KEY_H

#include "core/ip_address.h"
#include "core/maps.h"

/* Both directions of a flow have the same key: the lower address comes first,
 * then the lower port. The order only has to be total; this one needs no byte
 * swaps. */
static __always_inline void key_set(struct pkt *pkt)
{
	const __u64 *source = pkt->addr.source_be,
		    *destination = pkt->addr.destination_be;
	__u16 sport = pkt->in.source_port, dport = pkt->in.destination_port;
	bool low = source[0] != destination[0] ? source[0] < destination[0] :
		   source[1] != destination[1] ? source[1] < destination[1] :
						 sport <= dport;

	pkt->in.sender_is_lower = low;
	pkt->key.addr_lo_be[0] = low ? source[0] : destination[0];
	pkt->key.addr_lo_be[1] = low ? source[1] : destination[1];
	pkt->key.addr_hi_be[0] = low ? destination[0] : source[0];
	pkt->key.addr_hi_be[1] = low ? destination[1] : source[1];
	pkt->key.tuple = (__u64)(low ? sport : dport) << TUPLE_PORT_LO_SHIFT |
			 (__u64)(low ? dport : sport) << TUPLE_PORT_HI_SHIFT |
			 (__u64)pkt->in.protocol << TUPLE_PROTOCOL_SHIFT |
			 (__u64)pkt->in.zone << TUPLE_ZONE_SHIFT;
}

/*
 * NH (Black et al., UMAC, CRYPTO 1999): with secret keys, two different inputs
 * collide with probability 2^-32, whatever input the sender chooses. The
 * multiplications after NH only spread the result over bucket and tag bits.
 * word: two 32-bit words of the input, hashed with the keys i and i + 1.
 */
static __always_inline __u64 nh_pair(__u64 word, const struct flow_keys *keys,
				     __u32 i)
{
	return (__u64)((__u32)word + keys->nh[i]) *
	       ((__u32)(word >> 32) + keys->nh[i + 1]);
}

static __always_inline void flow_hash_of(struct flow_hash *to,
					 const struct flow_key *key, __u32 kind)
{
	const struct flow_keys *keys = &flow_keys;
	__u64 hash, second;

	hash = nh_pair(key->tuple, keys, 0) +
	       nh_pair(key->addr_lo_be[1], keys, 4) +
	       nh_pair(key->addr_hi_be[1], keys, 8);
	/* The pairs in which all IPv4 keys agree are summed up in nh_v4. */
	hash += kind == KIND_IPV4 ?
			keys->nh_v4 :
			nh_pair(key->addr_lo_be[0], keys, 2) +
				nh_pair(key->addr_hi_be[0], keys, 6);
	hash = (hash ^ hash >> 32) * keys->mul[0];
	second = (hash ^ hash >> 32) * keys->mul[1];
	to->bucket[0] = hash >> (64 - FLOW_BUCKET_BITS);
	to->bucket[1] = second >> (64 - FLOW_BUCKET_BITS);
	if (to->bucket[0] == to->bucket[1])
		to->bucket[1] ^= 1;
	to->tag = (second >> 8 & 0xff) ?: 1;
	to->home_slot = second & (FLOW_SLOTS - 1);
}

static __always_inline void flow_hash(struct pkt *pkt)
{
	flow_hash_of(&pkt->hash, &pkt->key, pkt->in.kind);
}

static __always_inline bool key_equal(const struct flow_key *a,
				      const struct flow_key *b)
{
	return !((a->tuple ^ b->tuple) | (a->addr_lo_be[0] ^ b->addr_lo_be[0]) |
		 (a->addr_lo_be[1] ^ b->addr_lo_be[1]) |
		 (a->addr_hi_be[0] ^ b->addr_hi_be[0]) |
		 (a->addr_hi_be[1] ^ b->addr_hi_be[1]));
}

#endif
