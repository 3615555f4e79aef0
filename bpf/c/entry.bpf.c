// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/*
 * The attached programs: entry_xdp (ingress) and entry_tc (egress). Both parse
 * the frame, look up its flow and apply the verdict of that flow. A packet
 * without a usable flow goes to the policy program of the active generation.
 * entry_probe answers test runs and is never attached.
 */
#include "address/antispoof.h"
#include "address/origin.h"
#include "core/clock.h"
#include "core/handover.h"
#include "core/ingress.h"
#include "core/policy_call.h"
#include "flow/hit.h"
#include "flow/fast_path.h"
#include "forward/bridge.h"
#include "guard/blocklist.h"
#include "guard/failsafe.h"
#include "parse/fast.h"
#include "parse/full.h"
#include "parse/resume.h"
#include "verdict.h"

/*
 * Between fast path and slow path. The slow path reads the context again,
 * although the fast path knows some of its fields: the verifier walks the slow
 * path once for each different state in which the fast path leaves a packet.
 */
#define FORGET(ctx) asm volatile("" : "+r"(ctx))

/* Counts and forwards a packet of an established flow. */
static __always_inline bool fast_path_forward(struct xdp_md *ctx,
					      const struct ingress_ctx *in,
					      const struct fast_hit *hit,
					      __u32 bytes, int *action)
{
	*action = BRIDGE ? bpf_redirect_map(&bridge_ports, ctx->ingress_ifindex,
					    XDP_DROP) :
			   XDP_PASS;
	/* No peer port: the slow path counts the drop under its reason. */
	if (*action == XDP_DROP)
		return false;
	fast_path_count(hit, in->interface, HOOK_XDP, 1, bytes);
	return true;
}

/* Writes the handover line; false: the packet needs more checks. */
static __always_inline bool hand_over(const struct fast_packet *pkt,
				      const struct fast_context *context,
				      __u64 hash)
{
	__u16 low = pkt->tuple >> TUPLE_PORT_LO_SHIFT,
	      high = pkt->tuple >> TUPLE_PORT_HI_SHIFT;
	struct handover *to = handover_slot();

	if (!to || !context->control || READ_ONCE(control.blocks) ||
	    READ_ONCE(control.warm_until) ||
	    (FAILSAFE_COUNT && is_failsafe_port(low, high)) ||
	    (!BRIDGE && may_be_host_address(pkt->source_be)))
		return false;
	to->control = context->control;
	to->now = context->now;
	to->interface = context->interface;
	to->source_be[0] = pkt->source_be[0];
	to->source_be[1] = pkt->source_be[1];
	fast_packet_destination(pkt, to->destination_be);
	to->port = pkt->sender ? low : high;
	to->protocol = pkt->tuple >> TUPLE_PROTOCOL_SHIFT;
	to->kind = pkt->kind;
	to->bytes = context->bytes;
	to->hash = hash;
	to->tuple = pkt->tuple;
	to->sender = pkt->sender;
	to->sequence = pkt->ack;
	to->origin = record_origin(
		1, to->protocol == IPPROTO_TCP ? TCP_SYN : 0,
		record_place(context->interface & (INTERFACE_SLOTS - 1),
			     HOOK_XDP, pkt->sender));
	return true;
}

/* Ends packets of established flows and hands over new ones; false: take the
 * slow path. A router looks up a route for every packet that passes, and only
 * the slow path does so. */
static __always_inline bool
fast_path_xdp(struct xdp_md *ctx, const struct ingress_ctx *in, int *action)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	struct fast_frame frame = { .data = data, .data_end = data_end };
	struct fast_context context = { .interface = in->interface,
					.hook = HOOK_XDP };
	__u32 bytes = data_end - data;
	struct fast_packet pkt;
	struct fast_hit hit;

	frame.len = bytes;
	context.bytes = bytes;
	context.now = clock_nanoseconds();
	context.control = READ_ONCE(in->control->word);
	context.skips_flows = ROUTER || is_capturing() ||
			      !control_epoch(context.control);
	switch (fast_path(&frame, &context, &pkt, &hit)) {
	case FAST_HIT:
		return fast_path_forward(ctx, in, &hit, bytes, action);
	case FAST_NEW:
		if (hand_over(&pkt, &context, hit.hash))
			call_policy(ctx, &policies_xdp,
				    control_slot(context.control));
		return false;
	case FAST_OTHER:
		break;
	}
	return false;
}

