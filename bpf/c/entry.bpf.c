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

static __always_inline enum step flow_answer(struct pkt *pkt)
{
	enum find find = FIND_BUSY;
	__u64 words[2];
	int i;

	if (!pkt->plain && !flow_hash(pkt))
		return drop(pkt, REASON_DROP_MAP);
	/* A flow that another CPU is judging again is there a moment later; to
	 * take it for a new one would cost a reply. */
	for (i = 0; i < FLOW_TRIES && find == FIND_BUSY; i++)
		find = flow_find(pkt, words);
	if (find == FIND_HIT)
		return flow_hit(pkt);
	return pkt->related ? drop(pkt, REASON_DROP_ICMP_ERROR) : STEP_CONTINUE;
}

/* Whatever the flow table does not answer with an allow is asked of the failsafe
 * before anything else. */
static __always_inline enum step flow_step(struct pkt *pkt)
{
	enum step step;

	/* Who sends an error in a tunnel is not kept. */
	pkt->foreign = !(pkt->related && pkt->tunnel) &&
		       foreign(pkt->related ? pkt->sender_be : pkt->source_be,
			       pkt->hook, pkt->outside);

	if (carrier_blocked(pkt))
		return drop(pkt, REASON_DROP_BLOCKED);
	step = flow_answer(pkt);
	if (pkt->verdict != VERDICT_PASS && failsafe_passes(pkt)) {
		pkt->egress = RULE_NONE;
		pkt->ingress = RULE_NONE;
		return pass(pkt, REASON_PASS_FAILSAFE);
	}
	if (step != STEP_CONTINUE)
		return step;
	return blocked(pkt) ? drop(pkt, REASON_DROP_BLOCKED) : STEP_CONTINUE;
}

/* Is the packet DHCP, IGMP or MLD that passes without policy? */
static __always_inline bool control_passes(const struct pkt *pkt)
{
	return pkt->verdict == VERDICT_PASS &&
	       (pkt->reason == REASON_PASS_DHCP ||
		pkt->reason == REASON_PASS_MULTICAST_CONTROL);
}

/* Blocks hold for control packets too. */
static __always_inline bool control_blocked(struct pkt *pkt)
{
	if (!control_passes(pkt))
		return false;
	key_set(pkt);
	return blocked(pkt);
}

/* Does a control packet from the inside have a source outside its prefixes? The policy
 * program then asks whether an endpoint or a node has the address. */
static __always_inline bool control_foreign(struct pkt *pkt)
{
	pkt->foreign = control_passes(pkt) && !source_unspecified(pkt) &&
		       foreign(pkt->source_be, pkt->hook, pkt->outside);
	return pkt->foreign;
}

SEC("xdp.frags")
int entry_xdp(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	enum step step = STEP_CONTINUE;
	struct pkt *pkt = frame_begin(HOOK_XDP);
	struct scene scene;
	struct quick quick;
	bool plain;
	int action;

	if (!pkt || !scene_set(&scene, &control, ifindex))
		return XDP_DROP;
	plain = read_plain_xdp(pkt, ctx);
	/* A router has a route to find. */
	if (plain && !ROUTER &&
	    quick_passes(pkt, READ_ONCE(scene.control->word), scene.interface,
			 HOOK_XDP, &quick)) {
		action = BRIDGE ? bpf_redirect_map(&bridge_ports, ifindex,
						   XDP_DROP)
				: XDP_PASS;
		if (action != XDP_DROP) {
			quick_count(pkt, scene.interface, HOOK_XDP, 1, &quick);
			return action;
		}
	}
	pkt_begin(pkt, HOOK_XDP, &scene, ifindex);
	pkt->plain = plain;
	if (!plain)
		step = parse_xdp(pkt, ctx);
	else if (eth_readable(ctx))
		pkt->link = link_of((void *)(long)ctx->data, pkt->mac);
	/* Also of what passes without policy, if it is IP. */
	if ((step == STEP_CONTINUE || pkt->verdict == VERDICT_PASS) && pkt->kind &&
	    (spoofed(pkt) || forged(pkt)))
		step = drop(pkt, REASON_DROP_SPOOFED);
	if (control_blocked(pkt))
		step = drop(pkt, REASON_DROP_BLOCKED);
	if (step == STEP_CONTINUE)
		step = flow_step(pkt);
	else if (control_foreign(pkt))
		step = STEP_CONTINUE;
	if (step != STEP_CONTINUE)
		return finish_xdp(ctx, pkt);
	bpf_tail_call(ctx, &policies_xdp, control_slot(pkt->control));
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_xdp(ctx, pkt);
}

