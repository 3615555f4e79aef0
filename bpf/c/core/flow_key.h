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

/* Both addresses of an IPv4 key, as the first word of struct flow_ipv4. */
static __always_inline __u64 key_ipv4_pair(const struct flow_key *key)
{
	return key->addr_lo_be[1] >> 32 |
	       (key->addr_hi_be[1] & 0xffffffff00000000ULL);
}

/*
 * NH (Black et al., UMAC, CRYPTO 1999): with secret keys, two different inputs
 * collide with probability 2^-32, whatever input the sender chooses. The
 * multiplications after NH only spread the result over bucket and tag bits.
 * word: two 32-bit words of the input, hashed with the keys i and i + 1.
 */
static __always_inline __u64 nh_pair(__u64 word, __u32 i)
{
	return (__u64)((__u32)word + flow_keys.nh[i]) *
	       ((__u32)(word >> 32) + flow_keys.nh[i + 1]);
}

static __always_inline __u64 hash_spread(__u64 hash)
{
	return (hash ^ hash >> 32) * flow_keys.mul[0];
}

/* The hashes of keys. The upper bits select a bucket; the three bits below them
 * select the slot that the flow prefers. */
static __always_inline __u64 hash_ipv4(__u64 tuple, __u64 pair)
{
	return hash_spread(nh_pair(tuple, 0) + nh_pair(pair, 2));
}

static __always_inline __u64 hash_ipv6(__u64 tuple, const __u64 lower_be[2],
				       const __u64 higher_be[2])
{
	return hash_spread(nh_pair(tuple, 0) + nh_pair(lower_be[0], 2) +
			   nh_pair(lower_be[1], 4) + nh_pair(higher_be[0], 6) +
			   nh_pair(higher_be[1], 8));
}

/* The first choice among the slots of the table, from the hash of a key. */
static __always_inline __u64 first_slot(__u64 hash)
{
	return hash >> (64 - FLOW_SLOTS_SHIFT - FLOW_BUCKET_BITS);
}

/* Both buckets and the tag of a key, from its hash. */
static __always_inline void flow_places(struct flow_hash *to, __u64 hash)
{
	__u64 second = (hash ^ hash >> 32) * flow_keys.mul[1];

	to->bucket[0] = hash >> (64 - FLOW_BUCKET_BITS);
	to->bucket[1] = second >> (64 - FLOW_BUCKET_BITS);
	if (to->bucket[0] == to->bucket[1])
		to->bucket[1] ^= 1;
	to->tag = (second >> 8 & 0xff) ?: 1;
	to->home_slot = first_slot(hash) & (FLOW_SLOTS - 1);
}

static __always_inline void flow_hash(struct pkt *pkt)
{
	const struct flow_key *key = &pkt->key;

	flow_places(&pkt->hash,
		    pkt->in.kind == KIND_IPV6 ?
			    hash_ipv6(key->tuple, key->addr_lo_be,
				      key->addr_hi_be) :
			    hash_ipv4(key->tuple, key_ipv4_pair(key)));
}

#endif
