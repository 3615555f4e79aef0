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
	__u64 tuple; /* of the flow key */
	/* IPv4: the addresses of the key; see struct flow_ipv4. */
	__u64 pair_be;
	/* IPv6: the addresses of the key. */
	__u64 lower_be[2];
	__u64 higher_be[2];
	__u64 source_be[2];
	__u32 ack; /* TCP; of a SYN its sequence number */
	/* State of a flow that the packet does not change; 0: it may. */
	__u32 state;
	__u32 kind;   /* KIND_* */
	__u32 sender; /* 0: the lower address, 1: the higher one */
	bool may_create_flow;
};

/* A frame. The caller fills all fields but the EtherType. fast_packet_link()
 * sets that, enters the VLAN tags, and moves data and len to the IP header. */
struct fast_frame {
	void *data;
	void *data_end;
	__u32 len; /* bytes; those beyond data_end are not readable here */
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
					       __u32 protocol, __u32 *ports)
{
	const __u32 flags = TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK;
	struct tcphdr *tcp = data;
	struct udphdr *udp = data;

	if (protocol == IPPROTO_TCP) {
		if (!fast_tcp_header(tcp, frame->data_end, len))
			return false;
		*ports = *(const __u32 *)tcp;
		switch (((const __u8 *)tcp)[13] & flags) {
		case TCP_ACK:
			pkt->ack = bpf_ntohl(tcp->ack_seq);
			pkt->state = STATE_TCP_ESTABLISHED;
			pkt->may_create_flow = false;
			return true;
		case TCP_SYN:
			pkt->ack = bpf_ntohl(tcp->seq);
			pkt->state = 0;
			pkt->may_create_flow = true;
			return true;
		}
		return false;
	}
	if (protocol == IPPROTO_UDP) {
		if (!fast_udp_header(udp, frame->data_end, len, frame->is_gso,
				     pkt->kind))
			return false;
		pkt->ack = 0;
		pkt->state = STATE_UDP_REPLIED;
		pkt->may_create_flow = true;
		*ports = *(const __u32 *)udp;
		return true;
	}
	return false;
}

/* ports: that of the lower end in the lower half. */
static __always_inline void fast_packet_tuple(struct fast_packet *pkt,
					      __u32 sender, __u32 ports,
					      __u32 protocol, __u32 zone)
{
	pkt->sender = sender;
	pkt->tuple = ports | (__u64)protocol << TUPLE_PROTOCOL_SHIFT |
		     (__u64)zone << TUPLE_ZONE_SHIFT;
	/* The compiler keeps the branch of the caller whole. BPF has no
	 * conditional move: each selected word would be a branch. */
	asm volatile("");
}

static __always_inline void fast_packet_ipv6_key(struct fast_packet *pkt,
						 const __u64 lower[2],
						 const __u64 higher[2])
{
	pkt->lower_be[0] = lower[0];
	pkt->lower_be[1] = lower[1];
	pkt->higher_be[0] = higher[0];
	pkt->higher_be[1] = higher[1];
}

/* Equal addresses are not for the fast path. */
static __always_inline bool fast_packet_ipv4(struct fast_packet *pkt,
					     const struct fast_frame *frame)
{
	struct iphdr *ip = frame->data;
	__u32 total, ports;
	__u64 source, destination;

	pkt->kind = KIND_IPV4;
	if (!fast_ipv4_header(ip, frame->data_end, frame->len, &total) ||
	    !fast_packet_layer4(pkt, frame, ip + 1, total - sizeof(*ip),
				ip->protocol, &ports))
		return false;
	source = ip->saddr;
	destination = ip->daddr;
	ports = bpf_ntohl(ports); /* the source port in the upper half */
	if (source < destination) {
		pkt->pair_be = source | destination << 32;
		fast_packet_tuple(pkt, 0, ports << 16 | ports >> 16,
				  ip->protocol, frame->zone);
	} else {
		pkt->pair_be = destination | source << 32;
		fast_packet_tuple(pkt, 1, ports, ip->protocol, frame->zone);
	}
	pkt->source_be[0] = 0;
	pkt->source_be[1] = v4_mapped_address(source);
	return true;
}

static __always_inline bool fast_packet_ipv6(struct fast_packet *pkt,
					     const struct fast_frame *frame)
{
	struct ipv6hdr *ip = frame->data;
	struct addresses addr;
	__u32 payload, ports;

	pkt->kind = KIND_IPV6;
	if (!fast_ipv6_header(ip, frame->data_end, frame->len, &payload,
			      &addr) ||
	    !fast_packet_layer4(pkt, frame, ip + 1, payload, ip->nexthdr,
				&ports))
		return false;
	ports = bpf_ntohl(ports); /* the source port in the upper half */
	if (addr.source_be[0] != addr.destination_be[0] ?
		    addr.source_be[0] < addr.destination_be[0] :
		    addr.source_be[1] < addr.destination_be[1]) {
		fast_packet_ipv6_key(pkt, addr.source_be, addr.destination_be);
		fast_packet_tuple(pkt, 0, ports << 16 | ports >> 16,
				  ip->nexthdr, frame->zone);
	} else {
		fast_packet_ipv6_key(pkt, addr.destination_be, addr.source_be);
		fast_packet_tuple(pkt, 1, ports, ip->nexthdr, frame->zone);
	}
	pkt->source_be[0] = addr.source_be[0];
	pkt->source_be[1] = addr.source_be[1];
	return true;
}

static __always_inline void
fast_packet_destination(const struct fast_packet *pkt, __u64 to_be[2])
{
	if (pkt->kind == KIND_IPV4) {
		to_be[0] = 0;
		to_be[1] = v4_mapped_address(pkt->sender ? pkt->pair_be :
							   pkt->pair_be >> 32);
		return;
	}
	to_be[0] = pkt->sender ? pkt->lower_be[0] : pkt->higher_be[0];
	to_be[1] = pkt->sender ? pkt->lower_be[1] : pkt->higher_be[1];
}

#endif
