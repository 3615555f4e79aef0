// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/* The policy program of one generation: evaluates policy for packets without a
 * current flow, and writes the verdict to the flow table. One instance per
 * generation, with its own tables; reached only by tail call. */
#include "core/policy_call.h"
#include "flow/hit.h"
#include "flow/insert.h"
#include "flow/insert_handover.h"
#include "guard/syn_cookie.h"
#include "handover_verdict.h"
#include "parse/resume.h"
#include "policy/direction.h"
#include "policy/handover.h"
#include "policy/match.h"
#include "policy/ports.h"
#include "policy/rate_limit.h"
#include "policy/sender.h"
#include "verdict.h"

volatile const __u32 GENERATION = 0;
volatile const __u32 KEEP = 0; /* established flows survive a policy change */
volatile const __u32 TCP_STRICT = 0; /* only a SYN creates a TCP flow */

/* Warm-up mode picks connections up midstream. */
static __always_inline bool is_warm_up_pickup(const struct pkt *pkt)
{
	return pkt->env.is_warm_up && !pkt->in.may_create_flow &&
	       !pkt->full.icmp_error && !pkt->out.has_syn_cookie &&
	       (pkt->in.protocol == IPPROTO_TCP ||
		pkt->in.protocol == IPPROTO_SCTP);
}

/*
 * A midstream segment (TCP or SCTP) creates a flow only if no policy isolates
 * either end in either direction: then the other direction would pass as well,
 * and there is no rule to evade. The original direction of such a flow is a
 * guess, so a new policy holds it to the same condition.
 */
static __always_inline enum step flow_creation_step(struct pkt *pkt,
						    struct class_record *a,
						    struct class_record *b)
{
	bool guessed = pkt->flow.meta &&
		       meta_flags(pkt->flow.meta) & FLOW_MIDSTREAM;

	if (pkt->in.may_create_flow || (is_revalidation(pkt) && !guessed) ||
	    is_warm_up_pickup(pkt) || pkt->out.has_syn_cookie)
		return STEP_CONTINUE;
	if (pkt->full.icmp_error)
		return drop(pkt, REASON_DROP_ICMP_ERROR);
	if (pkt->in.protocol == IPPROTO_ICMP ||
	    pkt->in.protocol == IPPROTO_ICMPV6)
		return drop(pkt, REASON_DROP_ICMP_NO_FLOW);
	/* The subjects of the first owner do not cover the other owners. */
	if (TCP_STRICT || a->egress_subject | a->ingress_subject |
				  b->egress_subject | b->ingress_subject |
				  (a->flags | b->flags) >> CLASS_ALSO_SHIFT)
		return drop(pkt, pkt->in.protocol == IPPROTO_SCTP ?
					 REASON_DROP_SCTP_NO_FLOW :
					 REASON_DROP_TCP_NO_FLOW);
	return STEP_CONTINUE;
}

static __always_inline bool is_denied(struct pkt *pkt)
{
	return (pkt->out.egress_cell | pkt->out.ingress_cell) & CELL_DENY;
}

static __always_inline enum reason pass_reason(const struct pkt *pkt)
{
	return pkt->full.icmp_error ? REASON_PASS_RELATED : REASON_PASS_FLOW;
}

/* Finishes a flow of an older epoch. A denied flow stays as a tombstone;
 * otherwise the next packet of the responder would create the flow in
 * reverse. */
static __always_inline enum step finish_revalidation(struct pkt *pkt)
{
	__u32 epoch = control_epoch(pkt->env.control);
	__u32 state = meta_state(pkt->flow.next_meta),
	      flags = meta_flags(pkt->flow.next_meta);

	if (is_denied(pkt))
		state = STATE_DENIED;
	else if (state == STATE_DENIED) /* allowed again: as if created now */
		state = pkt->in.protocol != IPPROTO_TCP ? initial_state(pkt) :
			flags & FLOW_REPLIED ? STATE_TCP_ESTABLISHED :
					       STATE_TCP_SYN_RECV;
	flow_update(pkt,
		    meta_make(pkt->flow.meta, state, flags, epoch,
			      meta_seen(pkt->flow.next_meta)),
		    false);
	return is_denied(pkt) ? drop(pkt, REASON_DROP_POLICY) :
				pass(pkt, pass_reason(pkt));
}

