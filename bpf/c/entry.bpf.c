// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/*
 * The attached programs: entry_xdp (ingress) and entry_tc (egress). Both parse
 * the frame, look up its flow and apply the verdict of that flow. A packet
 * without a usable flow goes to the policy program of the active generation.
 * entry_probe answers test runs and is never attached.
 */
#include "address/antispoof.h"
#include "address/origin.h"
#include "core/ingress.h"
#include "core/policy_call.h"
#include "flow/hit.h"
#include "flow/fast_path.h"
#include "forward/bridge.h"
#include "guard/blocklist.h"
#include "guard/failsafe.h"
#include "parse/fast.h"
#include "parse/full.h"
#include "verdict.h"

/* Counts and forwards a packet of an established flow; false: take the slow
 * path. A router always takes it, because only that path looks up a route. */
static __always_inline bool fast_path_xdp(struct pkt *pkt,
					  const struct ingress_ctx *in,
					  __u32 ifindex, int *action)
{
	struct fast_hit hit;

	if (ROUTER || !fast_path(pkt, READ_ONCE(in->control->word),
				 in->interface, HOOK_XDP, &hit))
		return false;
	*action = BRIDGE ? bpf_redirect_map(&bridge_ports, ifindex, XDP_DROP) :
			   XDP_PASS;
	/* No peer port: the slow path counts the drop under its reason. */
	if (*action == XDP_DROP)
		return false;
	fast_path_count(pkt, in->interface, HOOK_XDP, 1, &hit);
	return true;
}

/* Completes what parse_fast() has read, or parses the whole frame. */
static __always_inline enum step parse_rest_xdp(struct xdp_md *ctx,
						struct pkt *pkt)
{
	if (!pkt->env.is_fast_parsed)
		return parse_full_xdp(pkt, ctx);
	if (has_eth_header(ctx))
		pkt->in.link_target =
			link_target_of((void *)(long)ctx->data, pkt->env.mac);
	return STEP_CONTINUE;
}

/* Also for IP packets that pass without policy (ND, DHCP, MLD, IGMP). */
static __always_inline enum step antispoof_step(struct pkt *pkt, enum step step)
{
	if ((step == STEP_CONTINUE || pkt->out.verdict == VERDICT_PASS) &&
	    pkt->in.kind && (is_spoofed(pkt) || has_host_source(pkt)))
		return drop(pkt, REASON_DROP_SPOOFED);
	return step;
}

/* DHCP, IGMP and MLD pass without policy. */
static __always_inline bool is_control_pass(const struct pkt *pkt)
{
	return pkt->out.verdict == VERDICT_PASS &&
	       (pkt->out.reason == REASON_PASS_DHCP ||
		pkt->out.reason == REASON_PASS_MULTICAST_CONTROL);
}

/* The blocklist applies to control packets too. */
static __always_inline bool is_control_blocked(struct pkt *pkt)
{
	if (!is_control_pass(pkt))
		return false;
	key_set(pkt);
	return is_flow_blocked(pkt);
}

/* Control packets have no flow. One with a foreign source continues to the
 * policy program, which checks whether an endpoint or a node has the
 * address. */
static __always_inline bool set_control_foreign_source(struct pkt *pkt)
{
	pkt->env.has_foreign_source =
		is_control_pass(pkt) && !is_source_unspecified(pkt) &&
		is_foreign_source(pkt->addr.source_be, pkt->env.hook,
				  pkt->env.from_external);
	return pkt->env.has_foreign_source;
}

/* The failsafe overrides every verdict of the flow table except a pass, and
 * every blocklist entry for the ends of the flow. */
static __always_inline enum step flow_step(struct pkt *pkt)
{
	enum step step;

	set_foreign_source(pkt);
	if (is_outer_address_blocked(pkt))
		return drop(pkt, REASON_DROP_BLOCKED);
	step = flow_lookup(pkt);
	if (pkt->out.verdict != VERDICT_PASS && is_failsafe(pkt)) {
		pkt->out.egress_cell = RULE_NONE;
		pkt->out.ingress_cell = RULE_NONE;
		return pass(pkt, REASON_PASS_FAILSAFE);
	}
	if (step == STEP_CONTINUE && is_flow_blocked(pkt))
		return drop(pkt, REASON_DROP_BLOCKED);
	return step;
}

SEC("xdp.frags")
int entry_xdp(struct xdp_md *ctx)
{
	struct pkt *pkt = pkt_begin_parse(HOOK_XDP);
	__u32 ifindex = ctx->ingress_ifindex;
	struct ingress_ctx in;
	enum step step;
	bool is_fast;
	int action;

	if (!pkt || !ingress_ctx_load(&in, &control, ifindex))
		return XDP_DROP;

	/* TCP and UDP packets of established flows end here. */
	is_fast = parse_fast_xdp(pkt, ctx);
	if (is_fast && fast_path_xdp(pkt, &in, ifindex, &action))
		return action;

	/* Parse, validate the source, look up the flow. */
	pkt_begin_slow_path(pkt, HOOK_XDP, &in, ifindex);
	pkt->env.is_fast_parsed = is_fast;
	step = parse_rest_xdp(ctx, pkt);
	step = antispoof_step(pkt, step);
	if (is_control_blocked(pkt))
		step = drop(pkt, REASON_DROP_BLOCKED);
	if (step == STEP_CONTINUE)
		step = flow_step(pkt);
	else if (set_control_foreign_source(pkt))
		step = STEP_CONTINUE;

	/* The policy program applies its own verdict; else apply this one. */
	if (step == STEP_CONTINUE) {
		call_policy(ctx, &policies_xdp, control_slot(pkt->env.control));
		drop(pkt, REASON_DROP_NO_POLICY);
	}
	return finish_xdp(ctx, pkt);
}

