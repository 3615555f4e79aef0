/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* IPv6 extension headers. */
#ifndef BAILEY_PARSE_IPV6_CHAIN_H
#define BAILEY_PARSE_IPV6_CHAIN_H

#include "parse/fragment.h"
#include "parse/header_copy.h"

/* The bytes that all extension headers begin with. */
struct extension {
	__u8 next;
	__u8 length;   /* 8 bytes each, minus 1; AH: 4 bytes each, minus 2 */
	__u8 type;     /* routing header */
	__u8 segments; /* routing header: segments left */
	__be32 id;     /* fragment header */
};

struct fragment_extension {
	__u8 next;
	__u8 reserved;
	__be16 offset; /* lowest bit: more fragments */
	__be32 id;
};

static __always_inline bool is_extension_header(__u32 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
	       next == IPPROTO_DSTOPTS || next == IPPROTO_AH ||
	       next == IPPROTO_FRAGMENT;
}

/*
 * Walks the extension headers and moves pkt->full.offset past them. Returns the
 * protocol after them, or the negated drop reason. Stops at the header of a
 * later fragment. For a packet that an ICMP error quotes, only a later fragment
 * is an error.
 */
__noinline int parse_ipv6_chain(struct pkt *pkt, struct headers *headers,
				__u32 next, int quoted)
{
	bool fragmented = false;
	__u32 i, size;

	if (!pkt || !headers)
		return -REASON_DROP_MAP_ERROR;
	for (i = 0; i <= EXTENSION_HEADERS_MAX; i++) {
		struct fragment_extension *fragment;
		struct extension *header;
		__u32 offset;

		/* End of the chain, or a header out of place. */
		if (!is_extension_header(next))
			return next & 0xff;
		if (i == EXTENSION_HEADERS_MAX ||
		    (i && next == IPPROTO_HOPOPTS) ||
		    (fragmented && next == IPPROTO_FRAGMENT))
			return -REASON_DROP_EXTENSION_HEADER;
		if (pkt->full.offset + sizeof(*header) > pkt->full.packet_end)
			break;
		header = header_at(headers, pkt->full.offset, sizeof(*header),
				   pkt->full.packet_end);
		if (!header)
			return -REASON_DROP_EXTENSION_HEADER;
		/* Skip any header but a fragment header. */
		if (next != IPPROTO_FRAGMENT) {
			size = next == IPPROTO_AH ? (header->length + 2) * 4 :
						    (header->length + 1) * 8;
			if (size > pkt->full.packet_end - pkt->full.offset)
				break;
			if (next == IPPROTO_ROUTING &&
			    (!header->type || header->segments))
				return -REASON_DROP_SOURCE_ROUTE;
			pkt->full.offset += size;
			next = header->next;
			continue;
		}
		/* Fragment header. */
		fragmented = true;
		fragment = (struct fragment_extension *)header;
		offset = bpf_ntohs(fragment->offset);
		pkt->full.offset += sizeof(*fragment);
		next = fragment->next;
		if (quoted && offset & 0xfff8)
			return -REASON_DROP_ICMP_ERROR_PAYLOAD;
		if (quoted ||
		    !(offset & 0xfff9)) /* RFC 6946: atomic fragment */
			continue;
		pkt->full.fragment_id = fragment->id;
		if (fragment_note(pkt, offset & 0xfff8, offset & 1,
				  pkt->full.packet_end - pkt->full.offset,
				  IP_PACKET_MAX))
			return -REASON_DROP_FRAGMENT;
		if (pkt->full.fragment == FRAGMENT_LATER)
			return 0;
	}
	return pkt->full.fragment == FRAGMENT_FIRST ?
		       -REASON_DROP_FRAGMENT_TINY :
		       -REASON_DROP_EXTENSION_HEADER;
}

#endif