/*
 * A packet against the direction of a tombstone may create a flow only if a
 * rule allows this direction. Missing isolation is not enough: remaining
 * packets of a server would then re-create the flow of a client whose
 * permission was revoked.
 */
static __always_inline bool is_tombstone_kept(const struct pkt *pkt)
{
	return pkt->in.protocol != IPPROTO_TCP && pkt->flow.meta &&
	       meta_state(pkt->flow.meta) == STATE_DENIED &&
	       !!(meta_flags(pkt->flow.meta) & FLOW_ORIG_LOW) !=
		       pkt->in.sender_is_lower &&
	       (pkt->out.egress_cell & CELL_RULE_MASK) < RULE_FIRST &&
	       (pkt->out.ingress_cell & CELL_RULE_MASK) < RULE_FIRST;
}

static __always_inline enum step refresh_tombstone(struct pkt *pkt)
{
	__u64 next = meta_make(pkt->flow.meta, STATE_DENIED,
			       meta_flags(pkt->flow.meta),
			       meta_epoch(pkt->flow.meta), pkt->env.now);
	struct flow_entry *entry;

	entry = flow_entry_at(pkt->flow.bucket, pkt->flow.slot);
	if (!entry)
		return drop(pkt, REASON_DROP_MAP_ERROR);
	read_flow_rules(pkt, READ_ONCE(entry->rules));
	if (!(pkt->flow.meta & META_LOCKED))
		__sync_val_compare_and_swap(&entry->meta, pkt->flow.meta, next);
	return drop(pkt, REASON_DROP_FLOW_DENIED);
}

static __always_inline enum step finish_evaluation(struct pkt *pkt)
{
	if (is_revalidation(pkt))
		return finish_revalidation(pkt);
	if (is_tombstone_kept(pkt) && !flow_expired(pkt, pkt->flow.meta))
		return refresh_tombstone(pkt);
	if (is_denied(pkt)) {
		/* Counts as a hit of the denying rule. */
		pkt->out.is_new_flow = 1;
		return drop(pkt, REASON_DROP_POLICY);
	}
	if (pkt->env.hook == HOOK_PROBE)
		return pass(pkt, REASON_PASS_NEW);
	/* A packet that ends a connection creates no entry. */
	if (pkt->in.tcp_flags & (TCP_RST | TCP_FIN) || is_sctp_end(pkt))
		return pass(pkt, REASON_PASS_NEW);
	if (FLOOD_LIMIT && pkt->env.hook == HOOK_XDP && !pkt->flow.meta &&
	    flood_step(pkt) != STEP_CONTINUE)
		return STEP_DONE;
	if (LIMITS && rate_limit_step(pkt) != STEP_CONTINUE)
		return STEP_DONE;
	if (!pkt->flow.meta)
		return flow_insert(pkt);
	if (!flow_update(pkt,
			 initial_meta(pkt,
				      meta_identity(
					      pkt->in.kind,
					      meta_serial(pkt->flow.meta) + 1)),
			 true) &&
	    pkt->in.protocol == IPPROTO_TCP)
		return drop(pkt, REASON_DROP_FLOW_CONTENTION);
	return pass(pkt, REASON_PASS_NEW);
}

