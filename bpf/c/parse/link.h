/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Ethernet, VLAN tags and IEEE 802.2 LLC. */
#ifndef BAILEY_PARSE_LINK_H
#define BAILEY_PARSE_LINK_H

#include "parse/frame.h"
#include "parse/header_copy.h"

#define LLC_SNAP 0xaa
#define LLC_IP 0x06
#define LLC_UI 0x03
#define SNAP_HEADER 8

/* Bridges never forward 01:80:c2:00:00:0x: STP, LACP, LLDP, 802.1X. */
static __always_inline bool is_link_local_control(const struct ethhdr *eth)
{
	const __u8 *d = eth->h_dest;

	return d[0] == 0x01 && d[1] == 0x80 && d[2] == 0xc2 && !d[3] && !d[4] &&
	       d[5] < 0x10;
}

/*
 * LLC frames that a bridge forwards: spanning tree, IS-IS, and vendor SNAP
 * protocols between switches (PVST+, CDP, UDLD, VTP, DTP, EDP), which go to a
 * group and carry the vendor's OUI. Not forwarded: SNAP of RFC 1042, of bridge
 * tunnels and of bridged frames (802.1H, RFC 2684), and IP under any SAP, OUI
 * or EtherType, because policy applies to their payload.
 */
static __always_inline bool is_llc_forwarded(const struct pkt *pkt,
					     struct headers *headers)
{
	__u8 *llc =
		header_at(headers, pkt->full.offset, 2, pkt->full.packet_end);
	__u32 vendor, type;

	if (!llc || (llc[0] & 0xfe) == LLC_IP || (llc[1] & 0xfe) == LLC_IP)
		return false;
	if ((llc[0] & 0xfe) != LLC_SNAP)
		return true;
	llc = header_at(headers, pkt->full.offset, SNAP_HEADER,
			pkt->full.packet_end);
	if (!llc || llc[0] != LLC_SNAP || llc[1] != LLC_SNAP ||
	    llc[2] != LLC_UI || pkt->in.link_target != LINK_GROUP)
		return false;
	vendor = (__u32)llc[3] << 16 | (__u32)llc[4] << 8 | llc[5];
	type = (__u32)llc[6] << 8 | llc[7];
	return vendor && vendor != 0x0000f8 && vendor != 0x0080c2 &&
	       type != ETH_P_IP && type != ETH_P_IPV6 && type != ETH_P_ARP &&
	       !is_vlan_type(type);
}

static __always_inline bool is_ethertype_allowed(__u32 type)
{
	__u32 i;

	for (i = 0; i < ETHERTYPES_MAX && i < ETHERTYPE_COUNT; i++)
		if (ETHERTYPES[i] == type)
			return true;
	return false;
}

/* Parses up to the network header, and sets pkt->full.ethertype for IP. */
__noinline int parse_link(struct pkt *pkt, struct headers *headers)
{
	struct ethhdr *eth;
	__be16 *word;
	__u32 type, i;

	if (!pkt || !headers)
		return STEP_DONE;
	eth = header_at(headers, pkt->full.offset, sizeof(*eth),
			pkt->full.packet_end);
	if (!eth)
		return drop(pkt, REASON_DROP_ETH_TRUNCATED);
	type = bpf_ntohs(eth->h_proto);
	pkt->in.link_target = link_target_of(eth, pkt->env.mac);
	pkt->full.offset += sizeof(*eth);
	/* VLAN tags. */
	for (i = 0; i <= VLAN_TAGS_MAX && is_vlan_type(type); i++) {
		if (pkt->in.vlan_tags == VLAN_TAGS_MAX)
			return drop(pkt, REASON_DROP_VLAN);
		word = header_at(headers, pkt->full.offset, 4,
				 pkt->full.packet_end);
		if (!word)
			return drop(pkt, REASON_DROP_ETH_TRUNCATED);
		vlan_enter(&pkt->in, bpf_ntohs(word[0]));
		type = bpf_ntohs(word[1]);
		pkt->full.offset += 4;
	}
	/* EtherType or LLC. */
	pkt->full.ethertype = type;
	if (type == ETH_P_IP || type == ETH_P_IPV6)
		return STEP_CONTINUE;
	if (type == ETH_P_ARP)
		return pass(pkt, REASON_PASS_ARP);
	if (is_link_local_control(eth))
		return pass(pkt, REASON_PASS_LINK_LOCAL_CONTROL);
	if (pkt->full.tunnel)
		return drop(pkt, REASON_DROP_ETHERTYPE);
	if (type < ETH_P_802_3_MIN)
		return BRIDGE && is_llc_forwarded(pkt, headers) ?
			       pass(pkt, REASON_PASS_LLC) :
			       drop(pkt, REASON_DROP_ETHERTYPE);
	return is_ethertype_allowed(type) ? pass(pkt, REASON_PASS_ETHERTYPE) :
					    drop(pkt, REASON_DROP_ETHERTYPE);
}

#endif
