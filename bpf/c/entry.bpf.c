// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/*
 * What is attached: parse, look the flow up, act. A packet that the flow table
 * does not answer goes on to the policy program of the current generation.
 */
#include "address/antispoof.h"
#include "address/origin.h"
#include "core/ingress.h"
#include "flow/advance.h"
#include "flow/fast_path.h"
#include "forward/bridge.h"
#include "guard/blocklist.h"
#include "guard/failsafe.h"
#include "parse/fast.h"
#include "parse/full.h"
#include "verdict.h"

static __always_inline enum step flow_lookup(struct pkt *pkt)
{
	enum find_result find = FIND_BUSY;
	__u64 words[2];
	int i;

	if (!pkt->env.is_fast_parsed && !flow_hash(pkt))
		return drop(pkt, REASON_DROP_MAP_ERROR);
	/* A flow that another CPU is judging again is there a moment later; to
	 * take it for a new one would cost a reply. */
	for (i = 0; i < FLOW_TRIES && find == FIND_BUSY; i++)
		find = flow_find(pkt, words);
	if (find == FIND_HIT)
		return flow_hit(pkt);
	return pkt->full.icmp_error ? drop(pkt, REASON_DROP_ICMP_ERROR) : STEP_CONTINUE;
}

/* Whatever the flow table does not answer with an allow is asked of the failsafe
 * before anything else. */
static __always_inline enum step flow_step(struct pkt *pkt)
{
	enum step step;

	/* Who sends an error in a tunnel is not kept. */
	pkt->env.has_foreign_source = !(pkt->full.icmp_error && pkt->full.tunnel) &&
		       is_foreign_source(pkt->full.icmp_error ? pkt->addr.sender_be : pkt->addr.source_be,
			       pkt->env.hook, pkt->env.from_external);

	if (is_carrier_blocked(pkt))
		return drop(pkt, REASON_DROP_BLOCKED);
	step = flow_lookup(pkt);
	if (pkt->out.verdict != VERDICT_PASS && is_failsafe(pkt)) {
		pkt->out.egress_cell = RULE_NONE;
		pkt->out.ingress_cell = RULE_NONE;
		return pass(pkt, REASON_PASS_FAILSAFE);
	}
	if (step != STEP_CONTINUE)
		return step;
	return is_flow_blocked(pkt) ? drop(pkt, REASON_DROP_BLOCKED) : STEP_CONTINUE;
}

/* Is the packet DHCP, IGMP or MLD that passes without policy? */
static __always_inline bool is_control_pass(const struct pkt *pkt)
{
	return pkt->out.verdict == VERDICT_PASS &&
	       (pkt->out.reason == REASON_PASS_DHCP ||
		pkt->out.reason == REASON_PASS_MULTICAST_CONTROL);
}

/* Blocks hold for control packets too. */
static __always_inline bool is_control_blocked(struct pkt *pkt)
{
	if (!is_control_pass(pkt))
		return false;
	key_set(pkt);
	return is_flow_blocked(pkt);
}

/* Does a control packet from the inside have a source outside its prefixes? The policy
 * program then asks whether an endpoint or a node has the address. */
static __always_inline bool has_control_foreign_source(struct pkt *pkt)
{
	pkt->env.has_foreign_source = is_control_pass(pkt) && !is_source_unspecified(pkt) &&
		       is_foreign_source(pkt->addr.source_be, pkt->env.hook, pkt->env.from_external);
	return pkt->env.has_foreign_source;
}

SEC("xdp.frags")
int entry_xdp(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	enum step step = STEP_CONTINUE;
	struct pkt *pkt = pkt_begin_parse(HOOK_XDP);
	struct ingress_ctx in;
	struct fast_hit hit;
	bool fast;
	int action;

	if (!pkt || !ingress_ctx_load(&in, &control, ifindex))
		return XDP_DROP;
	fast = parse_fast_xdp(pkt, ctx);
	/* A router has a route to find. */
	if (fast && !ROUTER &&
	    fast_path(pkt, READ_ONCE(in.control->word), in.interface,
			 HOOK_XDP, &hit)) {
		action = BRIDGE ? bpf_redirect_map(&bridge_ports, ifindex,
						   XDP_DROP)
				: XDP_PASS;
		if (action != XDP_DROP) {
			fast_path_count(pkt, in.interface, HOOK_XDP, 1, &hit);
			return action;
		}
	}
	pkt_begin_slow_path(pkt, HOOK_XDP, &in, ifindex);
	pkt->env.is_fast_parsed = fast;
	if (!fast)
		step = parse_full_xdp(pkt, ctx);
	else if (has_eth_header(ctx))
		pkt->in.link_target = link_target_of((void *)(long)ctx->data, pkt->env.mac);
	/* Also of what passes without policy, if it is IP. */
	if ((step == STEP_CONTINUE || pkt->out.verdict == VERDICT_PASS) && pkt->in.kind &&
	    (is_spoofed(pkt) || has_host_source(pkt)))
		step = drop(pkt, REASON_DROP_SPOOFED);
	if (is_control_blocked(pkt))
		step = drop(pkt, REASON_DROP_BLOCKED);
	if (step == STEP_CONTINUE)
		step = flow_step(pkt);
	else if (has_control_foreign_source(pkt))
		step = STEP_CONTINUE;
	if (step != STEP_CONTINUE)
		return finish_xdp(ctx, pkt);
	bpf_tail_call(ctx, &policies_xdp, control_slot(pkt->env.control));
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_xdp(ctx, pkt);
}