/* Completes what parse_fast() has read, or parses the whole frame. */
static __always_inline enum step parse_rest_xdp(struct xdp_md *ctx,
						struct pkt *pkt)
{
	if (!pkt->env.is_fast_parsed)
		return parse_full_xdp(pkt, ctx);
	set_link_target(pkt, ctx);
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

static __always_inline int slow_path_xdp(struct xdp_md *ctx,
					 const struct ingress_ctx *in)
{
	struct pkt *pkt = pkt_begin_parse(HOOK_XDP);
	struct handover *handover = handover_slot();
	enum step step;
	bool is_fast;

	if (!pkt || !handover)
		return XDP_DROP;
	handover->control = 0;

	/* Parse, validate the source, look up the flow. */
	is_fast = parse_fast_xdp(pkt, ctx);
	pkt_begin_slow_path(pkt, HOOK_XDP, in, ctx->ingress_ifindex,
			    clock_nanoseconds());
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

SEC("xdp.frags")
int entry_xdp(struct xdp_md *ctx)
{
	struct ingress_ctx in;
	int action;

	ingress_ctx_load(&in, &control, ctx->ingress_ifindex);
	/* TCP and UDP packets of established flows end here. */
	if (fast_path_xdp(ctx, &in, &action))
		return action;
	FORGET(ctx);
	return slow_path_xdp(ctx, &in);
}

/* Guests leave gso_segs at 0 for the host to compute. */
static __always_inline __u32 segment_count(struct __sk_buff *skb)
{
	if (skb->gso_segs)
		return skb->gso_segs;
	return skb->gso_size ? (skb->len + skb->gso_size - 1) / skb->gso_size :
			       1;
}

/* wire_len is 0 outside a qdisc. */
static __always_inline __u32 skb_bytes(struct __sk_buff *skb)
{
	return skb->wire_len ?: skb->len;
}

/* Facts that the skb holds and the frame does not: the outermost VLAN tag, and
 * whether the frame has several segments. */
static __always_inline struct parsed parsed_outside_frame(struct __sk_buff *skb)
{
	struct parsed in = { .is_gso = skb->gso_size != 0 };

	if (skb->vlan_present)
		vlan_enter(&in, skb->vlan_tci);
	return in;
}

/* A packet that XDP evaluated and counted is counted once more, but under one
 * reason only: not for its flow and its rules. */
static __always_inline bool fast_path_tc(struct __sk_buff *skb,
					 const struct ingress_ctx *in)
{
	__u32 packets = segment_count(skb), bytes = skb_bytes(skb);
	struct parsed outer = parsed_outside_frame(skb);
	struct fast_frame frame = { .data = (void *)(long)skb->data,
				    .data_end = (void *)(long)skb->data_end,
				    .len = skb->len,
				    .zone = outer.zone,
				    .vlan_tags = outer.vlan_tags,
				    .is_gso = outer.is_gso };
	/* Interface 0: no source is suspicious at egress. */
	struct fast_context context = { .hook = HOOK_TC };
	struct fast_packet pkt;
	struct fast_hit hit;

	context.now = clock_nanoseconds();
	context.control = READ_ONCE(in->control->word);
	context.skips_flows = is_capturing() || !control_epoch(context.control);
	if (fast_path(&frame, &context, &pkt, &hit) != FAST_HIT)
		return false;
	if (was_evaluated_at_xdp(skb))
		count_reason_at(bpf_get_smp_processor_id(),
				in->interface & (INTERFACE_SLOTS - 1), HOOK_TC,
				REASON_PASS_EVALUATED, packets, bytes);
	else
		fast_path_count(&hit, in->interface, HOOK_TC, packets, bytes);
	return true;
}

static __always_inline int slow_path_tc(struct __sk_buff *skb,
					const struct ingress_ctx *in)
{
	struct parsed outer = parsed_outside_frame(skb);
	enum step step = STEP_CONTINUE;
	struct pkt *pkt;
	bool is_fast;

	/* Parse, look up the flow. */
	pkt = pkt_begin_parse(HOOK_TC);
	if (!pkt)
		return TC_ACT_SHOT;
	pkt->in = outer;
	is_fast = parse_fast(pkt, (void *)(long)skb->data,
			     (void *)(long)skb->data_end, skb->len);
	pkt->in.bytes = skb_bytes(skb);
	pkt_begin_slow_path(pkt, HOOK_TC, in, skb->ifindex,
			    clock_nanoseconds());
	pkt->env.packets = segment_count(skb);
	pkt->env.is_fast_parsed = is_fast;
	pkt->env.is_evaluated = was_evaluated_at_xdp(skb);
	pkt->env.is_forwarded = !!skb->ingress_ifindex;
	pkt->env.is_from_host = is_frame_from_host(skb, pkt->env.mac);
	if (!is_fast)
		step = parse_full_skb(pkt, skb, outer.vlan_tags, outer.zone);
	if (is_control_blocked(pkt))
		step = drop(pkt, REASON_DROP_BLOCKED);
	if (step == STEP_CONTINUE)
		step = flow_step(pkt);

	/* The policy program applies its own verdict; else apply this one. */
	if (step == STEP_CONTINUE) {
		call_policy(skb, &policies_tc, control_slot(pkt->env.control));
		drop(pkt, REASON_DROP_NO_POLICY);
	}
	return finish_tc(skb, pkt);
}

SEC("classifier")
int entry_tc(struct __sk_buff *skb)
{
	struct ingress_ctx in;

	ingress_ctx_load(&in, &control, skb->ifindex);
	/* TCP and UDP packets of established flows end here. */
	if (fast_path_tc(skb, &in))
		return TC_ACT_UNSPEC;
	FORGET(skb);
	return slow_path_tc(skb, &in);
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

	if (!pkt)
		return XDP_DROP;
	ingress_ctx_load(&in, &probe_control, ifindex);

	/* Parse. */
	is_fast = parse_fast_xdp(pkt, ctx);
	pkt_begin_slow_path(pkt, HOOK_PROBE, &in, ifindex, clock_nanoseconds());
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
	struct handover *handover = handover_slot();
	struct pkt *pkt = pkt_resume(HOOK_XDP);

	if (!pkt || !handover)
		return XDP_DROP;
	if (handover->control)
		pkt_from_handover(pkt, ctx, handover);
	handover->control = 0;
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
	return finish_tc(skb, pkt);
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
