/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Definitions that both parsers share. docs/packets.md defines the result for
 * every frame.
 *
 * fast.h reads plain TCP and UDP in place. full.h reads everything else from a
 * copy of the headers, and starts over with whatever fast.h declines.
 */
#ifndef BAILEY_PARSE_FRAME_H
#define BAILEY_PARSE_FRAME_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "address/own.h"
#include "core/ip_address.h"
#include "core/maps.h"

#define ETH_P_QINQ_OLD 0x9100
#define VLAN_TAGS_MAX 2
#define VLAN_ID 0xfff
#define IP_MORE_FRAGMENTS 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff
#define IP_PACKET_MAX 65535

/* SCTP chunk types. */
#define SCTP_CHUNK_INIT 1
#define SCTP_CHUNK_INIT_ACK 2
#define SCTP_CHUNK_HEARTBEAT 4
#define SCTP_CHUNK_ABORT 6
#define SCTP_CHUNK_SHUTDOWN_COMPLETE 14
#define SCTP_CHUNK_ASCONF 0xc1 /* RFC 5061 */

#define DHCP_SERVER 67
#define DHCP_CLIENT 68
#define DHCPV6_CLIENT 546
#define DHCPV6_SERVER 547

volatile const __u32 VLAN_ZONES = 0; /* flows of each VLAN are separate */
volatile const __u32 DHCP = 1;       /* DHCP passes without policy */
volatile const __u32 ETHERTYPE_COUNT = 0;
volatile const __u16 ETHERTYPES[ETHERTYPES_MAX] = {}; /* pass unparsed */
volatile const __u32 TUNNEL_COUNT = 0;
volatile const __u16 TUNNEL_PORTS[TUNNELS_MAX] = {};
volatile const __u8 TUNNEL_KINDS[TUNNELS_MAX] = {};
volatile const __u32 TUNNEL_PEER_COUNT = 0;
volatile const struct tunnel_peer TUNNEL_PEERS[TUNNEL_PEERS_MAX] = {};

static __always_inline bool is_vlan_type(__u32 ethertype)
{
	return ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD ||
	       ethertype == ETH_P_QINQ_OLD;
}

/* Tags are entered from the outermost inwards. VLAN id 0 means no VLAN. */
static __always_inline void vlan_enter(struct parsed *in, __u32 tci)
{
	__u32 id = tci & VLAN_ID;

	in->vlan_tags++;
	if (VLAN_ZONES && id)
		in->zone = in->zone << 12 | id;
}

/* Stored in the 64-bit words that later code loads: loading a word that was
 * stored in halves stalls. IP headers are not aligned to 8 bytes, which costs
 * nothing on x86. */
static __always_inline void read_addresses_v6(struct addresses *addr,
					      const struct ipv6hdr *ip)
{
	const __u64 *source = (const void *)&ip->saddr;
	const __u64 *destination = (const void *)&ip->daddr;

	addr->source_be[0] = source[0];
	addr->source_be[1] = source[1];
	addr->destination_be[0] = destination[0];
	addr->destination_be[1] = destination[1];
}

/* 0.0.0.0 and ::. Packets that may have such a source have passed before. */
static __always_inline bool is_source_unspecified(const struct pkt *pkt)
{
	if (pkt->addr.source_be[0])
		return false;
	return pkt->in.kind == KIND_IPV4 ? !(pkt->addr.source_be[1] >> 32) :
					   !pkt->addr.source_be[1];
}

/* The flag combinations that nf_conntrack accepts from a TCP stack; PSH is
 * ignored. */
static __always_inline bool is_valid_tcp_flags(__u32 flags)
{
	const __u64 valid = 1ULL << TCP_SYN | 1ULL << (TCP_SYN | TCP_URG) |
			    1ULL << (TCP_SYN | TCP_ACK) | 1ULL << TCP_RST |
			    1ULL << (TCP_RST | TCP_ACK) |
			    1ULL << (TCP_FIN | TCP_ACK) |
			    1ULL << (TCP_FIN | TCP_ACK | TCP_URG) |
			    1ULL << TCP_ACK | 1ULL << (TCP_ACK | TCP_URG);

	flags &= TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG;
	return valid >> flags & 1;
}

static __always_inline void read_tcp(struct parsed *in,
				     const struct tcphdr *tcp)
{
	in->source_port = bpf_ntohs(tcp->source);
	in->destination_port = bpf_ntohs(tcp->dest);
	in->tcp_flags = ((const __u8 *)tcp)[13];
	in->sequence = bpf_ntohl(tcp->seq);
	in->ack = bpf_ntohl(tcp->ack_seq);
	in->may_create_flow = (in->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST |
						TCP_FIN)) == TCP_SYN;
}

/* Clears the fields that another parse fills again. */
static __always_inline void parsed_clear_layer4(struct pkt *pkt)
{
	pkt->in.source_port = 0;
	pkt->in.destination_port = 0;
	pkt->in.tcp_flags = 0;
	pkt->in.sequence = 0;
	pkt->in.ack = 0;
	pkt->in.may_create_flow = 0;
}

/* mac: of the NIC, 0: unknown. */
static __always_inline __u8 link_target_of(const struct ethhdr *eth, __u64 mac)
{
	__u64 to = 0;

	if (eth->h_dest[0] & 1)
		return LINK_GROUP;
	__builtin_memcpy(&to, eth->h_dest, ETH_ALEN);
	return mac && to != mac && !is_host_mac(to) ? LINK_OTHER : LINK_STATION;
}

static __always_inline bool has_dhcp_ports(__u16 source, __u16 destination,
					   __u32 kind)
{
	__u16 client = kind == KIND_IPV4 ? DHCP_CLIENT : DHCPV6_CLIENT;
	__u16 server = kind == KIND_IPV4 ? DHCP_SERVER : DHCPV6_SERVER;

	return DHCP && ((source == client && destination == server) ||
			(source == server && destination == client));
}

/* Id of the tunnel that uses this UDP port, from 1; 0: none. */
static __always_inline __u32 tunnel_of_port(__u16 port)
{
	__u32 i;

	if (!TUNNEL_COUNT)
		return 0;
#pragma unroll
	for (i = 0; i < TUNNELS_MAX; i++)
		if (i < TUNNEL_COUNT && TUNNEL_PORTS[i] == port)
			return i + 1;
	return 0;
}

#endif
