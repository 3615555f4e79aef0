/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Copies of frames for a process that captures; see struct capture. All packets
 * take the slow path meanwhile, so its exit sees each of them. A frame is copied
 * as it leaves the hook: routed, or rewritten into the answer to a challenge.
 */
#ifndef BAILEY_CORE_CAPTURE_H
#define BAILEY_CORE_CAPTURE_H

#include "core/recorder.h"

static __always_inline bool is_capturing(void)
{
	return READ_ONCE(control.blocks) & BLOCKS_CAPTURE;
}

static __always_inline bool is_in_captured_prefix(const __u64 addr_be[2])
{
	return !(((addr_be[0] ^ capture.addr_be[0]) & capture.mask_be[0]) |
		 ((addr_be[1] ^ capture.addr_be[1]) & capture.mask_be[1]));
}

static __always_inline bool is_captured_address(const struct pkt *pkt)
{
	if (!(capture.mask_be[0] | capture.mask_be[1]))
		return true;
	return pkt->in.kind &&
	       (is_in_captured_prefix(pkt->addr.source_be) ||
		is_in_captured_prefix(pkt->addr.destination_be));
}

/* Describes a packet. False: it is not captured. */
static __always_inline bool capture_begin(struct captured *to,
					  const struct pkt *pkt, __u32 bytes)
{
	__u64 now = bpf_ktime_get_ns(), snaplen = READ_ONCE(capture.snaplen);

	if (now > READ_ONCE(capture.until)) {
		/* The reader has crashed. One that lives sets the bit again. */
		__sync_fetch_and_and(&control.blocks, ~BLOCKS_CAPTURE);
		return false;
	}
	if (!(READ_ONCE(capture.reasons) >>
		      (pkt->out.reason & (REASON_MAX - 1)) &
	      1) ||
	    !is_captured_address(pkt))
		return false;
	record_fill(&to->record, pkt);
	to->record.number = record_class(pkt->out.reason);
	to->time = now;
	if (snaplen > CAPTURE_SNAPLEN_MAX)
		snaplen = CAPTURE_SNAPLEN_MAX;
	to->bytes = bytes < snaplen ? bytes : snaplen;
	to->length = bytes;
	to->pad = 0;
	to->vlan_protocol_be = 0;
	to->vlan_tci = 0;
	return true;
}

static __always_inline void capture_end(void *ctx, struct captured *frame)
{
	__u64 flags = BPF_F_CURRENT_CPU | (__u64)frame->bytes << 32;

	if (bpf_perf_event_output(ctx, &capture_rings, flags, frame,
				  sizeof(*frame)))
		__sync_fetch_and_add(&capture.missed, 1);
}

/* Global functions: the verifier checks them once. */
__noinline int capture_xdp(struct xdp_md *ctx, struct pkt *pkt)
{
	struct captured frame;

	if (pkt && capture_begin(&frame, pkt, bpf_xdp_get_buff_len(ctx)))
		capture_end(ctx, &frame);
	return 0;
}

__noinline int capture_tc(struct __sk_buff *skb, struct pkt *pkt)
{
	struct captured frame;

	if (!pkt || !capture_begin(&frame, pkt, skb->len))
		return 0;
	if (skb->vlan_present) {
		frame.vlan_protocol_be = skb->vlan_proto;
		frame.vlan_tci = skb->vlan_tci;
	}
	capture_end(skb, &frame);
	return 0;
}

#endif