/* KEEP: the flow keeps the rules that admitted it. */
static __always_inline enum step keep_admitted(struct pkt *pkt)
{
	struct flow_entry *entry;
	__u64 next = meta_make(pkt->flow.meta, meta_state(pkt->flow.next_meta),
			       meta_flags(pkt->flow.next_meta),
			       control_epoch(pkt->env.control),
			       meta_seen(pkt->flow.next_meta));

	entry = flow_entry_at(pkt->flow.bucket, pkt->flow.slot);
	if (!entry)
		return drop(pkt, REASON_DROP_MAP_ERROR);
	read_flow_rules(pkt, READ_ONCE(entry->rules));
	if (!(pkt->flow.meta & META_LOCKED) &&
	    __sync_val_compare_and_swap(&entry->meta, pkt->flow.meta, next) ==
		    pkt->flow.meta) {
		account_source(&pkt->key, pkt->flow.meta, next);
		count_flow(pkt, pkt->flow.meta);
		flow_note_admitted(pkt, entry);
	}
	return pass(pkt, pass_reason(pkt));
}

/* A group frame is subject to the scope rules with every packet. */
static __always_inline enum step group_frame_step(struct pkt *pkt)
{
	struct direction direction;

	if (!is_unicast_in_group_frame(pkt))
		return STEP_CONTINUE;
	direction_set(pkt, &direction);
	return scope_step(pkt, direction.port);
}

/* The flow is current; the packet itself needed a check. The verdict of the
 * flow is unchanged. */
static __always_inline enum step current_flow_step(struct pkt *pkt)
{
	struct flow_entry *entry;

	entry = flow_entry_at(pkt->flow.bucket, pkt->flow.slot);
	if (!entry)
		return drop(pkt, REASON_DROP_MAP_ERROR);
	read_flow_rules(pkt, READ_ONCE(entry->rules));
	if (meta_state(pkt->flow.meta) == STATE_DENIED)
		return drop(pkt, REASON_DROP_FLOW_DENIED);
	if (group_frame_step(pkt) != STEP_CONTINUE)
		return STEP_DONE;
	if (pkt->full.icmp_error)
		return pass(pkt, REASON_PASS_RELATED);
	if (pkt->env.is_evaluated) {
		pkt->out.egress_cell = RULE_NONE;
		pkt->out.ingress_cell = RULE_NONE;
		return pass(pkt, REASON_PASS_EVALUATED);
	}
	return keep_admitted(pkt);
}

/* Evaluates policy in the packet's direction, or reversed. */
static __always_inline enum step evaluate(struct pkt *pkt)
{
	struct class_record *source, *destination;
	int source_class, destination_class;
	struct direction direction;
	enum step step;
	__u32 port;

	direction_set(pkt, &direction);
	step = scope_step(pkt, direction.port);
	if (step != STEP_CONTINUE)
		return step;
	source_class = address_class(direction.source_be, pkt->in.kind);
	destination_class =
		address_class(direction.destination_be, pkt->in.kind);
	source = bpf_map_lookup_elem(&classes, &source_class);
	destination = bpf_map_lookup_elem(&classes, &destination_class);
	if (!source || !destination)
		return drop(pkt, REASON_DROP_MAP_ERROR);
	step = flow_creation_step(pkt, source, destination);
	if (step != STEP_CONTINUE)
		return step;
	port = port_class(pkt->in.protocol, direction.port);
	if ((source->flags | destination->flags) >> CLASS_ALSO_SHIFT)
		return match_owners(pkt, source_class, destination_class, port);
	return match_rules(pkt, source, destination, port);
}

#define EPHEMERAL_FIRST 32768 /* net.ipv4.ip_local_port_range */

/* A connection older than Bailey. The side with the ephemeral port created it.
 * If the ports do not tell, policy must allow both directions. A global
 * function, so that the verifier checks it apart from the main path. */
__noinline int evaluate_warm_up(struct pkt *pkt)
{
	bool source, destination;
	int step;

	if (!pkt)
		return STEP_DONE;
	source = pkt->in.source_port >= EPHEMERAL_FIRST;
	destination = pkt->in.destination_port >= EPHEMERAL_FIRST;
	if (source == destination) {
		pkt->out.is_reversed = 1;
		step = evaluate(pkt);
		if (step != STEP_CONTINUE || is_denied(pkt))
			return step;
	}
	pkt->out.is_reversed = destination && !source;
	return evaluate(pkt);
}