/* Guests leave gso_segs at 0 for the host to compute. */
static __always_inline __u32 segment_count(struct __sk_buff *skb)
{
	if (skb->gso_segs)
		return skb->gso_segs;
	return skb->gso_size ? (skb->len + skb->gso_size - 1) / skb->gso_size :
			       1;
}

/* A packet that XDP evaluated and counted is counted once more, but under one
 * reason only: not for its flow and its rules. */
static __always_inline bool fast_path_tc(struct pkt *pkt,
					 const struct ingress_ctx *in,
					 bool is_evaluated, __u32 packets)
{
	struct fast_hit hit;

	if (!fast_path(pkt, READ_ONCE(in->control->word), 0, HOOK_TC, &hit))
		return false;
	if (is_evaluated)
		count_reason_at(bpf_get_smp_processor_id(),
				in->interface & (INTERFACE_SLOTS - 1), HOOK_TC,
				REASON_PASS_EVALUATED, packets, pkt->in.bytes);
	else
		fast_path_count(pkt, in->interface, HOOK_TC, packets, &hit);
	return true;
}

SEC("classifier")
int entry_tc(struct __sk_buff *skb)
{
	__u32 packets = segment_count(skb), ifindex = skb->ifindex, tags, zone;
	struct pkt *pkt = pkt_begin_parse(HOOK_TC);
	bool is_fast, is_evaluated = was_evaluated_at_xdp(skb);
	enum step step = STEP_CONTINUE;
	struct ingress_ctx in;

	if (!pkt || !ingress_ctx_load(&in, &control, ifindex))
		return TC_ACT_SHOT;

	/* The skb holds the outermost VLAN tag; the frame does not. */
	if (skb->vlan_present)
		vlan_enter(pkt, skb->vlan_tci);
	tags = pkt->in.vlan_tags;
	zone = pkt->in.zone;
	pkt->in.is_gso = skb->gso_size != 0;

	/* TCP and UDP packets of established flows end here. */
	is_fast = parse_fast(pkt, (void *)(long)skb->data,
			     (void *)(long)skb->data_end, skb->len);
	/* wire_len is 0 outside a qdisc. */
	pkt->in.bytes = skb->wire_len ?: skb->len;
	if (is_fast && fast_path_tc(pkt, &in, is_evaluated, packets))
		return TC_ACT_UNSPEC;

	/* Parse, look up the flow. */
	pkt_begin_slow_path(pkt, HOOK_TC, &in, ifindex);
	pkt->env.packets = packets;
	pkt->env.is_fast_parsed = is_fast;
	pkt->env.is_evaluated = is_evaluated;
	pkt->env.is_forwarded = !!skb->ingress_ifindex;
	pkt->env.is_from_host = is_frame_from_host(skb, pkt->env.mac);
	if (!is_fast)
		step = parse_full_skb(pkt, skb, tags, zone);
	if (is_control_blocked(pkt))
		step = drop(pkt, REASON_DROP_BLOCKED);
	if (step == STEP_CONTINUE)
		step = flow_step(pkt);

	/* The policy program applies its own verdict; else apply this one. */
	if (step == STEP_CONTINUE) {
		call_policy(skb, &policies_tc, control_slot(pkt->env.control));
		drop(pkt, REASON_DROP_NO_POLICY);
	}
	return finish_tc(pkt);
}

/* Evaluates a packet as the first of a new flow, under the generation that
 * probe_control names. Never attached. Counts nothing and writes nothing but
 * its answer. */
SEC("xdp.frags")
int entry_probe(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct pkt *pkt = pkt_begin_parse(HOOK_PROBE);
	struct ingress_ctx in;
	bool is_fast;

	if (!pkt || !ingress_ctx_load(&in, &probe_control, ifindex))
		return XDP_DROP;

	/* Parse. */
	is_fast = parse_fast_xdp(pkt, ctx);
	pkt_begin_slow_path(pkt, HOOK_PROBE, &in, ifindex);
	pkt->env.is_fast_parsed = is_fast;
	if (!is_fast && parse_full_xdp(pkt, ctx) != STEP_CONTINUE)
		return finish_probe(ctx, pkt);
	pkt->out.probe_steps = PROBE_PARSED;

	/* As entry_xdp, without flow table and antispoof. */
	if (is_failsafe(pkt)) {
		pass(pkt, REASON_PASS_FAILSAFE);
		return finish_probe(ctx, pkt);
	}
	if (is_outer_address_blocked(pkt) || is_flow_blocked(pkt)) {
		drop(pkt, REASON_DROP_BLOCKED);
		return finish_probe(ctx, pkt);
	}

	/* Evaluate policy. */
	call_policy(ctx, &policies_probe, control_slot(pkt->env.control));
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_probe(ctx, pkt);
}

/*
 * Programs of retired slots; they drop as an empty slot does. User space
 * overwrites a retired slot and never empties it: to empty a slot, the kernel
 * waits for a grace period of 5 to 20 ms.
 */
SEC("xdp.frags")
int retired_xdp(struct xdp_md *ctx)
{
	struct pkt *pkt = pkt_resume(HOOK_XDP);

	if (!pkt)
		return XDP_DROP;
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_xdp(ctx, pkt);
}

SEC("classifier")
int retired_tc(struct __sk_buff *skb)
{
	struct pkt *pkt = pkt_resume(HOOK_TC);

	if (!pkt)
		return TC_ACT_SHOT;
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_tc(pkt);
}

SEC("xdp.frags")
int retired_probe(struct xdp_md *ctx)
{
	struct pkt *pkt = pkt_resume(HOOK_PROBE);

	if (!pkt)
		return XDP_DROP;
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_probe(ctx, pkt);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
