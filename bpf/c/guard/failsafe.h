/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Failsafe: peers and ports that pass regardless of policy, of a full flow
 * table and of a missing generation. An entry is a CIDR of peers and one local
 * port; both directions pass, without state. The table is constant for an entry
 * program.
 */
#ifndef BAILEY_GUARD_FAILSAFE_H
#define BAILEY_GUARD_FAILSAFE_H

#include "core/maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct failsafe);
} failsafe SEC(".maps");

volatile const __u32 FAILSAFE_COUNT = 0;

static __always_inline bool has_port(const struct failsafe *table, __u16 port)
{
	return table->ports[port / 64] >> (port & 63) & 1;
}

/* Does any entry have one of these ports? */
static __always_inline bool is_failsafe_port(__u16 a, __u16 b)
{
	struct failsafe *table;
	__u32 zero = 0;

	table = bpf_map_lookup_elem(&failsafe, &zero);
	return !table || has_port(table, a) || has_port(table, b);
}

/* Does an entry match the peer (lower or higher address) and the port? A global
 * function, so that the verifier checks it once. */
__noinline int failsafe_match(struct pkt *pkt, int peer_low, __u32 port)
{
	struct failsafe *table;
	__u32 zero = 0, i;
	__u64 a, b;

	if (!pkt || port > 65535)
		return 0;
	table = bpf_map_lookup_elem(&failsafe, &zero);
	if (!table || !has_port(table, port))
		return 0;
	a = peer_low ? pkt->key.addr_lo_be[0] : pkt->key.addr_hi_be[0];
	b = peer_low ? pkt->key.addr_lo_be[1] : pkt->key.addr_hi_be[1];
	for (i = 0; i < FAILSAFE_MAX && i < FAILSAFE_COUNT; i++) {
		struct failsafe_entry *entry = &table->entry[i];

		if (entry->port == port &&
		    entry->protocol == pkt->in.protocol &&
		    entry->kind == pkt->in.kind &&
		    (a & entry->mask_be[0]) == entry->addr_be[0] &&
		    (b & entry->mask_be[1]) == entry->addr_be[1])
			return 1;
	}
	return 0;
}

/*
 * A NIC receives packets of the peer. tc sees packets of the local side, and
 * packets of the peer that are forwarded to another NIC. A bridge sees both at
 * XDP. The local side may not create TCP connections; otherwise its port as the
 * source port would open every port of the peer.
 */
static __always_inline bool is_failsafe(struct pkt *pkt)
{
	if (!FAILSAFE_COUNT)
		return false;
	if (pkt->in.protocol != IPPROTO_TCP && pkt->in.protocol != IPPROTO_UDP)
		return false;
	if ((pkt->env.hook != HOOK_TC ||
	     (pkt->env.is_evaluated && pkt->env.is_from_host)) &&
	    failsafe_match(pkt, pkt->in.sender_is_lower,
			   pkt->in.destination_port))
		return true;
	if (pkt->env.hook != HOOK_TC && !BRIDGE)
		return false;
	if (pkt->in.protocol == IPPROTO_TCP && pkt->in.tcp_flags & TCP_SYN &&
	    !(pkt->in.tcp_flags & TCP_ACK))
		return false;
	return failsafe_match(pkt, !pkt->in.sender_is_lower,
			      pkt->in.source_port);
}

#endif
