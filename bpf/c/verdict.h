/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* The only exit of the slow path: counts a packet under one verdict and one
 * reason, counts its rules, records and captures it, and returns the action of
 * the hook. */
#ifndef BAILEY_VERDICT_H
#define BAILEY_VERDICT_H

#include "core/capture.h"
#include "core/recorder.h"
#include "core/rule_counters.h"
#include "core/step.h"
#include "forward/router.h"
#include "parse/fragment.h"

/* A packet that its flow counts adds only a new flow here, even if no interface
 * could forward it then. Other packets count if they pass, or if policy dropped
 * them. */
static __always_inline void count_rules(struct pkt *pkt, __u32 cpu)
{
	/* The ingress hook has counted an evaluated packet that passes. */
	bool in_flow =
		pkt->out.is_counted ||
		(pkt->env.is_evaluated && pkt->out.verdict == VERDICT_PASS);
	bool denied = pkt->out.verdict != VERDICT_PASS && !in_flow;
	struct rule_amounts by = { .cpu = cpu,
				   .hits = pkt->out.is_new_flow,
				   .packets = in_flow ? 0 : pkt->env.packets,
				   .bytes = in_flow ? 0 : pkt->in.bytes,
				   .now = pkt->env.now };

	if (denied && pkt->out.reason != REASON_DROP_POLICY &&
	    pkt->out.reason != REASON_DROP_FLOW_DENIED)
		return;
	if (in_flow && !by.hits)
		return;
	count_cells(pkt->out.egress_cell, pkt->out.ingress_cell, denied, &by);
}

static __always_inline void count_reason_at(__u32 cpu, __u32 slot, __u32 hook,
					    __u32 reason, __u32 packets,
					    __u32 bytes)
{
	__u32 index = (cpu * INTERFACE_SLOTS + slot) * HOOKS + hook;
	struct reason_counters *counters;

	counters = bpf_map_lookup_elem(&reason_counters, &index);
	if (!counters)
		return;
	counters->reason[reason & (REASON_MAX - 1)].packets += packets;
	counters->reason[reason & (REASON_MAX - 1)].bytes += bytes;
}

static __always_inline void count_packet(struct pkt *pkt)
{
	__u32 cpu = bpf_get_smp_processor_id();

	count_reason_at(cpu, pkt->env.interface_slot, pkt->env.hook,
			pkt->out.reason, pkt->env.packets, pkt->in.bytes);
	count_rules(pkt, cpu);
	if (is_recorded(pkt->out.reason))
		record_packet(pkt);
	if (pkt->full.fragment == FRAGMENT_FIRST &&
	    pkt->out.verdict == VERDICT_PASS)
		fragment_remember(pkt);
}

static __always_inline int finish_xdp(struct xdp_md *ctx, struct pkt *pkt)
{
	int action = pkt->out.verdict == VERDICT_PASS   ? XDP_PASS :
		     pkt->out.verdict == VERDICT_ANSWER ? XDP_TX :
							  XDP_DROP;

	/* A bridge never passes frames to the kernel network stack of this
	 * host. */
	if (BRIDGE && action == XDP_PASS) {
		action = bpf_redirect_map(&bridge_ports, pkt->env.ifindex,
					  XDP_DROP);
		if (action != XDP_REDIRECT)
			drop(pkt, REASON_DROP_BRIDGE_PORT);
	}
	if (ROUTER && action == XDP_PASS) {
		action = forward_routed(ctx, pkt);
		if (action == XDP_DROP)
			drop(pkt, REASON_DROP_BRIDGE_PORT);
	}
	count_packet(pkt);
	if (is_capturing())
		capture_xdp(ctx, pkt);
	return action;
}

static __always_inline int finish_tc(struct __sk_buff *skb, struct pkt *pkt)
{
	count_packet(pkt);
	if (is_capturing())
		capture_tc(skb, pkt);
	/* UNSPEC: other programs and the NIC still process the packet. */
	return pkt->out.verdict == VERDICT_PASS ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

/* Counts nothing; the answer precedes the packet in the returned buffer. */
static __always_inline int finish_probe(struct xdp_md *ctx, struct pkt *pkt)
{
	int action = pkt->out.verdict == VERDICT_PASS ? XDP_PASS : XDP_DROP;
	struct probe_answer *answer;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*answer)))
		return action;
	answer = (void *)(long)ctx->data;
	if ((void *)(answer + 1) > (void *)(long)ctx->data_end)
		return action;
	__builtin_memset(answer, 0, sizeof(*answer));
	answer->magic = PROBE_MAGIC;
	answer->key = pkt->key;
	answer->verdict = pkt->out.verdict;
	answer->reason = pkt->out.reason;
	answer->egress = pkt->out.egress_cell;
	answer->ingress = pkt->out.ingress_cell;
	answer->steps = pkt->out.probe_steps;
	answer->fragment = pkt->full.fragment;
	answer->fragment_bytes = pkt->full.fragment_bytes;
	answer->sender_is_lower = pkt->in.sender_is_lower;
	answer->may_create_flow = pkt->in.may_create_flow;
	answer->is_icmp_error = pkt->full.icmp_error;
	return action;
}

#endif
