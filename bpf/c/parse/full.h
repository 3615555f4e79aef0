/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Full parser: reads every supported header from a copy of the first
 * HEADERS_MAX bytes of the frame.
 *
 * Each layer is a global function, so that the verifier checks it once.
 * pkt->full.offset is the offset of the next header, pkt->full.packet_end the
 * end of the current packet; each layer moves both. Padding after packet_end is
 * never read as payload.
 */
#ifndef BAILEY_PARSE_FULL_H
#define BAILEY_PARSE_FULL_H

#include "core/flow_key.h"
#include "parse/fragment.h"
#include "parse/ip.h"
#include "parse/link.h"

/* On entry pkt->full.packet_end is the length of the frame, which may exceed
 * the copy. */
static __always_inline enum step parse_layers(struct pkt *pkt,
					      struct headers *headers)
{
	enum step step = parse_link(pkt, headers);

	if (step == STEP_CONTINUE)
		step = parse_network(pkt, headers);
	if (step != STEP_TUNNEL)
		return step;
	parsed_clear_layer4(pkt);
	pkt->in.vlan_tags = 0;
	pkt->in.zone = 0;
	pkt->in.link_target = LINK_NONE;
	step = STEP_CONTINUE;
	if (pkt->full.ethertype == ETH_P_TEB)
		step = parse_link(pkt, headers);
	if (step == STEP_CONTINUE)
		step = parse_network(pkt, headers);
	return step;
}

/* Discards what the fast parser has left. tags and zone: from the VLAN tag that
 * the skb holds outside the frame. */
static __always_inline void parse_full_begin(struct pkt *pkt, __u32 len,
					     __u32 tags, __u32 zone)
{
	parsed_clear_layer4(pkt);
	pkt->in.vlan_tags = tags;
	pkt->in.zone = zone;
	pkt->full.packet_end = len;
}

static __always_inline enum step parse_full(struct pkt *pkt,
					    struct headers *copy)
{
	enum step step = parse_layers(pkt, copy);

	if (step == STEP_CONTINUE && pkt->full.fragment == FRAGMENT_LATER)
		step = fragment_follow(pkt);
	if (step == STEP_CONTINUE)
		key_set(pkt);
	return step;
}

/* Full parse at XDP. */
static __always_inline enum step parse_full_xdp(struct pkt *pkt,
						struct xdp_md *ctx)
{
	__u32 len = bpf_xdp_get_buff_len(
		ctx); /* all buffers of a multi-buffer frame */
	__u32 hook = pkt->env.hook, length;
	struct headers *copy;

	pkt->in.bytes = len;
	copy = bpf_map_lookup_elem(&headers, &hook);
	if (!copy)
		return drop(pkt, REASON_DROP_MAP_ERROR);
	parse_full_begin(pkt, len, 0, 0);
	length = copy_length(len);
	if (length < ETH_HLEN)
		return drop(pkt, REASON_DROP_ETH_TRUNCATED);
	if (bpf_xdp_load_bytes(ctx, 0, copy->bytes, length))
		return drop(pkt, REASON_DROP_MAP_ERROR);
	return parse_full(pkt, copy);
}

static __always_inline enum step
parse_full_skb(struct pkt *pkt, struct __sk_buff *skb, __u32 tags, __u32 zone)
{
	__u32 hook = HOOK_TC, length;
	struct headers *copy;

	copy = bpf_map_lookup_elem(&headers, &hook);
	if (!copy)
		return drop(pkt, REASON_DROP_MAP_ERROR);
	parse_full_begin(pkt, skb->len, tags, zone);
	length = copy_length(skb->len);
	if (length < ETH_HLEN)
		return drop(pkt, REASON_DROP_ETH_TRUNCATED);
	if (bpf_skb_load_bytes(skb, 0, copy->bytes, length))
		return drop(pkt, REASON_DROP_MAP_ERROR);
	return parse_full(pkt, copy);
}

#endif
