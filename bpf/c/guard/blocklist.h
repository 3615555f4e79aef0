/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Emergency blocks: addresses and prefixes that no packet may come from or go
 * to until an absolute time, even if the daemon is no longer running.
 *
 * Checked for packets that the flow table does not answer. A change of the
 * block tables starts a new epoch, so every existing flow is checked again.
 */
#ifndef BAILEY_GUARD_BLOCKLIST_H
#define BAILEY_GUARD_BLOCKLIST_H

#include "core/ip_address.h"
#include "core/maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BLOCK_HOSTS);
	__type(key, struct block_host);
	__type(value, struct block);
} block_hosts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BLOCK_PREFIXES);
	__type(key, struct block_prefix);
	__type(value, struct block);
} block_prefixes SEC(".maps");

static __always_inline bool is_block_active(const struct block *block)
{
	return block && bpf_ktime_get_boot_ns() < block->until;
}

/* Checks one address. A global function: the verifier checks it once. */
__noinline int is_address_blocked(__u64 first, __u64 second, __u32 which)
{
	struct block_prefix prefix = { .bits = 160 };
	struct block_host host;

	host.addr_be[0] = first;
	host.addr_be[1] = second;
	if (which & BLOCKS_HOSTS &&
	    is_block_active(bpf_map_lookup_elem(&block_hosts, &host)))
		return 1;
	if (!(which & BLOCKS_PREFIXES))
		return 0;
	prefix.kind = is_v4_mapped(first, second) ? KIND_IPV4 : KIND_IPV6;
	/* The key is not aligned to 8 bytes. */
	prefix.addr[0] = first;
	prefix.addr[1] = first >> 32;
	prefix.addr[2] = second;
	prefix.addr[3] = second >> 32;
	return is_block_active(bpf_map_lookup_elem(&block_prefixes, &prefix));
}

static __always_inline void load_block_tables(struct pkt *pkt)
{
	pkt->out.block_tables = READ_ONCE(control.blocks) & BLOCKS_TABLES;
}

/* Checks both ends of the flow. */
static __always_inline bool is_flow_blocked(struct pkt *pkt)
{
	const struct flow_key *key = &pkt->key;
	__u32 which;

	load_block_tables(pkt);
	which = pkt->out.block_tables;
	return which && (is_address_blocked(key->addr_lo_be[0],
					    key->addr_lo_be[1], which) ||
			 is_address_blocked(key->addr_hi_be[0],
					    key->addr_hi_be[1], which));
}

/* Checks the sender of an ICMP error and the ends of a tunnel. They are not
 * part of the flow key, so every packet is checked, even of a current flow. */
static __always_inline bool is_outer_address_blocked(struct pkt *pkt)
{
	const __u64 *from = pkt->addr.sender_be, *to = pkt->addr.receiver_be;
	__u32 which;

	if (!pkt->full.icmp_error && !pkt->full.tunnel)
		return false;
	load_block_tables(pkt);
	which = pkt->out.block_tables;
	return which &&
	       (is_address_blocked(from[0], from[1], which) ||
		(pkt->full.tunnel && is_address_blocked(to[0], to[1], which)));
}

#endif
