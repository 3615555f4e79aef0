/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Parser of the fast path: TCP and UDP packets that may belong to an
 * established flow. Accepts a subset of the frames that fast.h accepts, and
 * reads from them what the fast path needs: the flow key and the ACK number.
 * All results are in registers or on the stack.
 *
 * Each family has one straight line of code (fast_path.h), so the family is a
 * constant in every function here.
 */
#ifndef BAILEY_PARSE_FAST_PACKET_H
#define BAILEY_PARSE_FAST_PACKET_H

#include "parse/fast.h"

struct fast_packet {
	struct flow_key key;
	__u64 source_be[2];
	__u32 ack; /* TCP */
	/* State of a flow that the packet does not change; 0: it may. */
	__u32 state;
	bool sender_is_lower;
	bool may_create_flow;
};

/* What the caller knows of a frame, and what its link header says. */
struct fast_frame {
	void *data; /* of the IP header, once the link header is read */
	void *data_end;
	__u32 len; /* bytes of the frame, of which the end may be elsewhere */
	__u32 zone;
	__u32 vlan_tags;
	__u32 ethertype;
	bool is_gso;
};

static __always_inline bool fast_packet_link(struct fast_frame *frame)
{
	struct parsed in = { .zone = frame->zone,
			     .vlan_tags = frame->vlan_tags };
	void *next;

	if (!fast_link(&in, frame->data, frame->data_end, &next,
		       &frame->ethertype))
		return false;
	frame->len -= next - frame->data;
	frame->data = next;
	frame->zone = in.zone;
	return true;
}

/* Reads ports as loaded, first the source. A TCP segment with other flags than
 * only ACK or only SYN, apart from PSH and URG, is not for the fast path. */
static __always_inline bool fast_packet_layer4(struct fast_packet *pkt,
					       const struct fast_frame *frame,
					       void *data, __u32 len,
					       __u32 protocol, __u32 kind,
					       __u32 *ports)
{
	if (protocol == IPPROTO_TCP) {
		const __u32 flags = TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK;
		struct tcphdr *tcp = data;
		__u32 header;

		if (len < sizeof(*tcp) || (void *)(tcp + 1) > frame->data_end)
			return false;
		header = tcp->doff * 4;
		if (header < sizeof(*tcp) || header > len)
			return false;
		*ports = *(const __u32 *)tcp;
		switch (((const __u8 *)tcp)[13] & flags) {
		case TCP_ACK:
			pkt->ack = bpf_ntohl(tcp->ack_seq);
			pkt->state = STATE_TCP_ESTABLISHED;
			pkt->may_create_flow = false;
			return true;
		case TCP_SYN:
			pkt->state = 0;
			pkt->may_create_flow = true;
			return true;
		}
		return false;
	}
	if (protocol == IPPROTO_UDP) {
		struct udphdr *udp = data;
		__u32 stated;

		if (len < sizeof(*udp) || (void *)(udp + 1) > frame->data_end)
			return false;
		stated = bpf_ntohs(udp->len);
		if (!frame->is_gso && (stated < sizeof(*udp) || stated > len))
			return false;
		pkt->state = STATE_UDP_REPLIED;
		pkt->may_create_flow = true;
		*ports = *(const __u32 *)udp;
		return !tunnel_of_port(bpf_ntohs(udp->dest)) &&
		       !has_dhcp_ports(bpf_ntohs(udp->source),
				       bpf_ntohs(udp->dest), kind);
	}
	return false;
}

/* The tuple of the key. ports: as loaded, first the port of the source. */
static __always_inline __u64 fast_packet_tuple(__u32 ports, bool low,
					       __u32 protocol, __u32 zone)
{
	ports = bpf_ntohl(ports);
	if (low)
		ports = ports << 16 | ports >> 16;
	return ports | (__u64)protocol << TUPLE_PROTOCOL_SHIFT |
	       (__u64)zone << TUPLE_ZONE_SHIFT;
}

static __always_inline bool fast_packet_ipv4(struct fast_packet *pkt,
					     const struct fast_frame *frame)
{
	struct iphdr *ip = frame->data;
	__u64 source, destination;
	__u32 total, ports;

	if (!fast_ipv4_header(ip, frame->data_end, frame->len, &total) ||
	    !fast_packet_layer4(pkt, frame, ip + 1, total - sizeof(*ip),
				ip->protocol, KIND_IPV4, &ports))
		return false;
	source = v4_mapped_address(ip->saddr);
	destination = v4_mapped_address(ip->daddr);
	pkt->source_be[0] = 0;
	pkt->source_be[1] = source;
	pkt->key.addr_lo_be[0] = 0;
	pkt->key.addr_hi_be[0] = 0;
	/* Equal addresses are not for the fast path. One branch for all
	 * results: BPF has no conditional move. */
	pkt->sender_is_lower = source < destination;
	if (pkt->sender_is_lower) {
		pkt->key.addr_lo_be[1] = source;
		pkt->key.addr_hi_be[1] = destination;
		pkt->key.tuple = fast_packet_tuple(ports, true, ip->protocol,
						   frame->zone);
		asm volatile("");
	} else {
		pkt->key.addr_lo_be[1] = destination;
		pkt->key.addr_hi_be[1] = source;
		pkt->key.tuple = fast_packet_tuple(ports, false, ip->protocol,
						   frame->zone);
		asm volatile("");
	}
	return true;
}

static __always_inline bool fast_packet_ipv6(struct fast_packet *pkt,
					     const struct fast_frame *frame)
{
	struct ipv6hdr *ip = frame->data;
	struct addresses addr;
	__u32 payload, ports;
	const __u64 *source = addr.source_be,
		    *destination = addr.destination_be;

	if (!fast_ipv6_header(ip, frame->data_end, frame->len, &payload,
			      &addr) ||
	    !fast_packet_layer4(pkt, frame, ip + 1, payload, ip->nexthdr,
				KIND_IPV6, &ports))
		return false;
	pkt->source_be[0] = source[0];
	pkt->source_be[1] = source[1];
	pkt->sender_is_lower = source[0] != destination[0] ?
				       source[0] < destination[0] :
				       source[1] < destination[1];
	if (pkt->sender_is_lower) {
		pkt->key.addr_lo_be[0] = source[0];
		pkt->key.addr_lo_be[1] = source[1];
		pkt->key.addr_hi_be[0] = destination[0];
		pkt->key.addr_hi_be[1] = destination[1];
		pkt->key.tuple = fast_packet_tuple(ports, true, ip->nexthdr,
						   frame->zone);
		asm volatile("");
	} else {
		pkt->key.addr_lo_be[0] = destination[0];
		pkt->key.addr_lo_be[1] = destination[1];
		pkt->key.addr_hi_be[0] = source[0];
		pkt->key.addr_hi_be[1] = source[1];
		pkt->key.tuple = fast_packet_tuple(ports, false, ip->nexthdr,
						   frame->zone);
		asm volatile("");
	}
	return true;
}

#endif