/* Guests leave the number of segments to be computed. */
static __always_inline __u32 segment_count(struct __sk_buff *skb)
{
	if (skb->gso_segs)
		return skb->gso_segs;
	return skb->gso_size ? (skb->len + skb->gso_size - 1) / skb->gso_size : 1;
}

SEC("classifier")
int entry_tc(struct __sk_buff *skb)
{
	__u32 packets = segment_count(skb), ifindex = skb->ifindex, tags, zone;
	struct pkt *pkt = pkt_begin_parse(HOOK_TC);
	bool fast, evaluated = was_evaluated_at_xdp(skb);
	enum step step = STEP_CONTINUE;
	struct ingress_ctx in;
	struct fast_hit hit;

	if (!pkt || !ingress_ctx_load(&in, &control, ifindex))
		return TC_ACT_SHOT;
	/* The outermost tag is not in the frame but beside it. */
	if (skb->vlan_present)
		vlan_enter(pkt, skb->vlan_tci);
	tags = pkt->in.vlan_tags;
	zone = pkt->in.zone;
	pkt->in.is_gso = skb->gso_size != 0;
	fast = parse_fast(pkt, (void *)(long)skb->data,
			   (void *)(long)skb->data_end, skb->len);
	pkt->in.bytes = skb->wire_len ?: skb->len; /* 0 outside a qdisc */
	if (fast && fast_path(pkt, READ_ONCE(in.control->word), 0, HOOK_TC,
				  &hit)) {
		if (evaluated)
			count_reason_at(bpf_get_smp_processor_id(),
					in.interface & (INTERFACE_SLOTS - 1),
					HOOK_TC, REASON_PASS_EVALUATED, packets,
					pkt->in.bytes);
		else
			fast_path_count(pkt, in.interface, HOOK_TC, packets,
				    &hit);
		return TC_ACT_UNSPEC;
	}
	pkt_begin_slow_path(pkt, HOOK_TC, &in, ifindex);
	pkt->env.packets = packets;
	pkt->env.is_fast_parsed = fast;
	pkt->env.is_evaluated = evaluated;
	pkt->env.is_forwarded = !!skb->ingress_ifindex;
	pkt->env.is_from_host = is_frame_from_host(skb, pkt->env.mac);
	if (!fast)
		step = parse_full_skb(pkt, skb, tags, zone);
	if (is_control_blocked(pkt))
		step = drop(pkt, REASON_DROP_BLOCKED);
	if (step != STEP_CONTINUE)
		return finish_tc(pkt);
	if (flow_step(pkt) != STEP_CONTINUE)
		return finish_tc(pkt);
	bpf_tail_call(skb, &policies_tc, control_slot(pkt->env.control));
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_tc(pkt);
}

/* Judges a packet as a new connection under the generation that probe_control
 * names. Never attached, counts nothing, writes nothing but its answer. */
SEC("xdp.frags")
int entry_probe(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct pkt *pkt = pkt_begin_parse(HOOK_PROBE);
	struct ingress_ctx in;
	bool fast;

	if (!pkt || !ingress_ctx_load(&in, &probe_control, ifindex))
		return XDP_DROP;
	fast = parse_fast_xdp(pkt, ctx);
	pkt_begin_slow_path(pkt, HOOK_PROBE, &in, ifindex);
	pkt->env.is_fast_parsed = fast;
	if (!fast && parse_full_xdp(pkt, ctx) != STEP_CONTINUE)
		return finish_probe(ctx, pkt);
	pkt->out.probe_steps = PROBE_PARSED;
	if (is_failsafe(pkt)) {
		pass(pkt, REASON_PASS_FAILSAFE);
		return finish_probe(ctx, pkt);
	}
	if (is_carrier_blocked(pkt) || is_flow_blocked(pkt)) {
		drop(pkt, REASON_DROP_BLOCKED);
		return finish_probe(ctx, pkt);
	}
	bpf_tail_call(ctx, &policies_probe, control_slot(pkt->env.control));
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_probe(ctx, pkt);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
