/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* VXLAN (RFC 7348) and Geneve (RFC 8926). Policy applies to inner packets. */
#ifndef BAILEY_PARSE_TUNNEL_H
#define BAILEY_PARSE_TUNNEL_H

#include "parse/ipv6_chain.h"

#define ETH_P_TEB 0x6558 /* an inner Ethernet frame */
#define VXLAN_VNI_VALID 0x08
#define GENEVE_VERSION 0xc0
#define GENEVE_OPTIONS 0x3f /* length in units of 4 bytes */
#define GENEVE_CONTROL 0x80

/* The first eight bytes of both headers. */
struct tunnel_head {
	__u8 first;  /* VXLAN: flags; Geneve: version, length of the options */
	__u8 second; /* Geneve: flags */
	__be16 type; /* Geneve: EtherType of the payload */
	__be32 vni;
};

static __always_inline bool is_tunnel_peer(const struct pkt *pkt, __u32 tunnel)
{
	__u32 i;

	for (i = 0; i < TUNNEL_PEERS_MAX && i < TUNNEL_PEER_COUNT; i++) {
		const volatile struct tunnel_peer *peer = &TUNNEL_PEERS[i];

		if (peer->kind == pkt->in.kind && peer->tunnel == tunnel &&
		    (pkt->addr.source_be[0] & peer->mask_be[0]) ==
			    peer->addr_be[0] &&
		    (pkt->addr.source_be[1] & peer->mask_be[1]) ==
			    peer->addr_be[1])
			return true;
	}
	return false;
}

/* Moves pkt->full.offset to the inner frame or packet, and sets
 * pkt->full.ethertype. */
static __always_inline enum step
tunnel_enter(struct pkt *pkt, struct headers *headers, __u32 tunnel)
{
	struct tunnel_head *head;
	__u32 size = sizeof(*head);

	if (is_source_unspecified(pkt))
		return drop(pkt, REASON_DROP_MARTIAN);
	if (pkt->full.fragment)
		return drop(pkt, REASON_DROP_FRAGMENT);
	if (!is_tunnel_peer(pkt, tunnel))
		return drop(pkt, REASON_DROP_TUNNEL_PEER);
	head = header_at(headers, pkt->full.offset, sizeof(*head),
			 pkt->full.packet_end);
	if (!head)
		return drop(pkt, REASON_DROP_TUNNEL_HEADER);
	pkt->full.ethertype = ETH_P_TEB;
	if (TUNNEL_KINDS[(tunnel - 1) & (TUNNELS_MAX - 1)] == TUNNEL_VXLAN) {
		if (!(head->first & VXLAN_VNI_VALID))
			return drop(pkt, REASON_DROP_TUNNEL_HEADER);
	} else {
		size += (head->first & GENEVE_OPTIONS) * 4;
		pkt->full.ethertype = bpf_ntohs(head->type);
		if (head->first & GENEVE_VERSION ||
		    head->second & GENEVE_CONTROL ||
		    (pkt->full.ethertype != ETH_P_TEB &&
		     pkt->full.ethertype != ETH_P_IP &&
		     pkt->full.ethertype != ETH_P_IPV6))
			return drop(pkt, REASON_DROP_TUNNEL_HEADER);
	}
	if (size > pkt->full.packet_end - pkt->full.offset)
		return drop(pkt, REASON_DROP_TUNNEL_HEADER);
	pkt->full.offset += size;
	pkt->full.tunnel = tunnel;
	pkt->addr.sender_be[0] = pkt->addr.source_be[0];
	pkt->addr.sender_be[1] = pkt->addr.source_be[1];
	pkt->addr.receiver_be[0] = pkt->addr.destination_be[0];
	pkt->addr.receiver_be[1] = pkt->addr.destination_be[1];
	return STEP_TUNNEL;
}

#endif