/* Guests leave the number of segments to be computed. */
static __always_inline __u32 segments(struct __sk_buff *skb)
{
	if (skb->gso_segs)
		return skb->gso_segs;
	return skb->gso_size ? (skb->len + skb->gso_size - 1) / skb->gso_size : 1;
}

SEC("classifier")
int entry_tc(struct __sk_buff *skb)
{
	__u32 packets = segments(skb), ifindex = skb->ifindex, tags, zone;
	struct pkt *pkt = frame_begin(HOOK_TC);
	bool plain, seen = judged(skb);
	enum step step = STEP_CONTINUE;
	struct scene scene;
	struct quick quick;

	if (!pkt || !scene_set(&scene, &control, ifindex))
		return TC_ACT_SHOT;
	/* The outermost tag is not in the frame but beside it. */
	if (skb->vlan_present)
		vlan_enter(pkt, skb->vlan_tci);
	tags = pkt->tags;
	zone = pkt->zone;
	pkt->joined = skb->gso_size != 0;
	plain = read_plain(pkt, (void *)(long)skb->data,
			   (void *)(long)skb->data_end, skb->len);
	pkt->bytes = skb->wire_len ?: skb->len; /* 0 outside a qdisc */
	if (plain && quick_passes(pkt, READ_ONCE(scene.control->word), 0, HOOK_TC,
				  &quick)) {
		if (seen)
			reason_count_at(bpf_get_smp_processor_id(),
					scene.interface & (INTERFACE_SLOTS - 1),
					HOOK_TC, REASON_PASS_JUDGED, packets,
					pkt->bytes);
		else
			quick_count(pkt, scene.interface, HOOK_TC, packets,
				    &quick);
		return TC_ACT_UNSPEC;
	}
	pkt_begin(pkt, HOOK_TC, &scene, ifindex);
	pkt->packets = packets;
	pkt->plain = plain;
	pkt->judged = seen;
	pkt->forwarded = !!skb->ingress_ifindex;
	pkt->by_machine = by_machine(skb, pkt->mac);
	if (!plain)
		step = parse_skb(pkt, skb, tags, zone);
	if (control_blocked(pkt))
		step = drop(pkt, REASON_DROP_BLOCKED);
	if (step != STEP_CONTINUE)
		return finish_tc(pkt);
	if (flow_step(pkt) != STEP_CONTINUE)
		return finish_tc(pkt);
	bpf_tail_call(skb, &policies_tc, control_slot(pkt->control));
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_tc(pkt);
}

/* Judges a packet as a new connection under the generation that probe_control
 * names. Never attached, counts nothing, writes nothing but its answer. */
SEC("xdp.frags")
int entry_probe(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct pkt *pkt = frame_begin(HOOK_PROBE);
	struct scene scene;
	bool plain;

	if (!pkt || !scene_set(&scene, &probe_control, ifindex))
		return XDP_DROP;
	plain = read_plain_xdp(pkt, ctx);
	pkt_begin(pkt, HOOK_PROBE, &scene, ifindex);
	pkt->plain = plain;
	if (!plain && parse_xdp(pkt, ctx) != STEP_CONTINUE)
		return finish_probe(ctx, pkt);
	pkt->steps = PROBE_PARSED;
	if (failsafe_passes(pkt)) {
		pass(pkt, REASON_PASS_FAILSAFE);
		return finish_probe(ctx, pkt);
	}
	if (carrier_blocked(pkt) || blocked(pkt)) {
		drop(pkt, REASON_DROP_BLOCKED);
		return finish_probe(ctx, pkt);
	}
	bpf_tail_call(ctx, &policies_probe, control_slot(pkt->control));
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_probe(ctx, pkt);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