/* Warm-up (audit) mode: a packet that policy would drop passes under its own
 * reason. */
static __always_inline enum step warm_up_override(struct pkt *pkt,
						  enum step step)
{
	const __u64 policy = 1ULL << REASON_DROP_POLICY |
			     1ULL << REASON_DROP_TCP_NO_FLOW |
			     1ULL << REASON_DROP_ICMP_NO_FLOW |
			     1ULL << REASON_DROP_SCTP_NO_FLOW;

	if (!pkt->env.is_warm_up || pkt->out.verdict != VERDICT_DROP ||
	    is_revalidation(pkt) || !(policy >> (pkt->out.reason & 63) & 1))
		return step;
	pkt->out.egress_cell = RULE_NONE;
	pkt->out.ingress_cell = RULE_NONE;
	return pass(pkt, REASON_PASS_WARM_UP);
}

/* Evaluates policy unless the flow or the packet itself decides. may_keep: see
 * keep_admitted(). */
static __always_inline enum step evaluation_step(struct pkt *pkt,
						 bool *may_keep)
{
	enum step step;

	/* A commit may have replaced the program meanwhile. */
	if (control_generation(pkt->env.control) != GENERATION)
		return drop(pkt, REASON_DROP_GENERATION_MISMATCH);
	if (sender_step(pkt) != STEP_CONTINUE)
		return STEP_DONE;
	/* Passes without policy; only its sender had to be checked. */
	if (pkt->out.verdict == VERDICT_PASS)
		return STEP_DONE;
	/* The flow is current; the packet itself needed a check. */
	if (is_revalidation(pkt) &&
	    flow_epoch_current(pkt->flow.meta, pkt->env.control))
		return current_flow_step(pkt);
	*may_keep = KEEP && is_revalidation(pkt) &&
		    meta_state(pkt->flow.meta) != STATE_DENIED;
	/* With KEEP, a SYN still creates a new connection and is evaluated. */
	if (*may_keep &&
	    !(pkt->in.may_create_flow && pkt->in.protocol == IPPROTO_TCP))
		return group_frame_step(pkt) == STEP_CONTINUE ?
			       keep_admitted(pkt) :
			       STEP_DONE;
	/* An RST without a flow may answer a challenge. */
	if (FLOOD_LIMIT && pkt->env.hook == HOOK_XDP &&
	    pkt->in.protocol == IPPROTO_TCP && !pkt->flow.meta &&
	    pkt->in.tcp_flags & TCP_RST && is_flood_within(pkt, PROOF_TICKS) &&
	    accept_challenge_answer(pkt))
		return drop(pkt, REASON_CHALLENGE_ANSWER);
	step = is_warm_up_pickup(pkt) && !is_revalidation(pkt) ?
		       evaluate_warm_up(pkt) :
		       evaluate(pkt);
	if (step == STEP_CONTINUE)
		pkt->out.probe_steps |= PROBE_EVALUATED;
	return step;
}

/* Evaluates policy, then writes the verdict to the flow table. */
static __always_inline void policy_step(struct pkt *pkt)
{
	enum step step = STEP_CONTINUE;
	bool may_keep = false;

	if (!pkt->out.has_cells)
		step = evaluation_step(pkt, &may_keep);
	if (step == STEP_CONTINUE)
		step = !may_keep      ? finish_evaluation(pkt) :
		       is_denied(pkt) ? drop(pkt, REASON_DROP_POLICY) :
					keep_admitted(pkt);
	/* No other step drops under a reason that warm-up mode overrides. */
	warm_up_override(pkt, step);
}

/* Creates the flow of an allowed packet and forwards it. False: nothing has
 * changed, and policy_step() must decide. */
static __always_inline bool admit_handover(struct xdp_md *ctx,
					   const struct handover *from,
					   const struct cells *cells,
					   int *action)
{
	bool external = from->interface & INTERFACE_EXTERNAL;

	/* A router looks up a route. */
	if (ROUTER || LIMITS)
		return false;
	*action = BRIDGE ? bpf_redirect_map(&bridge_ports, ctx->ingress_ifindex,
					    XDP_DROP) :
			   XDP_PASS;
	/* No peer port: policy_step() names the reason. */
	if (*action == XDP_DROP || !flood_is_calm(from->now, external) ||
	    !insert_handover(from, cells->egress, cells->ingress))
		return false;
	flood_count_calm(external);
	count_handover(from, cells, REASON_PASS_NEW);
	return true;
}

/* Do the cells of the line belong to the packet? */
static __always_inline bool is_of_handover(const struct pkt *pkt,
					   const struct handover *from)
{
	return !((pkt->addr.source_be[0] ^ from->source_be[0]) |
		 (pkt->addr.source_be[1] ^ from->source_be[1]) |
		 (pkt->addr.destination_be[0] ^ from->destination_be[0]) |
		 (pkt->addr.destination_be[1] ^ from->destination_be[1])) &&
	       pkt->in.destination_port == from->port &&
	       pkt->in.protocol == from->protocol && pkt->in.may_create_flow;
}

/* Continues in struct pkt with a packet of the handover line. False: dropped and
 * counted. */
static __always_inline bool resume_handover(struct xdp_md *ctx, struct pkt *pkt,
					    const struct handover *from,
					    enum evaluated evaluated,
					    const struct cells *cells)
{
	if (!pkt_from_handover(pkt, ctx, from)) {
		drop(pkt, REASON_DROP_MAP_ERROR);
		count_packet(pkt);
		return false;
	}
	if (evaluated == EVALUATED_ALLOW && is_of_handover(pkt, from)) {
		pkt->out.egress_cell = cells->egress;
		pkt->out.ingress_cell = cells->ingress;
		pkt->out.has_cells = 1;
	}
	return true;
}

SEC("xdp.frags")
int policy_xdp(struct xdp_md *ctx)
{
	enum evaluated evaluated = EVALUATED_NOT;
	struct handover *handover = handover_slot();
	struct cells cells = {};
	struct pkt *pkt;
	bool is_resumed;
	int action;

	if (!handover)
		return XDP_DROP;
	/* Most packets of a flood end here. */
	if (handover->control)
		evaluated = evaluate_handover(handover, GENERATION, &cells);
	if (evaluated == EVALUATED_DENY) {
		count_handover(handover, &cells, REASON_DROP_POLICY);
		handover->control = 0;
		return XDP_DROP;
	}
	if (evaluated == EVALUATED_ALLOW &&
	    admit_handover(ctx, handover, &cells, &action)) {
		handover->control = 0;
		return action;
	}

	pkt = pkt_resume(HOOK_XDP);
	if (!pkt)
		return XDP_DROP;
	is_resumed = !handover->control ||
		     resume_handover(ctx, pkt, handover, evaluated, &cells);
	handover->control = 0;
	if (!is_resumed)
		return XDP_DROP;
	if (may_carry_syn_cookie(pkt))
		pkt->out.has_syn_cookie = check_syn_cookie(ctx);
	policy_step(pkt);
	if (pkt->out.verdict == VERDICT_ANSWER)
		syn_reply(ctx);
	return finish_xdp(ctx, pkt);
}

SEC("classifier")
int policy_tc(struct __sk_buff *skb)
{
	struct pkt *pkt = pkt_resume(HOOK_TC);

	if (!pkt)
		return TC_ACT_SHOT;
	policy_step(pkt);
	return finish_tc(skb, pkt);
}

SEC("xdp.frags")
int policy_probe(struct xdp_md *ctx)
{
	struct pkt *pkt = pkt_resume(HOOK_PROBE);

	if (!pkt)
		return XDP_DROP;
	policy_step(pkt);
	return finish_probe(ctx, pkt);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
